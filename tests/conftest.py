"""Fixtures of all tests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A command sends log records to its stderr: the next test is not to write there."""
    logger = logging.getLogger("nowcast")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads of the kernels, and puts it back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
