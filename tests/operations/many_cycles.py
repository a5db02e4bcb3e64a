"""Runs a job in one process, a volume a cycle, and prints what it holds after each: ``JOB VOLUMES COUNT``."""

from __future__ import annotations

import json
import resource
import shutil
import sys
from pathlib import Path

import netCDF4  # noqa: F401 - imported for the workers
import xarray  # noqa: F401 - the same

import nowcast.operations.scores
import nowcast.operations.steps  # noqa: F401 - the same
from nowcast.operations.cycle import run_batch

job, volumes, count = Path(sys.argv[1]), sorted(Path(sys.argv[2]).glob("*.nc")), int(sys.argv[3])
for number in range(count):
    shutil.copy(volumes[number], job.parent / "feed")
    outcome = run_batch(job, once_per=60)[-1]
    resident = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    told = {
        "state": outcome.state,
        "cycle": outcome.facts["cycle"],
        "resident_kb": int(resident.split()[1]),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "worker_kb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
        "kept": sum(path.is_file() for path in (job.parent / "out").rglob("*")),
    }
    print(json.dumps(told), flush=True)
