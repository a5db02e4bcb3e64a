"""A process that has imported what the worker takes, and forks a run of ``nowcast`` for each line it reads.

Nothing is computed here, so that a fork is whole; a run differs from one of the command line in its start alone.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from typing import Any

import netCDF4  # noqa: F401 - imported for the forks
import xarray  # noqa: F401 - the same

import nowcast.operations.scores
import nowcast.operations.steps  # noqa: F401 - the same
from nowcast.cli import main


def run(call: dict[str, Any]) -> None:
    """In the fork: be ``nowcast ARGUMENTS``, in a process group of its own."""
    os.setsid()
    out = os.open(call["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    if call.get("limit_bytes") is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (call["limit_bytes"],) * 2)
    sys.argv = ["nowcast", *call["arguments"]]
    code = 1
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - shown, and told by the exit code
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


print("ready", flush=True)
for line in sys.stdin:
    call = json.loads(line)
    if "arguments" in call:
        pid = os.fork()
        if pid == 0:
            run(call)
        print(json.dumps(pid), flush=True)
    else:
        print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(call["wait"], 0)[1])), flush=True)
