"""Object families: sizes, widths, surfaces."""

import numpy as np
import pytest

from grasp_bringup.sim.objects import FAMILIES, Part, SizeRanges, make_shape
from grasp_bringup.sim.scene import load_scene_config
from grasp_bringup.sim.surface import part_points, shape_points
from qtopt_policy.errors import ConfigError, UnknownNameError

SIZES = load_scene_config().sizes
OPENING = 0.08
DRAWS = 60


@pytest.mark.parametrize("family", FAMILIES)
def test_declared_widths_lie_within_the_benchmarks_bounds(family: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(DRAWS):
        shape = make_shape(family, SIZES, rng)
        assert shape.widths
        assert all(0.015 - 1e-9 <= width <= 0.07 for width in shape.widths)


@pytest.mark.parametrize("family", FAMILIES)
def test_some_strip_as_wide_as_the_pads_really_has_a_declared_width(family: str) -> None:
    """Measured on the surface: a strip 2 cm wide through a part has the width that the shape declares."""
    rng = np.random.default_rng(2)
    for _ in range(10):
        shape = make_shape(family, SIZES, rng)
        measured = np.array(list(_strip_widths(shape_points(shape, 0.002)[0])))
        assert np.abs(measured - min(shape.widths)).min() < 0.003


def _strip_widths(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[float]:
    widths = []
    for yaw in np.linspace(0, np.pi, 24, endpoint=False):
        x = points[:, 0] * np.cos(yaw) + points[:, 1] * np.sin(yaw)
        y = -points[:, 0] * np.sin(yaw) + points[:, 1] * np.cos(yaw)
        for centre in np.arange(x.min() + 0.01, x.max() - 0.0099, 0.004):
            strip = np.sort(y[np.abs(x - centre) < 0.01])
            runs = np.split(strip, np.flatnonzero(np.diff(strip) > 0.006) + 1)
            widths += [float(np.ptp(run)) for run in runs if len(run) > 1]
    return widths


@pytest.mark.parametrize("family", FAMILIES)
def test_height_is_that_of_the_parts(family: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(10):
        shape = make_shape(family, SIZES, rng)
        z = shape_points(shape, 0.002)[0][:, 2]
        assert np.allclose([z.max(), -z.min()], shape.height / 2, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_objects_fit_into_half_the_bin(family: str) -> None:
    rng = np.random.default_rng(4)
    for _ in range(DRAWS):
        points = shape_points(make_shape(family, SIZES, rng), 0.005)[0]
        assert np.ptp(points[:, 0]) <= 0.16
        assert np.ptp(points[:, 1]) <= 0.16


@pytest.mark.parametrize(
    "part",
    [
        Part("box", (0.02, 0.01, 0.03)),
        Part("cylinder", (0.02, 0.03)),
        Part("capsule", (0.02, 0.03)),
        Part("ellipsoid", (0.02, 0.01, 0.03)),
    ],
)
def test_surface_points_lie_on_the_surface_with_outward_normals(part: Part) -> None:
    points, normals = part_points(part, 0.004)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1.0)
    assert np.allclose(_distance(part, points), 0.0, atol=1e-9)
    assert (_distance(part, points + 1e-4 * normals) > 0.0).all()


def _distance(
    part: Part, p: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return an implicit function of the primitive: 0 on the surface, above 0 outside."""
    if part.kind == "box":
        return np.asarray((np.abs(p) - part.size).max(axis=1))
    if part.kind == "ellipsoid":
        return np.asarray(np.linalg.norm(p / np.array(part.size), axis=1) - 1.0)
    radius, half = part.size
    side = np.hypot(p[:, 0], p[:, 1])
    if part.kind == "cylinder":
        return np.asarray(np.maximum(side - radius, np.abs(p[:, 2]) - half))
    return np.asarray(np.hypot(side, np.maximum(np.abs(p[:, 2]) - half, 0.0)) - radius)


def test_unknown_family_is_named_with_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'pyramid'.*dumbbell"):
        make_shape("pyramid", SIZES, np.random.default_rng(0))


def test_size_range_that_is_no_interval_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sizes.bar: \[0.03, 0.02\]"):
        SizeRanges(bar=(0.03, 0.02))
