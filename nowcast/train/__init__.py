"""Training of GauMamba. See :func:`nowcast.train.loop.train`."""

from nowcast.train.config import LossConfig, TrainConfig
from nowcast.train.log import read_log
from nowcast.train.loop import TrainReport, train

__all__ = ["LossConfig", "TrainConfig", "TrainReport", "read_log", "train"]
