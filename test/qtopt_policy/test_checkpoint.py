import dataclasses
import json
import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from qtopt_policy import checkpoint as module
from qtopt_policy.checkpoint import (
    Checkpoint,
    describe,
    load_checkpoint,
    read_info,
    save_checkpoint,
    weights_digest,
)
from qtopt_policy.checkpoint_info import CheckpointInfo, EvaluationRecord
from qtopt_policy.config import to_mapping
from qtopt_policy.errors import CheckpointError, ConfigError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.batch import from_observations
from qtopt_policy.networks.registry import make_network
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.policy_samples import make_camera, make_observation, random_actions

MDP = MdpConfig()
ROBOT = load_robot(resolve(Path("config/robots/sim.yaml")))
SMALL = {"width": 8, "channels": 4, "hidden": 16, "hidden2": 8}


def make(seed: int = 0) -> tuple[QNetwork, CheckpointInfo]:
    torch.manual_seed(seed)
    network = make_network("compact", MDP.action_spec(), MDP.observation_spec(), SMALL)
    return network, describe(network, MDP, ROBOT, [make_camera()], steps=10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "models" / "compact.safetensors"
    save_checkpoint(file, *make())
    return file


@pytest.fixture
def checkpoint(path: Path) -> Checkpoint:
    return load_checkpoint(path)


def test_a_loaded_network_values_as_the_saved_one(path: Path, checkpoint: Checkpoint) -> None:
    network, info = make()
    batch = from_observations([make_observation(0)], "tool", 0.08)
    actions = torch.from_numpy(random_actions(MDP, (1, 5)))
    torch.testing.assert_close(checkpoint.network(batch, actions), network.eval()(batch, actions))
    assert checkpoint.info == info
    assert checkpoint.path == path
    assert not checkpoint.network.training


def test_statistics_of_batch_norms_are_kept(tmp_path: Path) -> None:
    mdp = MdpConfig(image_size=(472, 472))
    network = make_network("grasping44", mdp.action_spec(), mdp.observation_spec())
    network.state_dict()["convs1.0.1.running_mean"].fill_(0.25)
    info = describe(network, mdp, ROBOT, [make_camera((472, 472), "base")])
    save_checkpoint(tmp_path / "paper", network, info)
    loaded = load_checkpoint(tmp_path / "paper")
    assert (loaded.network.state_dict()["convs1.0.1.running_mean"] == 0.25).all()
    assert loaded.info.mount == "base"


def test_a_network_without_gradient_steps_is_untrained() -> None:
    network, _ = make()
    assert not describe(network, MDP, ROBOT, [make_camera()]).trained
    assert describe(network, MDP, ROBOT, [make_camera()], steps=1).trained


def test_the_description_is_read_without_the_weights(path: Path) -> None:
    info = dataclasses.replace(make()[1], evaluation=EvaluationRecord("abc", "test", 31, 100))
    save_checkpoint(path, make()[0], info)
    assert read_info(path) == info


def test_the_digest_is_of_the_weights(path: Path, checkpoint: Checkpoint) -> None:
    assert checkpoint.digest == weights_digest(dict(make()[0].state_dict()))
    assert save_checkpoint(path, *make(seed=1)) != checkpoint.digest


def test_cameras_on_two_mounts_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"one camera mount, found \['base', 'tool'\]"):
        describe(make()[0], MDP, ROBOT, [make_camera(), make_camera(mount="base")])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing: there is no such checkpoint"):
        load_checkpoint(tmp_path / "nothing")


