"""Components in repositories on a git server, and a registry whose workers may fetch them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from tests.conftest import unavailable

from git_server import GitServer, Repository
from registry_instance import Registry

DEADLINE_S = 900
COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {{name: {name}, version: {version}, description: Greets whoever asks, license: Apache-2.0}}
spec:
  type: processor
  platforms: [{platforms}]
  build:
    native: {{command: [sh, make.sh], binary: bin/{name}}}
    container: {{base: scratch}}
"""


def settings_for(server: GitServer, **more: Any) -> dict[str, Any]:
    """Settings of a registry that builds from this server."""
    return {
        "builds__embedded_slots": 2,
        "builds__retry_s": 0.2,
        "sources__schemes": json.dumps(["http"]),
        "sources__ports": json.dumps([server.port]),
        "sources__allow_private": json.dumps(["127.0.0.0/8"]),
        **more,
    }


def busybox_source(
    name: str = "greeting", version: str = "1.0.0", platforms: str = "linux/amd64", script: str | None = None
) -> dict[str, bytes | str]:
    """Files of a component whose program is busybox; `script` makes `bin/<name>`."""
    busybox = shutil.which("busybox")
    if busybox is None:
        unavailable("busybox (Debian: busybox-static), a static program for an image from scratch")
    return {
        "component.yaml": COMPONENT.format(name=name, version=version, platforms=platforms),
        "make.sh": script if script is not None else f"mkdir -p bin && cp {busybox} bin/{name}\n",
    }


@dataclass
class Yard:
    """A registry with workers, and the git server that it builds from."""

    registry: Registry
    server: GitServer

    def request(
        self, namespace: str, name: str, repository: Repository, ref: str | None = "v1.0.0", **more: Any
    ) -> str:
        """Ask for a build; its id."""
        asked = {"repository": repository.url, "ref": ref, **more}
        answer = self.registry.client().post(f"/v1/components/{namespace}/{name}/builds", json=asked)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def row(self, build_id: str) -> Any:
        """What the registry knows of a build."""
        from flowctl_registry.database.build_tables import builds

        return self.registry.change(lambda c: c.execute(select(builds).where(builds.c.id == build_id)).one())

    def steps(self, build_id: str) -> list[Any]:
        """Its steps, in the order in which they began."""
        from flowctl_registry.database.build_tables import build_steps as steps

        query = select(steps).where(steps.c.build_id == build_id).order_by(steps.c.started_at)
        return list(self.registry.change(lambda c: c.execute(query).all()))

    def claims(self, build_id: str) -> list[str]:
        """Blobs that a build keeps."""
        from flowctl_registry.database.tables import claims

        query = select(claims.c.digest).where(claims.c.holder == build_id)
        return list(self.registry.change(lambda c: c.execute(query).scalars().all()))

    def wait(self, build_id: str, state: str = "succeeded") -> Any:
        """Until it has ended, which must be in this state."""
        deadline = time.monotonic() + DEADLINE_S
        while (row := self.row(build_id)).state in ("queued", "running"):
            assert time.monotonic() < deadline, f"{row}\n{self.steps(build_id)}"
            time.sleep(0.2)
        assert row.state == state, f"{row.state}: {row.problem}"
        return row


def toolchain_settings(config: Path) -> dict[str, str]:
    """Settings of workers that use the toolchains of this machine; tools fetch what they are told to."""
    return {
        "builds__readable": json.dumps([str(place) for place in _toolchains()]),
        "builds__environment": json.dumps(tool_variables()),
        "builds__config": str(config),
        "sandbox__hosts": json.dumps(["*"]),
        "sandbox__allow_private": json.dumps(["*"]),  # a mirror may have any address
    }


def tool_variables() -> dict[str, str]:
    """Where tools fetch from on this machine, and whose certificates they believe."""
    told = {name: os.environ[name] for name in ("GOPROXY", "GOFLAGS", "UV_DEFAULT_INDEX") if name in os.environ}
    system = "/etc/ssl/certs/ca-certificates.crt"
    return {**told, "SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE", system)}  # for uv, which has its own


def tool_path() -> str:
    """PATH of somebody who has the toolchains of those workers."""
    own = [str(place / "bin") for place in _toolchains()]
    return os.pathsep.join([str(Path(sys.executable).parent), *own, "/usr/local/bin", "/usr/bin", "/bin"])


def _toolchains() -> list[Path]:
    return [place for place in (_root_of("go"), _root_of("node"), _rust()) if place is not None]


def _root_of(tool: str) -> Path | None:
    """The folder whose `bin` has it, unless that is a system's."""
    found = shutil.which(tool)
    if found is None or Path(found).parent in (Path("/usr/bin"), Path("/bin")):
        return None
    return Path(found).parent.parent


def _rust() -> Path | None:
    """The toolchain itself: rustup chooses by a user's settings, which builds do not have."""
    if shutil.which("rustc") is None or Path("/usr/lib/rustlib/aarch64-unknown-linux-gnu/lib").is_dir():
        return None  # the system's own builds for linux/arm64 too
    said = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True)
    return Path(said.stdout.strip())
