"""What cron and systemd are told to run a job by; ``docs/operations.md`` explains each line."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from nowcast.operations.job import Job

SPARE_S = 60


def cron_line(job: Job, job_file: Path, options: Sequence[str]) -> str:
    """A line for a crontab: every minute, because a run that finds nothing new is over at once."""
    command = shlex.join(_command(job_file, options))
    # cron mails what it reads: with a log file only what is unforeseen remains to be mailed.
    log = "" if job.log.file is not None else f" 2>>{shlex.quote(str(job_file.absolute().with_suffix('.log')))}"
    # A per cent sign ends the command in a crontab.
    return f"* * * * * {command} >/dev/null{log}".replace("%", r"\%")


def systemd_units(job: Job, job_file: Path, options: Sequence[str]) -> dict[str, str]:
    """A service and a timer by file name; ``options`` are those of ``nowcast batch``."""
    name = f"nowcast-{job.name}"
    # Of a run that catches up each cycle has a deadline of its own, and there may be many.
    longest = "infinity" if "--catch-up" in options else round(job.limits.deadline) + SPARE_S
    memory = [] if job.limits.memory is None else [f"MemoryMax={int(1.5 * job.limits.memory)}"]
    service = [
        "[Unit]",
        f"Description=Radar nowcast {job.name}",
        f"ConditionPathExists={_plain(job_file.absolute())}",
        "",
        "[Service]",
        "Type=oneshot",
        # In a command a dollar sign is that of a variable, in a path it is none.
        f"ExecStart={' '.join(_quoted(part).replace('$', '$$') for part in _command(job_file, options))}",
        f"TimeoutStartSec={longest}",
        "# 5: a fallback was published, which is no failure of the service; 3: no input.",
        "SuccessExitStatus=5",
        "User=nowcast",
        "Nice=5",
        f"StateDirectory=nowcast/{job.name}",
        f"Environment=HOME=%S/nowcast/{job.name} NUMBA_CACHE_DIR=%S/nowcast/{job.name}/numba",
        f"Environment=MPLCONFIGDIR=%S/nowcast/{job.name}/matplotlib PYART_QUIET=1",
        f"ReadWritePaths={' '.join(_quoted(f'-{path}') for path in _written(job))}",
        *memory,
        "ProtectSystem=strict",
        "ProtectHome=read-only",
        *([] if _uses_tmp(job, job_file) else ["PrivateTmp=yes"]),
        "PrivateDevices=yes",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "UMask=0022",
        "",
    ]
    timer = [
        "[Unit]",
        f"Description=Radar nowcast {job.name}, every minute",
        "",
        "[Timer]",
        "OnCalendar=*-*-* *:*:00",
        "AccuracySec=1s",
        "",
        "[Install]",
        "WantedBy=timers.target",
        "",
    ]
    return {f"{name}.service": "\n".join(service), f"{name}.timer": "\n".join(timer)}


def _command(job_file: Path, options: Sequence[str]) -> list[str]:
    """The program by its whole path: neither cron nor systemd has a login's."""
    program = Path(sys.argv[0]).absolute()
    start = (
        [str(program)] if os.access(program, os.X_OK) and program.suffix != ".py" else [sys.executable, "-m", "nowcast"]
    )
    return [*start, "batch", str(job_file.absolute()), *options]


def _written(job: Job) -> list[Path]:
    """The folders that a run writes into."""
    files = (job.status_file, job.metrics, job.log.file)
    folders = [job.output.root, *(file.parent for file in files if file is not None)]
    return [
        folder
        for folder in dict.fromkeys(folders)
        if folder == job.output.root or job.output.root not in folder.parents
    ]


def _uses_tmp(job: Job, job_file: Path) -> bool:
    """Whether the job lies in part where a private /tmp would hide it."""
    paths = [job_file.absolute(), Path(job.input.path), *_written(job)]
    return any(path.is_relative_to(tmp) for path in paths for tmp in ("/tmp", "/var/tmp"))


def _plain(path: Path) -> str:
    return str(path).replace("%", "%%")


def _quoted(text: object) -> str:
    """An argument of a unit file."""
    plain = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"' if any(c.isspace() or c in "\"'" for c in plain) else plain
