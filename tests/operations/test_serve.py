"""The server of the newest cycle: what it shows, what it tells, and that nothing else can be had from it."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import browser as browsers
import numpy as np
import pytest
from desk import Desk
from helpers import moving_cells, small_grid
from typer.testing import CliRunner

from nowcast.cli import app
from nowcast.errors import InputError, OutputError
from nowcast.io.forecasts import write_forecast
from nowcast.io.volumes import write_volumes
from nowcast.operations.published import cycle_contents
from nowcast.operations.serve import Server, Viewer
from nowcast.types import Forecast, VolumeSequence
from nowcast.units import iso_utc

HOUR = 3600.0
NOT_THERE = (
    "/../secret",
    "/%2e%2e/secret",
    "/view/../../secret.json",
    "/view/..%2f..%2fsecret.json",
    "//etc/passwd",
    "/SITE",
    "/manifest.json",
    "/view/.json",
    "/secret",
    "/view/%00.json",
)


def publish(root: Path, age_min: float, *, site: str = "SITE", state: str = "done", reason: str | None = None) -> Path:
    """A cycle as `nowcast batch` leaves it: files, then the manifest."""
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(minutes=age_min)
    volumes = moving_cells(small_grid((4, 20, 24)), steps=5, step_s=300.0)
    times = np.datetime64(now, "ns") + (volumes.times - volumes.times[2])
    seen = VolumeSequence(volumes.values[:3], volumes.mask[:3], times[:3], volumes.grid)
    forecast = Forecast(times[2], times[3:] - times[2], volumes.reflectivity[None, 3:], volumes.grid, "gaumamba")
    folder = root / site / now.strftime("%Y%m%d") / now.strftime("%H%M%S")
    write_forecast(forecast, folder / "forecast.nc")
    write_volumes(seen, folder / "forecast.observed.nc")
    names = ("forecast.nc", "forecast.products.nc", "forecast.observed.nc")
    outputs = [{"path": name, "size": 1, "sha256": ""} for name in names]
    facts = {"cycle": iso_utc(times[2]), "job": site, "site": site, "state": state, "reason": reason}
    facts |= {"folder": str(folder.relative_to(root)), "run": "1", "input_files": []}
    told = facts | {"method": "gaumamba", "published": f"{datetime.now(UTC)}", "outputs": outputs}
    (folder / "manifest.json").write_text(json.dumps(told))
    return folder


@contextmanager
def serving(root: Path, max_age_s: float = HOUR, host: str = "127.0.0.1") -> Iterator[Server]:
    with Server(Viewer(root, max_age_s), host, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    host, port = server.server_address[:2]
    connection = http.client.HTTPConnection(str(host), port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def answers(server: Server, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with suppress(OSError):
            return ask(server, "/newest")[0] == 200
        time.sleep(0.01)
    return False


def newest(server: Server) -> list[dict[str, str]]:
    server.viewer._look_again = 0.0
    status, body = ask(server, "/newest")
    assert status == 200
    series: list[dict[str, str]] = json.loads(body)["series"]
    return series


def listing(root: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in root.rglob("*"))


def test_the_newest_cycle_is_shown_and_nothing_is_written(tmp_path: Path) -> None:
    publish(tmp_path, 15)
    publish(tmp_path, 5)
    (tmp_path / "SITE" / "latest").symlink_to(next((tmp_path / "SITE").rglob("manifest.json")).parent)
    before = listing(tmp_path)
    with serving(tmp_path) as server:
        (one,) = newest(server)
        assert one["level"] == "good" and "5 minutes old" in one["text"]
        status, body = ask(server, f"/view/{quote(one['id'])}.json")
        assert status == 200
        view = json.loads(body)
        assert view["leads"] == [-10, -5, 0, 5, 10] and set(view["sources"]) == {"observed", "forecast"}
        status, page = ask(server, "/")
        assert status == 200 and b">null</script>" in page
        assert ask(server, "/", "HEAD") == (200, b"")
    assert listing(tmp_path) == before


def test_it_goes_on_to_the_next_cycle_when_its_manifest_is_there(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert newest(server) == []
        publish(tmp_path, 15)
        (first,) = newest(server)
        later = publish(tmp_path, 5)
        manifest = (later / "manifest.json").read_bytes()
        (later / "manifest.json").unlink()
        assert newest(server) == [first | {"text": newest(server)[0]["text"]}]
        (later / "manifest.json").write_bytes(manifest)
        (second,) = newest(server)
        assert second["cycle"] > first["cycle"]
        assert ask(server, f"/view/{quote(first['id'])}.json")[0] == 404
        shutil.rmtree(later)
        assert newest(server)[0]["id"] == first["id"]


def test_a_fallback_and_a_stale_cycle_are_told(tmp_path: Path) -> None:
    publish(tmp_path, 5, site="A", state="fallback", reason="out of time")
    publish(tmp_path, 300, site="B")
    publish(tmp_path, 5, site="C")
    (tmp_path / "C.status.json").write_text(json.dumps({"state": "failed", "reason": "no room"}))
    with serving(tmp_path) as server:
        fallback, stale, failed = newest(server)
    assert (fallback["name"], fallback["level"]) == ("A", "warn") and "fallback: out of time" in fallback["text"]
    assert stale["level"] == "bad" and "Stale" in stale["text"] and "5 hours old" in stale["text"]
    assert failed["level"] == "bad" and "failed, no room" in failed["text"]


def test_a_failed_run_is_told_in_a_part_of_the_output_too(tmp_path: Path) -> None:
    folder = publish(tmp_path, 5)
    (tmp_path / "SITE" / "latest").symlink_to(folder)
    (tmp_path / "SITE.status.json").write_text(json.dumps({"state": "failed", "reason": "no room"}))
    for part in (tmp_path / "SITE", folder.parent, tmp_path / "SITE" / "latest"):
        (one,) = Viewer(part, HOUR).newest()["series"]
        assert one["level"] == "bad" and "failed, no room" in one["text"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:9000", "127.8.0.1"])
def test_this_machine_may_be_asked_for_by_any_of_its_own_names(host: str, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert ask(server, "/newest", Host=host)[0] == 200


@pytest.mark.parametrize("host", ["rebound.example.org", "localhost.example.org:8000", "192.168.1.9", "", "[::1"])
def test_a_page_from_elsewhere_cannot_read_it_by_a_name_that_leads_here(host: str, tmp_path: Path) -> None:
    publish(tmp_path, 5)
    with serving(tmp_path) as server:
        for path in ("/", "/newest"):
            status, body = ask(server, path, Host=host)
            assert status == 421 and b"SITE" not in body and b"http://localhost" in body


def test_who_listens_for_all_answers_to_any_name(tmp_path: Path) -> None:
    with serving(tmp_path, host="0.0.0.0") as server:
        assert ask(server, "/newest", Host="radar.example.org")[0] == 200


def test_more_clients_than_it_can_serve_are_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nowcast.operations.serve.MOST_CLIENTS", 2)
    with serving(tmp_path) as server:
        port = server.server_address[1]
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        with pytest.raises(OSError):
            ask(server, "/newest")
        for connection in idle:
            connection.close()
        assert answers(server, within_s=20.0)


@pytest.mark.parametrize("path", NOT_THERE)
def test_no_file_can_be_had(path: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    publish(root, 5)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret.json").write_text('"secret"')
    with serving(root) as server:
        status, body = ask(server, path)
    assert status == 404 and b"secret" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_but_reading(method: str, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert ask(server, "/", method)[0] == 501


def test_a_damaged_cycle_is_told_and_the_server_goes_on(tmp_path: Path) -> None:
    folder = publish(tmp_path, 5)
    (folder / "forecast.nc").write_bytes(b"no data")
    other = tmp_path / "SITE" / "broken"
    other.mkdir()
    (other / "manifest.json").write_text("{")
    whole = json.loads((folder / "manifest.json").read_text())
    for number, wrong in enumerate([{"cycle": "yesterday"}, {"cycle": 5}, {"cycle": "0001-01-01"}, {"outputs": [{}]}]):
        (tmp_path / "SITE" / f"wrong{number}").mkdir()
        (tmp_path / "SITE" / f"wrong{number}" / "manifest.json").write_text(json.dumps(whole | wrong))
    with serving(tmp_path) as server:
        (one,) = newest(server)
        status, body = ask(server, f"/view/{quote(one['id'])}.json")
        assert status == 503 and b"forecast.nc" in body
        assert ask(server, "/")[0] == 200


def test_where_it_cannot_listen_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        Viewer(tmp_path / "none", HOUR)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OutputError, match="choose another --port"):
            Server(Viewer(tmp_path, HOUR), "127.0.0.1", taken.getsockname()[1])


def test_the_command_prints_its_address_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nowcast", "serve", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline()
        process.terminate()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\n", address)


def test_a_job_publishes_what_its_forecast_started_from(desk: Desk, tmp_path: Path) -> None:
    desk.deliver(0, 1, 2)
    desk.batch()
    (cycle,) = desk.cycles()
    contents = cycle_contents(desk.out / cycle)
    assert contents.leads == [-10, -5, 0, 5, 10]
    assert np.isfinite(contents.sources["observed"].volumes).any()
    done = CliRunner().invoke(app, ["view", str(desk.out / cycle), "--frames", "2", "-o", str(tmp_path / "page.html")])
    assert done.exit_code == 2 and "leave out --frames" in done.stderr
    with serving(desk.out, 1e12) as server:
        (one,) = newest(server)
    assert one["name"] == "SIMR (desk)"


def test_the_page_follows_in_a_browser(tmp_path: Path) -> None:
    with browsers.chromium() as browser, serving(tmp_path) as server:
        publish(tmp_path, 15, state="fallback", reason="<b>out of time</b>")
        visit = browsers.Visit(browser, server.address)
        assert "fallback: <b>out of time</b>" in visit.page.inner_text("#state")
        first = visit.said("cycle")
        visit.page.keyboard.press("End")
        visit.shot("serve")
        publish(tmp_path, 5)
        visit.page.wait_for_selector(f"body[data-cycle]:not([data-cycle='{first}'])", timeout=15_000)
        assert visit.said("frame") == "4"
        assert visit.complaints == []
        assert all(url.startswith(server.address) for url in visit.fetched)
