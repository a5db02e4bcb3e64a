"""Files of the job's own folder that are not what a run left there: the next run goes on and writes them anew."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from desk import Desk


@pytest.mark.parametrize("content", ["[1]", "{}", '[{"cycle": "2024-01-15T04:05:00Z", "lead_minutes": 5.0}]', "[{"])
def test_scores(desk: Desk, content: str) -> None:
    desk.deliver(0, 1)
    desk.batch()
    (desk.inside / "scores.json").write_text(content)
    desk.deliver(2)
    assert desk.batch()["scores"]["running"]["forecasts"] == [1]


def test_a_row_of_another_shape_is_not_pooled_with_the_others(desk: Desk) -> None:
    for number in (0, 1, 2, 3):
        desk.deliver(number)
        desk.batch()
    path = desk.inside / "scores.json"
    rows = json.loads(path.read_text())
    rows[0]["methods"]["forecast"]["counts"].pop()
    path.write_text(json.dumps(rows))
    desk.deliver(4)
    assert desk.batch()["scores"]["running"]["forecasts"] == [3, 3], "of four, and three of ten minutes"


@pytest.mark.parametrize(
    "content",
    [
        {"totals": {"done": "many"}},
        {"state": "running", "totals": [3]},
        {"newest_input": "yesterday", "last_success": {"cycle": "soon"}},
        {"scores": {"running": {"pooled_csi": {"forecast": 1}}}},
        {"outputs": ["forecast.nc"]},
    ],
)
def test_status(desk: Desk, content: object) -> None:
    desk.deliver(0, 1)
    desk.out.mkdir()
    (desk.out / "desk.status.json").write_text(json.dumps(content))
    told = subprocess.run(
        [sys.executable, "-m", "nowcast", "status", str(desk.job_file)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 3 and "cannot be read; the next run writes it anew" in told.stdout + told.stderr
    assert desk.batch()["totals"]["done"] == 1


def test_what_the_last_look_saw(desk: Desk) -> None:
    desk.deliver(0, 1)
    desk.batch("--once-per", "5min")
    seen = desk.inside / "seen.json"
    facts = json.loads(seen.read_text())
    seen.write_text(json.dumps({name: facts[name] for name in ("listing", "cycle")}))
    assert desk.batch("--once-per", "5min")["totals"]["done"] == 1
    assert json.loads(seen.read_text()) == facts


def test_a_folder_for_fetched_volumes_that_cannot_be_made_is_a_failed_run(desk: Desk) -> None:
    """Also where the run is to catch up, and would have fetched before its first cycle."""
    desk.deliver(0, 1)
    desk.batch()
    (desk.inside / "nexrad").write_text("a file")
    desk.configure(input={"path": "", "nexrad": {"site": "KTLX", "endpoint": "http://127.0.0.1:9"}})
    status = desk.batch("--catch-up", code=3)
    assert status["state"] == "failed" and "nexrad" in status["reason"]
