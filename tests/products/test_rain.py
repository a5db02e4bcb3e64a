"""Rain rates and sums, by hand and beside Py-ART."""

from __future__ import annotations

import numpy as np
import pytest

from nowcast.errors import ConfigError
from nowcast.products.rain import RELATIONS, accumulated_rain, rain_rate, z_r_relation


def test_marshall_palmer_by_hand() -> None:
    # Z = 200 R ** 1.6: 1 mm/h is 23.01 dBZ, 10 mm/h 39.01 dBZ.
    found = rain_rate(np.float32([23.0103, 39.0103, 6.9, 0.0, np.nan]))
    np.testing.assert_allclose(found, [1.0, 10.0, 0.0, 0.0, np.nan], rtol=1e-5)


def test_hail_makes_no_more_rain() -> None:
    most, hail = rain_rate(np.float32([53.0, 70.0]), 300, 1.4)
    assert most == hail == pytest.approx(103.8, abs=0.1)


@pytest.mark.parametrize("name", RELATIONS)
def test_rain_rates_are_those_of_pyart(name: str) -> None:
    pyart = pytest.importorskip("pyart")
    a, b = z_r_relation(name)
    radar = pyart.testing.make_target_radar()
    dbz = np.linspace(8, 52, radar.fields["reflectivity"]["data"].size, dtype=np.float32)
    radar.fields["reflectivity"]["data"] = np.ma.array(dbz.reshape(radar.fields["reflectivity"]["data"].shape))
    theirs = pyart.retrieve.est_rain_rate_z(radar, alpha=a ** (-1 / b), beta=1 / b)["data"]
    np.testing.assert_allclose(rain_rate(dbz, a, b), np.ravel(theirs), rtol=1e-4)


@pytest.mark.parametrize("text", ["marshal-palmer", "300", "0,1.4", "200,inf", "a,b"])
def test_what_is_no_relation_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="marshall-palmer"):
        z_r_relation(text)
    assert z_r_relation("300,1.4") == RELATIONS["convective"]


def test_rain_is_summed_up_over_the_lead() -> None:
    rate = np.full((3, 1, 2), 6.0, np.float32)
    rate[1:, 0, 1] = 12.0
    found = accumulated_rain(rate, np.array([600.0, 1200.0, 1800.0]), 0.0)
    np.testing.assert_allclose(found[:, 0, 0], [1.0, 2.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(found[:, 0, 1], [1.0, 2.5, 4.5], rtol=1e-6)


def test_a_sum_is_unknown_from_what_was_not_seen_on() -> None:
    rate = np.full((4, 1, 2), 6.0, np.float32)
    rate[1, 0, 1] = np.nan
    found = accumulated_rain(rate, np.array([0.0, 600.0, 1200.0, 4000.0]), 0.0, longest_gap_s=1800.0)
    np.testing.assert_allclose(found[:, 0, 0], [0.0, 1.0, 2.0, np.nan], rtol=1e-6)
    np.testing.assert_allclose(found[:, 0, 1], [0.0, np.nan, np.nan, np.nan])
