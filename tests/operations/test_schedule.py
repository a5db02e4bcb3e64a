"""The crontab line and the systemd units, held against the real programs where they are present."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from desk import Desk

from nowcast.operations.job import read_job
from nowcast.operations.schedule import cron_line, systemd_units


def printed(desk: Desk, *options: str) -> str:
    command = [sys.executable, "-m", "nowcast", "batch", str(desk.job_file), "--once-per", "5min", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_crontab_line_is_one_line_that_a_shell_and_cron_take(desk: Desk) -> None:
    odd = desk.folder / "50% of it"
    odd.mkdir()
    job_file = shutil.copy(desk.job_file, odd / "job.yaml")
    line = cron_line(read_job(job_file), Path(job_file), ["--once-per", "5min"])
    assert "\n" not in line and line.startswith("* * * * * ") and r"50\% of it/job.yaml" in line
    assert printed(desk, "--print-cron").startswith(f"* * * * * {sys.executable} -m nowcast batch {desk.job_file} ")
    both = printed(desk, "--catch-up", "--print-cron", "--print-systemd")
    assert both.startswith("* * * * * ") and "--once-per 5min --catch-up >" in both and "[Service]" in both
    assert "TimeoutStartSec=infinity" in both and "TimeoutStartSec=300" in printed(desk, "--print-systemd")
    assert "PrivateTmp" not in both, "the job lies in what a private /tmp would hide"
    assert not desk.out.exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_takes_the_units(desk: Desk) -> None:
    desk.configure(metrics="/var/lib/prometheus/nowcast.prom", output={"root": "the desk's $out put"})
    odd = desk.folder / "o'neil's $jobs"
    odd.mkdir()
    job_file = Path(shutil.copy(desk.job_file, odd))
    units = systemd_units(read_job(job_file), job_file, ["--once-per", "5min"])
    assert f"{odd}/the desk's $out put" in units["nowcast-desk.service"], (
        "in a path a dollar sign is none of a variable"
    )
    assert "$$jobs/job.yaml" in units["nowcast-desk.service"]
    assert list(units) == ["nowcast-desk.service", "nowcast-desk.timer"]
    for name, text in units.items():
        (desk.folder / name).write_text(text)
    command = ["systemd-analyze", "verify", *(str(desk.folder / name) for name in units)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "nowcast-desk" not in done.stderr, done.stderr
    shown = printed(desk, "--print-systemd")
    assert all(f"# /etc/systemd/system/{name}\n" in shown for name in units) and "ProtectSystem=strict" in shown


CRON = os.environ.get("NOWCAST_CRON") or shutil.which("cron")
NAMESPACE = """
mount --make-rprivate / && mount -t tmpfs none /run && mount -t tmpfs none /var/spool || exit 77
mkdir -p /var/spool/cron/crontabs && cp "$1" /var/spool/cron/crontabs/root && chmod 600 /var/spool/cron/crontabs/root
exec "$2" -f
"""


@pytest.mark.soak
@pytest.mark.skipif(CRON is None or os.geteuid() != 0, reason="takes Debian's cron (or $NOWCAST_CRON) and root")
def test_a_real_cron_runs_three_cycles(desk: Desk) -> None:
    """Debian's cron with a spool of its own, in a mount namespace: nothing of the machine's is touched."""
    desk.deliver(0, 1, 2)
    tab = desk.folder / "crontab"
    # An empty value in quotes: cron refuses a table with an empty one.
    tab.write_text(f'PYTHONPATH="{os.environ.get("PYTHONPATH", "")}"\n{printed(desk, "--print-cron")}')
    cron = subprocess.Popen(["unshare", "--mount", "sh", "-c", NAMESPACE, "sh", str(tab), str(CRON)])
    try:
        for number in (2, 3, 4):
            for _ in range(150):
                if len(desk.cycles()) == number - 1 or cron.poll() is not None:
                    break
                time.sleep(1)
            if cron.poll() == 77:
                pytest.skip("no mount namespaces here")
            assert len(desk.cycles()) == number - 1
            desk.deliver(number + 1)
    finally:
        cron.kill()
        cron.wait()
    assert desk.cycles() == [f"SIMR/20240115_04{minute}" for minute in (10, 15, 20)]
