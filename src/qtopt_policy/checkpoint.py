"""Weights of a Q network with everything that says where they may be used, in one safetensors file.

The description is JSON in the header of the file, so that weights and description cannot be torn apart: a
checkpoint is written to a temporary name, synced and renamed over the old one. Nothing is ever unpickled.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from qtopt_policy.camera import CameraModel, Mount
from qtopt_policy.checkpoint_info import CheckpointInfo
from qtopt_policy.config import from_mapping, to_mapping
from qtopt_policy.envelope import Envelope
from qtopt_policy.errors import CheckpointError, ConfigError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.registry import make_network, network_name
from qtopt_policy.robot import GripperConfig, RobotConfig
from qtopt_policy.specs import ActionSpec, ObservationSpec

KEY, DIGEST, FORMAT, VERSION = "qtopt", "digest", "format", "1"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint: its file, its description, the digest of its weights and the network (eval)."""

    path: Path
    info: CheckpointInfo
    digest: str
    network: QNetwork

    def require_task(self, mdp: MdpConfig, allow_outside_envelope: bool = False) -> None:
        """Refuse another action, observation or action frame, or action bounds beyond the trained ones.

        Raises:
            CheckpointError: naming every field that differs, with both values.
        """
        info, action, observation = self.info, mdp.action_spec(), mdp.observation_spec()
        self._match("action_frame", info.action_frame, mdp.action_frame)
        self._match("action", _action_names(info.action_spec), _action_names(action))
        self._match("image_size", info.observation_spec.image, observation.image)
        self._match("observation", _vectors(info.observation_spec), _vectors(observation))
        self._inside(info.envelope.outside_bounds(mdp), allow_outside_envelope)

    def require_mount(self, mount: Mount) -> None:
        """Refuse a camera on another mount (CheckpointError)."""
        self._match("camera mount", self.info.mount, mount)

    def require_camera(self, camera: CameraModel, allow_outside_envelope: bool = False) -> None:
        """Refuse a camera (after crop and resize) on another mount or outside the envelope."""
        self.require_mount(camera.mount)
        self._inside(self.info.envelope.outside_camera(camera), allow_outside_envelope)

    def require_gripper(self, gripper: GripperConfig, allow_outside_envelope: bool = False) -> None:
        """Refuse a gripper outside the envelope (CheckpointError)."""
        self._inside(self.info.envelope.outside_gripper(gripper), allow_outside_envelope)

    def _match(self, name: str, trained: object, found: object) -> None:
        if trained != found:
            raise CheckpointError(f"{self.path}: trained for {name} {trained}, but this robot uses {found}")

    def _inside(self, outside: list[str], allowed: bool) -> None:
        if outside and not allowed:
            reasons = "; ".join(outside)
            raise CheckpointError(
                f"{self.path}: outside what it was trained on: {reasons}. allow_outside_envelope accepts this"
            )


def describe(
    network: QNetwork, mdp: MdpConfig, robot: RobotConfig, cameras: Sequence[CameraModel], steps: int = 0
) -> CheckpointInfo:
    """Return the description of a network of one robot; without gradient steps it counts as untrained.

    Args:
        network: from the registry.
        mdp: in which it acts.
        robot: whose gripper it knows.
        cameras: all that it was trained with, after crop and resize, on one mount.
        steps: gradient steps that it has seen.

    Raises:
        ConfigError: there is no camera, or they are on different mounts.
    """
    mounts = {camera.mount for camera in cameras}
    if len(mounts) != 1:
        raise ConfigError(f"a checkpoint belongs to one camera mount, found {sorted(mounts) or 'no camera'}")
    return CheckpointInfo(
        network=network_name(network),
        network_config=network.config(),
        action_frame=mdp.action_frame,
        mount=mounts.pop(),
        action_spec=network.action_spec,
        observation_spec=network.observation_spec,
        envelope=Envelope.around(cameras, [robot.gripper], mdp),
        trained=steps > 0,
        steps=steps,
        robot=robot.name,
    )


def _action_names(spec: ActionSpec) -> tuple[str, ...]:
    return (*(dim.name for dim in spec.continuous), *spec.choices)


def _vectors(spec: ObservationSpec) -> tuple[tuple[str, int, str], ...]:
    return tuple((vector.name, vector.size, vector.unit) for vector in spec.vectors)


def save_checkpoint(path: Path, network: QNetwork, info: CheckpointInfo) -> str:
    """Write a checkpoint so that `path` holds the old one or the new one, whenever the process dies.

    Returns:
        Digest of the weights.

    Raises:
        CheckpointError: a weight is not finite (the old file stays), or the file cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    _require_finite(tensors, path)
    digest = weights_digest(tensors)
    header = {FORMAT: VERSION, DIGEST: digest, KEY: json.dumps(to_mapping(info), allow_nan=False)}
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_synced(temporary, save(tensors, header))
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written: {error}") from error
    return digest


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    # The rename itself must reach the disk before the caller may rely on it.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def weights_digest(tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes of all tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def read_info(path: Path) -> CheckpointInfo:
    """Return the description of a checkpoint without its weights.

    Raises:
        CheckpointError: naming the file and what is wrong with it.
    """
    return _parse(path, _read(path, weights=False)[0])


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and build its network, in eval mode.

    Raises:
        CheckpointError: the file is missing, truncated or not a checkpoint; weights are missing, of
            another shape, not finite or not those that were written. The message names the file.
    """
    header, tensors = _read(path, weights=True)
    info = _parse(path, header)
    _require_finite(tensors, path)
    digest = weights_digest(tensors)
    if digest != header.get(DIGEST):
        raise CheckpointError(f"{path}: the weights are not those written (digest {digest[:12]}...)")
    try:
        network = make_network(info.network, info.action_spec, info.observation_spec, info.network_config)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
    _fill(network, tensors, path)
    return Checkpoint(path, info, digest, network.eval())


def _read(path: Path, weights: bool) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()} if weights else {}  # noqa: SIM118
            return file.metadata() or {}, tensors
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such checkpoint") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file, or truncated: {error}") from error


def _parse(path: Path, header: dict[str, str]) -> CheckpointInfo:
    if KEY not in header:
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of this project")
    if header.get(FORMAT) != VERSION:
        raise CheckpointError(f"{path}: checkpoint format {header.get(FORMAT)}, this version reads {VERSION}")
    try:
        return from_mapping(json.loads(header[KEY]), CheckpointInfo, str(path))
    except (ConfigError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: description not readable: {error}") from error


def _require_finite(tensors: dict[str, Tensor], path: Path) -> None:
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise CheckpointError(f"{path}: weights are NaN or infinite: {', '.join(broken)}")


def _fill(network: QNetwork, tensors: dict[str, Tensor], path: Path) -> None:
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    for words, names in (("lacks", expected.keys() - found), ("has unknown", found.keys() - expected)):
        if names:
            raise CheckpointError(f"{path}: {words} weights: {', '.join(sorted(names))}")
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(f"{path}: weights {name} have the shape {found[name]}, expected {shape}")
    network.load_state_dict(tensors)
