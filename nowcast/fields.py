"""The many names that radar files give the same quantity."""

from __future__ import annotations

from collections.abc import Iterable

ALIASES: dict[str, tuple[str, ...]] = {
    # Filtered before raw: the first that a file has is taken.
    "reflectivity": (
        "corrected_reflectivity", "corrected_reflectivity_horizontal", "reflectivity_corrected", "DBZH_CLEAN",
        "DBZHC", "DBZC", "CZ", "CORR_DBZ", "DBZH", "reflectivity", "reflectivity_horizontal", "DBZ", "DZ", "REF", "ZH",
        "Zh", "Z", "dBZ", "DBZHCC_F", "DBZ_F", "DBZHC_F", "equivalent_reflectivity_factor", "DBZV", "TH", "DBT", "DBTH",
        "TZ", "ZT", "total_power", "UH", "DBZ_TOT", "dBuZ", "uZ", "refl", "MREFL", "MergedReflectivityQC",
    ),
    "velocity": (
        "velocity", "VRADH", "VRAD", "VEL", "VR", "VE", "V", "VU", "mean_doppler_velocity", "VRADDH", "VELH", "VG",
        "corrected_velocity", "VEL_F", "VRADV",
    ),
    "spectrum_width": ("spectrum_width", "WRADH", "WRAD", "SW", "W", "WIDTH", "WIDTH_F"),
    "rhohv": (
        "cross_correlation_ratio", "RHOHV", "RHO", "RH", "uncorrected_cross_correlation_ratio", "RHOHV_F", "URHOHV",
    ),
    "zdr": (
        "differential_reflectivity", "ZDR", "DR", "ZD", "corrected_differential_reflectivity",
        "log_differential_reflectivity_hv",
    ),
    "kdp": ("specific_differential_phase", "KDP", "KD", "corrected_specific_differential_phase"),
    "phidp": ("differential_phase", "PHIDP", "PHI", "PH", "uncorrected_differential_phase", "UPHIDP"),
    "snr": ("signal_to_noise_ratio", "SNRH", "SNR", "SN", "SNRH_F"),
}  # fmt: skip


def find_field(names: Iterable[str], quantity: str) -> str | None:
    """The name under which a file holds ``quantity`` (a key of :data:`ALIASES`), or None.

    Exact names win over names that agree in lower case; filtered reflectivity wins over raw.
    """
    present = list(names)
    lower: dict[str, str] = {}
    for name in present:
        lower.setdefault(name.lower(), name)
    for alias in ALIASES[quantity]:
        if alias in present:
            return alias
    return next((lower[a.lower()] for a in ALIASES[quantity] if a.lower() in lower), None)
