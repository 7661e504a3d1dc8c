"""Which of the caller's variables reach tools."""

import pytest

from flowctl_core.runners.environment import tool_environment


@pytest.mark.parametrize(
    "name",
    "PATH HOME LANG LC_ALL TMPDIR https_proxy NO_PROXY SSL_CERT_FILE XDG_CACHE_HOME GOPATH GOPROXY GOFLAGS GOMODCACHE "
    "GOCACHE GOPRIVATE CARGO_HOME RUSTUP_TOOLCHAIN RUSTFLAGS RUSTC_WRAPPER npm_config_registry NPM_CONFIG_CACHE PIP_INDEX_URL "
    "UV_CACHE_DIR CC CFLAGS PKG_CONFIG_PATH SSH_AUTH_SOCK DOCKER_HOST CI TERM "
    "NPM_TOKEN NODE_AUTH_TOKEN CARGO_REGISTRIES_OURS_TOKEN UV_INDEX_OURS_PASSWORD npm_config__authToken GOAUTH".split(),
)
def test_kept(name: str) -> None:
    assert tool_environment({name: "x"}, {}, ()) == {name: "x"}


@pytest.mark.parametrize(
    "name",
    "FLOWCTL_TOKEN FLOWCTL_CONFIG GITHUB_TOKEN MY_SECRET DB_PASSWORD AWS_SECRET_ACCESS_KEY AWS_PROFILE OPENAI_API_KEY "
    "CARGO_REGISTRY_TOKEN UV_PUBLISH_TOKEN DOCKER_AUTH_TOKEN GIT_CONFIG_PASSWORD VIRTUAL_ENV VIRTUAL_ENV_PROMPT PYTHONPATH PYTHONHOME PYTHONSTARTUP "
    "PYENV_VIRTUAL_ENV PIP_TARGET PIP_USER UV_PROJECT_ENVIRONMENT CONDA_PREFIX npm_config_local_prefix npm_package_name "
    "CARGO_MAKEFLAGS DATABASE_URL UNKNOWN GOOS GOARCH NODE_ENV GOOGLE_APPLICATION_CREDENTIALS".split(),
)
def test_dropped(name: str) -> None:
    assert tool_environment({name: "x"}, {}, ()) == {}


def test_declared_variables_pass_and_the_plan_wins() -> None:
    caller = {"DATABASE_URL": "d", "GITHUB_TOKEN": "t", "CGO_ENABLED": "0", "FLOWCTL_TOKEN": "f", "VIRTUAL_ENV": "v"}
    passthrough = ("DATABASE_URL", "GITHUB_TOKEN", "FLOWCTL_TOKEN", "VIRTUAL_ENV", "ABSENT")
    assert tool_environment(caller, {"CGO_ENABLED": "1", "GOOS": "linux"}, passthrough) == {
        "DATABASE_URL": "d",
        "GITHUB_TOKEN": "t",
        "CGO_ENABLED": "1",
        "GOOS": "linux",
    }
