"""The weights that come with the program."""

from __future__ import annotations

import numpy as np
import torch
from gaussian_cases import drifting

from nowcast.gaussians import advect
from nowcast.models import load_checkpoint, roll_out, roll_out_ensemble
from nowcast.models.initiation import with_candidates
from nowcast.weights import DEFAULT

LEADS = [300.0, 1500.0, 5400.0]  # at any step


def test_they_are_small_and_say_what_they_were_trained_on() -> None:
    assert DEFAULT.stat().st_size < 5e6 and DEFAULT.with_name("README.md").is_file()
    provenance = load_checkpoint(DEFAULT).provenance
    assert provenance["windows"] > 100 and provenance["held_out_loss"] < provenance["untrained_loss"]
    assert set(provenance["train_events"]).isdisjoint(provenance["held_out_events"])


def test_they_correct_within_reason_at_any_step_and_lead() -> None:
    sequence, model = drifting(step_s=300.0), load_checkpoint(DEFAULT)
    base = advect(with_candidates(sequence, model.config.candidates), LEADS)
    for ours, advected in zip(roll_out(model, sequence, LEADS), base, strict=True):
        moved = (ours.means - advected.means).norm(dim=1)
        assert bool(torch.isfinite(ours.intensities).all()) and 0 < float(moved.median()) < 30e3
        change = (ours.intensities / advected.intensities)[:60].abs().log()
        assert float(change.abs().median()) < np.log(6)
        assert bool((ours.intensities[60:] >= 0).all()) and float(ours.intensities[60:].max()) < 45


def test_members_spread_and_the_dry_stays_dry() -> None:
    model, sequence = load_checkpoint(DEFAULT), drifting()
    members = roll_out_ensemble(model, sequence, LEADS, 10)[1]
    apart = [torch.stack([m[k].means for m in members]).std(dim=0)[:, :2].mean() for k in range(len(LEADS))]
    assert 10.0 < apart[0] < apart[1] < apart[2] < 60e3
    dry = drifting(10, idle=10)
    assert all((g.intensities == 0).all() for g in roll_out(model, dry, LEADS))
