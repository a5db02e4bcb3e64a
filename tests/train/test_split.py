"""Training and held-out windows share no event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.errors import InputError
from nowcast.train.split import split_events

NAMES = st.lists(st.text(min_size=1, max_size=5), min_size=2, unique=True)


@given(NAMES, st.floats(0.01, 0.99), st.integers(0, 99))
def test_the_parts_are_disjoint_and_whole(names, fraction, seed):
    train, held = split_events([*names, names[0]], fraction, seed)
    assert train and held
    assert not set(train) & set(held)
    assert set(train) | set(held) == set(names)
    assert (train, held) == split_events(names[::-1], fraction, seed)


def test_the_fraction_is_of_events():
    _, held = split_events([str(i) for i in range(20)], 0.2, 0)
    assert len(held) == 4


def test_the_seed_chooses():
    names = [str(i) for i in range(20)]
    assert split_events(names, 0.5, 0) != split_events(names, 0.5, 1)


def test_one_event_is_refused_with_a_hint():
    with pytest.raises(InputError, match=r"1 event \(storm\), expected at least 2.*fit another storm"):
        split_events(["storm", "storm"], 0.2, 0)
