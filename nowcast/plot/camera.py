"""Gaussians seen through a camera: the image formation of 3D Gaussian splatting, on CUDA by gsplat, else here.

A Gaussian is projected to an ellipse by the first-order approximation of the perspective (Zwicker et al. 2001, EWA
splatting), and the ellipses are blended from front to back (Kerbl et al. 2023, arXiv 2308.04079). The conventions are
gsplat's: x right, y down, z forward; pixel centres at halves; 0.3 square pixels of blur.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast.errors import UsageError

Doubles = NDArray[np.float64]
NEAR = 0.01
BLUR = 0.3
FAINTEST = 1 / 255
DENSEST = 0.999
FIELD_OF_VIEW_DEG = 32.0


@dataclass(frozen=True)
class Camera:
    """Where one looks from: ``azimuth_deg`` clockwise from north (135 is from the south-east), ``elevation_deg`` above
    the horizon, and how much nearer than needed to see everything."""

    azimuth_deg: float = 160.0
    elevation_deg: float = 30.0
    zoom: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.azimuth_deg) and 0 <= self.elevation_deg <= 90 and 0.1 <= self.zoom <= 100):
            told = f"{self.azimuth_deg:g},{self.elevation_deg:g},{self.zoom:g}"
            raise UsageError(
                f"camera {told}: expected an azimuth, an elevation within 0..90 and a zoom within 0.1..100"
            )


@dataclass(frozen=True)
class View:
    """A camera in a scene, so far from ``target [3]`` that it looks at.

    Lengths are in the units of the scene, x east, y north, z up; ``width`` and ``height`` are in pixels.
    """

    camera: Camera
    target: Doubles
    distance: float
    width: int
    height: int

    @classmethod
    def around(cls, points: Doubles, middle: Doubles, camera: Camera, size: tuple[int, int], margin: int) -> View:
        """The view from as near as all ``points [P, 3]`` are so many pixels inside of the picture.

        With a zoom the camera comes nearer on the straight line to ``middle [3]``.
        """
        here = cls(camera, np.zeros(3), 0.0, *size)
        turn = here.world_to_camera[:3, :3]
        *across, depth = turn @ points.T
        needed, aside = [], []
        for place, pixels in zip(across, size, strict=True):
            slope = here.intrinsics[0, 0] / (pixels / 2 - margin)
            low, high = max(-slope * place - depth), max(slope * place - depth)
            needed.append((low + high) / 2)
            aside.append((high - low) / 2 / slope)
        target = np.array([*aside, 0.0]) @ turn
        return cls(camera, middle + (target - middle) / camera.zoom, max(needed) / camera.zoom, *size)

    @cached_property
    def world_to_camera(self) -> Doubles:
        """``[4, 4]``."""
        azimuth, elevation = np.radians([self.camera.azimuth_deg, self.camera.elevation_deg])
        right = np.array([-np.cos(azimuth), np.sin(azimuth), 0.0])
        back = np.array([np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation), np.sin(elevation)])
        turn = np.stack([right, np.cross(-back, right), -back])
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = turn, -turn @ (self.target + self.distance * back)
        return matrix

    @cached_property
    def intrinsics(self) -> Doubles:
        """``[3, 3]``."""
        focal = min(self.width, self.height) / 2 / math.tan(math.radians(FIELD_OF_VIEW_DEG / 2))
        return np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1]])

    def project(self, points: Doubles) -> Doubles:
        """Pixels ``[..., 2]`` of points ``[..., 3]``; NaN behind the camera."""
        seen = points @ self.world_to_camera[:3, :3].T + self.world_to_camera[:3, 3]
        depth = np.where(seen[..., 2:] > NEAR, seen[..., 2:], np.nan)
        return np.asarray(seen[..., :2] / depth * self.intrinsics[0, 0] + self.intrinsics[:2, 2])


def blend(view: View, means: Tensor, covars: Tensor, opacities: Tensor, colours: Tensor) -> NDArray[np.float32]:
    """The image ``[height, width, 4]`` of K Gaussians: red, green and blue, not multiplied by alpha, and alpha, 0..1.

    ``means [K, 3]``, ``covars [K, 3, 3]``, ``opacities [K]`` and ``colours [K, 3]`` within 0..1. With CUDA and gsplat
    these make the image.
    """
    draw = _by_gsplat if torch.cuda.is_available() and find_spec("gsplat") else blend_on_cpu
    light, alpha = draw(view, means, covars, opacities, colours)
    return np.concatenate([light / np.maximum(alpha, 1e-6), alpha], axis=-1).clip(0, 1).astype(np.float32)


def _by_gsplat(
    view: View, means: Tensor, covars: Tensor, opacities: Tensor, colours: Tensor
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from gsplat import rasterization

    def there(values: Tensor | Doubles) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32).cuda()

    unused = torch.zeros(len(means), 4).cuda()
    light, alpha, _ = rasterization(
        there(means),
        unused,
        unused[:, :3],
        there(opacities),
        there(colours),
        there(view.world_to_camera)[None],
        there(view.intrinsics)[None],
        view.width,
        view.height,
        near_plane=NEAR,
        eps2d=BLUR,
        covars=there(covars),
    )
    return light[0].cpu().numpy(), alpha[0].cpu().numpy()


def blend_on_cpu(
    view: View, means: Tensor, covars: Tensor, opacities: Tensor, colours: Tensor
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light ``[height, width, 3]`` and alpha ``[height, width, 1]``, by NumPy: a second for some thousand Gaussians."""
    turn, shift = view.world_to_camera[:3, :3], view.world_to_camera[:3, 3]
    seen = means.double().numpy() @ turn.T + shift
    spread = turn @ covars.double().numpy() @ turn.T
    flat = _flattened(view, seen, spread)
    centres = view.project(means.double().numpy())
    through = np.ones((view.height, view.width), np.float32)
    light = np.zeros((view.height, view.width, 3), np.float32)
    density, colour = opacities.numpy(), colours.float().numpy()
    for k in np.argsort(seen[:, 2]):
        if not seen[k, 2] > NEAR or density[k] < FAINTEST:
            continue
        reach = math.sqrt(2 * math.log(density[k] / FAINTEST)) * np.sqrt(np.diag(flat[k])) + 1
        low = np.maximum(np.floor(centres[k] - reach), 0).astype(int)
        high = np.minimum(np.ceil(centres[k] + reach), (view.width, view.height)).astype(int)
        if (low >= high).any():
            continue
        part = np.s_[low[1] : high[1], low[0] : high[0]]
        dx = (np.arange(low[0], high[0]) + 0.5 - centres[k, 0]).astype(np.float32)
        dy = (np.arange(low[1], high[1]) + 0.5 - centres[k, 1]).astype(np.float32)[:, None]
        (a, b), (_, c) = np.linalg.inv(flat[k]).astype(np.float32)
        alpha = np.minimum(density[k] * np.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy), DENSEST)
        alpha[alpha < FAINTEST] = 0
        light[part] += (through[part] * alpha)[..., None] * colour[k]
        through[part] *= 1 - alpha
    return light, 1 - through[..., None]


def _flattened(view: View, seen: Doubles, spread: Doubles) -> Doubles:
    """Covariances ``[K, 2, 2]`` in square pixels of those ``[K, 3, 3]`` in the camera's axes, blurred.

    Directions far outside of the image count as if they were at its margin, where the approximation still holds.
    """
    focal = view.intrinsics[0, 0]
    depth = np.maximum(seen[:, 2], NEAR)
    margin = 1.3 * np.array([view.width, view.height]) / 2 / focal
    x, y = (np.clip(seen[:, :2] / depth[:, None], -margin, margin)).T
    slope = np.zeros((len(seen), 2, 3))
    slope[:, 0, 0] = slope[:, 1, 1] = focal / depth
    slope[:, 0, 2], slope[:, 1, 2] = -focal * x / depth, -focal * y / depth
    return np.asarray(slope @ spread @ slope.transpose(0, 2, 1) + BLUR * np.eye(2))
