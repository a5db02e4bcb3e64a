"""What the page of a report says about its methods, pictures and scores."""

from __future__ import annotations

METHODS = {
    "persistence": "The newest volume stays as it is.",
    "reconstruction": "The Gaussians fitted to the newest volume stay as they are: what the fit loses of persistence.",
    "extrapolation": "The newest volume moves on with one motion field for all levels.",
    "extrapolation-levels": "The newest volume moves on, each level with a motion field of its own.",
    "steps": (
        "pysteps' STEPS on each level, with the motion of extrapolation-levels (Bowler et al. 2006, "
        "doi:10.1256/qj.04.100; Pulkkinen et al. 2019, doi:10.5194/gmd-12-4185-2019)."
    ),
    "advection": "The fitted Gaussians move on, without growth or decay.",
    "gaumamba": "The fitted Gaussians move on, corrected by the trained model.",
}

CAPTIONS = {
    "scores": (
        "CSI: 1 is perfect, higher is better. Errors: lower is better. Bias: above 0 dBZ, or above 1, too much echo. "
        "Shading, where there is any: the confidence interval over events."
    ),
    "by_height": "The same by height, all lead times together: where in the storm a method is good.",
    "by_scale": (
        "Fractions skill score: whether there is as much strong echo within the window as was observed, wherever in "
        "it. 1 is perfect; a score that rises with the window tells of displaced, not of wrong, storms."
    ),
    "spread": (
        "Left: CRPS of the ensembles; dotted, the mean absolute error of single forecasts, which is their CRPS. Middle "
        "and right: a reliable ensemble spreads as much as its mean errs; the grey band is within 15 %."
    ),
    "reliability": (
        "On the diagonal a probability can be taken at its word; below it, the event comes less often than forecast. "
        "Lower row: how many voxels got each probability. All lead times together."
    ),
    "ranks": (
        "Where the observation falls among the sorted members. Flat is reliable; high at both ends, the members are "
        "too alike; high at one end, they are all too strong or too weak. Only voxels where something reaches 5 dBZ."
    ),
    "spectra": (
        "Variance of reflectivity by wavelength, mean over levels, each member for itself. Below the observed line "
        "detail is lost to smoothing; above it, there is detail that weather does not have."
    ),
    "areas": "Area where the column maximum reaches a threshold, mean over initial times, each member for itself.",
}

DEFINITIONS = (
    (
        "Of an ensemble",
        "the mean is what CSI, FSS and the errors are of; a mean is smooth, which lowers its CSI at high thresholds. "
        "CRPS, Brier score, reliability, ranks, spectra and areas are of its members.",
    ),
    ("Hits, misses, false alarms", "voxels at or above a threshold in both, only observed, only forecast."),
    (
        "CSI, POD, FAR, frequency bias",
        "h / (h + m + f), h / (h + m), f / (h + f), (h + f) / (h + m), counts pooled over all voxels and times "
        "(Wilks 2019, Statistical Methods in the Atmospheric Sciences, section 9.2).",
    ),
    ("MAE, RMSE, bias", "of reflectivity limited to 0 to 80 dBZ, no echo being 0 dBZ, over all scored voxels."),
    (
        "FSS",
        "fractions skill score, sums pooled over levels and times (Roberts and Lean 2008, doi:10.1175/2007MWR2123.1).",
    ),
    (
        "CRPS",
        "mean |x - y| - 1 / (2 M²) Σ |xi - xj| of the M members as they are (Hersbach 2000, "
        "doi:10.1175/1520-0434(2000)015<0559:DOTCRP>2.0.CO;2). The fair CRPS, with M (M - 1), is in the files "
        "(Ferro 2014, doi:10.1002/qj.2270).",
    ),
    (
        "Brier score",
        "mean squared difference of the share of members with the event and 1 or 0; in the files, also fair.",
    ),
    (
        "Spread",
        "√((M + 1) / M · mean variance of the members), beside the root mean square error of their mean (Fortin et al. "
        "2014, doi:10.1175/JHM-D-14-0008.1).",
    ),
    (
        "Rank histogram",
        "ties share their count evenly over the ranks that they could have, values below 5 dBZ being one (Hamill 2001, "
        "doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2).",
    ),
    (
        "Power spectrum",
        "squared Fourier amplitudes averaged over rings of equal wavelength (Ruzanski and Chandrasekar 2011, "
        "doi:10.1109/TGRS.2011.2132147).",
    ),
)