@pytest.mark.parametrize("keep", [0, 4, 300, -1, -5000])
def test_a_truncated_file_is_refused_and_named(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"compact.safetensors: not a safetensors file, or truncated"):
        load_checkpoint(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(tmp_path)


def test_a_changed_byte_is_refused(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="weights are not those written"):
        load_checkpoint(path)


def test_a_foreign_safetensors_file_is_refused(path: Path) -> None:
    path.write_bytes(save({"x": torch.zeros(2)}))
    with pytest.raises(CheckpointError, match="not a checkpoint of this project"):
        load_checkpoint(path)


def rewrite(path: Path, change: dict[str, torch.Tensor | None], **header: str) -> None:
    """Change weights (None removes them), with a digest that fits."""
    tensors = {**load(path.read_bytes()), **change}
    kept = {name: value for name, value in tensors.items() if value is not None}
    info = make()[1]
    entries = {
        module.FORMAT: module.VERSION,
        module.DIGEST: weights_digest(kept),
        module.KEY: json.dumps(to_mapping(info)),
    }
    path.write_bytes(save(kept, entries | header))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(path: Path, value: float) -> None:
    rewrite(path, {"present.bias": torch.full((16,), value)})
    with pytest.raises(
        CheckpointError, match=r"compact.safetensors: weights are NaN or infinite: present.bias"
    ):
        load_checkpoint(path)


def test_missing_weights_are_named(path: Path) -> None:
    rewrite(path, {"present.bias": None})
    with pytest.raises(CheckpointError, match=r"lacks weights: present\.bias"):
        load_checkpoint(path)


def test_unknown_weights_are_named(path: Path) -> None:
    rewrite(path, {"extra": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="has unknown weights: extra"):
        load_checkpoint(path)


def test_weights_of_another_shape_are_named(path: Path) -> None:
    rewrite(path, {"present.bias": torch.zeros(17)})
    with pytest.raises(
        CheckpointError, match=r"weights present.bias have the shape \(17,\), expected \(16,\)"
    ):
        load_checkpoint(path)


def test_another_format_is_refused(path: Path) -> None:
    rewrite(path, {}, **{module.FORMAT: "2"})
    with pytest.raises(CheckpointError, match="checkpoint format 2, this version reads 1"):
        load_checkpoint(path)


def test_an_unknown_network_lists_the_known_ones(path: Path) -> None:
    description = to_mapping(make()[1]) | {"network": "resnet"}
    rewrite(path, {}, **{module.KEY: json.dumps(description)})
    with pytest.raises(CheckpointError, match=r"unknown network 'resnet'\. Valid choices: compact"):
        load_checkpoint(path)


def test_an_unknown_key_of_the_description_is_named(path: Path) -> None:
    description = to_mapping(make()[1]) | {"colour": "red"}
    rewrite(path, {}, **{module.KEY: json.dumps(description)})
    with pytest.raises(CheckpointError, match="unknown key 'colour'"):
        load_checkpoint(path)


def test_weights_that_are_not_finite_are_not_saved(path: Path, checkpoint: Checkpoint) -> None:
    network, info = make()
    next(network.parameters()).data.fill_(float("nan"))
    with pytest.raises(CheckpointError, match=r"NaN or infinite: maps\.fine"):
        save_checkpoint(path, network, info)
    assert load_checkpoint(path).digest == checkpoint.digest


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "model", *make())


def test_a_full_disk_leaves_the_old_checkpoint(
    path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(temporary: Path, data: bytes) -> None:
        temporary.write_bytes(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write_synced", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_checkpoint(path, *make(seed=1))
    assert load_checkpoint(path).digest == checkpoint.digest
    assert list(path.parent.iterdir()) == [path]


def write_for_ever(path: Path, ready: Connection) -> None:
    models = [make(seed) for seed in range(3)]
    ready.send_bytes(b"ready")
    while True:
        for network, info in models:
            save_checkpoint(path, network, info)
            ready.send_bytes(b"saved")


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(path: Path) -> None:
    """A process that saves three networks in turn is killed 30 times."""
    digests = {weights_digest(dict(make(seed)[0].state_dict())) for seed in range(3)}
    context = multiprocessing.get_context("fork")
    rng = random.Random(0)
    seen = set()
    for _ in range(30):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=write_for_ever, args=(path, sender))
        process.start()
        for _ in range(rng.randint(1, 4)):  # "ready", then "saved" up to three times
            receiver.recv_bytes()
        time.sleep(rng.uniform(0.0, 0.01))
        process.kill()
        process.join()
        seen.add(load_checkpoint(path).digest)
    assert seen <= digests
    assert len(seen) > 1


def test_the_task_it_was_trained_for_is_accepted(checkpoint: Checkpoint) -> None:
    checkpoint.require_task(MDP)
    checkpoint.require_camera(make_camera())
    checkpoint.require_gripper(ROBOT.gripper)


@pytest.mark.parametrize(
    ("mdp", "message"),
    [
        (MdpConfig(action_frame="base"), "trained for action_frame tool, but this robot uses base"),
        (MdpConfig(image_size=(96, 96)), r"trained for image_size \(64, 64, 3\), but .* \(96, 96, 3\)"),
        (MdpConfig(max_translation=0.05), "max_translation 0.05 exceeds the trained 0.04"),
    ],
)
def test_another_task_is_refused(checkpoint: Checkpoint, mdp: MdpConfig, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        checkpoint.require_task(mdp)


def test_a_camera_on_another_mount_is_refused_even_outside_the_envelope(checkpoint: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match="trained for camera mount tool, but this robot uses base"):
        checkpoint.require_camera(make_camera(mount="base"), allow_outside_envelope=True)


def test_a_camera_outside_the_envelope_needs_permission(checkpoint: Checkpoint) -> None:
    other = dataclasses.replace(make_camera(), fx=90.0, fy=90.0)
    with pytest.raises(
        CheckpointError, match=r"fx 90 is not in the trained .*; fy 90 .*allow_outside_envelope"
    ):
        checkpoint.require_camera(other)
    checkpoint.require_camera(other, allow_outside_envelope=True)


def test_a_gripper_outside_the_envelope_needs_permission(checkpoint: Checkpoint) -> None:
    other = dataclasses.replace(ROBOT.gripper, max_aperture=0.14)
    with pytest.raises(CheckpointError, match=r"opening 0.14 is not in the trained"):
        checkpoint.require_gripper(other)
    checkpoint.require_gripper(other, allow_outside_envelope=True)


RECORD = EvaluationRecord("abc", "test", 40, 100)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (None, True),
        (EvaluationRecord("abc", "test", 39, 100), True),
        (EvaluationRecord("abc", "test", 40, 100), False),
        (EvaluationRecord("abc", "test", 39, 200), False),
        (EvaluationRecord("xyz", "test", 10, 100), False),
        (EvaluationRecord("abc", "train", 10, 100), False),
    ],
)
def test_a_record_beats_a_lower_rate_on_the_same_scenes(
    other: EvaluationRecord | None, expected: bool
) -> None:
    assert RECORD.beats(other) is expected
