"""Checks an image layout against the specification and our own promises, and reports every fault, not the first.

Modelled on go-containerregistry's `pkg/v1/validate`. Rules: image-spec v1.1 (image-layout.md, descriptor.md,
image-index.md, manifest.md, config.md, layer.md). What an image must be to run stands in `image_rules`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from hashlib import file_digest
from pathlib import Path

from pydantic import JsonValue

from flowctl_core.errors import ImageError
from flowctl_core.models.image import ImageFault
from flowctl_core.package import documents
from flowctl_core.package.blobs import refusals
from flowctl_core.package.documents import DOCUMENT_LIMIT
from flowctl_core.package.image_rules import check_config, check_files
from flowctl_core.package.layer_contents import Contents, can_read, look_into

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LAYER = re.compile(r"application/vnd\.oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?")
_DEPTH = 3
"""Indexes within indexes."""
_SHOWN = 20

Json = dict[str, JsonValue]


def check_layout(layout: Path, *, base_layers: Collection[str] = (), rules: bool = True) -> tuple[ImageFault, ...]:
    """All faults of all images in a layout; none means that every rule holds.

    `base_layers` are digests of layers that came with a base: they are compared with their digest, and were looked
    into when they came. Their files may have rights that ours may not. Without `rules` it is the format alone: somebody
    else's Dockerfile decides how its image runs. Raises StoreError when the disk refuses.
    """
    return _Check(layout, frozenset(base_layers), rules).run()


def require_sound(layout: Path, *, base_layers: Collection[str] = (), rules: bool = True) -> None:
    """Raise ImageError that lists the faults of a layout, if it has any."""
    faults = check_layout(layout, base_layers=base_layers, rules=rules)
    if not faults:
        return
    lines = [f"  {fault.where}: {fault.problem}" for fault in faults[:_SHOWN]]
    more = [f"  and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    count = "a rule" if len(faults) == 1 else f"{len(faults)} rules"
    raise ImageError("\n".join([f"the images in {layout} break {count}:", *lines, *more]))


class _Check:
    def __init__(self, layout: Path, base_layers: frozenset[str], rules: bool) -> None:
        self._layout = layout
        self._rules = rules
        self._base_layers = base_layers
        self._faults: dict[ImageFault, None] = {}
        self._sound: dict[str, bool] = {}
        self._contents: dict[str, Contents] = {}

    def run(self) -> tuple[ImageFault, ...]:
        """Check everything that index.json leads to."""
        with refusals(self._layout):
            version = self._file("oci-layout").get("imageLayoutVersion")
            if version != "1.0.0":
                self._fault("oci-layout", f"imageLayoutVersion is {version!r}, not '1.0.0'")
            self._index(self._file("index.json"), "index.json", _DEPTH)
        return tuple(self._faults)

    def _fault(self, where: str, problem: str) -> None:
        self._faults[ImageFault(where=where, problem=problem)] = None

    def _file(self, name: str) -> Json:
        path = self._layout / name
        if not path.is_file():
            self._fault(name, "is missing")
            return {}
        return self._parse(path, name)

    def _parse(self, path: Path, where: str) -> Json:
        if path.stat().st_size > DOCUMENT_LIMIT:
            self._fault(where, f"is larger than {DOCUMENT_LIMIT} bytes")
            return {}
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            self._fault(where, "is not a JSON object")
            return {}
        return document

    def _index(self, index: Json, where: str, depth: int) -> None:
        if index:
            self._head(index, documents.INDEX, where)
        entries = index.get("manifests")
        if not isinstance(entries, list) or (not entries and index):
            if index:
                self._fault(where, "lists no manifests")
            return
        for number, entry in enumerate(entries):
            self._entry(entry, f"{where} manifests[{number}]", depth)

    def _entry(self, entry: JsonValue, where: str, depth: int) -> None:
        if not isinstance(entry, dict):
            self._fault(where, "is not a descriptor")
            return
        kind = entry.get("mediaType")
        if kind not in (documents.INDEX, documents.MANIFEST):
            self._fault(where, f"mediaType is {kind!r}, neither an image's manifest nor an index")
        path = self._blob(entry, where)
        if path is None or entry.get("artifactType"):  # of what is no image (an attestation), the bytes are checked
            return
        if kind == documents.INDEX and depth > 1:
            self._index(self._parse(path, _short(entry)), f"index {_short(entry)}", depth - 1)
        elif kind == documents.INDEX:
            self._fault(where, f"indexes are nested more than {_DEPTH} deep")
        elif kind == documents.MANIFEST:
            self._manifest(path, entry, where)

    def _manifest(self, path: Path, entry: Json, where: str) -> None:
        place = _platform(entry.get("platform"))
        here = f"{place or 'image'} {_short(entry)}"
        manifest = self._parse(path, here)
        if not manifest:
            return
        self._head(manifest, documents.MANIFEST, here)
        layers = manifest.get("layers")
        if not isinstance(layers, list):
            self._fault(here, "has no list of layers")
            layers = []
        found = [self._layer(layer, f"{here} layers[{number}]") for number, layer in enumerate(layers)]
        config = self._config(manifest.get("config"), here)
        if config is None:
            return
        if place and _platform(config) != place:
            self._fault(here, f"the index says {place}, the config says {_platform(config)}")
        self._diff_ids(config, layers, found, here)
        for problem in check_config(config, rules=self._rules):
            self._fault(here, problem)
        contents = [layer for layer in found if layer is not None]
        for problem in () if not self._rules else check_files(config, contents, complete=len(contents) == len(layers)):
            self._fault(here, problem)

    def _config(self, descriptor: JsonValue, where: str) -> Json | None:
        if not isinstance(descriptor, dict):
            self._fault(where, "has no config")
            return None
        if descriptor.get("mediaType") != documents.CONFIG:
            self._fault(where, f"mediaType of the config is {descriptor.get('mediaType')!r}, not {documents.CONFIG}")
        path = self._blob(descriptor, f"{where} config")
        return self._parse(path, f"{where} config") or None if path is not None else None

    def _layer(self, descriptor: JsonValue, where: str) -> Contents | None:
        if not isinstance(descriptor, dict):
            self._fault(where, "is not a descriptor")
            return None
        kind = descriptor.get("mediaType")
        if not isinstance(kind, str) or not _LAYER.fullmatch(kind):
            self._fault(where, f"mediaType {kind!r} is no layer's")
            return None
        path = self._blob(descriptor, where)
        digest = str(descriptor.get("digest"))
        if path is None or digest in self._base_layers or not can_read(kind):
            return None
        if digest not in self._contents:
            self._contents[digest] = look_into(path, kind)
        contents = self._contents[digest]
        for problem in (*contents.faults, *contents.flaws):
            self._fault(where, problem)
        return contents

    def _diff_ids(self, config: Json, layers: list[JsonValue], found: list[Contents | None], where: str) -> None:
        rootfs = config.get("rootfs")
        ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(rootfs, dict) or rootfs.get("type") != "layers" or not isinstance(ids, list):
            self._fault(where, "the config has no rootfs of type 'layers' with diff_ids")
            return
        if len(ids) != len(layers):
            self._fault(where, f"{len(layers)} layers and {len(ids)} diff_ids")
        for number, (wanted, contents) in enumerate(zip(ids, found, strict=False)):
            if contents is not None and contents.diff_id and contents.diff_id != wanted:
                self._fault(f"{where} layers[{number}]", f"its diff_id is {contents.diff_id}, the config says {wanted}")

    def _head(self, document: Json, media_type: str, where: str) -> None:
        if document.get("schemaVersion") != 2:
            self._fault(where, f"schemaVersion is {document.get('schemaVersion')!r}, not 2")
        # Optional in the format, and a document without it can be taken for one of another type.
        if document.get("mediaType") != media_type:
            self._fault(where, f"mediaType is {document.get('mediaType')!r}, not {media_type}")

    def _blob(self, descriptor: Json, where: str) -> Path | None:
        """The file that a descriptor points to, when it is what the descriptor says."""
        digest, size = descriptor.get("digest"), descriptor.get("size")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            self._fault(where, f"digest is {digest!r}, not sha256 and 64 hexadecimal digits")
            return None
        if not isinstance(size, int) or isinstance(size, bool):
            self._fault(where, f"size is {size!r}, not a number")
        path = self._layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
        if path.is_symlink() or not path.is_file():
            self._fault(where, f"blob {digest} is missing")
            return None
        if size != (there := path.stat().st_size):
            self._fault(where, f"size is {size}, blob {digest} has {there} bytes")
        if digest not in self._sound:
            with path.open("rb") as file:
                self._sound[digest] = file_digest(file, "sha256").hexdigest() == path.name
        if not self._sound[digest]:
            self._fault(where, f"blob {digest} has another digest")
            return None
        return path


def _platform(fields: JsonValue) -> str:
    """`os/architecture[/variant]`; empty when there is none."""
    if not isinstance(fields, dict):
        return ""
    parts = [fields.get("os"), fields.get("architecture"), fields.get("variant")]
    return "/".join(str(part) for part in parts if part)


def _short(descriptor: Json) -> str:
    return str(descriptor.get("digest"))[:19]
