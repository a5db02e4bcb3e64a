"""The demo says commands that do what it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from nowcast.errors import OutputError
from nowcast.pipeline.config import load_config
from nowcast.pipeline.demo import TRAINING, run_demo
from nowcast.pipeline.settings import Settings

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_the_settings_file_it_names_holds_its_settings() -> None:
    assert load_config(CONFIGS / "train-demo.yaml", Settings).train == TRAINING


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(OutputError, match="not an empty folder"):
        run_demo(tmp_path, seed=1, say=print, progress_bar=None)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
