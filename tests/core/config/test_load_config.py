"""Flags, environment, our file, upstream's file, defaults: in that order, each with its origin."""

from pathlib import Path

import pytest

from flowctl_core.config.load import effective_values, load_config
from flowctl_core.errors import ConfigError


def write(home: Path, text: str) -> Path:
    file = home / ".flowctl" / "config.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def load(home: Path, **environ: str):
    return load_config(environ={"HOME": str(home), **environ})


def test_defaults_without_a_file(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert loaded.file is None
    assert loaded.config.build.local.timeout == 1800
    assert loaded.config.build.remote.platforms == ("linux/amd64", "linux/arm64", "darwin/amd64")
    assert all(origin == "default" for _, _, origin in effective_values(loaded))


def test_every_key_of_the_design(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
registry:
  url: https://registry.example.org
  auth:
    token: ${FLOWCTL_TOKEN}
build:
  local:
    cache_dir: ~/cache
    parallel_jobs: 3
    timeout: 10m
    languages:
      go:
        builder: acme-go
        build_args: ["-race"]
        test_command: ["make", "test"]
  remote:
    platforms: [linux/arm64]
    sign_artifacts: false
""",
    )
    loaded = load(tmp_path, FLOWCTL_TOKEN="s3cret-token")
    config = loaded.config
    assert config.registry.auth.token is not None
    assert config.registry.auth.token.get_secret_value() == "s3cret-token"
    assert config.build.local.timeout == 600
    assert config.build.local.cache_dir == Path.home() / "cache"
    assert config.build.local.languages["go"].test_command == ("make", "test")
    assert config.build.remote.platforms == ("linux/arm64",)
    shown = {key: (value, origin) for key, value, origin in effective_values(loaded)}
    assert shown["build.local.parallel_jobs"] == (3, str(file))
    assert shown["registry.auth.token"][0] == "********"
    assert "s3cret-token" not in repr(loaded) + str(shown)


def test_environment_beats_the_file_and_flags_beat_both(tmp_path: Path) -> None:
    write(tmp_path, "build: {local: {parallel_jobs: 3, timeout: 5}}")
    environ = {"HOME": str(tmp_path), "FLOWCTL_PARALLEL_JOBS": "5", "FLOWCTL_TIMEOUT": "90s"}
    loaded = load_config(environ=environ, flags={"build.local.parallel_jobs": 7, "build.local.timeout": None})
    assert loaded.config.build.local.parallel_jobs == 7
    assert loaded.config.build.local.timeout == 90
    assert loaded.origins["build.local.parallel_jobs"] == "command line"
    assert loaded.origins["build.local.timeout"] == "environment variable FLOWCTL_TIMEOUT"


def test_an_unset_variable_leaves_the_key_unset_and_a_default_fills_it(tmp_path: Path) -> None:
    write(tmp_path, "registry: {url: '${REGISTRY:-https://a.example}', auth: {token: '${FLOWCTL_TOKEN}'}}")
    config = load(tmp_path).config
    assert config.registry.url == "https://a.example"
    assert config.registry.auth.token is None


def test_a_reference_inside_a_text_must_be_set(tmp_path: Path) -> None:
    write(tmp_path, "registry: {url: 'https://${HOST}/'}")
    with pytest.raises(ConfigError, match=r"registry\.url refers to \$\{HOST\}"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("build: {local: {parallel_jobs: many}}", "build.local.parallel_jobs"),
        ("build: {local: {parallel_jobs: 0}}", "greater than or equal to 1"),
        ("build: {local: {timeout: soon}}", "90s, 30m or 2h"),
        ("build: {remote: {platforms: [linux]}}", "'linux' is not a platform"),
        ("bild: {}", "bild: is not a known key"),
        ("build: [1]", "build"),
        ("- a\n- b\n", "mapping"),
        ("a: b: c\n", "config.yaml"),
    ],
)
def test_a_bad_file_names_the_file_and_the_key(tmp_path: Path, text: str, message: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert str(file) in caught.value.message
    assert message in caught.value.message


def test_a_bad_variable_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="environment variable FLOWCTL_PARALLEL_JOBS"):
        load(tmp_path, FLOWCTL_PARALLEL_JOBS="lots")


def test_upstreams_file_is_a_fallback_and_its_other_keys_only_warn(tmp_path: Path) -> None:
    upstream = tmp_path / ".config" / "flowctl" / "flowctl.yaml"
    upstream.parent.mkdir(parents=True)
    upstream.write_text("registry: {url: https://up.example}\nlog_level: debug\n", encoding="utf-8")
    loaded = load(tmp_path)
    assert loaded.config.registry.url == "https://up.example"
    assert any("log_level" in warning for warning in loaded.warnings)
    write(tmp_path, "registry: {url: https://ours.example}")
    assert load(tmp_path).config.registry.url == "https://ours.example"


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config(path=tmp_path / "nowhere.yaml", environ={"HOME": str(tmp_path)})
