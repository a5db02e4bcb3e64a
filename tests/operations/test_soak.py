"""Cycles by the hundred: nothing grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from desk import Desk, simulate_feed


def run_many(desk: Desk, count: int) -> list[dict[str, object]]:
    """What a process holds after each of so many cycles; retention is on, and old volumes stay in the feed."""
    desk.configure(retention={"age": "1h"}, scores={"window": "2h"})
    simulate_feed(desk.folder / "all", volumes=count)
    command = [sys.executable, str(Path(__file__).with_name("many_cycles.py")), str(desk.job_file)]
    done = subprocess.run(
        [*command, str(desk.folder / "all"), str(count)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.soak
def test_three_hundred_cycles(desk: Desk) -> None:
    count = int(os.environ.get("NOWCAST_SOAK_CYCLES", "300"))
    held = run_many(desk, count)
    assert [told["state"] for told in held] == ["done"] * count and len({told["cycle"] for told in held}) == count
    early, late = held[count // 4 : count // 2], held[-count // 4 :]
    for what, growth in (("resident_kb", 1.02), ("files", 1.0), ("worker_kb", 1.1), ("kept", 1.0)):
        before, after = (max(float(str(told[what])) for told in some) for some in (early, late))
        assert after <= growth * before, f"{what}: {before} and {after}"
    print(held[0], held[-1])
