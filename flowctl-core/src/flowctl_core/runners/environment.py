"""Which of the caller's variables reach the tools.

The rule, in order; the first line that speaks about a name decides:

1. `Plan.environment` is set as it is.
2. What belongs to flowctl (`FLOWCTL_*`), or ties a tool to the caller's own project or Python environment
   (`VIRTUAL_ENV`, `PYTHONPATH`, `UV_PROJECT_ENVIRONMENT`, `npm_config_local_prefix`, …) never reaches a tool.
   `PATH` stays as it is.
3. Names in `Plan.passthrough` reach the tools; their values are part of the cache key.
4. Secrets are dropped: any name with the word TOKEN, SECRET, PASSWORD, CREDENTIALS, PRIVATE_KEY or API_KEY in it,
   and `AWS_*`; except the variables with which tools read from a private package registry or git.
5. What tools need for their work is kept: search paths, language and terminal, temporary folders, proxies and
   certificates, the settings of Go, Rust, Node, Python, C compilers, version managers, git and Docker.
6. Everything else is dropped: what is not declared cannot change a result behind the cache's back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_NEVER = re.compile(
    r"""FLOWCTL_.*
    | VIRTUAL_ENV(_.*)? | CONDA_.* | PYTHON.* | __PYVENV_LAUNCHER__ | PYENV_(VIRTUAL_ENV|DIR|HOOK_PATH)
    | PIP_(TARGET|PREFIX|ROOT|USER|REQUIREMENT|REQUIRE_VIRTUALENV|PYTHON)
    | UV_(PROJECT|PROJECT_ENVIRONMENT|WORKING_DIR|WORKING_DIRECTORY|SYSTEM_PYTHON|RUN_RECURSION_DEPTH|PUBLISH_.*)
    | npm_config_(local_prefix|dir|user_agent) | npm_(package|lifecycle)_.* | npm_(command|execpath) | INIT_CWD
    | CARGO_(MAKEFLAGS|MANIFEST_.*|PKG_.*|CRATE_NAME|BIN_NAME|PRIMARY_PACKAGE|REGISTRY_TOKEN)
    """,
    re.VERBOSE,
)
_SECRET = re.compile(
    r"(.*_)?(TOKEN|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)(_.*)?|.*(PRIVATE|API|ACCESS)_?KEY.*|AWS_.*",
    re.IGNORECASE,
)
_REGISTRY_AUTHENTICATION = re.compile(
    r"""NPM_TOKEN | NODE_AUTH_TOKEN | YARN_NPM_AUTH_(TOKEN|IDENT) | npm_config_.*auth.* | NPM_CONFIG_.*AUTH.*
    | CARGO_REGISTRIES_.*_(TOKEN|CREDENTIAL_PROVIDER) | CARGO_REGISTRY_.*CREDENTIAL_PROVIDERS?
    | UV_INDEX_.*_(USERNAME|PASSWORD) | GOAUTH
    """,
    re.VERBOSE,
)
_KEPT = re.compile(
    r"""PATH | HOME | USER | LOGNAME | SHELL | LANG | LANGUAGE | LC_.* | TZ | TZDIR | TERM | COLORTERM | COLUMNS
    | NO_COLOR | FORCE_COLOR | CLICOLOR(_FORCE)? | TMPDIR | TMP | TEMP | XDG_.* | CI | SOURCE_DATE_EPOCH
    | (HTTP|HTTPS|FTP|ALL|NO)_PROXY | (http|https|ftp|all|no)_proxy
    | SSL_CERT_(FILE|DIR) | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE
    | GIT_(SSH|SSH_COMMAND|SSL_.*|CONFIG_.*|ASKPASS|TERMINAL_PROMPT|EXEC_PATH|TEMPLATE_DIR) | SSH_(AUTH_SOCK|ASKPASS)
    | GO(111MODULE|ROOT|PATH|BIN|CACHE|CACHEPROG|MODCACHE|MODCACHERW|FLAGS|ENV|TOOLCHAIN|PROXY|NOPROXY|PRIVATE|SUMDB)
    | GO(NOSUMDB|NOSUMCHECK|INSECURE|AUTH|VCS|WORK|EXPERIMENT|FIPS140|386|AMD64|ARM|ARM64|TMPDIR|DEBUG|TELEMETRY)
    | GO(MAXPROCS|GC|MEMLIMIT) | CGO_.*
    | CARGO_.* | RUSTUP_.* | RUST(C|DOC)?(FLAGS|_.*)? | SCCACHE_.* | CCACHE_.*
    | NPM_TOKEN | (npm_config|NPM_CONFIG)_.* | NODE_(OPTIONS|EXTRA_CA_CERTS|AUTH_TOKEN|MIRROR) | YARN_.* | PNPM_HOME
    | COREPACK_.* | BUN_.* | NVM_.* | VOLTA_.* | FNM_.*
    | PIP_.* | UV_.* | PYENV_.* | ASDF_.* | MISE_.* | POETRY_CACHE_DIR
    | CC | CXX | CPP | LD | AR | AS | NM | RANLIB | STRIP | (C|CXX|CPP|LD)FLAGS | PKG_CONFIG.* | CPATH | C_INCLUDE_PATH
    | CPLUS_INCLUDE_PATH | LIBRARY_PATH | LD_LIBRARY_PATH | DYLD_.* | SDKROOT | DEVELOPER_DIR | MACOSX_DEPLOYMENT_TARGET
    | OPENSSL_.* | LIBCLANG_PATH | LLVM_.* | CMAKE_.* | PROTOC(_.*)? | VCPKG_ROOT | ZIG_.* | JAVA_HOME | HOMEBREW_.*
    | NIX_.* | DOCKER_.* | TESTCONTAINERS_.*
    """,
    re.VERBOSE,
)


def tool_environment(
    caller: Mapping[str, str], plan_environment: Mapping[str, str], passthrough: Iterable[str] = ()
) -> dict[str, str]:
    """The environment that tools get: a cleaned copy of the caller's plus the plan's own variables.

    `passthrough` names variables of the caller that the plan declares. See the rule at the top of this module.
    """
    declared = frozenset(passthrough)
    kept = {name: value for name, value in caller.items() if _reaches_tools(name, declared)}
    return {**kept, **plan_environment}


def is_secret_name(name: str) -> bool:
    """True for the name of a variable that holds a token, password or key."""
    return _SECRET.fullmatch(name) is not None


def _reaches_tools(name: str, declared: frozenset[str]) -> bool:
    if _NEVER.fullmatch(name):
        return False
    if name in declared or _REGISTRY_AUTHENTICATION.fullmatch(name):
        return True
    return _KEPT.fullmatch(name) is not None and not is_secret_name(name)
