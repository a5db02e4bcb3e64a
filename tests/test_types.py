"""Parts of sets and sequences of Gaussians."""

from __future__ import annotations

import numpy as np
import torch
from gaussian_cases import drifting


def test_taken_rows_stay_together() -> None:
    sequence, rows = drifting(8), torch.tensor([5, 0])
    part = sequence.take(rows)
    assert part.ids.tolist() == [105, 100] and len(part) == len(sequence)
    for t in range(len(sequence)):
        for name in ("means", "log_scales", "quats", "intensities"):
            assert torch.equal(getattr(part.at(t), name), getattr(sequence.at(t).take(rows), name))
            assert torch.equal(getattr(part.at(t), name)[0], getattr(sequence.at(t), name)[5])
    assert torch.equal(part.velocities, sequence.velocities[:, rows])


def test_active_is_what_draws_anything() -> None:
    gaussians = drifting(6, idle=2).at(-1)
    assert gaussians.active.tolist() == [True] * 4 + [False] * 2
    assert len(gaussians.take(gaussians.active)) == 4


def test_a_cut_sequence_is_put_together_again() -> None:
    whole = drifting(5, 4)
    again = whole.select(slice(0, 3)).concat(whole.select(slice(3, 4)))
    np.testing.assert_array_equal(again.times, whole.times)
    for name in ("means", "log_scales", "quats", "intensities", "velocities", "ids"):
        assert torch.equal(getattr(again, name), getattr(whole, name))
