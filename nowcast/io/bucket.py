"""Objects of a public S3 bucket: listed by prefix, and fetched so that a broken transfer goes on where it stopped.

Requests that fail (5xx, 429, no connection, a timeout) are repeated by obstore, with exponential backoff and jitter.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from nowcast.checks import check_numbers
from nowcast.errors import ConfigError, InputError
from nowcast.io.atomic import check_writable, publish, told_as_output_error

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Store

Answer = TypeVar("Answer")
CHUNK_BYTES = 1 << 16
LONGEST_REQUEST = timedelta(minutes=10)


@dataclass(frozen=True)
class BucketConfig:
    """Which bucket, and how patient to be with it.

    Attributes
    ----------
    name
        Name of the bucket, which anybody may read.
    endpoint
        URL of the server, None for Amazon's in ``region``.
    retries
        How often a failing request is repeated, with pauses that double from ``first_pause_s`` to ``longest_pause_s``
        and are drawn at random below that; and how often a transfer that brings nothing is taken up again.
    patience_s
        After so many seconds a failing request is not repeated any more.
    stall_s
        A connection that brings nothing for so long is given up.
    """

    name: str = "unidata-nexrad-level2"
    endpoint: str | None = None
    region: str = "us-east-1"
    retries: int = 6
    first_pause_s: float = 0.5
    longest_pause_s: float = 15.0
    patience_s: float = 60.0
    stall_s: float = 20.0

    def __post_init__(self) -> None:
        check_numbers(
            self,
            "bucket",
            positive=("first_pause_s", "longest_pause_s", "patience_s", "stall_s"),
            not_negative=("retries",),
        )
        if self.endpoint is not None and not re.match(r"https?://[^/]", self.endpoint):
            raise ConfigError(f"bucket endpoint is {self.endpoint!r}: expected a URL such as https://s3.example.org")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]+", self.name):
            raise ConfigError(f"bucket name is {self.name!r}: expected one such as unidata-nexrad-level2")

    def __str__(self) -> str:
        return f"bucket {self.name} at {self.endpoint or f'Amazon S3 ({self.region})'}"


@dataclass(frozen=True)
class StoredObject:
    """An object of a bucket: its key, its size in bytes, and the tag of its content."""

    key: str
    size: int
    etag: str

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rsplit("/", 1)[-1]

    @property
    def md5(self) -> str:
        """The MD5 of the content where the tag tells it, as that of most objects that came in one piece does."""
        tag = self.etag.strip('"')
        return tag if re.fullmatch(r"[0-9a-f]{32}", tag) else ""


class Bucket:
    """A bucket that anybody may read; ``heard`` is when it last sent something, on the monotonic clock."""

    def __init__(self, config: BucketConfig) -> None:
        self.config = config
        self.heard = time.monotonic()
        self._store = _store(config)

    async def listing(self, prefix: str) -> list[StoredObject]:
        """The objects whose keys begin with ``prefix``, a folder, in order of their keys.

        Raises InputError when the bucket does not answer or may not be listed.
        """
        from obstore.exceptions import BaseError

        attempt = 0
        while True:
            try:
                return await self._list(prefix)
            except BaseError as error:
                attempt += 1
                if not _broke_off(error) or attempt > self.config.retries:
                    told = f"cannot list {prefix} of {self.config}: {_reason(error)}"
                    raise InputError(f"{told}; check the name of the bucket, the endpoint and the network") from error
            await asyncio.sleep(self._pause(attempt))

    async def _list(self, prefix: str) -> list[StoredObject]:
        import obstore

        found: list[StoredObject] = []
        async for page in obstore.list(self._store, prefix=prefix, chunk_size=1000):
            self.heard = time.monotonic()
            found += [StoredObject(o["path"], o["size"], o["e_tag"] or "") for o in page]
        return sorted(found, key=lambda o: o.key)

    async def fetch(self, stored: StoredObject, target: Path, check: Callable[[Path], Answer]) -> Answer:
        """Copy an object to a file, which gets its name when it is whole and has passed ``check``.

        What has come stays beside it as ``.NAME.TAG.part`` when the transfer is broken off, and the next call goes
        on from there if the object is still the same. Returns what ``check`` says of the file.

        Raises
        ------
        InputError
            The transfer fails again and again, the object is gone or was replaced, another process fetches it, or
            ``check`` raises it.
        OutputError
            The file cannot be written.
        """
        check_writable(target)
        with told_as_output_error(target), _partial(target, stored) as file:
            path, resumed = Path(file.name), file.tell() > 0
            await self._complete(stored, file)
            if resumed and stored.md5 and await asyncio.to_thread(_md5, path) != stored.md5:
                # A machine that lost its power may have lost of the file what it thought was written.
                file.truncate(0)
                file.seek(0)
                await self._complete(stored, file)
            try:
                answer = await asyncio.to_thread(check, path)
            except InputError as error:
                path.unlink()
                raise InputError(str(error).replace(str(path), stored.key)) from error
            publish(path, target)
            return answer

    async def _complete(self, stored: StoredObject, file: BinaryIO) -> None:
        """Copy until all is there; attempts that bring next to nothing are counted."""
        barren = 0
        while (held := file.tell()) < stored.size:
            trouble = await self._copy(stored, file)
            if file.tell() < stored.size:
                barren = 0 if file.tell() - held >= CHUNK_BYTES else barren + 1
                if barren > self.config.retries:
                    came = f"{file.tell()} of {stored.size} bytes of {stored.key}"
                    raise InputError(f"only {came} came from {self.config}: {trouble}")
                await asyncio.sleep(self._pause(barren))
        file.flush()

    async def _copy(self, stored: StoredObject, file: BinaryIO) -> str:
        """Copy what is missing of an object; returns why it ended before the end."""
        import obstore

        options: GetOptions = {"range": {"offset": file.tell()}}
        if stored.etag:
            options["if_match"] = stored.etag
        try:
            answer = await obstore.get_async(self._store, stored.key, options=options)
            async for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
                self.heard = time.monotonic()
                file.write(chunk[: stored.size - file.tell()])
        except FileNotFoundError as error:
            raise InputError(f"{stored.key} is no longer in {self.config}") from error
        except obstore.exceptions.PreconditionError as error:
            raise InputError(
                f"{stored.key} was replaced in {self.config} while it was fetched: run it again"
            ) from error
        except obstore.exceptions.BaseError as error:
            if _broke_off(error):
                return _reason(error)
            raise InputError(f"{stored.key} does not come from {self.config}: {_reason(error)}") from error
        return "the server ended the transfer early"

    def _pause(self, attempt: int) -> float:
        """Seconds to wait: drawn at random, so that those whom an outage stopped do not come back all at once."""
        most = min(self.config.first_pause_s * 2.0**attempt, self.config.longest_pause_s)
        return random.uniform(0.0, most)


def _store(config: BucketConfig) -> S3Store:
    from obstore.store import S3Store

    elsewhere = {} if config.endpoint is None else {"endpoint": config.endpoint}
    return S3Store(
        config.name,
        **elsewhere,  # type: ignore[arg-type]
        region=config.region,
        skip_signature=True,
        client_options={
            "allow_http": True,
            "connect_timeout": timedelta(seconds=config.stall_s),
            "read_timeout": timedelta(seconds=config.stall_s),
            "timeout": LONGEST_REQUEST,
            "user_agent": "nowcast",
        },
        retry_config={
            "max_retries": config.retries,
            "retry_timeout": timedelta(seconds=config.patience_s),
            "backoff": {
                "init_backoff": timedelta(seconds=config.first_pause_s),
                "max_backoff": timedelta(seconds=config.longest_pause_s),
                "base": 2,
            },
        },
    )


@contextmanager
def _partial(target: Path, stored: StoredObject) -> Iterator[BinaryIO]:
    """What has come of an object so far, to add to; no other process may while it is open."""
    tag = re.sub(r"\W", "", stored.etag)[:32]
    path = target.with_name(f".{target.name}.{tag}.part")
    for other in target.parent.glob(f".{target.name}.*.part"):
        if other != path:  # of an object that was replaced since
            other.unlink(missing_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{target} is being fetched by another process") from error
        if not path.exists():
            raise InputError(f"{target} has just been fetched by another process")
        if file.seek(0, os.SEEK_END) > stored.size:
            file.truncate(0)
            file.seek(0)
        try:
            yield file
        finally:
            if path.exists() and path.stat().st_size == 0:
                path.unlink()


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _broke_off(error: Exception) -> bool:
    """Whether an answer broke off; obstore has repeated all other requests that failed."""
    return "body error" in str(error)


def _reason(error: Exception) -> str:
    """The gist of an error of obstore, which tells all that it knows over many lines."""
    text = str(error)
    status = re.search(r"status code: (\d+[^:\n]*)", text)
    if status is not None:
        code = re.search(r"<Code>(\w+)</Code>", text)
        return f"it answers {status.group(1)}" + (f" ({code.group(1)})" if code else "")
    if "kind: Timeout" in text or "TimedOut" in text:
        return "it does not answer in time"
    if "dns error" in text:
        return "its name is not known here"
    if "kind: Connect" in text:
        why = re.search(r'message: "([^"]+)"', text)
        return "no connection" + (f" ({why.group(1)})" if why else "")
    return "the connection broke off" if _broke_off(error) else text.splitlines()[0]
