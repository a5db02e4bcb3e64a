"""What ``nowcast fit`` tells of what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nowcast.channels import CHANNELS
from nowcast.errors import PartialFailure


@dataclass(frozen=True)
class FitReport:
    """What was fitted.

    ``sequences`` holds one record per window: times, inputs (how many of them were fitted together), gaussians, event,
    psnr_db and mae_dbz per volume, csi by threshold and volume, seconds, bytes, dense_bytes, volume_bytes and
    equal_error_bytes per volume, coherence_voxels, and the picture where one was asked for; with several channels
    ``rmse`` of the others by name and volume. ``resumed`` counts the windows that an interrupted run had finished,
    ``unused`` the volumes that are in no window. ``failures`` tells the windows that
    could not be fitted, and why. ``skipped`` gives the reason for each volume that was left out, by file or, for failed
    scans, time; ``dropped`` is by how many fewer windows there are for want of volumes that could not be used, as far
    as their times are known.
    """

    output: Path
    sequences: tuple[dict[str, Any], ...]
    failures: tuple[dict[str, Any], ...]
    seconds: float = 0.0
    resumed: int = 0
    unused: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    dropped: int = 0

    def answer(self) -> dict[str, Any]:
        """The command's JSON answer."""
        return {
            "output": str(self.output),
            "sequences": list(self.sequences),
            "failures": list(self.failures),
            "skipped": [{"volume": volume, "reason": reason} for volume, reason in self.skipped.items()],
            "dropped": self.dropped,
            "resumed": self.resumed,
            "unused": self.unused,
            "seconds": round(self.seconds, 3),
        }

    @property
    def pictures(self) -> list[str]:
        """Paths of the pictures, oldest window first."""
        return [record["picture"] for record in self.sequences if "picture" in record]

    def table(self) -> str:
        """The same for people, a line per window, with the errors of its newest input."""
        heads = f"{'newest volume (UTC)':21}{'volumes':>8}{'Gaussians':>11}{'PSNR dB':>9}{'MAE dBZ':>9}{'CSI 35':>8}"
        lines = [f"{heads}{'coherence':>11}{'kB':>7}{'dense kB':>10}{'s':>7}"]
        for record in self.sequences:
            lines += _lines(record)
        lines += [f"failed: {failure['window']}: {failure['reason']}" for failure in self.failures]
        if self.skipped:
            fewer = f"; windows fewer for it: {self.dropped}" if self.dropped else ""
            lines.append(f"volumes skipped: {len(self.skipped)}{fewer}")
        if self.unused:
            lines.append(f"volumes in no window: {self.unused}")
        if self.resumed:
            lines.append(f"windows taken over from an interrupted run: {self.resumed}")
        return "\n".join(lines)

    def raise_failures(self) -> None:
        """Raise PartialFailure (exit code 4) where a window failed."""
        if self.failures:
            first = self.failures[0]
            raise PartialFailure(
                f"{len(self.failures)} of {len(self.failures) + len(self.sequences)} windows could not be fitted, "
                f"the first ({first['window']}) because: {first['reason']}"
            )


def _lines(record: dict[str, Any]) -> list[str]:
    """A window's newest input; below it the errors of the channels besides reflectivity."""
    inputs = record["inputs"]
    newest, future = inputs - 1, len(record["times"]) - inputs
    psnr, mae, dense = (record[name][newest] for name in ("psnr_db", "mae_dbz", "equal_error_bytes"))
    dry = psnr is None and mae is not None  # nothing to draw, and nothing drawn
    cells = [
        f"{record['times'][newest]:21}{f'{inputs}+{future}' if future else inputs:>8}{record['gaussians']:11d}",
        f"{'no echo':>9}" if dry else _cell(psnr, 9, 1),
        _cell(mae, 9, 2),
        _cell(record["csi"]["35"][newest], 8, 2),
        _cell(record["coherence_voxels"], 11, 2),
        _cell(record["volume_bytes"][newest] / 1e3, 7, 1),
        _cell(None if dense is None else dense / 1e3, 10, 1),
        _cell(record["seconds"], 7, 1),
    ]
    others = [(CHANNELS[name], errors[newest]) for name, errors in record.get("rmse", {}).items()]
    told = [f"{c.name} {e:.2g}{'' if c.unit == '1' else f' {c.unit}'}" for c, e in others if e is not None]
    return ["".join(cells), *([f"  RMSE: {', '.join(told)}"] if told else [])]


def _cell(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"
