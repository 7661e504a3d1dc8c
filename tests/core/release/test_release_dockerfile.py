"""Which releases are built by a Dockerfile; that they are is tested with a real engine in tests/e2e/docker."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from flowctl_core.errors import EngineError
from flowctl_core.models.component import ContainerBuild
from flowctl_core.package.dockerfile import Dockerfile, find_dockerfile, pack_context

NOBODY = {"DOCKER_HOST": "unix:///none.sock"}


def test_a_file_that_nothing_names_is_used_where_the_builder_makes_no_images(make_bench, monkeypatch) -> None:
    bench = make_bench(environ=NOBODY)
    (bench.root / "Dockerfile").write_text("FROM scratch\n")
    assert bench.release().image_index is not None  # this builder makes them
    record = bench.engine.plugins.manager.builder("words")
    monkeypatch.setattr(
        type(bench.engine.plugins.manager), "builder",
        lambda self, name: record.model_copy(update={"hooks": tuple(h for h in record.hooks if h != "flowctl_image")}),
    )  # fmt: skip
    with pytest.raises(EngineError, match="and Dockerfile needs one"):
        bench.release()
    assert bench.release(images=False).image_index is None


@pytest.mark.parametrize(
    ("text", "inline"),
    [
        ("Dockerfile", False),
        ("FROM x", True),
        ("from x", True),
        ("ARG A=1", True),
        ("a\nb", True),
        ("from.docker", False),
    ],
)
def test_text_or_path(text: str, inline: bool) -> None:
    assert ContainerBuild(dockerfile=text).has_text is inline


def test_stages_are_found() -> None:
    text = "FROM a AS Build\nFROM --platform=$X b as test\n# FROM c AS no\nFROM d\n"
    assert Dockerfile(text=text, path=None).stages == ("build", "test")


def _packed(dockerfile: Dockerfile, root: Path, files: list[str]) -> tuple[str, dict[str, tarfile.TarInfo], bytes]:
    archive = io.BytesIO()
    name = pack_context(dockerfile, root, files, archive, epoch=7)
    with tarfile.open(fileobj=archive) as opened:
        return name, {member.name: member for member in opened}, archive.getvalue()


def test_the_context_has_no_owner_and_no_time_of_its_own(tmp_path) -> None:
    (tmp_path / "sub dir").mkdir()
    (tmp_path / "sub dir" / "ü.sh").write_text("x")
    (tmp_path / "sub dir" / "ü.sh").chmod(0o700)
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "left out").write_text("y")
    dockerfile = Dockerfile(text="FROM scratch\n", path=None)
    name, members, data = _packed(dockerfile, tmp_path, ["sub dir/ü.sh", "link"])
    assert set(members) == {"sub dir/ü.sh", "link", ".dockerignore", name}
    assert members["link"].issym() and members["link"].linkname == "/etc/passwd"
    assert members["sub dir/ü.sh"].mode == 0o755
    assert {(m.mtime, m.uid, m.gid, m.uname) for m in members.values()} == {(7, 0, 0, "")}
    assert _packed(dockerfile, tmp_path, ["link", "sub dir/ü.sh"])[2] == data


def test_dockerignore_counts_but_never_for_the_dockerfile(tmp_path) -> None:
    for name in ("Dockerfile", "a.txt", "b.md", "keep.md"):
        (tmp_path / name).write_text("FROM scratch\n")
    (tmp_path / ".dockerignore").write_text("# a comment\n*.md\n!keep.md\nDockerfile\n")
    dockerfile = find_dockerfile(ContainerBuild(dockerfile="Dockerfile"), tmp_path)
    assert dockerfile is not None
    files = [".dockerignore", "Dockerfile", "a.txt", "b.md", "keep.md"]
    name, members, _ = _packed(dockerfile, tmp_path, files)
    assert name == "Dockerfile" and set(members) == {".dockerignore", "Dockerfile", "a.txt", "keep.md"}
