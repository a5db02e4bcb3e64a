"""How good a forecast was, by lead time, height and weather event: of one forecast and of an ensemble."""

from nowcast.verify.categorical import csi, false_alarm_ratio, frequency_bias, probability_of_detection
from nowcast.verify.continuous import mean_absolute_error, mean_error, root_mean_square_error
from nowcast.verify.ensemble import EnsembleTally
from nowcast.verify.fractions import fractions_skill, window_voxels
from nowcast.verify.report import Report
from nowcast.verify.summary import score_table
from nowcast.verify.tables import write_tables
from nowcast.verify.tally import Tally, TallyConfig

__all__ = [
    "EnsembleTally",
    "Report",
    "Tally",
    "TallyConfig",
    "csi",
    "false_alarm_ratio",
    "fractions_skill",
    "frequency_bias",
    "mean_absolute_error",
    "mean_error",
    "probability_of_detection",
    "root_mean_square_error",
    "score_table",
    "window_voxels",
    "write_tables",
]
