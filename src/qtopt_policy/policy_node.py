"""Runs episodes of the closed loop on request: which policy, when, and when not (docs/architecture.md)."""

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from qtopt_policy import topics
from qtopt_policy.base_node import ERROR, OK, WARN, spin
from qtopt_policy.episode_events import EpisodeRequest
from qtopt_policy.episode_node import EpisodeNode
from qtopt_policy.errors import ConfigError, QtoptError, UnknownNameError
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Policy
from qtopt_policy.policies.registry import LEARNED, make_policy
from qtopt_policy.policy_store import HOT_RELOADS, HotReload, PolicySettings, PolicyStore, ReadyPolicy
from qtopt_policy.preprocess import RobotState, observe
from qtopt_policy.search_config import DRIVING, CemConfig

EPISODE_PARAMETERS: dict[str, bool | int | float | str] = {
    "episode.id": "",
    "policy.name": "scripted",
    "policy.epsilon": 0.0,
    "policy.noise": 0.0,
    "checkpoint": "",
    "seed": 1,
    "allow_untrained": False,
    "allow_outside_envelope": False,
    "search.iterations": DRIVING.iterations,
    "search.samples": DRIVING.samples,
    "search.elites": DRIVING.elites,
}


class PolicyNode(EpisodeNode):
    """Starts and cancels episodes.

    Parameters (ROS), of the next episode, refused while one runs:
        episode.id: unique name of the episode.
        policy.name: of a policy in the registry.
        policy.epsilon: share of random steps.
        policy.noise: standard deviation of what is added to the moves, in shares of their bounds.
        checkpoint: file of the weights, "" for policies without; one set at the start must fit.
        seed: of the policy's randomness.
        allow_untrained: let fresh weights drive (simulator only).
        allow_outside_envelope: use weights outside what they were trained on.
        search.iterations, search.samples, search.elites: of the learned policy's cross-entropy method.
    Parameters (ROS), set at the start, beside those of EpisodeNode:
        hot_reload: take up a changed checkpoint between episodes: never, better (its evaluation must beat
            that of the running weights), newest (any that fits).

    Args:
        make: builds policies; tests bring their own.
    """

    def __init__(self, make: Callable[..., Policy] = make_policy) -> None:
        super().__init__("policy_node")
        self._make = make
        for name, value in EPISODE_PARAMETERS.items():
            self.declare_parameter(name, value)
        self.declare_parameter("hot_reload", "never", ParameterDescriptor(read_only=True))
        self._active = False
        self._preparing: EpisodeRequest | None = None
        self._warm: Policy | None = None

    def setup(self) -> None:
        """Check the parameters of the first episode, its weights included, and offer the services."""
        super().setup()
        settings = self._settings({})
        self._store = PolicyStore(
            self.mdp,
            self.robot,
            self.robot.cameras[self.parameter("camera", str)].mount,
            hot_reload=self._hot_reload(),
            make=self._make,
        )
        if settings.checkpoint is not None:
            # Refused now, not after somebody has armed the robot; kept for the first episode. In the thread
            # that decides with them, because torch keeps its number of threads by thread.
            self._worker.wait_for(partial(self._store.get, replace(settings, name=LEARNED)))
        self.create_service(Trigger, topics.RUN_EPISODE, self._on_run)
        self.create_service(Trigger, topics.CANCEL_EPISODE, self._on_cancel)
        self.add_on_set_parameters_callback(self._check_parameters)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Allow episodes."""
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the episode that runs and allow none."""
        self._active = False
        self._cancel("deactivated")
        return super().on_deactivate(state)

    def _hot_reload(self) -> HotReload:
        wanted = self.parameter("hot_reload", str)
        match = next((mode for mode in HOT_RELOADS if mode == wanted), None)
        if match is None:
            raise UnknownNameError("hot_reload", wanted, HOT_RELOADS)
        return match

    @property
    def _running(self) -> str | None:
        """Id of the episode that runs or is being prepared."""
        if self._preparing is not None:
            return self._preparing.episode_id
        return self.runner.request.episode_id if self.runner.active else None

    def _settings(self, changed: dict[str, object]) -> PolicySettings:
        """Return the settings of the next episode with `changed` parameters; errors as PolicySettings."""
        values: dict[str, Any] = {name: self.get_parameter(name).value for name in EPISODE_PARAMETERS}
        values |= changed
        return PolicySettings(
            name=values["policy.name"],
            epsilon=values["policy.epsilon"],
            noise=values["policy.noise"],
            checkpoint=Path(values["checkpoint"]) if values["checkpoint"] else None,
            allow_untrained=values["allow_untrained"],
            allow_outside_envelope=values["allow_outside_envelope"],
            search=CemConfig(values["search.iterations"], values["search.samples"], values["search.elites"]),
        )

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        changed = {parameter.name: parameter.value for parameter in parameters}
        concerned = sorted(EPISODE_PARAMETERS.keys() & changed.keys())
        try:
            if concerned and self._running is not None:
                raise ConfigError(f"{', '.join(concerned)}: refused, episode '{self._running}' is running")
            self._settings(changed)
        except QtoptError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _on_run(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Accept or refuse an episode; topics.EPISODE tells how it goes."""
        try:
            self._require_ready()
            settings = self._settings({})
        except QtoptError as error:
            return _reply(response, False, reason=str(error))
        wanted = EpisodeRequest(
            self.parameter("episode.id", str), self.parameter("seed", int), settings.name, settings.epsilon
        )
        self._preparing = wanted
        self.out.episode(wanted, "started")
        self._worker.submit(
            partial(self._prepare, settings, wanted.seed, self._blank()),
            partial(self._prepared, wanted),
            partial(self._not_prepared, wanted),
        )
        return _reply(response, True, episode_id=wanted.episode_id)

    def _require_ready(self) -> None:
        """Raise a ConfigError that says why no episode can start now."""
        state, joint = self.runner.state, self.robot.gripper.joints[0]
        obstacles = {
            "policy_node is not active": not self._active,
            f"episode '{self._running}' is running": self._running is not None,
            "parameter episode.id is empty": not self.parameter("episode.id", str),
            f"no usable {self.camera.info_topic} yet": self.camera.model is None,
            f"no {topics.TOOL_POSE} yet: does guard_node run?": state.latest_pose is None,
            f"no joint state of '{joint}' yet": state.latest_aperture is None,
        }
        for reason, stands in obstacles.items():
            if stands:
                raise ConfigError(reason)

    def _blank(self) -> Observation:
        """Return a black image from where the tool is now."""
        model, pose = self.camera.model, self.runner.state.latest_pose
        assert model is not None
        assert pose is not None
        image = np.zeros((model.height, model.width, 3), dtype=np.uint8)
        return observe(image, model, RobotState(pose[1], 0.0, False), self.view, 0.0)

    def _prepare(self, settings: PolicySettings, seed: int, blank: Observation) -> ReadyPolicy:
        """Build or fetch the policy, in the worker: it may have to import torch.

        A new policy decides once in vain, so that its first real decision is as fast as the others and a
        camera that does not suit it is refused before the arm moves.
        """
        ready = self._store.get(settings)
        if ready.greedy is not self._warm:
            ready.greedy.reset(seed)
            ready.greedy.decide(blank)
            self._warm = ready.greedy
            gc.collect()
            gc.freeze()  # as in base_node.spin: torch may have come since then
        ready.policy.reset(seed)
        return ready

    def _prepared(self, wanted: EpisodeRequest, ready: ReadyPolicy) -> None:
        if self._preparing is not wanted:
            return  # cancelled meanwhile
        self._preparing = None
        self.report(
            "policy", WARN if ready.note else OK, ready.note or ready.policy.name, digest=ready.digest
        )
        named = EpisodeRequest(wanted.episode_id, wanted.seed, ready.policy.name, wanted.epsilon)
        self.begin(named, ready)

    def _not_prepared(self, wanted: EpisodeRequest, error: Exception) -> None:
        if self._preparing is not wanted:
            return
        self._preparing = None
        detail = str(error) if isinstance(error, QtoptError) else f"{type(error).__name__}: {error}"
        self.report("policy", ERROR, detail)
        self.out.episode(wanted, "ended", reason="error", detail=detail)

    def _on_cancel(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """End the episode that runs."""
        episode_id = self._running
        if episode_id is None:
            return _reply(response, False, reason="no episode is running")
        self._cancel("cancelled")
        return _reply(response, True, episode_id=episode_id)

    def _cancel(self, detail: str) -> None:
        if self._preparing is not None:
            wanted, self._preparing = self._preparing, None
            self.out.episode(wanted, "ended", reason="operator", detail=detail)
        self.runner.cancel(detail)
        self.drain()


def _reply(response: Trigger.Response, success: bool, **values: str) -> Trigger.Response:
    response.success, response.message = success, json.dumps(values)
    return response


def main() -> int:
    """Run the node."""
    return spin(PolicyNode)


if __name__ == "__main__":
    sys.exit(main())
