"""A fetch reaches the hosts that the operator listed, and nothing else."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox.addresses import AddressRules
from flowctl_registry.sandbox.proxy import Proxy, ProxyRules, Resolve
from sandbox_box import Box

GET = """
import sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    try: print(urllib.request.urlopen(url, timeout=20).read().decode()[:200].strip())
    except urllib.error.HTTPError as error: print(error.code, error.read().decode().strip())
    except Exception as error: print('failed:', error)
"""
CONNECT = """
import os, socket, sys
address = os.environ['HTTPS_PROXY'].rpartition('/')[2].split(':')
for target in sys.argv[1:]:
    s = socket.create_connection((address[0], int(address[1])), 20)
    s.sendall(f'CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n'.encode())
    answer = s.recv(1000).decode()
    if ' 200 ' in answer:
        s.sendall(b'GET /tunnel HTTP/1.0\\r\\n\\r\\n')
        while data := s.recv(1000): answer += data.decode()
    print(answer.replace('\\r\\n', '|'))
"""


class Site(http.server.BaseHTTPRequestHandler):
    """Says its own address and what was asked for; `/to/URL` redirects; `/big` is a megabyte."""

    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        host = str(self.connection.getsockname()[0])
        self.asked.append((host, self.path))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
            return
        body = b"x" * 1_000_000 if self.path == "/big" else f"{host} {self.path} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[int]:
    """The port of a site that listens on every address of this machine: 127.0.0.1 is the service, 127.0.0.2 a mirror."""
    Site.asked.clear()
    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def rules(port: int, **given: object) -> ProxyRules:
    """The mirror may be reached, and any name that leads to it."""
    defaults: dict[str, object] = {"hosts": ("*",), "ports": (port,), "allow_private": ("127.0.0.2/32",)}
    return ProxyRules(**defaults | given)  # type: ignore[arg-type]


def answers(*rounds: list[str]) -> Resolve:
    """A resolver whose answer to the n-th question is the n-th; the last one stays."""
    waiting = list(rounds)

    async def resolve(host: str, port: int) -> list[str]:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return resolve


def test_a_fetch_gets_what_it_may(box: Box, site: int) -> None:
    with Proxy(rules(site, hosts=("mirror.*",)), answers(["127.0.0.2"])) as proxy:
        ran = box.python(GET, f"http://mirror.test:{site}/a?b=c", proxy=proxy.socket)
        tunnel = box.python(CONNECT, f"mirror.test:{site}", proxy=proxy.socket)
    assert ran.output.strip() == f"127.0.0.2 /a?b=c mirror.test:{site}"
    assert "127.0.0.2 /tunnel" in tunnel.output
    assert [(v.host, v.port, v.refused) for v in proxy.visits] == [("mirror.test", site, None)] * 2
    assert all(v.bytes_received > 50 and v.bytes_sent > 0 for v in proxy.visits)


def test_a_fetch_has_no_other_way(box: Box, site: int) -> None:
    code = "import socket, sys\ntry: print(socket.create_connection(('127.0.0.2', int(sys.argv[1])), 3))\nexcept OSError as e: print('failed')"
    with Proxy(rules(site)) as proxy:
        assert box.python(code, str(site), proxy=proxy.socket).output == "failed\n"
    assert Site.asked == []


def test_hosts_and_ports_that_are_not_listed(bubble: Box, site: int) -> None:
    with Proxy(rules(site, hosts=("mirror.test",)), answers(["127.0.0.2"])) as proxy:
        ran = bubble.python(
            GET, f"http://other.test:{site}/", f"http://mirror.test.evil.test:{site}/", "http://mirror.test:22/",
            proxy=proxy.socket,
        )  # fmt: skip
    assert [line[:4] for line in ran.output.splitlines()] == ["403 "] * 3
    assert "other.test is not on the list" in ran.output
    assert "port 22 is not allowed" in ran.output
    assert [v.refused is None for v in proxy.visits] == [False] * 3
    assert Site.asked == []


PRIVATE = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "localhost", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]", "[2001:0:7f00:1::]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.100.100.200", "168.63.129.16", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "[fe80::1]", "[fec0::1]", "[fd00:ec2::254]", "[ff02::1]",
]  # fmt: skip


def test_loopback_and_private_addresses_in_every_notation(bubble: Box, site: int) -> None:
    with Proxy(rules(site)) as proxy:
        urls = [f"http://{host}:{site}/" for host in PRIVATE]
        ran = bubble.python(GET, *urls, proxy=proxy.socket)
        tunnels = bubble.python(CONNECT, *[f"{host}:{site}" for host in PRIVATE], proxy=proxy.socket)
    statuses = {line[:3] for line in ran.output.splitlines()}
    assert statuses <= {"403", "502"}, ran.output  # 502: a system that resolves no odd notation
    assert len(ran.output.splitlines()) == len(PRIVATE)
    assert " 200 " not in tunnels.output
    assert Site.asked == []
    assert all(visit.refused for visit in proxy.visits)
    assert len(proxy.visits) == 2 * len(PRIVATE)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::"])
def test_public_addresses_are_no_private_ones(address: str) -> None:
    assert AddressRules().refusal(address) is None


def test_dns_rebinding(box: Box, site: int) -> None:
    """The name leads to the mirror when it is checked; asked again, it leads to the service."""
    with Proxy(rules(site), answers(["127.0.0.2"], ["127.0.0.1"])) as proxy:
        url = f"http://rebinding.test:{site}/"
        first = box.python(GET, url, url, proxy=proxy.socket)
    assert first.output.splitlines()[0].startswith("127.0.0.2 / ")
    assert "rebinding.test is refused: 127.0.0.1 is not a public address" in first.output.splitlines()[1]
    assert {host for host, _ in Site.asked} == {"127.0.0.2"}


def test_one_private_address_among_others_refuses_the_name(bubble: Box, site: int) -> None:
    with Proxy(rules(site), answers(["127.0.0.2", "127.0.0.1"])) as proxy:
        assert bubble.python(GET, f"http://x.test:{site}/", proxy=proxy.socket).output.startswith("403 ")
    assert Site.asked == []


def test_a_redirect_is_a_request_like_any_other(bubble: Box, site: int) -> None:
    with Proxy(rules(site)) as proxy:
        ran = bubble.python(GET, f"http://127.0.0.2:{site}/to/http://127.0.0.1:{site}/secret", proxy=proxy.socket)
    assert ran.output.startswith("403 ")
    assert [path.startswith("/to/") for _, path in Site.asked] == [True]


def test_a_second_request_in_the_connection_reaches_no_other_host(bubble: Box, site: int) -> None:
    code = """
