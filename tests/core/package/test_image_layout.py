"""Image layouts: what other tools read of them, and that nothing but the input shows in their bytes."""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess
import sys
import tarfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

from flowctl_core.errors import ImageError, StoreError
from flowctl_core.models import Platform
from flowctl_core.models.image import Healthcheck, LayerEntry, LayerInput
from flowctl_core.package.blobs import Blobs
from flowctl_core.package.compressor import BLOCK
from flowctl_core.package.invariants import check_layout
from flowctl_core.package.layer import write_layer

AMD64, ARM64 = Platform("linux/amd64"), Platform("linux/arm64")
EPOCH = 1_700_000_000


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def members(layout: Path, digest: str) -> list[tarfile.TarInfo]:
    data = gzip.decompress((layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes())
    return tarfile.open(fileobj=BytesIO(data)).getmembers()


def skopeo(*arguments: str) -> str:
    return subprocess.run(["skopeo", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.mark.requires_tool("skopeo")
def test_skopeo_reads_what_was_written(layout_of, tmp_path: Path) -> None:
    layout, report = layout_of(ref_name="1.2.3", index_copy=tmp_path / "manifest.json", annotations={"x": "y"})
    index = json.loads(skopeo("inspect", "--raw", f"oci:{layout}:1.2.3"))
    assert (tmp_path / "manifest.json").read_bytes() == layout.joinpath(
        "blobs/sha256", report.index_digest[7:]
    ).read_bytes()
    assert index == json.loads((tmp_path / "manifest.json").read_text())
    assert index["annotations"] == {"x": "y"}
    assert [m["platform"] for m in index["manifests"]] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64"},
    ]
    for image in report.images:
        choose = ["--override-os", image.platform.os, "--override-arch", image.platform.arch]
        seen = json.loads(skopeo(*choose, "inspect", f"oci:{layout}"))
        assert (seen["Architecture"], seen["Os"], seen["Created"]) == (
            image.platform.arch,
            "linux",
            "2023-11-14T22:13:20Z",
        )
        assert seen["Layers"] == [layer.digest for layer in image.layers]
        assert seen["Labels"]["io.flowctl.component.name"] == "greeter"
        config = json.loads(skopeo(*choose, "inspect", "--config", f"oci:{layout}"))
        assert config["config"]["User"] == "65532:65532" and config["config"]["Entrypoint"] == ["/app/component"]
        assert config["rootfs"]["diff_ids"] == [layer.diff_id for layer in image.layers]
        # skopeo compares every digest and size when it copies.
        copy = tmp_path / f"copy-{image.platform.arch}"
        skopeo("copy", "--quiet", f"oci:{layout}", f"dir:{copy}", *choose)
        assert sha256((copy / "manifest.json").read_bytes()).hexdigest() == image.digest[7:]
        stored = layout / "blobs/sha256"
        blobs = [image.digest, image.config_digest, *(layer.digest for layer in image.layers)]
        assert image.size == sum((stored / digest[7:]).stat().st_size for digest in blobs)


@pytest.mark.requires_tool("umoci", "skopeo")
def test_umoci_unpacks_it(image_for, layout_of, tmp_path: Path) -> None:
    layout, _ = layout_of("oci", image_for(AMD64))
    skopeo("copy", "--quiet", f"oci:{layout}", f"oci:{tmp_path}/one:x")
    unpack = ["umoci", "unpack", "--rootless", "--image", f"{tmp_path}/one:x", tmp_path / "bundle"]
    subprocess.run(unpack, check=True, capture_output=True)
    program = tmp_path / "bundle/rootfs/app/component"
    assert subprocess.check_output([program], text=True) == "hello\n"
    assert stat.S_IMODE(program.stat().st_mode) == 0o755 and program.stat().st_mtime == EPOCH


def test_the_same_input_gives_the_same_bytes(image_for, layout_of, tmp_path: Path, monkeypatch) -> None:
    noise = os.urandom(3 * BLOCK + 12345)
    (tmp_path / "big").write_bytes(noise)
    first = LayerInput(
        created_by="x",
        entries=(LayerEntry(target="/b", source=tmp_path / "big"), LayerEntry(target="/a", text="é")),
    )
    layout, report = layout_of("one", image_for(AMD64, layers=(first,)), parallel=1)
    elsewhere = tmp_path / "an other folder"
    elsewhere.mkdir()
    (elsewhere / "called otherwise").write_bytes(noise)
    (elsewhere / "called otherwise").chmod(0o600)
    again = LayerInput(
        created_by="x",
        entries=(
            LayerEntry(target="/a", text="é"),
            LayerEntry(target="/b", source=elsewhere / "called otherwise"),
        ),
    )
    mask = os.umask(0o077)
    try:
        other, second = layout_of("two", image_for(AMD64, layers=(again,)), parallel=5)
    finally:
        os.umask(mask)
    assert report == second and tree(layout) == tree(other)


def test_the_compressor_writes_what_it_always_wrote(tmp_path: Path) -> None:
    """Other bytes mean that published images can no longer be made again: a new version of the compressor is a decision."""
    content = b"".join(sha256(number.to_bytes(4)).digest()[: number % 7] * 5 for number in range(100_000))
    (tmp_path / "file").write_bytes(content)
    entries = [LayerEntry(target="/file", source=tmp_path / "file", mode=0o755)]
    layer = write_layer(entries, Blobs(tmp_path), epoch=EPOCH)
    assert layer.diff_id == "sha256:76a5719638362fca4f635229ef569fa6438e614b9cf38495d06faa3cdd3334c4"
    assert layer.digest == "sha256:8f789b749db3dfeee1d7fc49f68716c29582070c1eda8d0f3d84da1c76f46f6d"


def test_layers_are_plain_tar(image_for, layout_of) -> None:
    long = "/" + "/".join(["a long folder name of some length"] * 9)
    entries = (
        LayerEntry(target="/z", text="last"),
        LayerEntry(target="/tmp", kind="folder", mode=0o1777),
        LayerEntry(target="/home", kind="folder", mode=0o700, owner=65532),
        LayerEntry(target="/link", kind="link", text="z"),
        LayerEntry(target=long, text="far"),
        LayerEntry(target="/naïve.txt", text="ï"),
    )
    layout, report = layout_of("oci", image_for(layers=(LayerInput(created_by="x", entries=entries),)))
    found = members(layout, report.images[0].layers[0].digest)
    assert [m.name for m in found] == sorted(entry.target[1:] for entry in entries)
    assert {m.mtime for m in found} == {EPOCH} and {(m.uname, m.gname) for m in found} == {("", "")}
    by_name = {m.name: m for m in found}
    assert (by_name["tmp"].mode, by_name["home"].mode, by_name["home"].uid) == (0o1777, 0o700, 65532)
    assert by_name["link"].issym() and by_name["link"].linkname == "z"
    data = gzip.decompress((layout / "blobs/sha256" / report.images[0].layers[0].digest[7:]).read_bytes())
    assert "sha256:" + sha256(data).hexdigest() == report.images[0].layers[0].diff_id
    assert len(data) % tarfile.RECORDSIZE == 0


def test_equal_layers_are_written_once(image_for, layout_of) -> None:
    shared = LayerInput(created_by="shared", entries=(LayerEntry(target="/shared", text="x"),))
    images = [image_for(p, layers=(shared, *image_for(p).layers)) for p in (AMD64, ARM64)]
    layout, report = layout_of("oci", *images)
    first, second = ({layer.digest for layer in image.layers} for image in report.images)
    assert len(first & second) == 1
    assert len(list((layout / "blobs/sha256").iterdir())) == 1 + 2 + 2 + 3  # index, manifests, configs, layers


def test_how_it_runs(image_for, layout_of) -> None:
    check = Healthcheck(command=("/app/component", "--health"), interval_s=1.5, retries=3)
    image = image_for(
        environment={"B": "2", "A": "1"},
        exposed_ports=("8080/tcp", "53/udp"),
        volumes=("/data",),
        working_dir="/app",
        arguments=("--fast",),
        healthcheck=check,
        author="somebody",
    )
    layout, report = layout_of("oci", image)
    config = json.loads((layout / "blobs/sha256" / report.images[0].config_digest[7:]).read_text())
    assert config["author"] == "somebody"
    run = config["config"]
    assert run["Env"] == ["A=1", "B=2"] and run["ExposedPorts"] == {"8080/tcp": {}, "53/udp": {}}
    assert run["Cmd"] == ["--fast"] and run["Volumes"] == {"/data": {}} and run["WorkingDir"] == "/app"
    assert run["Healthcheck"] == {
        "Test": ["CMD", "/app/component", "--health"],
        "Interval": 1_500_000_000,
        "Retries": 3,
    }
    manifest = json.loads((layout / "blobs/sha256" / report.images[0].digest[7:]).read_text())
    assert manifest["annotations"]["org.opencontainers.image.title"] == "greeter"
    assert "io.flowctl.component.name" not in manifest["annotations"]
    assert check_layout(layout) == ()


@pytest.mark.parametrize("target", ["relative", "/a/../../b", "/", "", "/a\0b"])
def test_places_that_are_none(image_for, layout_of, target: str) -> None:
    layer = LayerInput(created_by="x", entries=(LayerEntry(target=target, text="x"),))
    with pytest.raises(ImageError, match="not a place in an image"):
        layout_of("oci", image_for(layers=(layer,)))


def test_contradictions(image_for, layout_of, tmp_path: Path) -> None:
    def refused(*entries: LayerEntry) -> str:
        with pytest.raises(ImageError) as caught:
            layout_of(
                f"oci{len(list(tmp_path.iterdir()))}", image_for(layers=(LayerInput(created_by="x", entries=entries),))
            )
        return caught.value.message

    assert "two files would be /a" in refused(LayerEntry(target="/a", text="1"), LayerEntry(target="/a", text="2"))
    assert "cannot be a link and hold /a/b" in refused(
        LayerEntry(target="/a/b", text="1"), LayerEntry(target="/a", kind="link", text="c")
    )
    (tmp_path / "file").write_text("x")
    assert "is not the file that was built" in refused(
        LayerEntry(target="/a", source=tmp_path / "file", digest="sha256:" + "0" * 64)
    )
    assert "is not a file" in refused(LayerEntry(target="/a", source=tmp_path / "missing"))
    assert "is not a file" in refused(LayerEntry(target="/a", source=tmp_path))
    with pytest.raises(ImageError, match="two images for linux/amd64"):
        layout_of("twice", image_for(), image_for())
    layout_of("once", image_for())
    with pytest.raises(ImageError, match="not empty"):
        layout_of("once", image_for())


def test_a_file_that_grows_while_it_is_read(image_for, layout_of) -> None:
    """As /proc files do: their size says 0 and there is something to read."""
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    layer = LayerInput(created_by="x", entries=(LayerEntry(target="/a", source=Path("/proc/self/status")),))
    with pytest.raises(ImageError, match="changed while it was put into the image"):
        layout_of("oci", image_for(layers=(layer,)))


def test_the_disk_is_full(image_for, layout_of, tmp_path: Path) -> None:
    """No file may be larger: a write beyond it fails as on a full disk; nothing half is left that looks whole."""
    (tmp_path / "big").write_bytes(os.urandom(2 * BLOCK))
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from flowctl_core.models.image import *; from flowctl_core.models import Platform\n"
        "from flowctl_core.package.layout import write_layout\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))\n"
        "entry = LayerEntry(target='/big', source=Path(sys.argv[1]) / 'big')\n"
        "image = ImageInput(platform=Platform('linux/amd64'), layers=(LayerInput(created_by='x', entries=(entry,)),))\n"
        "try: write_layout([image], Path(sys.argv[1]) / 'oci', epoch=0, parallel=2)\n"
        "except Exception as error: print(type(error).__name__, error, error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("StoreError") and "File too large" in done.stdout, done
    assert "ulimit" in done.stdout
    assert [path for path in (tmp_path / "oci").rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_written(image_for, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises((StoreError, ImageError)):
        from flowctl_core.package.layout import write_layout

        write_layout([image_for()], tmp_path / "file" / "oci", epoch=EPOCH)
