"""The settings classes refuse what makes no sense, all in the same way."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass

import pytest

from nowcast.errors import ConfigError
from nowcast.gaussians import FitConfig
from nowcast.models import ModelConfig
from nowcast.motion import MotionConfig
from nowcast.radar.gridding import GridConfig
from nowcast.radar.quality import QualityConfig
from nowcast.train import LossConfig, TrainConfig
from nowcast.verify import TallyConfig

CLASSES = [GridConfig, QualityConfig, MotionConfig, FitConfig, TallyConfig, TrainConfig, LossConfig, ModelConfig]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_setting_takes_what_is_no_number(cls: type, bad: float) -> None:
    default = cls()
    for field in fields(cls):
        value = getattr(default, field.name)
        if is_dataclass(value):
            continue
        with pytest.raises(ConfigError, match=field.name):
            cls(**{field.name: (bad, *value[1:]) if isinstance(value, tuple) else bad})


@pytest.mark.parametrize(
    ("cls", "bad"),
    [
        (MotionConfig, {"cell_m": 0.0}),
        (MotionConfig, {"smoothing_m": (1e3,)}),
        (MotionConfig, {"ceiling_dbz": 0.0}),
        (QualityConfig, {"rhohv_min": 80.0}),
        (QualityConfig, {"far_m": 0.0}),
        (TallyConfig, {"thresholds_dbz": ()}),
        (TallyConfig, {"scales_m": (0.0,)}),
    ],
)
def test_settings_out_of_bounds_are_refused(cls: type, bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        cls(**bad)
