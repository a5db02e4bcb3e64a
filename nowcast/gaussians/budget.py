"""How many Gaussians a volume gets: a fixed number, or as many as its content takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nowcast.gaussians.config import FitConfig

FEWEST = 64
"""Where a PSNR is asked for, a fit begins with so many."""
DB_A_DOUBLING = 6.0
"""About so much PSNR twice as many Gaussians are worth, dB."""
MARGIN_DB = 1.0
"""About so much it costs, dB, that the Gaussians are then held to those of the volume before."""
MOST_ROUNDS = 40


@dataclass(frozen=True)
class Budget:
    """The number of Gaussians, round by round of seeding."""

    config: FitConfig

    @property
    def by_content(self) -> bool:
        """Whether the number follows the content."""
        return self.config.psnr_db is not None

    def first(self, count: int) -> int:
        """How many to begin with on the way to at most ``count``."""
        first = max(1, round(self.config.first_share * count))
        return min(first, FEWEST) if self.by_content else first

    def rounds(self, count: int) -> range:
        """The rounds of seeding, counted down; ``count`` where the number of Gaussians is fixed."""
        return range(MOST_ROUNDS if self.by_content else count, 0, -1)

    def steps(self, count: int) -> int:
        """Optimiser steps in a round; more where the PSNR has to settle before it tells what is missing."""
        return 2 * count if self.by_content else count

    def room(self, have: int, count: int, rounds: int, psnr_db: float) -> int:
        """How many to add now: to be ``count`` after so many rounds, or to reach the PSNR with no more than that."""
        if self.config.psnr_db is None:
            return -((have - count) // rounds)
        missing_db = self.config.psnr_db + MARGIN_DB - psnr_db
        if not missing_db > 0:  # nor where nothing was observed
            return 0
        times = min(2.0 ** (missing_db / DB_A_DOUBLING), 2.0)
        return min(math.ceil(max(have, FEWEST) * (times - 1.0)), count - have)

    def in_all(self, newest: int) -> int:
        """How many all volumes may have together, given those of the newest."""
        if not self.by_content:
            return self.config.gaussians
        reserved = math.ceil(newest / (1.0 - min(self.config.reserve, 0.9)))
        return min(max(reserved, newest + FEWEST), self.config.gaussians)

    def idle(self, have: int) -> int:
        """How many idle ones complete the number."""
        return 0 if self.by_content else self.config.gaussians - have
