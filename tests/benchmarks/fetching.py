"""Why obstore: ``python tests/benchmarks/fetching.py --out DIR`` fetches by obstore and by s3fs from a local server.

Each in a process of its own: 400 objects of 20 kB and 24 of 10 MB, 8 at a time, then one object through each fault.
s3fs comes with Py-ART. The server (moto) works as hard as they do: compare processor times, not throughput.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from s3_server import s3_server

BUCKET, AT_ONCE = "volumes", 8
SIZES = {"small": (400, 20_000), "large": (24, 10_000_000)}
FAULTS: dict[str, list[int | str]] = {
    "500 twice": [500, 500],
    "503 SlowDown twice": [503, 503],
    "429 twice": [429, 429],
    "cut off": ["cut"],
    "stalled": ["stall"],
}


def by_obstore(url: str, prefix: str, folder: Path) -> Callable[[], None]:
    """Import, and what fetches the objects under a prefix."""
    from datetime import timedelta

    import obstore
    from obstore.store import S3Store

    client = {"allow_http": True, "timeout": timedelta(minutes=5), "read_timeout": timedelta(seconds=3)}
    store = S3Store(BUCKET, endpoint=url, skip_signature=True, region="us-east-1", client_options=client)

    async def fetch_all() -> None:
        limit = asyncio.Semaphore(AT_ONCE)

        async def fetch(key: str) -> None:
            async with limit:
                answer = await obstore.get_async(store, key)
                with (folder / Path(key).name).open("wb") as file:
                    async for chunk in answer.stream(min_chunk_size=1 << 16):
                        file.write(chunk)

        pages = [page async for page in obstore.list(store, prefix=prefix, chunk_size=1000)]
        await asyncio.gather(*(fetch(found["path"]) for page in pages for found in page))

    return lambda: asyncio.run(fetch_all())


def by_s3fs(url: str, prefix: str, folder: Path) -> Callable[[], None]:
    """The same with s3fs, which repeats what fails in botocore's way."""
    import s3fs

    patience = {"read_timeout": 3, "connect_timeout": 3, "retries": {"mode": "standard", "max_attempts": 10}}
    place = {"endpoint_url": url, "client_kwargs": {"region_name": "us-east-1"}}

    def fetch_all() -> None:
        files = s3fs.S3FileSystem(anon=True, config_kwargs=patience, **place)
        keys = files.find(f"{BUCKET}/{prefix}")
        files.get(keys, [str(folder / Path(key).name) for key in keys], batch_size=AT_ONCE)

    return fetch_all


def measure(name: str, url: str, prefix: str, expected: tuple[int, int], pipe: Any) -> None:
    """In a fresh process: seconds to import and to fetch, processor seconds, and whether all came."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        fetch_all = {"obstore": by_obstore, "s3fs": by_s3fs}[name](url, prefix, Path(folder))
        imported = time.perf_counter()
        reason = ""
        try:
            fetch_all()
        except Exception as error:  # noqa: BLE001 - whatever it raises is the result
            reason = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
        done = time.perf_counter()
        sizes = [path.stat().st_size for path in Path(folder).iterdir()]
    used = resource.getrusage(resource.RUSAGE_SELF)
    pipe.send(
        {
            "import_s": round(imported - start, 3),
            "fetch_s": round(done - imported, 3),
            "cpu_s": round(used.ru_utime + used.ru_stime, 3),
            "came": sorted(sizes) == [expected[1]] * expected[0],
            "error": reason,
        }
    )


def main() -> None:
    """Run both through everything and write ``fetching.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    fresh = multiprocessing.get_context("spawn")
    answer: list[dict[str, Any]] = []
    with s3_server() as server:
        server.put(f"/{BUCKET}")
        for prefix, (count, size) in SIZES.items():
            for k in range(count):
                server.put(f"/{BUCKET}/{prefix}/{prefix}{k:04d}", os.urandom(size))
        server.put(f"/{BUCKET}/one/object", os.urandom(3_000_000))
        plan = [(f"{n} of {s} bytes", p, (n, s), []) for p, (n, s) in SIZES.items()] * options.repeats
        plan += [(name, "one", (1, 3_000_000), fault) for name, fault in FAULTS.items()]
        for what, prefix, expected, fault in plan:
            for name in ("obstore", "s3fs"):
                server.faults["object"] = list(fault)
                here, there = fresh.Pipe()
                process = fresh.Process(target=measure, args=(name, server.url, f"{prefix}/", expected, there))
                process.start()
                answer.append({"what": what, "by": name, **here.recv()})
                process.join()
                print(answer[-1], flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "fetching.json").write_text(json.dumps(answer, indent=1))
    print(options.out / "fetching.json")


if __name__ == "__main__":
    main()
