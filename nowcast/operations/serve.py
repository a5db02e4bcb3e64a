"""A server of one page that shows the newest cycle of a batch job; it reads and never writes."""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nowcast
from nowcast.errors import InputError, NowcastError, OutputError
from nowcast.io.json_files import read_json
from nowcast.operations.published import PublishedCycle, Tree, cycle_contents
from nowcast.operations.quantities import age_text, duration_text
from nowcast.operations.status import FAILED, FALLBACK, STALE, seconds_since
from nowcast.view import page_of, view_json

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 2.0
"""The folder is searched no more often than this, and no more than a tenth of the time, however many ask."""
TIMEOUT_S = 60.0
"""A client that says nothing, or takes nothing, for so long is left."""
MOST_CLIENTS = 128
"""Connections at the same time, a thread each; a browser keeps one or two. More are closed at once."""
ASK_LOOPBACK = b"This server is for its own machine: ask for http://localhost or http://127.0.0.1, with its port.\n"
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class Viewer:
    """What is served: the newest cycle of each series below a folder.

    A cycle from a volume older than ``max_age_s`` seconds is told to be old.
    """

    def __init__(self, root: Path, max_age_s: float) -> None:
        if not root.is_dir():
            raise InputError(f"{root} is no folder: expected the output root of a batch job, or a part of it")
        self.root, self.max_age_s = root, max_age_s
        self._tree = Tree(root)
        self._looking, self._making = threading.Lock(), threading.Lock()
        self._look_again = 0.0
        self._found: dict[str, PublishedCycle] = {}
        self._views: dict[str, bytes] = {}

    def cycles(self) -> dict[str, PublishedCycle]:
        """The newest cycle of each series, by name."""
        with self._looking:
            began = time.monotonic()
            if began >= self._look_again:
                self._found = self._tree.newest()
                now = time.monotonic()
                self._look_again = now + max(LOOK_AGAIN_S, 9.0 * (now - began))
            return self._found

    def newest(self) -> dict[str, Any]:
        """What there is, and how it stands."""
        series = [
            {"name": name, "cycle": one.cycle, "id": one.id, **self._standing(one)}
            for name, one in self.cycles().items()
        ]
        return {"series": series, "reason": f"No cycle has been published in {self.root.resolve().name} yet; waiting."}

    def view(self, wanted: str) -> bytes | None:
        """The data of a cycle that is a newest one, None of any other; raises InputError where it cannot be read."""
        known = {one.id: one for one in self.cycles().values()}
        if wanted not in known:
            return None
        with self._making:
            self._views = {name: made for name, made in self._views.items() if name in known}
            if wanted not in self._views:
                self._views[wanted] = view_json(cycle_contents(known[wanted].folder)).encode()
            return self._views[wanted]

    def _standing(self, one: PublishedCycle) -> dict[str, str]:
        """A line on a cycle, and whether it is to worry: ``good``, ``warn`` or ``bad``."""
        age = seconds_since(one.cycle)
        said = [f"Cycle {one.cycle}, {one.facts.get('method', 'of unknown method')}, {age_text(age)}."]
        level = "good"
        if one.facts.get("state") == FALLBACK:
            level = "warn"
            said.append(f"A fallback: {one.facts.get('reason')}.")
        if age > self.max_age_s:
            level = "bad"
            said.append(f"Stale: nothing has been published from a volume of the last {duration_text(self.max_age_s)}.")
        last = _last_run(one)
        if last.get("state") in (FAILED, STALE):
            level = "bad"
            said.append(f"The last run: {last['state']}, {last.get('reason')}.")
        return {"level": level, "text": " ".join(said)}


def _last_run(one: PublishedCycle) -> dict[str, Any]:
    """The status file of a cycle's job, which lies in the output's root; empty where it is elsewhere."""
    name = Path(f"{one.facts.get('job')}.status.json").name
    above = one.folder.resolve().parents
    depth = len(Path(one.facts["folder"]).parts)
    return read_json(above[depth - 1] / name) if 0 < depth <= len(above) else {}


class Server(ThreadingHTTPServer):
    """Listens on ``(host, port)``; port 0 takes a free one.

    Raises
    ------
    OutputError
        It cannot: the port is taken, the host is not of this machine.
    """

    daemon_threads = True

    def __init__(self, viewer: Viewer, host: str, port: int) -> None:
        self.viewer = viewer
        self._free = threading.BoundedSemaphore(MOST_CLIENTS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise OutputError(
                f"cannot listen on {host} port {port}: {error}; choose another --port or --host"
            ) from error

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}/" if ":" in str(host) else f"http://{host!s}:{port}/"

    def serves(self, host: str) -> bool:
        """Whether a request for this ``Host`` is meant for this server.

        On a loopback address it must name one: else a page from anywhere whose name is made to lead to this machine
        (DNS rebinding) could read what is here. The port may be that of a tunnel.
        """
        return not _is_loopback(str(self.server_address[0])) or _is_loopback(_name_of(host))

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if not too many are at work."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """What that thread does."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""
        logger.debug("a request of %s broke off", client_address, exc_info=True)


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of ``/``, ``/newest`` and ``/view/ID.json``; an id is looked up and never a path."""

    server: Server
    server_version = f"nowcast/{nowcast.__version__}"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_S

    def do_GET(self) -> None:
        """The answer."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Its head."""
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        try:
            status, kind, content = self._found(unquote(urlsplit(self.path).path))
        except NowcastError as error:
            # Removed or replaced while it was read; the page asks for the newest again.
            logger.warning("%s", error)
            status, kind, content = HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"{error}\n".encode()
        self.send_response(status)
        headers = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(content)), **HEADERS}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _found(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        viewer = self.server.viewer
        if not self.server.serves(self.headers.get("Host", "")):
            return HTTPStatus.MISDIRECTED_REQUEST, "text/plain", ASK_LOOPBACK
        if path == "/":
            return HTTPStatus.OK, "text/html", page_of(None, viewer.root.resolve().name).encode()
        if path == "/newest":
            return HTTPStatus.OK, "application/json", json.dumps(viewer.newest()).encode()
        if path.startswith("/view/") and path.endswith(".json"):
            found = viewer.view(path.removeprefix("/view/").removesuffix(".json"))
            if found is not None:
                return HTTPStatus.OK, "application/json", found
        return HTTPStatus.NOT_FOUND, "text/plain", b"There is no such page; this server has / alone.\n"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are of interest to nobody but who looks for a fault."""
        logger.debug(format, *args)
