"""The table of what each part is worth: every line is another training, and a run goes on where it stopped."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from gaussian_cases import window

from nowcast.io.gaussians import write_windows
from nowcast.train import TrainConfig

_FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "ablation.py"
_SPEC = importlib.util.spec_from_file_location("ablation", _FILE)
ablation = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(ablation)


def test_every_line_changes_what_it_says_and_nothing_else_has_its_settings():
    configs = {name: change(TrainConfig()) for name, change in ablation.VARIANTS.items()}
    same = {name for name, config in configs.items() if config == TrainConfig()}
    assert same == {"as configured", "Morton order", "two pairs"}  # the defaults
    others = [config for name, config in configs.items() if name not in same]
    assert len(others) == len({repr(config) for config in others})


def test_the_paper_s_variant_has_no_grey_box():
    config = ablation.VARIANTS["the paper's variant"](TrainConfig())
    assert (config.model.motion_prior, config.model.changes_from) == (False, "first")
    assert (config.loss.csi, config.loss.area, config.loss.mae, config.loss.crps) == (0, 0, 0, 0)


def test_a_table_is_made_line_by_line(tmp_path, monkeypatch, capsys):
    write_windows([window(f"storm {k}", seed=k, n=12, future=2) for k in range(3)], tmp_path / "fits.nc")
    small = "train:\n  epochs: 1\n  model: {d_model: 16, d_state: 8, head_dim: 16, pairs: 1}\n"
    (tmp_path / "c.yaml").write_text(small)
    common = [str(tmp_path / "fits.nc"), "--config", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out")]
    ablation.main([*common, "--only", "the paper's variant", "no motion prior"])
    monkeypatch.setattr("nowcast.train.loop._Run.epoch", lambda *_: pytest.fail("a finished line was trained again"))
    ablation.main([*common, "--only", "no motion prior"])
    lines = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert list(lines) == ["the paper's variant", "persistence", "no motion prior"]
    assert lines["no motion prior"]["weights"] == lines["the paper's variant"]["weights"] > 0
    table = (tmp_path / "out" / "ablation.md").read_text().splitlines()
    assert [row.split(" | ")[0] for row in table[2:]] == ["| persistence", "| no motion prior", "| the paper's variant"]
    assert table[2].count("|") == table[0].count("|") == 9
