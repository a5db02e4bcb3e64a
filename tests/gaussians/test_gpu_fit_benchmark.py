"""The benchmark of the fit at the paper's size runs, made small, on a CPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_it_runs_and_tells_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, "path", [*sys.path])
    import gpu_fit

    arguments = ("--scale", "0.04", "--channels", "3", "--steps", "8", "--device", "cpu", "--out", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["gpu_fit.py", *arguments])
    gpu_fit.main()
    told = json.loads((tmp_path / "gpu_fit.json").read_text())
    assert told["shape"] == [5, 4, 20, 20, 3] and told["gaussians"] == 8 and told["machine"]["versions"]["torch"]
    fit, published = told["fit"], told["published"]
    assert len(fit["psnr_db"]) == 5 and min(fit["psnr_db"]) > 20 and set(fit["rmse"]) == {"zdr", "kdp"}
    assert published["curve"][-1][0] == 8 and 10 < published["curve"][-1][2] < max(fit["psnr_db"])
    assert "PSNR" in capsys.readouterr().out
    assert gpu_fit.sizes(1.0) == ((36, 512, 512), 49_152)
