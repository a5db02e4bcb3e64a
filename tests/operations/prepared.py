"""A process that has imported what the worker takes, and forks a run of ``nowcast`` for each line it reads.

Nothing is computed here, so that a fork is whole; a run differs from one of the command line in its start alone.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from typing import Any

import netCDF4  # noqa: F401 - imported for the forks
import xarray  # noqa: F401 - the same

import nowcast.operations.scores
import nowcast.operations.steps  # noqa: F401 - the same
from nowcast.cli import main


def run(call: dict[str, Any], out: int) -> None:
    """In the fork: be ``nowcast ARGUMENTS``, in a process group of its own."""
    os.setsid()
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
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


def output_of(call: dict[str, Any]) -> tuple[int, subprocess.Popen[bytes] | None]:
    """Where a run says what it says: a file, by way of a process without a limit where the run has one.

    The limit is meant for what the run writes, not for its log, which would end early.
    """
    file = os.open(call["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    if call.get("limit_bytes") is None:
        return file, None
    copy = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
    os.close(file)
    assert copy.stdin is not None
    end = os.dup(copy.stdin.fileno())
    copy.stdin.close()
    return end, copy


copies: dict[int, subprocess.Popen[bytes]] = {}
print("ready", flush=True)
for line in sys.stdin:
    call = json.loads(line)
    if "arguments" in call:
        out, copy = output_of(call)
        pid = os.fork()
        if pid == 0:
            run(call, out)
        os.close(out)
        if copy is not None:
            copies[pid] = copy
        print(json.dumps(pid), flush=True)
    else:
        code = os.waitstatus_to_exitcode(os.waitpid(call["wait"], 0)[1])
        if (copy := copies.pop(call["wait"], None)) is not None:
            copy.wait()
        print(json.dumps(code), flush=True)
