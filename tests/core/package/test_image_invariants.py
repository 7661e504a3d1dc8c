"""The check of a layout: silent about what is sound, and naming every fault of what is not."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import ImageError
from flowctl_core.models import Platform
from flowctl_core.models.image import LayerEntry, LayerInput
from flowctl_core.package import layer_contents
from flowctl_core.package.invariants import check_layout, require_sound

AMD64 = Platform("linux/amd64")
Change = Callable[[dict[str, Any]], None]


def blob(layout: Path, digest: str) -> Path:
    return layout / "blobs/sha256" / digest.removeprefix("sha256:")


def put(layout: Path, data: bytes) -> dict[str, Any]:
    digest = "sha256:" + sha256(data).hexdigest()
    blob(layout, digest).write_bytes(data)
    return {"digest": digest, "size": len(data)}


class Bent:
    """A layout whose documents are changed, with all descriptors above them made to fit again."""

    def __init__(self, layout: Path) -> None:
        self.layout = layout
        self.top = json.loads((layout / "index.json").read_text())
        self.index = json.loads(blob(layout, self.top["manifests"][0]["digest"]).read_text())
        self.manifest = json.loads(blob(layout, self.index["manifests"][0]["digest"]).read_text())
        self.config = json.loads(blob(layout, self.manifest["config"]["digest"]).read_text())

    def layer(self, data: bytes, *, fits: bool = True) -> None:
        """Another layer in the place of the first."""
        self.manifest["layers"][0] |= put(self.layout, data)
        if fits:
            self.config["rootfs"]["diff_ids"][0] = "sha256:" + sha256(gzip.decompress(data)).hexdigest()

    def faults(self) -> str:
        self.manifest["config"] |= put(self.layout, json.dumps(self.config).encode())
        self.index["manifests"][0] |= put(self.layout, json.dumps(self.manifest).encode())
        for top in self.top["manifests"][:1]:
            top |= put(self.layout, json.dumps(self.index).encode())
        (self.layout / "index.json").write_text(json.dumps(self.top))
        return "\n".join(f"{fault.where}: {fault.problem}" for fault in check_layout(self.layout))


@pytest.fixture
def bent(layout_of, image_for) -> Callable[[], Bent]:
    return lambda: Bent(layout_of("oci", image_for(AMD64))[0])


def test_what_is_sound(layout_of) -> None:
    layout, _ = layout_of()
    assert check_layout(layout) == ()
    require_sound(layout)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda b: b.top.update(schemaVersion=1), "index.json: schemaVersion is 1"),
        (lambda b: b.top.update(manifests=[]), "index.json: lists no manifests"),
        (lambda b: b.top["manifests"].append("x"), "manifests[1]: is not a descriptor"),
        (lambda b: b.top["manifests"].append({"mediaType": "x"}), "mediaType is 'x', neither"),
        (lambda b: b.top["manifests"].append({"digest": "sha256:../x"}), "digest is 'sha256:../x'"),
        (lambda b: b.index.update(mediaType="x"), "mediaType is 'x', not application/vnd.oci.image.index"),
        (lambda b: b.index["manifests"][0]["platform"].update(architecture="arm64"), "the index says linux/arm64"),
        (lambda b: b.manifest.pop("mediaType"), "mediaType is None, not application/vnd.oci.image.manifest"),
        (lambda b: b.manifest["config"].update(mediaType="x"), "mediaType of the config is 'x'"),
        (lambda b: b.manifest.update(layers="x"), "has no list of layers"),
        (lambda b: b.manifest["layers"][0].update(mediaType="x"), "mediaType 'x' is no layer's"),
        (lambda b: b.manifest["layers"][0].update(size=7), "size is 7, blob sha256:"),
        (lambda b: b.manifest["layers"][0].update(size=True), "size is True, not a number"),
        (lambda b: b.manifest["layers"][0].update(digest="sha256:" + "0" * 64), "is missing"),
        (lambda b: b.config.pop("rootfs"), "has no rootfs"),
        (lambda b: b.config["rootfs"]["diff_ids"].append("x"), "1 layers and 2 diff_ids"),
        (lambda b: b.config["rootfs"].update(diff_ids=["sha256:" + "0" * 64]), "the config says sha256:000"),
        (lambda b: b.config.pop("os"), "the config has no os"),
        (lambda b: b.config.update(created="yesterday"), "created is 'yesterday'"),
        (lambda b: b.config["config"].pop("User"), "it runs as root (User is '')"),
        (lambda b: b.config["config"].update(User="0:65532"), "it runs as root"),
        (lambda b: b.config["config"].update(User="root"), "it runs as root"),
        (lambda b: b.config["config"].pop("Entrypoint"), "it has no entry point"),
        (lambda b: b.config["config"].update(Entrypoint=["/app/other"]), "the entry point /app/other is not in it"),
        (lambda b: b.config["config"].update(Entrypoint=["/app"]), "the entry point /app is a folder"),
        (lambda b: b.config["config"].update(Entrypoint=["/metadata.json"]), "is not executable (mode 644)"),
        (lambda b: b.config["config"].update(Env=["NOTHING"]), "Env has 'NOTHING'"),
        (lambda b: b.config["config"].update(ExposedPorts={"http": {}}), "ExposedPorts has 'http'"),
        (lambda b: b.config["config"]["Labels"].pop("org.opencontainers.image.title"), "image.title is missing"),
        (
            lambda b: (b.layout / "oci-layout").write_text('{"imageLayoutVersion": "2.0"}'),
            "imageLayoutVersion is '2.0'",
        ),
        (lambda b: (b.layout / "oci-layout").unlink(), "oci-layout: is missing"),
        (lambda b: (b.layout / "oci-layout").write_text("[" * 10_000), "oci-layout: is not a JSON object"),
    ],
)
def test_each_rule(bent, change: Change, fault: str) -> None:
    broken = bent()
    change(broken)
    assert fault in broken.faults()


def test_all_faults_are_reported_and_not_the_first(bent) -> None:
    broken = bent()
    broken.config["config"] |= {"User": "root", "Labels": {}, "Entrypoint": ["/nowhere"]}
    broken.config["created"] = None
    broken.index["manifests"][0]["platform"]["os"] = "plan9"
    (broken.layout / "oci-layout").unlink()
    said = broken.faults()
    for part in ("oci-layout: is missing", "as root", "/nowhere is not in it", "created is None", "plan9/amd64"):
        assert part in said
    assert said.count("is missing") == 1 + 6, "the file, and each label"
    with pytest.raises(ImageError) as caught:
        require_sound(broken.layout)
    assert f"break {len(said.splitlines())} rules" in caught.value.message
    assert all(line.split(": ", 1)[1] in caught.value.message for line in said.splitlines())


def test_a_blob_that_was_changed(layout_of) -> None:
    layout, report = layout_of()
    path = blob(layout, report.images[0].layers[0].digest)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    faults = check_layout(layout)
    assert [fault.problem for fault in faults if "another digest" in fault.problem]
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert any("is missing" in fault.problem for fault in check_layout(layout))


def member(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, link, mode
    return made


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ([member("../x")], "../x leads out of the image"),
        ([member("a/../../x")], "leads out of the image"),
        ([member("/etc/x")], "/etc/x is an absolute name"),
        ([member("l", tarfile.SYMTYPE, link="../../etc")], "/l links to ../../etc, which is out of the image"),
        ([member("a/l", tarfile.SYMTYPE, link="x/../../../etc")], "which is out of the image"),
        ([member("h", tarfile.LNKTYPE, link="../etc/shadow")], "which is out of the image"),
        ([member("a"), member("a")], "/a is in it twice"),
        ([member("a"), member("./a")], "/a is in it twice"),
        ([member("l", tarfile.SYMTYPE, link="etc"), member("l/x")], "/l/x is below /l, which is no folder"),
        ([member("s", mode=0o4755)], "/s runs with the rights of its owner"),
        ([member("s", mode=0o2755)], "/s runs with the rights of its owner"),
        ([member("d", tarfile.CHRTYPE)], "/d is neither a file, a folder nor a link"),
        ([member("f", tarfile.FIFOTYPE)], "/f is neither"),
        ([], "/metadata.json"),
    ],
)
def test_files_of_a_layer(bent, packed, entries: list[tarfile.TarInfo], fault: str) -> None:
    broken = bent()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for entry in entries:
            archive.addfile(entry)
    broken.layer(gzip.compress(out.getvalue(), mtime=0))
    assert fault in broken.faults()


def test_links_within_the_image_are_followed(layout_of, image_for) -> None:
    program = image_for().layers[0].entries[1]
    entries = (
        *image_for().layers[0].entries,
        LayerEntry(target="/bin", kind="link", text="usr/bin"),
        LayerEntry(target="/usr/bin", kind="folder", mode=0o755),
        LayerEntry(target="/usr/bin/run", kind="link", text="../../app/again"),
        LayerEntry(target="/app/again", kind="link", text="/app/component"),
        LayerEntry(target="/loop", kind="link", text="loop"),
    )
    assert program.mode == 0o755
    layers = (LayerInput(created_by="x", entries=entries),)
    for number, entry in enumerate(("/bin/run", "run", "/usr/bin/run")):
        layout, _ = layout_of(f"oci{number}", image_for(layers=layers, entrypoint=(entry,)))
        assert check_layout(layout) == ()
    layout, _ = layout_of("loop", image_for(layers=layers, entrypoint=("/loop",)))
    assert [fault.problem for fault in check_layout(layout)] == ["the entry point /loop is not in it"]


def test_what_a_later_layer_removes_is_gone(layout_of, image_for) -> None:
    for number, name in enumerate(("/app/.wh.component", "/.wh.app", "/app/.wh..wh..opq")):
        remove = LayerInput(created_by="x", entries=(LayerEntry(target=name),))
        layout, _ = layout_of(f"oci{number}", image_for(layers=(*image_for().layers, remove)))
        assert [fault.problem for fault in check_layout(layout)] == ["the entry point /app/component is not in it"]


def test_a_bomb(bent, packed, monkeypatch) -> None:
    monkeypatch.setattr(layer_contents, "ALWAYS_ALLOWED", 2**20)
    broken = bent()
    broken.layer(packed({"zeros": bytes(5 * 2**20)}))
    assert "it unpacks to more than 1048576 bytes" in broken.faults()


def test_a_name_that_would_fill_the_memory(bent) -> None:
    broken = bent()
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 2**33
    broken.layer(gzip.compress(header.tobuf(tarfile.GNU_FORMAT), mtime=0), fits=True)
    assert "it is damaged: a name in it has more than" in broken.faults()


@pytest.mark.parametrize(
    "data",
    [b"", b"not gzip", gzip.compress(b"not tar"), gzip.compress(b"x" * 1024)[:-9]],
    ids=["empty", "text", "no tar", "cut"],
)
def test_layers_that_are_none(bent, data: bytes) -> None:
    broken = bent()
    broken.layer(data, fits=False)
    assert "it is damaged" in broken.faults()
