"""A desk for each test, one feed and one prepared process for all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import desk as desks


@pytest.fixture(scope="session")
def prepared() -> Iterator[desks.Prepared]:
    with desks.prepared() as process:
        yield process


@pytest.fixture(scope="session")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight volumes, five minutes apart from 04:00 on."""
    return desks.simulate_feed(tmp_path_factory.mktemp("simulated"))


@pytest.fixture
def desk(tmp_path: Path, volumes: list[Path], prepared: desks.Prepared) -> desks.Desk:
    return desks.Desk(tmp_path / "desk", volumes, prepared)
