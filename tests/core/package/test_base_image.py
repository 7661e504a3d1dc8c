"""Base images from a real registry and from one that lies: what comes is what was meant, or nothing is used."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from flowctl_core.errors import ImageError, StoreError
from flowctl_core.models import Platform
from flowctl_core.package import layer_contents
from flowctl_core.package.base import fetch_base
from flowctl_core.package.base_sweep import sweep_bases
from flowctl_core.package.invariants import check_layout

AMD64, ARM64 = Platform("linux/amd64"), Platform("linux/arm64")
INDEX = "application/vnd.oci.image.index.v1+json"


def fetch(host: str, cache: Path, *platforms: Platform, tag: str = ":1", **options):
    return fetch_base(f"{host}/base{tag}", platforms or [AMD64], cache, **options)


def refused(host: str, cache: Path, *platforms: Platform, tag: str = ":1", **options) -> ImageError:
    with pytest.raises(ImageError) as caught:
        fetch(host, cache, *platforms, tag=tag, **options)
    assert len(caught.value.message) < 1000
    return caught.value


def stored(cache: Path) -> set[str]:
    return {path.name for path in (cache / "blobs/sha256").iterdir()}


@pytest.mark.requires_tool("docker-registry", "skopeo")
def test_an_image_over_a_base(registry: str, layout_of, image_for, tmp_path: Path) -> None:
    layout, pushed = layout_of("base", ref_name="1")
    subprocess.run(
        [
            "skopeo",
            "copy",
            "--quiet",
            "--all",
            "--dest-tls-verify=false",
            f"oci:{layout}:1",
            f"docker://{registry}/base:1",
        ],
        check=True,
    )
    bases = fetch(registry, tmp_path / "cache", AMD64, ARM64)
    assert bases[ARM64].digest == pushed.index_digest
    assert {p: base.manifest_digest for p, base in bases.items()} == {i.platform: i.digest for i in pushed.images}
    assert bases[AMD64].name == f"{registry}/base:1"
    own = image_for(ARM64, base=bases[ARM64], text="over it")
    over, report = layout_of("over", own, image_for(AMD64, base=bases[AMD64], text="over it"))
    arm = next(image for image in report.images if image.platform == ARM64)
    assert [layer.from_base for layer in arm.layers] == [True, False]
    assert arm.base_digest == pushed.index_digest
    for image in report.images:
        choose = ["--override-arch", image.platform.arch]
        seen = subprocess.run(["skopeo", *choose, "inspect", f"oci:{over}"], check=True, capture_output=True, text=True)
        assert json.loads(seen.stdout)["Layers"] == [layer.digest for layer in image.layers]
    assert check_layout(over, base_layers=[layer.digest for layer in bases[AMD64].layers + bases[ARM64].layers]) == ()
    # A blob of the cache is not written a second time.
    blob = f"blobs/sha256/{arm.layers[0].digest[7:]}"
    assert (over / blob).stat().st_ino == (tmp_path / "cache" / blob).stat().st_ino


@pytest.mark.requires_tool("docker-registry", "skopeo")
def test_docker_schema_2_is_read_alike(registry: str, layout_of, image_for, tmp_path: Path) -> None:
    layout, _ = layout_of("base", image_for(AMD64, environment={"FROM_BASE": "1"}, labels={"kept": "yes"}))
    argv = ["skopeo", "copy", "--quiet", "--format", "v2s2", "--dest-tls-verify=false", f"oci:{layout}"]
    subprocess.run([*argv, f"docker://{registry}/docker/base:2"], check=True)
    base = fetch_base(f"{registry}/docker/base:2", [AMD64], tmp_path / "cache")[AMD64]
    assert base.layers[0].media_type == "application/vnd.oci.image.layer.v1.tar+gzip"
    over, _ = layout_of("over", image_for(AMD64, base=base, environment={"OWN": "2"}))
    assert check_layout(over, base_layers=[layer.digest for layer in base.layers]) == ()
    seen = subprocess.run(["skopeo", "inspect", "--config", f"oci:{over}"], check=True, capture_output=True, text=True)
    config = json.loads(seen.stdout)
    assert config["config"]["Env"] == ["FROM_BASE=1", "OWN=2"] and config["config"]["Labels"]["kept"] == "yes"
    assert len(config["history"]) == 2 and len(config["rootfs"]["diff_ids"]) == 2


def test_by_digest_and_without_network(liar, tmp_path: Path) -> None:
    digest = liar.has_image()
    cache = tmp_path / "cache"
    base = fetch(liar.host, cache)[AMD64]
    assert (base.digest, base.manifest_digest) == (digest, digest)
    asked = len(liar.asked)
    assert fetch(liar.host, cache, tag=f":1@{digest}")[AMD64] == base
    assert fetch(liar.host, cache, offline=True)[AMD64] == base
    assert len(liar.asked) == asked, "what is here is not asked for"
    liar.replies.clear()
    liar.server.shutdown()
    liar.server.server_close()
    assert fetch(liar.host, cache)[AMD64] == base, "the digest of last time, when nobody answers"
    error = refused(liar.host, tmp_path / "empty")
    assert "cannot be reached" in error.message and "network" in error.hint
    error = refused(liar.host, tmp_path / "empty", offline=True)
    assert "not on this machine" in error.message
    error = refused(liar.host, cache, tag=":2", offline=True)
    assert "not on this machine" in error.message


def test_a_damaged_cache_is_fetched_again(liar, tmp_path: Path) -> None:
    liar.has_image()
    base = fetch(liar.host, tmp_path)[AMD64]
    for path in (tmp_path / "blobs/sha256").iterdir():
        path.chmod(0o644)
        path.write_bytes(b"damaged")
    assert fetch(liar.host, tmp_path)[AMD64] == base
    assert all(sha256(p.read_bytes()).hexdigest() == p.name for p in (tmp_path / "blobs/sha256").iterdir())


def test_bases_that_nobody_uses_are_swept(liar, tmp_path: Path) -> None:
    liar.has_image()
    base = fetch(liar.host, tmp_path / "images")[AMD64]
    assert sweep_bases(tmp_path) == 0 and fetch(liar.host, tmp_path / "images", offline=True)[AMD64] == base
    for path in (tmp_path / "images").rglob("*"):
        os.utime(path, (0, 0))
    fetch(liar.host, tmp_path / "images", offline=True)
    sweep_bases(tmp_path)
    assert fetch(liar.host, tmp_path / "images", offline=True)[AMD64] == base, "used a moment ago"
    assert sweep_bases(tmp_path, everything=True) > 0
    assert "not on this machine" in refused(liar.host, tmp_path / "images", offline=True).message
    assert fetch(liar.host, tmp_path / "images")[AMD64] == base
    assert sweep_bases(tmp_path / "nothing") == 0


def test_a_platform_that_the_base_lacks(liar, tmp_path: Path) -> None:
    entries = []
    for platform in ("linux/amd64", "linux/arm/v7", "windows/amd64"):
        digest = liar.has_image(platform=Platform("/".join(platform.split("/")[:2])), tag=None)
        os, arch, *variant = platform.split("/")
        described = {"os": os, "architecture": arch, **({"variant": variant[0]} if variant else {})}
        size = len(liar.replies[f"/v2/base/manifests/{digest}"].body)
        entries.append({"digest": digest, "size": size, "platform": described})
    entries.append({**entries[0], "platform": {"os": "unknown", "architecture": "unknown"}})
    liar.has_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, "1")
    error = refused(liar.host, tmp_path, AMD64, ARM64)
    assert "has nothing for linux/arm64; it has: linux/amd64, linux/arm/v7, windows/amd64" in error.message
    assert fetch(liar.host, tmp_path, Platform("linux/arm"))[Platform("linux/arm")].config["architecture"] == "arm"
    liar.has_image(platform=ARM64)
    assert "is for linux/arm64, not for linux/amd64" in refused(liar.host, tmp_path, AMD64).message


@pytest.mark.parametrize(
    ("lies", "message"),
    [
        ({"size": 5}, "has 5 bytes by its manifest"),
        ({"size": 10**6}, "has 1000000 bytes by its manifest"),
        ({"digest": "sha256:" + "0" * 64}, "something else for blob sha256:000"),
        ({"unpacked": b"something else"}, "unpacks to"),
        ({"status": 403}, "gives no access"),
        ({"status": 404}, "does not know"),
        ({"status": 418}, "HTTP 418"),
    ],
)
def test_lies_about_a_layer(liar, tmp_path: Path, lies: dict, message: str) -> None:
    liar.has_image(**lies)
    error = refused(liar.host, tmp_path)
    assert message in error.message and error.hint
    assert "0" * 64 not in stored(tmp_path)


def test_a_body_that_is_cut(liar, tmp_path: Path) -> None:
    liar.has_image(cut=20)
    error = refused(liar.host, tmp_path)
    assert "could not be transferred" in error.message and "Try again" in error.hint
    blobs = [asked for asked in liar.asked if "/blobs/" in asked]
    assert len(blobs) > 3, "it was tried again"
    assert not [name for name in stored(tmp_path) if name.endswith(".tmp")]


def test_a_length_that_is_not_said_and_too_much_is_sent(liar, reply, tmp_path: Path) -> None:
    liar.has_image()
    path, honest = next((path, r) for path, r in liar.replies.items() if r.body[:2] == b"\x1f\x8b")

    def endless(handler: BaseHTTPRequestHandler, _: bytes):
        handler.protocol_version = "HTTP/1.0"
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(honest.body + b"and more" * 1000)
        raise ConnectionAbortedError

    liar.replies[path] = endless
    liar.server.handle_error = lambda *_: None
    assert "sends more" in refused(liar.host, tmp_path).message


def test_a_registry_that_is_busy_for_a_moment(liar, reply, tmp_path: Path) -> None:
    liar.has_image()
    for path, honest in list(liar.replies.items()):
        answers = iter([reply(status=503), reply(status=429), honest, honest, honest])
        liar.replies[path] = lambda *_, answers=answers: next(answers)
    assert fetch(liar.host, tmp_path)[AMD64].layers


def test_a_registry_that_stays_busy(liar, reply, tmp_path: Path) -> None:
    busy = reply(b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}', status=429)
    liar.replies["/v2/base/manifests/1"] = busy
    error = refused(liar.host, tmp_path)
    assert "asked too often" in error.message and "docker login" in error.hint


def test_documents_that_make_no_sense(liar, reply, tmp_path: Path) -> None:
    def serve(data: bytes) -> ImageError:
        digest = "sha256:" + sha256(data).hexdigest()
        liar.replies["/v2/base/manifests/1"] = reply(data, headers={"Docker-Content-Digest": digest})
        liar.replies[f"/v2/base/manifests/{digest}"] = reply(data)
        return refused(liar.host, tmp_path)

    assert "not JSON" in serve(b"<html>").message
    assert "not JSON" in serve(b"[" * 100_000).message
    assert "schema 1" in serve(b'{"schemaVersion": 1, "fsLayers": []}').message
    assert "is of type x/y" in serve(b'{"mediaType": "x/y"}').message
    assert "layers" in serve(json.dumps({"config": {"digest": "sha256:" + "0" * 64, "size": 1}}).encode()).message
    bad = {"config": {"digest": "sha256:../../../etc/passwd", "size": 1}, "layers": []}
    assert "config.digest" in serve(json.dumps(bad).encode()).message
    bad = {"config": {"digest": "sha256:" + "0" * 64, "size": 10**9}, "layers": []}
    assert "larger than" in serve(json.dumps(bad).encode()).message
    bad["config"]["size"] = 1
    bad["layers"] = [{"digest": "sha256:" + "0" * 64, "size": 1, "mediaType": "application/x-chart"}]
    assert "which is no layer" in serve(json.dumps(bad).encode()).message
    assert "larger than 4194304 bytes" in serve(b" " * (4 * 2**20 + 1)).message
    liar.replies["/v2/base/manifests/1"] = reply(b"{}", headers={"Docker-Content-Digest": "sha256:" + "1" * 64})
    liar.replies["/v2/base/manifests/sha256:" + "1" * 64] = reply(b"{}")
    assert "something else for manifest" in refused(liar.host, tmp_path).message


def test_too_large_a_base(liar, tmp_path: Path) -> None:
    liar.has_image()
    assert "the limit is 10" in refused(liar.host, tmp_path, size_limit=10).message


def test_a_layer_that_escapes(liar, packed, tmp_path: Path) -> None:
    for content in (
        {"../../etc/cron.d/x": b"x"},
        {"a/../../x": b"x"},
        {"hard": _member("hard", tarfile.LNKTYPE, "../../etc/shadow")},
    ):
        liar.has_image(packed(content))
        error = refused(liar.host, tmp_path)
        assert "is refused" in error.message and "out of the image" in error.message


def test_a_layer_that_bursts(liar, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(layer_contents, "ALWAYS_ALLOWED", 2**20)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("zeros")
        member.size = 20 * 2**20
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    liar.has_image(gzip.compress(out.getvalue()))
    error = refused(liar.host, tmp_path)
    assert "unpacks to more than" in error.message


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_layer_that_is_cut_off(liar, packed, tmp_path: Path, kept: float) -> None:
    import random

    noise = random.Random(1).randbytes(100_000)
    whole = packed({"a": noise, "b": noise})
    cut = whole[: int(len(whole) * kept)]
    liar.has_image(cut, unpacked=gzip.decompress(whole))
    assert "it is damaged" in refused(liar.host, tmp_path).message
    plain = gzip.decompress(whole)
    torn = plain[: int(len(plain) * kept)]
    liar.has_image(gzip.compress(torn), unpacked=torn)
    assert "it is damaged" in refused(liar.host, tmp_path).message
    garbled = bytearray(plain)
    second = plain.index(b"b\0\0\0", 512)
    garbled[second : second + 512] = b"\xff" * 512
    liar.has_image(gzip.compress(bytes(garbled)), unpacked=bytes(garbled))
    assert "it is damaged" in refused(liar.host, tmp_path).message


def test_redirects(liar, reply, tmp_path: Path, monkeypatch) -> None:
    """Blobs often come from elsewhere: with the credentials for here left at home, and never out of TLS."""
    liar.has_image()
    heard = []

    def elsewhere(handler: BaseHTTPRequestHandler, _: bytes):
        heard.append(handler.headers.get("Authorization"))
        return honest

    for path, honest in list(liar.replies.items()):
        if "/blobs/" in path:
            other = liar.host.replace("127.0.0.1", "localhost")
            liar.replies[path] = reply(status=307, headers={"Location": f"http://{other}/moved{path}?signature=secret"})
            liar.replies[f"/moved{path}"] = lambda h, b, honest=honest: (elsewhere(h, b), honest)[1]
    assert fetch(liar.host, tmp_path)[AMD64].layers
    assert heard and set(heard) == {None}
    for path in list(liar.replies):
        if path.startswith("/v2/base/blobs/"):
            liar.replies[path] = reply(status=302, headers={"Location": path})
    assert "could not be transferred" in refused(liar.host, tmp_path / "circle").message
    for path in list(liar.replies):
        if path.startswith("/v2/base/blobs/"):
            liar.replies[path] = reply(status=302, headers={"Location": "http://192.0.2.1/x"})
    # From a registry on this machine plain HTTP leads anywhere; from others nowhere but to this machine.
    from flowctl_core.package.reference import parse_reference
    from flowctl_core.package.registry import Registry

    with Registry(parse_reference("registry.example/base:1")) as far, pytest.raises(ImageError, match="without TLS"):
        far._client.get("http://192.0.2.1/x")


def test_the_cache_cannot_be_written(liar, tmp_path: Path) -> None:
    liar.has_image()
    (tmp_path / "blobs").write_text("a file in the way")
    with pytest.raises(StoreError):
        fetch(liar.host, tmp_path)


def test_the_disk_of_the_cache_is_full(liar, packed, tmp_path: Path) -> None:
    """No file may be larger: a write beyond it fails as on a full disk."""
    liar.has_image(packed({"noise": os.urandom(300_000)}))
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from flowctl_core.models import Platform; from flowctl_core.package.base import fetch_base\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))\n"
        "try: fetch_base(sys.argv[1], [Platform('linux/amd64')], Path(sys.argv[2]))\n"
        "except Exception as error: print(type(error).__name__, error, error.hint)"
    )
    argv = [sys.executable, "-c", code, f"{liar.host}/base:1", str(tmp_path / "cache")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("StoreError") and "File too large" in done.stdout and "ulimit" in done.stdout, done
    assert not [name for name in stored(tmp_path / "cache") if name.endswith(".tmp")]
    assert fetch(liar.host, tmp_path / "cache")[AMD64].layers, "with room it is fetched"


def _member(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member
