"""The citation is of this version."""

from __future__ import annotations

from pathlib import Path

import yaml

import nowcast


def test_the_citation_names_this_version() -> None:
    text = (Path(__file__).resolve().parents[2] / "CITATION.cff").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["version"] == nowcast.__version__
