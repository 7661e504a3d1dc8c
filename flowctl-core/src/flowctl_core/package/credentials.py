"""Who the user is to a registry: what `docker login` left in ~/.docker/config.json, credential helpers included."""

from __future__ import annotations

import os
import warnings
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path

from flowctl_core.errors import ImageError


@dataclass(frozen=True)
class Credentials:
    """A name and password, or an identity token (OAuth2 refresh token). Never shown."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The header `Authorization` for HTTP basic authentication."""
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()


def find_credentials(registry: str) -> Credentials | None:
    """What this user has for a registry (`docker.io`, `ghcr.io`, `host:port`); None for nobody.

    Raises ImageError when the file cannot be understood or a credential helper fails.
    """
    folder = os.environ.get("DOCKER_CONFIG")
    path = (Path(folder) if folder else Path.home() / ".docker") / "config.json"
    if not path.is_file():
        return None
    import docker.auth  # as late as that: it imports all of docker-py
    from docker.errors import DockerException

    hint = f"Check {path}, or sign in again: docker login {registry}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a helper that is missing, and then raises
            found = docker.auth.load_config(str(path)).resolve_authconfig(registry) or {}
    except (DockerException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageError(f"the credentials for {registry} cannot be read: {error}", hint=hint) from error
    token = found.get("IdentityToken") or found.get("identitytoken")
    if token:
        return Credentials(identity_token=token)
    username = found.get("username") or found.get("Username")
    password = found.get("password") or found.get("Password")
    return Credentials(username, password or "") if username else None
