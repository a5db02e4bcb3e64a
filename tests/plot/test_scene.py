"""Gaussians seen through a camera: the image formation against the geometry, and the picture made of it."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from gaussian_cases import drifting
from helpers import moving_cells, small_grid
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from typer.testing import CliRunner

from nowcast.cli import app
from nowcast.errors import UsageError
from nowcast.gaussians import FitConfig, fit_sequence
from nowcast.io.volumes import write_volumes
from nowcast.pipeline.fit import fit_archive
from nowcast.plot.camera import BLUR, Camera, View, _by_gsplat, blend, blend_on_cpu
from nowcast.plot.scene import UPWARDS, inside, plot_scene
from nowcast.plot.splats import UNIT_M
from nowcast.plot.style import class_colours, reflectivity_scale

RED, BLUE = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]


def view(azimuth: float = 180.0, elevation: float = 0.0, size: tuple[int, int] = (160, 120)) -> View:
    return View(Camera(azimuth, elevation), np.zeros(3), 18.0, *size)


def some(*means: list[float], scale: float = 0.4, opacity: float = 0.9) -> tuple[torch.Tensor, ...]:
    covars = (scale**2 * torch.eye(3)).expand(len(means), 3, 3)
    colours = torch.tensor([RED, BLUE][: len(means)])
    return torch.tensor(means), covars, torch.full((len(means),), opacity), colours


@pytest.mark.parametrize(("azimuth", "elevation"), [(180.0, 0.0), (90.0, 20.0), (303.0, 71.0), (0.0, 90.0)])
def test_a_gaussian_lands_where_the_pinhole_camera_has_its_centre(azimuth: float, elevation: float) -> None:
    seen = view(azimuth, elevation)
    alpha = blend(seen, *some([0.7, -0.5, 0.9]))[..., 3]
    rows, columns = np.indices(alpha.shape) + 0.5
    centre = seen.project(np.array([0.7, -0.5, 0.9]))
    np.testing.assert_allclose([np.average(columns, weights=alpha), np.average(rows, weights=alpha)], centre, atol=0.4)


def test_east_is_right_from_the_south_and_up_is_up() -> None:
    x, y = view(180.0).project(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])).T
    assert x[0] > 80 and abs(y[0] - 60) < 1e-9 and abs(x[1] - 80) < 1e-9 and y[1] < 60
    assert view(90.0).project(np.array([0.0, 1.0, 0.0]))[0] > 80, "from the east, north is on the right"
    assert view(180.0, 90.0).project(np.array([0.0, 1.0, 0.0]))[1] < 60, "from above, north is up"


def test_an_ellipse_has_the_projected_covariance() -> None:
    """In the middle of the picture, where the perspective only scales."""
    turn = torch.tensor([[0.8, 0.0, -0.6], [0.0, 1.0, 0.0], [0.6, 0.0, 0.8]])
    covars = (turn @ torch.diag(torch.tensor([0.5, 0.3, 0.2]) ** 2) @ turn.T)[None]
    seen = view(size=(401, 301))
    alpha = blend_on_cpu(seen, torch.zeros(1, 3), covars, torch.tensor([0.9]), torch.tensor([RED]))[1][..., 0]
    rows, columns = np.indices(alpha.shape) + 0.5
    weights = alpha.ravel()
    found = np.cov(np.stack([columns.ravel(), rows.ravel()]), aweights=weights)
    per_unit = seen.intrinsics[0, 0] / np.linalg.norm(seen.world_to_camera[:3, 3])
    expected = per_unit**2 * covars[0].numpy()[np.ix_([0, 2], [0, 2])] * [[1, -1], [-1, 1]] + BLUR * np.eye(2)
    np.testing.assert_allclose(found, expected, rtol=0.06, atol=2.0)  # the tails below 1/255 are cut


def test_what_is_near_hides_what_is_behind_it() -> None:
    means = some([0.0, -1.0, 0.0], [0.0, 1.0, 0.0], opacity=0.95)
    south, north = (blend(view(azimuth), *means)[60, 80, :3] for azimuth in (180.0, 0.0))
    assert south[0] > 0.9 > 0.1 > south[2] and north[2] > 0.9 > 0.1 > north[0]


def test_nothing_is_drawn_of_what_is_behind_the_camera_and_of_nothing() -> None:
    behind = [0.0, -40.0, 0.0]
    assert np.isnan(view().project(np.array(behind))).all()
    assert not blend(view(), *some(behind)).any()
    nothing = (torch.zeros(0, 3), torch.zeros(0, 3, 3), torch.zeros(0), torch.zeros(0, 3))
    assert not blend(view(), *nothing).any()


@pytest.mark.parametrize("camera", [(0.0, -5.0, 1.0), (0.0, 91.0, 1.0), (0.0, 10.0, 0.0), (float("nan"), 10.0, 1.0)])
def test_impossible_cameras_are_refused(camera: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="expected an azimuth"):
        Camera(*camera)


@pytest.mark.parametrize("camera", [(160.0, 30.0), (10.0, 0.0), (225.0, 90.0), (300.0, 60.0)])
def test_the_view_around_points_has_them_all_and_is_no_wider_than_needed(camera: tuple[float, float]) -> None:
    corners = np.array([*product((-14.0, 14.0), (-9.0, 20.0), (0.0, 6.0))])
    around = View.around(corners, np.array([3.0, 2.0, 1.0]), Camera(*camera), (1200, 700), 60)
    inside = np.minimum(around.project(corners), [1200, 700] - around.project(corners))
    assert inside.min() == pytest.approx(60.0)
    near = View.around(corners, np.array([3.0, 2.0, 1.0]), Camera(*camera, 1e2), (1200, 700), 60)
    np.testing.assert_allclose(near.project(np.array([3.0, 2.0, 1.0])), around.project(np.array([3.0, 2.0, 1.0])))
    assert near.distance == around.distance / 100


def test_gaussians_are_drawn_between_the_ground_and_the_top_of_the_grid() -> None:
    grid = small_grid((10, 24, 28))
    made = drifting(60, 1, grid=grid).at(0)
    made.means[:20, 2], made.means[20:40, 2] = 100.0, 9900.0
    made.log_scales[:40, 2] = np.log(4000.0)
    made.means[40:, 2], made.log_scales[40:] = 5000.0, np.log(1500.0)
    means, covars = inside(made, grid)
    reach = 2 * covars[:, 2, 2].sqrt()
    top = UPWARDS * grid.z[-1] / UNIT_M
    assert (means[:, 2] - reach > -1e-4).all() and (means[:, 2] + reach < top + 1e-4).all()
    assert (torch.linalg.eigvalsh(covars) > 0).all()
    whole = torch.diag(torch.tensor([1.0, 1.0, UPWARDS**2])) * (1500.0 / UNIT_M) ** 2
    torch.testing.assert_close(covars[40:], whole.expand(20, 3, 3))


def test_echo_has_the_colours_of_the_bar_and_words_lie_on_none_other() -> None:
    grid = small_grid((8, 40, 48))
    sequence = fit_sequence(moving_cells(grid, cells=4), FitConfig(gaussians=64))
    classes = np.array([to_rgb(colour) for colour in class_colours(reflectivity_scale())])
    for azimuth, elevation in ((160.0, 30.0), (45.0, 0.0), (40.0, 4.0), (0.0, 90.0)):
        figure = plot_scene(sequence, camera=Camera(azimuth, elevation))
        figure.canvas.draw()
        axes = figure.axes[0]
        drawn = np.asarray(axes.images[0].get_array())
        colours = np.unique(drawn[drawn[..., 3] > 0][:, :3], axis=0)
        assert len(colours) >= 3 and np.abs(colours[:, None] - classes).max(-1).min(-1).max() < 1 / 250
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) >= 1 and not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.gpu
@pytest.mark.skipif(find_spec("gsplat") is None, reason="gsplat is not installed")
def test_gsplat_makes_the_same_image() -> None:
    generator = torch.Generator().manual_seed(0)
    means, shape = torch.randn(200, 3, generator=generator), 0.3 * torch.randn(200, 3, 3, generator=generator)
    covars, opacities = shape @ shape.mT + 0.01 * torch.eye(3), torch.rand(200, generator=generator)
    case = means, covars, opacities, torch.rand(200, 3, generator=generator)
    for ours, theirs in zip(blend_on_cpu(view(210.0, 25.0), *case), _by_gsplat(view(210.0, 25.0), *case), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.02)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write_volumes(moving_cells(small_grid((6, 32, 40)), (9.0, 4.0), steps=3), folder / "volumes.nc")
    fit_archive(folder / "volumes.nc", folder / "fit.nc", config=FitConfig(gaussians=64), frames=3)
    return folder / "fit.nc"


def test_the_command_draws_what_the_camera_sees(fitted: Path, tmp_path: Path) -> None:
    pictures = []
    for name, camera in (("one.png", []), ("other.png", ["--camera", "300,60,1.5"])):
        done = CliRunner().invoke(app, ["plot", str(fitted), "--view", "3d", *camera, "-o", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        pictures.append(imread(tmp_path / name)[..., :3])
    assert pictures[0].shape == pictures[1].shape and np.abs(pictures[0] - pictures[1]).mean() > 0.005
    coloured = np.ptp(pictures[0][100:-30, 30:-150], axis=-1) > 0.3
    assert coloured.mean() > 0.01, "echo is drawn"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--camera", "1,2"], "goes with --view 3d"),
        (["--view", "3d", "--camera", "east"], "expected AZIMUTH,ELEVATION"),
        (["--view", "3d", "--kind", "all"], "leave them out"),
        (["--view", "3d", "--camera", "0,95"], "an elevation within 0..90"),
    ],
)
def test_options_that_do_not_go_together(fitted: Path, options: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["plot", str(fitted), *options], terminal_width=400)
    assert done.exit_code == 2 and words in " ".join(done.stderr.replace("│", " ").split())


def test_volumes_have_no_splats(fitted: Path) -> None:
    done = CliRunner().invoke(app, ["plot", str(fitted.with_name("volumes.nc")), "--view", "3d"])
    assert done.exit_code == 2 and "give a file of `nowcast fit`" in done.stderr
