"""Completion in a shell: installed into a home of its own, and asked as bash asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
. ~/.bashrc
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _nowcast_completion nowcast; echo "${COMPREPLY[@]}"; }
complete -p nowcast
ask nowcast fore
ask nowcast forecast --memb
ask nowcast config ch
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="completion is tested in bash, which is not here")
def test_completion_can_be_installed_and_completes(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "nowcast"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom nowcast.__main__ import main\nmain()\n")
    program.chmod(0o755)
    environment = os.environ | {
        "HOME": str(tmp_path),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    def bash(script: str) -> list[str]:
        command = ["bash", "--norc", "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.splitlines()

    said = bash("nowcast --install-completion; true")
    assert said[0].startswith("bash completion installed in")
    complete, *found = bash(ASK)
    assert complete.endswith("nowcast") and found == ["forecast", "--members", "check"]
