"""Broken volumes dropped into the input, among good ones: the forecast comes, in time, or the refusal is clear."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from desk import Desk
from helpers import real_data
from radar_files import SITE

MANY = int(os.environ.get("NOWCAST_SOAK_MUTANTS", "500"))
LIMITS = {"memory": "3GB", "deadline": "1min"}


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes cut short, with bits flipped, with blocks swapped, blanked or doubled."""
    size = len(data)
    changed = bytearray(data)
    at, other = chance.randrange(size), chance.randrange(size)
    length = chance.choice([1, 16, 512, 8192])
    match chance.randrange(5):
        case 0:
            del changed[at:]
        case 1:
            for _ in range(chance.choice([1, 4, 32, 256])):
                # Half of them near the start, where the headers are.
                place = chance.randrange(min(size, 4096) if chance.random() < 0.5 else size)
                changed[place] ^= 1 << chance.randrange(8)
        case 2:
            first, second = changed[at : at + length], changed[other : other + length]
            changed[at : at + length], changed[other : other + length] = second, first
        case 3:
            changed[at : at + length] = bytes([chance.choice([0, 255])]) * length
        case 4:
            changed[at:at] = changed[other : other + length]
    return bytes(changed)


def drop_mutants(desk: Desk, volume: Path, count: int, batch: int, seed: int) -> None:
    """Runs of the desk, each with some mutants of a volume beside what is good."""
    chance = random.Random(seed)
    data = volume.read_bytes()
    plain = gzip.decompress(data) if volume.suffix == ".gz" else data
    for start in range(0, count, batch):
        names = []
        for number in range(start, min(start + batch, count)):
            packed = volume.suffix == ".gz" and chance.random() < 0.3
            name = desk.feed / f"{volume.name.removesuffix('.gz')}_{number}"
            name.write_bytes(mutated(data if packed else plain, chance))
            names.append(name)
        run = desk.start()
        code, told = run.wait(), run.output.read_text()
        assert code in (0, 5) and "Traceback" not in told, f"mutants {start} to {number}, code {code}:\n{told}"
        took = next(json.loads(line)["total"] for line in reversed(told.splitlines()) if '"total"' in line)
        assert took < 60, told
        for name in names:
            name.unlink()


def test_mutated_simulated_volumes(desk: Desk) -> None:
    desk.configure(limits=LIMITS)
    desk.deliver(0, 1, 2)
    drop_mutants(desk, desk.volumes[3], 16, 8, seed=4)


@pytest.mark.soak
def test_mutated_simulated_volumes_by_the_hundred(desk: Desk) -> None:
    desk.configure(limits=LIMITS)
    desk.deliver(0, 1, 2)
    drop_mutants(desk, desk.volumes[3], MANY, 10, seed=5)


@pytest.mark.soak
@pytest.mark.parametrize("which", ["odim", "nexrad legacy", "nexrad"])
def test_mutated_real_volumes_by_the_hundred(desk: Desk, which: str) -> None:
    site = {"lat": SITE.lat, "lon": SITE.lon, "alt": SITE.alt} if which == "odim" else {}
    desk.configure(limits=LIMITS, site=site, step_minutes=5)
    if which == "odim":
        *good, last = sorted(real_data("brisbane_20051127_odim").glob("*.h5"))[25:28]
    elif which == "nexrad legacy":
        *good, last = sorted(real_data("khtx_20080411_nexrad").glob("*.gz"))[2:5]
    else:
        last = real_data("single_volumes", "KLBB20160601_150025_V06")
        good = [last]
    for path in good:
        shutil.copy(path, desk.feed)
    drop_mutants(desk, last, MANY, 10, seed=6)


def bad_files() -> list[Path]:
    try:
        return sorted(real_data("bad_real").iterdir())
    except pytest.skip.Exception:
        return []


@pytest.mark.parametrize("bad", bad_files() or [None], ids=lambda path: "none" if path is None else path.name)
def test_bad_real_volumes(desk: Desk, bad: Path | None) -> None:
    """As the newest of a feed of another radar, and all alone."""
    if bad is None:
        pytest.skip("real radar data bad_real is not here")
    desk.configure(limits=LIMITS, step_minutes=5)
    shutil.copy(bad, desk.feed)
    alone = desk.start()
    code, told = alone.wait(), alone.output.read_text()
    assert code in (0, 3, 5) and "Traceback" not in told, told
    assert code != 3 or bad.name in told, "the refusal names the file"
    shutil.rmtree(desk.out)
    desk.deliver(0, 1, 2)
    assert desk.batch()["cycle"] == "2024-01-15T04:10:00Z"


def test_a_single_volume_after_a_gap_has_the_usual_step(desk: Desk) -> None:
    desk.deliver(0)
    desk.batch()
    manifest = json.loads((desk.out / desk.cycles()[0] / "manifest.json").read_text())
    np.testing.assert_allclose(manifest["lead_minutes"], [5, 10])
