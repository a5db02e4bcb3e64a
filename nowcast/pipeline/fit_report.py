"""What ``nowcast fit`` tells of what it did."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast.errors import PartialFailure


@dataclass(frozen=True)
class FitReport:
    """What was fitted.

    ``sequences`` holds one record per window: times, gaussians, event, psnr_db and mae_dbz per volume, csi, seconds,
    bytes, dense_bytes, volume_bytes and equal_error_bytes per volume, coherence_voxels, and the picture where one was
    asked for; with several channels ``rmse`` of the others by name and volume. ``failures`` tells the windows that
    could not be fitted, and why.
    """

    output: Path
    sequences: tuple[dict[str, Any], ...]
    failures: tuple[dict[str, Any], ...]
    seconds: float
    resumed: int = 0

    def answer(self) -> dict[str, Any]:
        """The command's JSON answer."""
        return {
            "output": str(self.output),
            "sequences": list(self.sequences),
            "failures": list(self.failures),
            "resumed": self.resumed,
            "seconds": round(self.seconds, 3),
        }

    @property
    def pictures(self) -> list[str]:
        """Paths of the pictures, oldest window first."""
        return [record["picture"] for record in self.sequences if "picture" in record]

    def table(self) -> str:
        """The same for people, a line per window."""
        heads = f"{'newest volume (UTC)':21}{'volumes':>8}{'PSNR dB':>9}{'MAE dBZ':>9}{'CSI 35':>8}"
        lines = [f"{heads}{'coherence':>11}{'kB':>7}{'dense kB':>10}{'s':>7}"]
        for record in self.sequences:
            shown = [record["psnr_db"][-1], record["mae_dbz"][-1], record["csi"]["35"], record["coherence_voxels"]]
            sizes = [record["volume_bytes"][-1], record["equal_error_bytes"][-1]]
            psnr, mae, csi, coherence, *size = (math.nan if value is None else value for value in (*shown, *sizes))
            fit = f"{record['times'][-1]:21}{len(record['times']):8d}{psnr:9.1f}{mae:9.2f}{csi:8.2f}{coherence:11.2f}"
            lines.append(f"{fit}{size[0] / 1e3:7.1f}{size[1] / 1e3:10.1f}{record['seconds']:7.1f}")
        lines += [f"failed: {failure['window']}: {failure['reason']}" for failure in self.failures]
        return "\n".join(lines)

    def raise_failures(self) -> None:
        """Raise PartialFailure (exit code 4) where a window failed."""
        if self.failures:
            first = self.failures[0]
            raise PartialFailure(
                f"{len(self.failures)} of {len(self.failures) + len(self.sequences)} windows could not be fitted, "
                f"the first ({first['window']}) because: {first['reason']}"
            )
