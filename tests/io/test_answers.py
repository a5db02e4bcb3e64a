"""Answers are JSON that every reader takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nowcast.io.answers import json_text


def test_what_json_has_no_word_for() -> None:
    answer = {
        "time": np.datetime64("2020-01-01T00:30:05.9", "ns"),
        "times": np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]"),
        "scores": [np.float32(0.5), float("nan"), np.float64("inf"), -float("inf")],
        "counts": np.array([[1, 2], [3, 4]]),
        "path": Path("a/b.nc"),
        "mixed": (True, None, "text", np.int64(7), np.array(2.5)),
        35.0: np.bool_(False),
    }
    assert json.loads(json_text(answer)) == {
        "time": "2020-01-01T00:30:05Z",
        "times": ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"],
        "scores": [0.5, None, None, None],
        "counts": [[1, 2], [3, 4]],
        "path": "a/b.nc",
        "mixed": [True, None, "text", 7, 2.5],
        "35.0": False,
    }
