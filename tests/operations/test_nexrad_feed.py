"""A job whose input is a radar in the open archive: a local S3 server with NEXRAD volumes of a storm that drifts."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from desk import RADAR, Desk
from radar_files import nexrad_volume, polar_volume, storm
from s3_server import LISTING, FaultyServer, s3_server

from nowcast.operations.job import read_job
from nowcast.operations.nexrad_feed import REFUSED, SPARE_VOLUMES, clean, fetch_newest
from nowcast.radar import Site

pytest.importorskip("moto", reason="the tests of fetching need moto: pip install -e '.[dev]'")

KTLX = Site(35.3331, -97.2775, 370.0)
STEP_S, FRAMES = 300, 3
PATIENCE_S = 60.0
NO_SERVER = "http://127.0.0.1:9"
numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with s3_server() as running:
        yield running


class Sky:
    """The archive of KTLX, and a desk that forecasts from it; ages are in steps of five minutes before the start."""

    def __init__(self, server: FaultyServer, desk: Desk) -> None:
        self.server, self.desk = server, desk
        self.bucket = f"sky-{next(numbers)}"
        self.start = np.datetime64(int(time.time()) - 60, "s").astype("datetime64[ns]")
        server.put(f"/{self.bucket}")
        server.asked.clear()
        server.faults.clear()
        self.configure()

    def configure(self, endpoint: str | None = None, **changes: dict[str, object]) -> None:
        nexrad = {"site": "KTLX", "bucket": self.bucket, "endpoint": endpoint or self.server.url}
        given = {"path": "", "nexrad": nexrad, "max_age": "30min", "frames": FRAMES}
        self.desk.configure(**changes | {"input": given | changes.get("input", {})})

    def time(self, age: float) -> np.datetime64:
        return self.start - np.timedelta64(round(age * STEP_S), "s")

    def name(self, age: float) -> str:
        stamp = str(np.datetime_as_string(self.time(age), unit="s"))
        return f"KTLX{stamp.translate({ord('-'): None, ord(':'): None, ord('T'): '_'})}_V06"

    def cycle(self, age: float) -> str:
        return f"{np.datetime_as_string(self.time(age), unit='s')}Z"

    def content(self, age: float, sweeps: int | None = None) -> bytes:
        """A storm that goes east at 20 m/s."""
        echo = storm(x0=-20.0 * STEP_S * age, y0=20e3, radius=20e3)
        volume = polar_volume(
            echo, elevations=RADAR.elevations_deg, rays=180, gates=100, site=KTLX, time=self.time(age), radar="KTLX"
        )
        return nexrad_volume(volume, sweeps=sweeps)

    def add(self, *ages: float, content: bytes | None = None) -> None:
        for age in ages:
            name = self.name(age)
            key = f"{name[4:8]}/{name[8:10]}/{name[10:12]}/KTLX/{name}"
            self.server.put(f"/{self.bucket}/{key}", self.content(age) if content is None else content)

    @property
    def store(self) -> Path:
        return self.desk.inside / "nexrad" / "KTLX"

    def stored(self) -> list[str]:
        return sorted(path.name for path in self.store.iterdir() if path.name != REFUSED)

    def asked(self) -> list[str]:
        """The volumes that were asked for since the last call."""
        asked = [key for key, _ in self.server.asked if key != LISTING]
        self.server.asked.clear()
        return sorted(asked)


@pytest.fixture
def sky(server: FaultyServer, desk: Desk) -> Sky:
    return Sky(server, desk)


def test_cycles_fetch_what_is_new_and_forecast_the_drift(sky: Sky) -> None:
    sky.add(3, 2, 1)
    status = sky.desk.batch("--once-per", "5min")
    assert (status["state"], status["cycle"]) == ("done", sky.cycle(1)) and "/KTLX/" in status["outputs"][0]["path"]
    assert status["input_files"] == [sky.name(age) for age in (3, 2, 1)] and "wait" in status["stages"]
    assert sky.asked() == sky.stored() == [sky.name(age) for age in (3, 2, 1)]
    with xr.open_dataset(status["outputs"][0]["path"], decode_timedelta=True) as forecast:
        echo = forecast["reflectivity"].max("z").fillna(0.0).isel(lead_time=-1)
        east = float((echo.where(echo > 30.0, 0.0) * echo.x).sum() / echo.where(echo > 30.0, 0.0).sum())
    assert east > 0.0, "the storm is 6 km west of the radar at the start, and 6 km east of it ten minutes later"
    status = sky.desk.batch("--once-per", "5min")
    assert status["checked"] and sky.asked() == [], "nothing new has come"
    sky.add(0)
    assert sky.desk.batch("--once-per", "5min")["cycle"] == sky.cycle(0)
    assert sky.asked() == [sky.name(0)]


def test_only_the_newest_few_are_fetched_and_none_of_long_ago(sky: Sky) -> None:
    sky.configure(input={"max_age": "36500d"})
    sky.add(*range(FRAMES + SPARE_VOLUMES + 3), 1000)
    sky.desk.batch()
    assert sky.asked() == sorted(sky.name(age) for age in range(FRAMES + SPARE_VOLUMES))


def test_partial_volumes_count_where_the_job_allows(sky: Sky) -> None:
    sky.add(3, 2, 1)
    sky.add(0, content=sky.content(0, sweeps=2))
    status = sky.desk.batch()
    assert status["cycle"] == sky.cycle(1) and any("partial volume" in text for text in status["warnings"])
    sky.configure(input={"partial": True})
    assert sky.desk.batch()["cycle"] == sky.cycle(0)


def test_what_is_no_volume_is_asked_for_once(sky: Sky) -> None:
    sky.add(3, 2, 1)
    sky.add(0, content=b"\0" * 5000)
    status = sky.desk.batch()
    assert status["cycle"] == sky.cycle(1) and any(sky.name(0) in text for text in status["warnings"])
    sky.asked()
    sky.desk.batch()
    assert sky.asked() == []


def test_where_the_clock_was_put_back_what_is_here_tells_the_time(sky: Sky) -> None:
    sky.store.mkdir(parents=True)
    (sky.store / sky.name(-40)).write_bytes(sky.content(-40))
    sky.add(-41)
    assert fetch_newest(read_job(sky.desk.job_file)) == []
    assert sky.stored() == [sky.name(age) for age in (-40, -41)]


def test_an_outage_is_bridged_by_what_is_here(sky: Sky) -> None:
    sky.add(3, 2, 1)
    sky.desk.batch()
    sky.configure(NO_SERVER, limits={"deadline": 60})
    status = sky.desk.batch()
    assert status["state"] == "done" and status["cycle"] == sky.cycle(1)
    assert any("cannot list" in text and "no connection" in text for text in status["warnings"])
    sky.configure(NO_SERVER, limits={"deadline": 60}, input={"max_age": "1min"})
    status = sky.desk.batch(code=3)
    assert status["state"] == "stale" and "minutes old, more than 60 seconds; fetching failed" in status["reason"]


@pytest.mark.parametrize("why", ["no server", "no bucket", "no volume"])
def test_without_an_archive_and_a_store_the_run_says_why(sky: Sky, why: str) -> None:
    if why == "no server":
        sky.configure(NO_SERVER, limits={"deadline": 60})
    elif why == "no bucket":
        sky.bucket = "another-one"
        sky.configure()
    else:
        sky.add(1000)
    words = {"no server": "no connection", "no bucket": "NoSuchBucket", "no volume": "holds no volume of KTLX"}
    status = sky.desk.batch(code=3)
    assert status["state"] == "stale" and words[why] in status["reason"] and not sky.desk.cycles()


def test_a_server_that_hangs_is_given_up_in_time_and_the_transfer_goes_on_later(sky: Sky) -> None:
    sky.add(3, 2, 1, 0)
    sky.server.faults[sky.name(0)] = ["stall"] * 9
    sky.configure(limits={"deadline": 40, "shares": {"wait": 0.1, "inputs": 0.3}})
    status = sky.desk.batch()
    assert status["cycle"] == sky.cycle(1) and any("fetching failed" in text for text in status["warnings"])
    assert sky.name(0) not in sky.stored()
    sky.server.faults.clear()
    sky.configure()
    assert sky.desk.batch()["cycle"] == sky.cycle(0)
    assert sky.stored() == [sky.name(age) for age in (3, 2, 1, 0)]


def test_a_run_that_is_killed_while_it_fetches_takes_its_worker_along(sky: Sky) -> None:
    sky.add(3, 2, 1)
    sky.server.faults[sky.name(1)] = ["stall"] * 9
    run = sky.desk.start()
    until = time.monotonic() + PATIENCE_S
    while not list(sky.store.glob(f".{sky.name(1)}.*.part")):
        assert time.monotonic() < until, "it was not begun"
        time.sleep(0.02)
    run.kill()
    run.wait()
    sky.server.faults.clear()
    status = sky.desk.batch()
    assert (status["state"], status["cycle"], status["warnings"]) == ("done", sky.cycle(1), [])
    assert sky.stored() == [sky.name(age) for age in (3, 2, 1)]


def test_missed_cycles_are_fetched_and_made(sky: Sky) -> None:
    sky.add(9, 8)
    sky.configure(input={"max_age": "2h", "frames": 2})
    sky.desk.batch()
    sky.add(*range(8))
    sky.desk.batch("--catch-up")
    made = sorted(json.loads(p.read_text())["cycle"] for p in sky.desk.out.glob("KTLX/2*/manifest.json"))
    assert made == [sky.cycle(age) for age in range(8, -1, -1)]


def test_old_volumes_are_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "nexrad" / "KTLX"
    folder.mkdir(parents=True)
    (tmp_path / "nexrad" / "KINX").mkdir()
    old = [
        "KTLX20240506_000000_V06",
        ".KTLX20240506_000500_V06.0123abc.part",
        "../KINX/KINX20240505_120000_V06",
    ]
    kept = ["KTLX20240506_030000_V06", "KTLX20240506_020000_V06", "notes_20240101.txt", "KINX20240506_000000_V06"]
    for name in (*old, *kept, "../KINX20240101_000000_V06"):
        (folder / name).write_bytes(b"x")
    elsewhere = tmp_path / "KTLX20240101_000000_V06"
    elsewhere.write_bytes(b"somebody else's")
    (folder / elsewhere.name).symlink_to(elsewhere)
    newest = clean(tmp_path / "nexrad", 3600.0)
    assert newest["KTLX"] == np.datetime64("2024-05-06T03:00", "ns")
    assert {path.name for path in folder.iterdir()} == {*kept, elsewhere.name}
    assert not list((tmp_path / "nexrad" / "KINX").iterdir()) and elsewhere.exists()
    assert (tmp_path / "nexrad" / "KINX20240101_000000_V06").exists()


def test_a_check_names_the_radar_and_asks_nobody(sky: Sky) -> None:
    for options in (["--check"], ["--check", "--json"]):
        run = sky.desk.start(*options)
        assert run.wait() == 0 and f"KTLX in bucket {sky.bucket} at {sky.server.url}" in run.output.read_text()
    assert sky.server.asked == [] and not sky.desk.out.exists()
