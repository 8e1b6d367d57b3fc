"""Policies by name; torch is imported only for those that need it."""

from pathlib import Path

from qtopt_policy.camera import Mount
from qtopt_policy.errors import CheckpointError, UnknownNameError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.policies.base import Policy
from qtopt_policy.policies.exploration import Exploration
from qtopt_policy.policies.random_policy import RandomPolicy
from qtopt_policy.policies.scripted_policy import EXACT, ScriptedPolicy
from qtopt_policy.robot import RobotConfig
from qtopt_policy.search_config import DRIVING, CemConfig

LEARNED = "cem"  # the one that needs weights
POLICIES = (LEARNED, "random", "scripted", "scripted_exact")


def make_policy(
    name: str,
    mdp: MdpConfig,
    robot: RobotConfig,
    *,
    checkpoint: Path | None = None,
    epsilon: float = 0.0,
    mount: Mount | None = None,
    allow_outside_envelope: bool = False,
    allow_untrained: bool = False,
    search: CemConfig = DRIVING,
) -> Policy:
    """Build a policy.

    Args:
        name: one of POLICIES. (`oracle` needs the simulator: grasp_bringup.sim.oracle.)
        mdp: bounds of the actions, size of the image.
        robot: bin, gripper and limits.
        checkpoint: file with the weights of `cem`.
        epsilon: share of random steps.
        mount: of the active camera, where it is known: a checkpoint for another one is refused at once
            instead of at its first decision.
        allow_outside_envelope: use weights outside what they were trained on.
        allow_untrained: let fresh weights act; for the simulator only.
        search: how `cem` looks for the best action.

    Raises:
        UnknownNameError: there is no such policy.
        CheckpointError: `cem` without a checkpoint, or with one that does not fit.
        ConfigError: epsilon is not in [0, 1].
    """
    policy: Policy
    if name == "random":
        policy = RandomPolicy(mdp)
    elif name == "scripted":
        policy = ScriptedPolicy(mdp, robot)
    elif name == "scripted_exact":
        policy = ScriptedPolicy(mdp, robot, EXACT, name)
    elif name == LEARNED:
        policy = _cem(mdp, robot, checkpoint, mount, allow_outside_envelope, allow_untrained, search)
    else:
        raise UnknownNameError("policy", name, POLICIES)
    return Exploration(epsilon).wrap(policy, mdp)


def _cem(
    mdp: MdpConfig,
    robot: RobotConfig,
    path: Path | None,
    mount: Mount | None,
    allow_outside_envelope: bool,
    allow_untrained: bool,
    search: CemConfig,
) -> Policy:
    from qtopt_policy.checkpoint import load_checkpoint
    from qtopt_policy.policies.cem_policy import CemPolicy

    if path is None:
        raise CheckpointError("policy cem needs a checkpoint: give its file")
    checkpoint = load_checkpoint(path)
    if not (checkpoint.info.trained or allow_untrained):
        raise CheckpointError(
            f"{path}: untrained weights do not drive; train them, or take the policy 'random'"
        )
    if mount is not None:
        checkpoint.require_mount(mount)
    threads = 1 if checkpoint.info.network == "compact" else None
    return CemPolicy(
        checkpoint, mdp, robot.gripper, search, allow_outside_envelope=allow_outside_envelope, threads=threads
    )
