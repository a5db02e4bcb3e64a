"""A local S3 server (moto's) that can be told to fail as real ones do."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

LISTING = "?"
PUBLIC = {"Content-Type": "application/octet-stream", "x-amz-acl": "public-read"}
ERRORS = {500: "InternalError", 503: "SlowDown", 429: "TooManyRequests"}


class FaultyServer:
    """moto's S3 on a loopback port, behind a wrapper that answers the next requests for a key with faults.

    A fault is a status code, ``"cut"`` (half the bytes come, then the connection breaks), ``"stall"`` (half come, then
    nothing) or ``"slow"`` (all come, in small pieces). ``asked`` lists the keys that were asked for and the first byte;
    the key of a listing is ``LISTING``.
    """

    def __init__(self, app: Any) -> None:
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log(self, type: str, message: str, *args: Any) -> None:
                pass

        self._app = app
        self.faults: dict[str, list[int | str]] = {}
        self.asked: list[tuple[str, int]] = []
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._halt = threading.Event()

    def put(self, path: str, content: bytes = b"") -> None:
        """Store ``/bucket/key``, or make ``/bucket``."""
        urllib.request.urlopen(
            urllib.request.Request(self.url + path, content, PUBLIC, method="PUT"), timeout=10
        ).close()

    @contextmanager
    def running(self) -> Iterator[FaultyServer]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._halt.set()
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] != "GET":
            return self._app(environ, start)
        key = LISTING if environ["QUERY_STRING"] else path.rsplit("/", 1)[-1]
        first = environ.get("HTTP_RANGE", "bytes=0-").removeprefix("bytes=").split("-")[0]
        self.asked.append((key, int(first)))
        waiting = self.faults.get(key, [])
        fault = waiting.pop(0) if waiting else None
        if isinstance(fault, int):
            body = f"<Error><Code>{ERRORS[fault]}</Code><Message>as asked for</Message></Error>".encode()
            start(f"{fault} {ERRORS[fault]}", [("Content-Length", str(len(body))), ("Content-Type", "application/xml")])
            return [body]
        return self._broken(environ, start, fault) if fault else self._app(environ, start)

    def _broken(self, environ: dict[str, Any], start: Any, fault: str) -> Iterator[bytes]:
        body = b"".join(self._app(environ, start))
        if fault == "slow":
            for at in range(0, len(body), 100_000):
                time.sleep(0.02)
                yield body[at : at + 100_000]
            return
        yield body[: len(body) // 2]
        if fault == "stall":
            self._halt.wait(60)
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)


@contextmanager
def s3_server() -> Iterator[FaultyServer]:
    """A running server without any bucket."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    with FaultyServer(DomainDispatcherApplication(create_backend_app)).running() as server:
        yield server
