"""The Sigstore project's own services on loopback: fulcio, tesseract, rekor-tiles, timestamp-authority.

Each is built from its Go module into a folder of its own (two programs are named `posix`). The OIDC issuer is the one of
tests/services/sigstore_instance, whose discovery fulcio reads.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sigstore_instance import SigstoreInstance
from sigstore_instance.authority import certificate
from sigstore_instance.instance import moment
from sigstore_instance.keys import ServiceKey, chain_instance

MODULES = {
    "fulcio": "github.com/sigstore/fulcio@v1.8.8",
    "tesseract": "github.com/transparency-dev/tesseract/cmd/tesseract/posix@v0.1.1",
    "rekor": "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix@v2.3.0",
    "tsa": "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server@v2.1.3",
}
COSIGN = "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.2"
_PASSWORD = "for-tests"
_ISSUER_CONFIG = """\
oidc-issuers:
  {issuer}:
    issuer-url: {issuer}
    client-id: sigstore
    type: ci-provider
    ci-provider: private
    contact: nobody@example.com
    description: private
ci-issuer-metadata:
  private:
    default-template-values:
      url: https://forge.example
    extension-templates:
      source-repository-uri: "repository_uri"
      source-repository-digest: "sha"
      source-repository-ref: "ref_uri"
      run-invocation-uri: "run_uri"
    subject-alternative-name-template: "{{{{ .sub }}}}"
"""


def build(name: str, folder: Path, module: str = "") -> Path:
    """The program of a module (by default the service's), built unless it is there."""
    place = folder / name
    if not (place.is_dir() and any(place.iterdir())):
        environment = os.environ | {"GOBIN": str(place), "GOFLAGS": "-mod=mod"}
        subprocess.run(
            ["go", "install", "-p", "2", module or MODULES[name]], env=environment, check=True, capture_output=True
        )
    return next(place.iterdir())


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def write_key(path: Path, *, form: serialization.PrivateFormat, password: str = "") -> ServiceKey:
    key = ServiceKey()
    secret: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        secret = serialization.BestAvailableEncryption(password.encode())
    path.write_bytes(key.private.private_bytes(serialization.Encoding.PEM, form, secret))
    return key


class RealSigstore:
    """Documents for clients of the running services."""

    def __init__(self, folder: Path, issuer: SigstoreInstance) -> None:
        self._folder, self.issuer = folder, issuer
        self.ports = {name: free_port() for name in MODULES}
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        self._authority_key = write_key(folder / "ca.pem", form=serialization.PrivateFormat.PKCS8, password=_PASSWORD)
        self._ct_key = write_key(folder / "ct.pem", form=serialization.PrivateFormat.TraditionalOpenSSL)
        self._log_key = write_key(folder / "log.pem", form=serialization.PrivateFormat.PKCS8)
        self._root = certificate("root", self._authority_key, None, ca=True, usage=None)
        (folder / "ca.crt").write_bytes(self._root.public_bytes(serialization.Encoding.PEM))
        (folder / "fulcio.yaml").write_text(_ISSUER_CONFIG.format(issuer=issuer.url))
        self.stamping: list[x509.Certificate] = []

    def commands(self, programs: dict[str, Path]) -> dict[str, list[str]]:
        """argv of each service; the CT log first, which fulcio asks."""
        folder, ports = self._folder, self.ports
        return {
            "tesseract": [
                str(programs["tesseract"]),
                f"--http_endpoint=127.0.0.1:{ports['tesseract']}",
                "--origin=ct.private.example",
                f"--private_key={folder / 'ct.pem'}",
                f"--roots_pem_file={folder / 'ca.crt'}",
                f"--storage_dir={folder / 'ct'}",
            ],
            "tsa": [
                *(str(programs["tsa"]), "serve", "--host=127.0.0.1", f"--port={ports['tsa']}"),
                *("--timestamp-signer=memory", "--disable-ntp-monitoring"),
            ],
            "rekor": [
                *(str(programs["rekor"]), "serve", f"--http-port={ports['rekor']}", f"--grpc-port={free_port()}"),
                *(f"--http-metrics-port={free_port()}", "--hostname=127.0.0.1"),
                *(f"--storage-dir={folder / 'log'}", f"--signer-filepath={folder / 'log.pem'}"),
                "--checkpoint-interval=1s",
            ],
            "fulcio": [
                *(str(programs["fulcio"]), "serve", "--host=127.0.0.1", f"--port={ports['fulcio']}"),
                *("--grpc-host=127.0.0.1", f"--grpc-port={free_port()}", f"--metrics-port={free_port()}"),
                *(f"--config-path={folder / 'fulcio.yaml'}", f"--legacy-unix-domain-socket={folder / 'fulcio.sock'}"),
                *("--ca=fileca", f"--fileca-cert={folder / 'ca.crt'}", f"--fileca-key={folder / 'ca.pem'}"),
                *(f"--fileca-key-passwd={_PASSWORD}", "--fileca-watch=false"),
                f"--ct-log-url={self.urls['tesseract']}",
            ],
        }

    def trusted_root(self) -> dict[str, Any]:
        period = {"start": moment(days=-1)}
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._log_key.log_instance(self.urls["rekor"], period)],
            "certificateAuthorities": [chain_instance(self.urls["fulcio"], [self._root], period)],
            "ctlogs": [self._ct_key.log_instance(self.urls["tesseract"], period)],
            "timestampAuthorities": [chain_instance(self.urls["tsa"], self.stamping, period)],
        }

    def trust_config(self) -> dict[str, Any]:
        config = self.issuer.trust_config()
        signing = config["signingConfig"]
        signing["caUrls"][0]["url"] = self.urls["fulcio"]
        signing["rekorTlogUrls"][0]["url"] = self.urls["rekor"]
        signing["tsaUrls"][0]["url"] = f"{self.urls['tsa']}/api/v1/timestamp"
        return config | {"trustedRoot": self.trusted_root()}


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> bytes:
    """The answer, once a service gives one of any status."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args} ended: {log.read_text()[-2000:]}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError:
            return b""
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} does not answer: {log.read_text()[-2000:]}")


@contextmanager
def real_sigstore(programs: dict[str, Path], folder: Path, issuer: SigstoreInstance) -> Iterator[RealSigstore]:
    """All services, until the block ends."""
    services = RealSigstore(folder, issuer)
    pages = {
        "tsa": "/api/v1/timestamp/certchain",
        "rekor": "/healthz",
        "fulcio": "/healthz",
        "tesseract": "/ct/v1/get-roots",
    }
    with ExitStack() as stack:
        for name, argv in services.commands(programs).items():
            log = folder / f"{name}.log"
            process = subprocess.Popen(argv, stdout=stack.enter_context(log.open("wb")), stderr=subprocess.STDOUT)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            answer = wait_for(services.urls[name] + pages[name], process, log)
            if name == "tsa":
                services.stamping = list(x509.load_pem_x509_certificates(answer))
        yield services
