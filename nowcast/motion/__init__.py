"""How echo moves: dense motion estimation and semi-Lagrangian advection."""

from nowcast.motion.advect import MAX_STEP_S, advect_semilagrangian
from nowcast.motion.estimate import MotionConfig, estimate_motion, estimate_motion_2d
from nowcast.motion.field import MotionField

__all__ = [
    "MAX_STEP_S",
    "MotionConfig",
    "MotionField",
    "advect_semilagrangian",
    "estimate_motion",
    "estimate_motion_2d",
]
