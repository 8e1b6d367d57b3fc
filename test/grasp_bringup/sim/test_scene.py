"""Scenes: drawn from split and seed alone, splits disjoint, objects apart and inside the bin."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_bringup.sim.env import ROBOT_FILE
from grasp_bringup.sim.objects import FAMILIES
from grasp_bringup.sim.placement import LAYER_HEIGHT
from grasp_bringup.sim.scene import (
    SEEDS_PER_SPLIT,
    Scene,
    SceneConfig,
    SplitConfig,
    load_scene_config,
    sample_scene,
)
from grasp_bringup.sim.surface import shape_points
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

CONFIG = load_scene_config()
BIN = load_robot(resolve(ROBOT_FILE)).bin
seeds = st.integers(0, SEEDS_PER_SPLIT - 1)
splits = st.sampled_from(["train", "test"])


def scene(split: str, seed: int) -> Scene:
    return sample_scene(CONFIG, split, seed, BIN)


@given(split=splits, seed=seeds)
@settings(max_examples=20, deadline=None)
def test_same_seed_gives_the_same_scene(split: str, seed: int) -> None:
    first, second = scene(split, seed), scene(split, seed)
    assert [o.shape for o in first.objects] == [o.shape for o in second.objects]
    for a, b in zip(first.objects, second.objects, strict=True):
        assert (a.pose.as_array() == b.pose.as_array()).all()
    assert first.light_position == second.light_position
    assert first.table_colour == second.table_colour


@given(split=splits, seed=seeds)
@settings(max_examples=30, deadline=None)
def test_objects_come_from_the_splits_families_and_count(split: str, seed: int) -> None:
    drawn = scene(split, seed)
    assert 1 <= len(drawn.objects) <= CONFIG.object_count[1]
    assert {o.shape.family for o in drawn.objects} <= set(CONFIG.splits[split].families)


@given(split=splits, seed=seeds)
@settings(max_examples=12, deadline=None)
def test_dropped_objects_are_within_the_walls_and_do_not_touch(split: str, seed: int) -> None:
    clouds = [o.pose.transform(shape_points(o.shape, 0.015)[0]) for o in scene(split, seed).objects]
    room = np.array(BIN.size[:2]) / 2 - 0.005
    for cloud in clouds:
        assert (np.abs(cloud[:, :2] - np.array(BIN.centre[:2])) < room).all()
        assert cloud[:, 2].min() > BIN.centre[2]
    for i, a in enumerate(clouds):
        for b in clouds[:i]:
            assert np.linalg.norm(a[:, None, :] - b[None, :, :], axis=-1).min() > 0.002


@given(split=splits, seed=seeds)
@settings(max_examples=30, deadline=None)
def test_nothing_is_dropped_onto_a_gripper_at_home(split: str, seed: int) -> None:
    tops = [o.pose.position[2] + o.shape.height / 2 for o in scene(split, seed).objects]
    assert max(tops) < 0.17  # the fingertips at home
    assert max(tops) < BIN.centre[2] + LAYER_HEIGHT + 0.08


def test_at_least_half_of_the_scenes_hold_four_or_more_objects() -> None:
    for split in CONFIG.splits:
        counts = np.array([len(scene(split, seed).objects) for seed in range(100)])
        assert (counts >= 4).mean() >= 0.5
        assert counts.min() == 1
        assert counts.max() == 10


def test_every_family_occurs_in_exactly_one_split() -> None:
    train, test = (set(CONFIG.splits[name].families) for name in ("train", "test"))
    assert not train & test
    assert train | test == set(FAMILIES)


def test_equal_seeds_of_the_splits_draw_from_disjoint_streams() -> None:
    """The same families for both splits would still give other scenes."""
    families = CONFIG.splits["train"].families
    other = SplitConfig(families, CONFIG.splits["test"].seed_block)
    both = _with_splits({"a": CONFIG.splits["train"], "b": other})
    first = {_signature(sample_scene(both, "a", seed, BIN)) for seed in range(20)}
    second = {_signature(sample_scene(both, "b", seed, BIN)) for seed in range(20)}
    assert not first & second


def _with_splits(named: dict[str, SplitConfig]) -> SceneConfig:
    """Return the configuration with splits that share families, which its own check forbids."""
    config = dataclasses.replace(CONFIG)
    object.__setattr__(config, "splits", named)
    return config


def _signature(drawn: Scene) -> tuple[float, ...]:
    return (*drawn.light_position, *drawn.table_colour, *drawn.objects[0].pose.position)


def test_overlapping_splits_are_refused() -> None:
    train = CONFIG.splits["train"]
    with pytest.raises(ConfigError, match="seed blocks"):
        SceneConfig({"a": train, "b": SplitConfig(("ring",), train.seed_block)}, CONFIG.cameras)
    with pytest.raises(ConfigError, match="families"):
        SceneConfig({"a": train, "b": SplitConfig(("box",), 9)}, CONFIG.cameras)


def test_unknown_split_and_family_are_named() -> None:
    with pytest.raises(UnknownNameError, match=r"'validation'.*test, train"):
        scene("validation", 0)
    with pytest.raises(UnknownNameError, match="'sphere'"):
        SplitConfig(("sphere",), 0)


@pytest.mark.parametrize("seed", [-1, SEEDS_PER_SPLIT])
def test_seed_outside_its_block_is_refused(seed: int) -> None:
    with pytest.raises(ConfigError, match=str(seed)):
        scene("train", seed)


def test_cameras_are_jittered_within_their_bounds() -> None:
    for seed in range(50):
        for name, offset in scene("train", seed).camera_offsets.items():
            spec = CONFIG.cameras[name]
            assert np.abs(offset.position).max() <= spec.position_jitter
            turn = 2 * np.arccos(min(1.0, abs(offset.quaternion[3])))
            assert turn <= spec.angle_jitter * np.sqrt(3) + 1e-9
