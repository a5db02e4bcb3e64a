"""Finished windows of a fit on disk, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.io.answers import json_text
from nowcast.io.atomic import atomic_write_text
from nowcast.io.gaussians import read_windows, write_windows
from nowcast.pipeline.fit_plan import Plan
from nowcast.types import FittedWindow


class Parts:
    """Finished windows, kept beside the output until it is written; a run that ends without any leaves nothing."""

    def __init__(self, out: Path, fingerprint: str, files: dict[np.datetime64, list[Path]], resume: bool) -> None:
        self.files = files
        self.folder = out.with_name(f".{out.name}.parts")
        stamp = self.folder / "settings"
        known = stamp.read_text(encoding="utf-8") if stamp.is_file() else None
        if self.folder.exists() and (not resume or known != fingerprint):
            self.remove()
        atomic_write_text(stamp, fingerprint)

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *exception: object) -> None:
        if not any(self.folder.glob("*.json")):
            self.remove()

    def _paths(self, plan: Plan) -> tuple[Path, Path]:
        name = f"{plan.name}_{self._stamp(plan)}"
        return self.folder / f"{name}.nc", self.folder / f"{name}.json"

    def _stamp(self, plan: Plan) -> str:
        """Of the files that a window comes from: one that was replaced makes it another window."""
        stats = [(path.name, path.stat()) for time in plan.times for path in self.files[time]]
        text = json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def has(self, plan: Plan) -> bool:
        """Whether the window is finished: its record is written last."""
        return all(path.is_file() for path in self._paths(plan))

    def keep(self, plan: Plan, window: FittedWindow, record: dict[str, Any]) -> None:
        """Write a finished window."""
        gaussians, facts = self._paths(plan)
        write_windows([window], gaussians)
        atomic_write_text(facts, json_text(record))

    def window(self, plan: Plan) -> FittedWindow:
        """A finished window, from disk."""
        return read_windows(self._paths(plan)[0])[0]

    def record(self, plan: Plan) -> dict[str, Any]:
        """What was reported of it."""
        record: dict[str, Any] = json.loads(self._paths(plan)[1].read_text(encoding="utf-8"))
        return record

    def remove(self) -> None:
        """Forget all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)
