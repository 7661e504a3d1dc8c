"""Which registry answers which namespace, and with which token.

A namespace that an entry of `registries` claims is asked there and nowhere else: a public registry can never answer for
a private namespace (dependency confusion).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from flowctl_core.client.credentials import Credentials
from flowctl_core.connection import Connection, connect
from flowctl_core.errors import ConfigError, UnauthorizedError, UsageError
from flowctl_core.models.config import Config, RegistryEntry

_HINT = "`flowctl login URL`, or set registry.url."


class Registries:
    """The registries of one user."""

    def __init__(
        self,
        config: Config,
        *,
        named: str | None = None,
        environ: Mapping[str, str] | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """`named`: by `--registry`; it is asked in place of `registry.url`. Raises UsageError, ConfigError."""
        self._config = config
        self._environ = os.environ if environ is None else environ
        self._credentials = credentials or Credentials()
        self._entries: dict[str, RegistryEntry] = {}
        for entry in config.registries:
            if entry.url in self._entries:
                raise ConfigError(f"registries: {entry.url} is there twice", hint="Write all that belongs to it once.")
            self._entries[entry.url] = entry
        url = named or config.registry.url
        self._named = connect(named).url if named is not None else None
        self._default = connect(url).url if url else None

    def of(self, namespace: str, *, alone: bool = False) -> Connection:
        """The only registry that may answer for this namespace.

        `alone`: the command asks no other one, so that FLOWCTL_TOKEN is for it. Raises UsageError when no registry is
        known, or `--registry` names another than the one that claims the namespace.
        """
        claiming = self._claiming(namespace)
        if claiming is not None:
            if self._named is not None and self._named != claiming:
                raise UsageError(
                    f"namespace {namespace} belongs to {claiming}: {self._named} is not asked for it",
                    hint="Leave --registry out, or change `registries` in the configuration.",
                )
            return self.at(claiming, alone=alone)
        if self._default is None:
            raise UsageError(f"no registry is known for namespace {namespace}", hint=_HINT)
        return self.at(self._default, alone=alone)

    def main(self) -> Connection:
        """The registry of commands that are about no namespace. Raises UsageError."""
        return self.at(self._main(), alone=True)

    def bare(self, url: str | None = None) -> Connection:
        """The registry of this address, or that of `main`, without a token."""
        url = connect(url).url if url is not None else self._main()
        entry = self._entries.get(url, RegistryEntry(url=url))
        return Connection(url, None, entry.ca, _proxy(entry), entry.mirrors)

    def place_of_token(self, url: str) -> str | None:
        """Where the token of a registry is that commands about this one registry use."""
        if self._environ.get("FLOWCTL_TOKEN"):
            return "environment"
        if self._configured(url) is not None:
            return "configuration"
        return self._credentials.place(url)

    def _main(self) -> str:
        if self._default is not None:
            return self._default
        if len(self._entries) == 1:
            return next(iter(self._entries))
        if not self._entries:
            raise UsageError("no registry is known", hint=_HINT)
        raise UsageError("several registries are known", hint=f"Add --registry, one of {', '.join(self._entries)}.")

    def all(self) -> tuple[Connection, ...]:
        """Every registry, the default one first."""
        urls = dict.fromkeys([*([self._default] if self._default else []), *self._entries])
        return tuple(self.at(url) for url in urls)

    def at(self, url: str, *, alone: bool = False) -> Connection:
        """The connection to a registry by its address."""
        bare = self.bare(url)
        token = self._token(bare.url, alone=alone)
        entry = self._entries.get(bare.url)
        if entry is not None and entry.private and token is None:
            raise UnauthorizedError(
                f"{bare.url} is private, and there is no token for it", hint=f"`flowctl login {bare.url}`"
            )
        return replace(bare, token=token)

    def _token(self, url: str, *, alone: bool) -> str | None:
        token = self._environ.get("FLOWCTL_TOKEN")
        if token and (alone or url == self._default):
            return token
        return self._configured(url) or self._credentials.find(url)

    def _configured(self, url: str) -> str | None:
        """The token of the configuration file, which is for registry.url."""
        settings = self._config.registry
        if self._environ.get("FLOWCTL_TOKEN") or settings.auth.token is None or not settings.url:
            return None  # the variable stands in the configuration's place
        return settings.auth.token.get_secret_value() if url == connect(settings.url).url else None

    def _claiming(self, namespace: str) -> str | None:
        """The registry that claims a namespace: by its whole name before any pattern."""
        exact = {url for url, entry in self._entries.items() if namespace in entry.namespaces}
        found = exact or {
            url
            for url, entry in self._entries.items()
            if any(each.endswith("*") and namespace.startswith(each[:-1]) for each in entry.namespaces)
        }
        if len(found) > 1:
            raise ConfigError(
                f"registries: {' and '.join(sorted(found))} both claim namespace {namespace}",
                hint="Only one registry may answer for a namespace.",
            )
        return next(iter(found), None)


def _proxy(entry: RegistryEntry) -> str | None:
    return entry.proxy.get_secret_value() if entry.proxy is not None else None
