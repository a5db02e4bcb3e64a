"""The Python example in data/README.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np


def test_the_readme_example_runs() -> None:
    text = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    exec(code.replace("np.arange(12)", "np.arange(2)"), names)
    assert np.asarray(names["dbz"]).shape == (100,)
    assert len(names["as_seen"]) == 2  # type: ignore[arg-type]