import os, socket, sys
address = os.environ['HTTP_PROXY'].rpartition('/')[2].split(':')
s = socket.create_connection((address[0], int(address[1])), 20)
one = 'GET http://{}/{} HTTP/1.1\\r\\nHost: {}\\r\\n\\r\\n'
s.sendall((one.format(sys.argv[1], 'one', 'evil.test') + one.format(sys.argv[2], 'two', sys.argv[2])).encode())
while data := s.recv(1000): print(data.decode())
"""
    with Proxy(rules(site)) as proxy:
        ran = bubble.python(code, f"127.0.0.2:{site}", f"127.0.0.1:{site}", proxy=proxy.socket)
    assert Site.asked == [("127.0.0.2", "/one")]
    assert f"127.0.0.2 /one 127.0.0.2:{site}" in ran.output


@pytest.mark.parametrize(
    "request_",
    ["GET / HTTP/1.1\r\n\r\n", "GET file:///etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n",
     "CONNECT a@b:443 HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:99999 HTTP/1.1\r\nHost: x\r\n\r\n", "\x00\x01\r\n\r\n",
     "GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n", "GET http:/// HTTP/1.1\r\nHost: x\r\n\r\n",
     "GET http://x/ HTTP/1.1\r\nHost: x\r\nX: " + "y" * 100_000 + "\r\n\r\n"],
)  # fmt: skip
def test_malformed_requests(site: int, request_: str) -> None:
    import socket

    with Proxy(rules(site)) as proxy, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(proxy.socket))
        client.sendall(request_.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 400 Bad Request")


def test_bytes_are_limited(bubble: Box, site: int) -> None:
    with Proxy(rules(site, bytes_total=300_000)) as proxy:
        ran = bubble.python(GET, f"http://127.0.0.2:{site}/big", f"http://127.0.0.2:{site}/", proxy=proxy.socket)
    assert ran.output.count("x" * 100) <= 1
    assert "403 flowctl: all that a build may fetch has been fetched (sandbox.fetch_bytes)" in ran.output
    assert "more than it may" in str(proxy.visits[0].refused)


def test_connections_are_limited(bubble: Box, site: int) -> None:
    code = """
import os, socket, sys
address = os.environ['HTTP_PROXY'].rpartition('/')[2].split(':')
held = [socket.create_connection((address[0], int(address[1])), 20) for _ in range(3)]
for s in held: s.sendall(f'CONNECT {sys.argv[1]} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'.encode())
print(sorted(s.recv(1000).decode().split()[1] for s in held))
"""
    with Proxy(rules(site, connections=2)) as proxy:
        ran = bubble.python(code, f"127.0.0.2:{site}", proxy=proxy.socket)
    assert "429" in ran.output


OWN = """
import socket, sys
from flowctl_registry.sandbox.proxy import Proxy, ProxyRules
with socket.create_server(("0.0.0.0", 0)) as server:
    port = server.getsockname()[1]
    with Proxy(ProxyRules(hosts=("*",), ports=(port,))) as proxy, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(proxy.socket))
        client.sendall(f"CONNECT 9.9.9.9:{port} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
        print(client.recv(1000).decode())
"""


@pytest.mark.requires_tool("unshare", "ip")
def test_this_machine_by_a_public_address() -> None:
    """What is no private address may still be this machine's own: the service listens there too."""
    script = 'ip link set lo up && ip addr add 9.9.9.9/32 dev lo && exec "$0" -c "$1"'
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", script, sys.executable, OWN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("HTTP/1.1 403 "), done.stdout + done.stderr
    assert "9.9.9.9 is this machine" in done.stdout


def test_the_socket_is_not_for_other_users(site: int) -> None:
    with Proxy(rules(site)) as proxy:
        folder = proxy.socket.parent
        assert folder.stat().st_mode & 0o077 == 0
    assert not Path(folder).exists()


def test_rules_that_are_not_understood() -> None:
    with pytest.raises(SandboxError, match=r"10\.0\.0\.0/99 is no network"):
        Proxy(ProxyRules(allow_private=("10.0.0.0/99",)))
