"""`deploy/Caddyfile` in a real Caddy, before a web server that tells what reaches it."""

import gzip
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from itertools import product
from pathlib import Path
from threading import Thread

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
CADDYFILE = (ROOT / "deploy/Caddyfile").read_text()
CADDY = shutil.which("caddy", path=Path(sys.executable).parent)
LONGEST = 5 * 1024 * 1024
WAITED_FOR_S = 2
# What a page that gives back the longest form may come to: each sign as six.
ANSWER = b"x" * (6 * settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def test_it_is_tried_in_the_version_that_is_served() -> None:
    served = re.search(
        r"^FROM caddy:(\d+\.\d+)$", (ROOT / "deploy/proxy.Dockerfile").read_text(), re.M
    )
    assert served
    assert version("caddyserver").startswith(f"{served[1]}.")


@dataclass
class WebServer:
    """Notes of each request how much a thread has read of it, and that the thread is free again."""

    read: dict[str, int] = field(default_factory=dict)
    free: list[str] = field(default_factory=list)

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        self.read[handler.path] = 0
        try:
            if "Away" not in handler.headers:
                self.answer(handler)
        finally:
            self.free.append(handler.path)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        sent = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.read[handler.path] = len(sent)
        answer = ANSWER if handler.path == "/long/" else b"<p>a page</p>" * 100
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)


@dataclass
class Proxy:
    port: int
    behind: WebServer
    log: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def ask(
        self, path: str, body: bytes = b"", **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST" if body else "GET", path, body or None, sent)
            response = connection.getresponse()
            return response, response.read()


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


def becomes_true(said: Callable[[], bool], *, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while not said() and time.monotonic() < until:
        time.sleep(0.05)
    return said()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy with its ports and addresses changed, and a minute made two seconds."""
    web = WebServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.serve(self)

        def do_POST(self) -> None:
            web.serve(self)

        def log_message(self, *_: object) -> None:
            pass

    folder = tmp_path_factory.mktemp("proxy")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    ports = {name: str(free_port()) for name in ("http", "https", "host")}
    text = CADDYFILE.replace("{\n", "{\n\tadmin off\n", 1)
    for ours, theirs in (
        ("http_port 8080", f"http_port {ports['http']}"),
        ("https_port 8443", f"https_port {ports['https']}"),
        ("read_body 60s", f"read_body {WAITED_FOR_S}s"),
        ("reverse_proxy web:8000", f"reverse_proxy 127.0.0.1:{server.server_port}"),
    ):
        assert text.count(ours) == 1
        text = text.replace(ours, theirs)
    (folder / "Caddyfile").write_text(text)
    own = {"HOME": str(folder), "RAPPORT_HOST": f"http://127.0.0.1:{ports['host']}"}
    assert CADDY, "caddyserver of requirements/dev.lock is not installed"
    with (folder / "log").open("wb") as log:
        caddy = subprocess.Popen(
            [CADDY, "run", "--config", "Caddyfile"],
            cwd=folder,
            env={"PATH": os.environ["PATH"]} | own,
            stderr=log,
        )
    proxy = Proxy(int(ports["host"]), web, folder / "log")

    def answers() -> bool:
        try:
            return proxy.ask("/")[0].status == 200
        except OSError:
            assert caddy.poll() is None, proxy.log.read_text()
            return False

    try:
        assert becomes_true(answers, within_s=30), proxy.log.read_text()
        yield proxy
    finally:
        caddy.terminate()
        caddy.wait(timeout=10)
        server.shutdown()
        server.server_close()


@pytest.fixture
def proxy(running: Proxy) -> Proxy:
    running.behind.read.clear()
    running.behind.free.clear()
    return running


def test_of_a_form_that_is_not_whole_nothing_reaches_the_web_server(proxy: Proxy) -> None:
    """Eight threads that each wait for the rest of one answer nobody, clients' pages included. Nor
    does it once the proxy has given up, or the connection has ended: it would be taken as whole."""
    with ExitStack() as strangers:
        for sent, is_chunked in product((1000, LONGEST - 1, LONGEST, LONGEST + 1), (False, True)):
            announced = sent + 1000
            length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {announced}"
            stranger = strangers.enter_context(closing(proxy.connect()))
            lines = (f"POST /{sent}/{is_chunked}/ HTTP/1.1", "Host: 127.0.0.1", length, "", "")
            stranger.sendall("\r\n".join(lines).encode())
            stranger.sendall((b"%x\r\n" % announced if is_chunked else b"") + b"x" * sent)
        for wait_s in (WAITED_FOR_S / 2, WAITED_FOR_S):
            time.sleep(wait_s)
            assert not proxy.behind.read
    assert proxy.ask("/")[0].status == 200
    assert list(proxy.behind.read) == ["/"]


def test_the_longest_form_passes_whole_and_a_longer_one_as_much_as_rapport_refuses(
    proxy: Proxy,
) -> None:
    longest = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    for length in (longest, LONGEST + 1):
        assert proxy.ask(f"/{length}/", b"x" * length)[0].status == 200
    assert proxy.behind.read == {f"/{longest}/": longest, f"/{LONGEST + 1}/": LONGEST}
    assert longest < LONGEST


def test_an_answer_that_nobody_reads_keeps_none_of_the_web_servers_threads(proxy: Proxy) -> None:
    with closing(proxy.connect()) as stranger:
        stranger.sendall(f"GET /long/ HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\n\r\n".encode())
        assert becomes_true(lambda: "/long/" in proxy.behind.free, within_s=5)


@pytest.mark.parametrize(
    ("path", "site", "is_compressed"),
    [
        ("/caseload/", "same-origin", True),
        ("/caseload/", "cross-site", False),
        ("/caseload/", "same-site", False),
        ("/caseload/", "none", False),
        ("/caseload/", "", False),
        ("/static/a.css", "cross-site", True),
        ("/f/token/", "none", True),
    ],
)
def test_no_page_of_staff_is_compressed_to_which_another_site_leads(
    proxy: Proxy, path: str, site: str, is_compressed: bool
) -> None:
    """Or its length would tell whether what the address says stands on it (BREACH)."""
    headers = {"Accept_Encoding": "gzip"} | ({"Sec_Fetch_Site": site} if site else {})
    response, body = proxy.ask(path, **headers)
    assert (response.headers["Content-Encoding"] == "gzip") is is_compressed
    page = gzip.decompress(body) if is_compressed else body
    assert page == b"<p>a page</p>" * 100


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("/f/CANARY/stop/?now=1", "/f/…"),
        ("/link/CANARY/", "/link/…"),
        ("/calendar/CANARY/rapport.ics", "/calendar/…"),
        ("/weekly-mail/CANARY/", "/weekly-mail/…"),
        ("http://127.0.0.1/f/CANARY/", "http://127.0.0.1/f/…"),
        ("/caseload/?q=CANARY&status=all", "/caseload/?…"),
        ("/clients/", "/clients/"),
    ],
)
def test_the_proxy_writes_no_address_of_a_link_and_nothing_searched_for(
    proxy: Proxy, address: str, written: str
) -> None:
    """Not where the web server is away either: then its errors are written."""
    proxy.ask(address, Cookie="CANARY", Authorization="CANARY", Away="yes")

    def uris() -> set[str]:
        lines = map(json.loads, proxy.log.read_text().splitlines())
        return {each["request"]["uri"] for each in lines if "request" in each}

    assert becomes_true(lambda: written in uris(), within_s=5)
    assert "CANARY" not in proxy.log.read_text()
