"""Grasp episodes as replay rows: rewards, ends and actions as the MDP defines them.

The reward before the end is -step_penalty a step; at the end it is the episode's own (1 or 0), and nothing
follows it: `terminate` and the last allowed step are both terminal. An aborted episode has no reward at its
end and never a terminal label; its last step leads nowhere and is only the successor of the one before.
"""

import numpy as np
from numpy.typing import NDArray

from qtopt_collector.episode import Episode
from qtopt_learner.rows import Rows, outcome_columns, pack_geometry
from qtopt_policy.errors import BagError
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import GraspAction, to_search
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.batch import from_observations
from qtopt_policy.observation import Observation


def episode_rows(episode: Episode, mdp: MdpConfig, opening: float) -> Rows:
    """Return the rows of an episode, in the order of its steps.

    Args:
        episode: at least one step; two of an aborted one, whose last leads nowhere.
        mdp: reward, discount, action frame and image size to learn with.
        opening: distance of the opened fingertips [m].

    Raises:
        BagError: the episode cannot be learned from; the message names it and the reason.
    """
    check_episode(episode, mdp)
    batch = from_observations(observations(episode), mdp.action_frame, opening)
    chosen = np.isfinite(episode.steps.q)
    outcome = outcome_columns(rewards(episode, mdp), not episode.info.aborted, mdp.discount, chosen)
    return outcome | {
        "image": np.ascontiguousarray(episode.steps.image),
        "vectors": batch.vectors.numpy(),
        "geometry": pack_geometry(batch.geometry),
        "action": search_actions(episode, mdp),
    }


def check_episode(episode: Episode, mdp: MdpConfig) -> None:
    """Check that an episode fits the MDP and that its end is what its information says; errors as above."""
    info, steps = episode.info, episode.steps
    name = f"episode {info.episode_id}"
    least = 2 if info.aborted else 1
    if len(steps) < least:
        reason = f"ended by {info.end_reason} after {len(steps)} steps"
        raise BagError(f"{name}: {reason}, expected at least {least}: no step leads anywhere")
    if steps.image.shape[1:3] != mdp.image_size:
        raise BagError(f"{name}: images of {steps.image.shape[1:3]}, the MDP has {mdp.image_size}")
    frame = info.mdp.get("action_frame", mdp.action_frame)
    if frame != mdp.action_frame:
        raise BagError(f"{name}: actions in the frame '{frame}', the MDP has '{mdp.action_frame}'")
    terminal = np.flatnonzero(steps.is_terminal).tolist()
    expected = [] if info.aborted else [len(steps) - 1]
    if terminal != expected:
        reason = f"ended by {info.end_reason} after {len(steps)} steps"
        raise BagError(f"{name}: {reason}, but its terminal steps are {terminal}, expected {expected}")
    if not info.aborted and (info.reward is None or not 0.0 <= info.reward <= 1.0):
        raise BagError(f"{name}: reward {info.reward}, expected 0 to 1 at the end of a complete episode")


def rewards(episode: Episode, mdp: MdpConfig) -> NDArray[np.float32]:
    """Return the reward of each step, shape (T,)."""
    values = np.full(len(episode.steps), -mdp.step_penalty, dtype=np.float32)
    if not episode.info.aborted:
        values[-1] = episode.info.reward
    return values


def search_actions(episode: Episode, mdp: MdpConfig) -> NDArray[np.float32]:
    """Return the actions to learn from in search form, shape (T, action size)."""
    spec = mdp.action_spec()
    actions = [to_search(GraspAction.from_array(row), spec) for row in episode.steps.replay_action()]
    return np.stack(actions)


def observations(episode: Episode) -> list[Observation]:
    """Return what the policy saw at each step."""
    steps = episode.steps
    return [
        Observation(
            image=steps.image[i],
            gripper_closed=bool(steps.gripper_closed[i]),
            height_to_bottom=float(steps.height_to_bottom[i]),
            aperture=float(steps.aperture[i]),
            tool_pose=Pose.from_array(steps.tool_pose[i]),
            camera=episode.camera,
            stamp=float(steps.stamp[i]),
        )
        for i in range(len(steps))
    ]
