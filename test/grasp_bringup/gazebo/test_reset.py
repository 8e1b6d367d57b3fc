"""Scenes are replaced in a double of Gazebo that can fail in each way; every failure says what it was."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from grasp_bringup.gazebo import client
from grasp_bringup.gazebo.client import GazeboError, quoted, request
from grasp_bringup.gazebo.reset import SceneReset
from grasp_bringup.sim.scene import SceneObject, load_scene_config, sample_scene
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.gz_double import FAULTS, UsageError, parse_text
from support.gz_install import GzWorld

CONFIG = load_scene_config()
BIN = load_robot(resolve(Path("config/robots/sim.yaml"))).bin
SPEED = CONFIG.physics.settle_speed


def objects(seed: int) -> tuple[SceneObject, ...]:
    return sample_scene(CONFIG, "train", seed, BIN).objects


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GzWorld:
    return GzWorld(tmp_path, monkeypatch)


def reset(seed: int = 1, deadline: float = 20.0) -> float:
    return SceneReset("bin", SPEED, deadline).replace(objects(seed))


# ---- a reset


def test_the_world_holds_the_scene_where_it_is_dropped(world: GzWorld) -> None:
    settled = reset(seed=3)
    assert 0.0 < settled < 5.0
    expected = [item.pose.as_array().tolist() for item in objects(3)]
    np.testing.assert_allclose(list(world.models.values()), expected, atol=1e-8)


def test_a_second_scene_takes_the_place_of_the_first(world: GzWorld) -> None:
    scenes = SceneReset("bin", SPEED, 20.0)
    scenes.replace(objects(1))
    first = set(world.models)
    scenes.replace(objects(2))
    assert not first & set(world.models)
    assert len(world.models) == len(objects(2))
    assert world.read()["log"] == []


def test_objects_of_an_earlier_process_go_and_other_models_stay(world: GzWorld) -> None:
    world.add("scene7_object0", "scene7_object1", "camera_stand", "scenery")
    reset(seed=1)
    assert {"camera_stand", "scenery"} <= set(world.models)
    numbers = {name.split("_")[0] for name in world.models if "_object" in name}
    assert numbers == {"scene8"}


def test_no_file_and_no_process_is_left(
    world: GzWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    reset()
    assert list(scratch.iterdir()) == []
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path / "bin") not in running
    assert f"gz_double.py {tmp_path}" not in running


# ---- failures

PATIENCE = 3.0  # [s], of which a few processes must start

FAILURES: dict[str, tuple[str, str]] = {
    "silent": ("/world/bin/create_multiple: expected `data: true`, found: Service call timed out", ""),
    "refuses": ("/world/bin/create_multiple: expected `data: true`, found: Service call failed", ""),
    "false": ("/world/bin/create_multiple: expected `data: true`, found: false", ""),
    "hangs": ("/world/bin/create_multiple: `gz service` did not end within 1 s", ""),
    "forgets": ("waited 3 s in vain for scene1_object0, ", "which Gazebo was asked to create"),
    "forgets_last": (f"waited 3 s in vain for scene1_object{len(objects(1)) - 1}, which", ""),
    "keeps": ("waited 3 s in vain for the end of scene4_object0", ""),
    "restless": ("waited 3 s in vain for rest of scene1_object0 (0.05", "[m/s or rad/s]"),
    "no_poses": ("/world/bin/dynamic_pose/info: waited 3 s in vain for a message", ""),
    "topic_ends": ("`gz topic` ended: terminate called without an active exception", ""),
    "garbage": ("/world/bin/dynamic_pose/info: expected a message of gz.msgs.Pose_V, found '{'", ""),
}


@pytest.mark.parametrize("fault", FAILURES)
def test_every_failure_says_what_it_was(world: GzWorld, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "keeps":
        world.add("scene4_object0")
    if fault == "hangs":
        monkeypatch.setattr(client, "ANSWER_TIME", 0.5)
        monkeypatch.setattr(client, "START_TIME", 0.5)
    world.break_it(fault)
    with pytest.raises(GazeboError) as failure:
        reset(deadline=PATIENCE)
    for text in FAILURES[fault]:
        assert text in str(failure.value)


def test_every_fault_of_the_double_is_tried() -> None:
    assert set(FAILURES) == set(FAULTS)


def test_a_later_reset_mends_what_a_failed_one_left(world: GzWorld) -> None:
    scenes = SceneReset("bin", SPEED, PATIENCE)
    world.break_it("forgets_last")
    with pytest.raises(GazeboError):
        scenes.replace(objects(2))
    world.break_it("")
    SceneReset("bin", SPEED, 20.0).replace(objects(1))
    assert len(world.models) == len(objects(1))


def test_without_gz_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GazeboError, match=r"`gz topic` cannot be started: .*is Gazebo sourced\?"):
        reset()


def test_a_stopped_reset_ends_soon(world: GzWorld) -> None:
    world.break_it("no_poses")
    scenes = SceneReset("bin", SPEED, 60.0)
    scenes.stop()
    with pytest.raises(GazeboError, match="stopped while waiting for a message"):
        scenes.replace(objects(1))


# ---- the client


@pytest.mark.parametrize("name", ["plain", 'a "quoted" one', "back\\slash"])
def test_text_is_quoted_for_protobuf(name: str) -> None:
    assert parse_text(f"name: {quoted(name)}") == [("name", name)]


@pytest.mark.parametrize(
    ("service", "kind", "body", "found"),
    [
        ("/world/bin/remove", "gz.msgs.Entity", 'name: "a"', "Unable to create request of type"),
        ("/world/bin/remove", "gz.msgs.Entity", 'name: "a" type: MODEL }', "Unable to create request"),
        ("/world/bin/remove", "gz.msgs.Model", 'name: "a" type: MODEL', "Service call timed out"),
        ("/world/hall/remove", "gz.msgs.Entity", 'name: "a" type: MODEL', "Service call timed out"),
    ],
)
def test_the_double_refuses_what_gazebo_refuses(
    world: GzWorld, service: str, kind: str, body: str, found: str
) -> None:
    with pytest.raises(GazeboError, match=found):
        request(service, kind, body)


@pytest.mark.parametrize("text", ["name", "data {", "name: 'a'", "} data"])
def test_the_double_reads_protobuf_s_text_alone(text: str) -> None:
    with pytest.raises((UsageError, ValueError)):
        parse_text(text)
