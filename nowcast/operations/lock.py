"""One run of a job at a time: an advisory lock that dies with its holder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nowcast.errors import NowcastError, OutputError


@dataclass(frozen=True)
class Holder:
    """Who holds or held a lock."""

    pid: int
    host: str
    since: str

    @property
    def alive(self) -> bool:
        """Whether it still runs; on another host that cannot be told, and counts as yes."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True


class Locked(NowcastError, RuntimeError):
    """Another run of the job is at work."""


@contextmanager
def lock(path: Path, since: str) -> Iterator[Holder | None]:
    """Hold the lock; yields who was killed while holding it, None where it was given back in order.

    A POSIX record lock: the kernel drops it with the process, however that ends, a child does not inherit it, and NFS
    knows it. The file stays, because removing it would let two runs hold two files of one name.

    Raises
    ------
    Locked
        Another process holds it.
    OutputError
        The file cannot be made, or its disk knows no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"cannot make the lock {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise OutputError(f"cannot lock {path}: {error.strerror}; put output.root on another disk") from error
            holder = _read(file.read())
            who = "another process" if holder is None else f"process {holder.pid} on {holder.host} since {holder.since}"
            raise Locked(f"another run is at work: {who} holds {path}") from error
        left = _read(file.read())
        _write(file.fileno(), json.dumps(asdict(Holder(os.getpid(), socket.gethostname(), since))))
        try:
            yield left
        finally:
            _write(file.fileno(), "")


def holder_of(path: Path) -> Holder | None:
    """Who wrote itself into the lock file, without touching the lock; None where it was given back."""
    try:
        return _read(path.read_text(encoding="utf-8"))
    except OSError:
        return None


def _read(text: str) -> Holder | None:
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _write(descriptor: int, text: str) -> None:
    # On a full disk the lock holds all the same, it only does not say whose it is.
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    except OSError:
        pass
