"""GraspEnv: the grasping MDP on the simulated cell as a Gymnasium environment, without ROS.

A step and its end, the limits, the servo, the judge and the preprocessing are the very functions that the
ROS nodes run (step_rule, limits, servo, success, preprocess), so both are one MDP.
"""

import math
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from grasp_bringup.sim.executor import Executor
from grasp_bringup.sim.scene import SEEDS_PER_SPLIT, Scene, SceneConfig, load_scene_config, sample_scene
from grasp_bringup.sim.world import Truth, World
from qtopt_collector.success import GripperSample, judge
from qtopt_policy.camera import CameraModel
from qtopt_policy.config import load_config
from qtopt_policy.errors import ShapeError, UnknownKeyError, UnknownNameError
from qtopt_policy.grasp_action import TERMINATE, GraspAction
from qtopt_policy.limits import clip
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation
from qtopt_policy.preprocess import RobotState, View, observe
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve
from qtopt_policy.step_record import StepRecord, execution

Observations = dict[str, NDArray[Any]]
ROBOT_FILE = Path("config/robots/sim.yaml")
MDP_FILE = Path("config/mdp.yaml")
RESET_OPTIONS = ("split",)


class GraspEnv(gymnasium.Env[Any, Any]):
    """One episode: look, move the gripper, close it, terminate; then the arm lifts and the grasp is judged.

    Observation (dict): `image` uint8 (H, W, 3); `gripper_closed` (1,); `height_to_bottom` (1,) [m];
    `aperture` (1,) [m]; `tool_pose` (7,) in the base frame; `camera` (11,): fx fy cx cy [px] of `image` and
    the camera's pose in its mount frame. `observation` holds the same, typed, for policies.

    Action: the recorded form of GraspAction (grasp_action.ACTION_NAMES). Values beyond the bounds are
    clipped; of several raised flags among close, open, terminate the highest counts.

    Reward: -step_penalty per step, 1 or 0 at the end by the judge. Both `terminate` and the last step are
    terminal; nothing is ever truncated.

    Info: `step` (StepRecord) after every step; at the end `success` (judged), `truth` (ground truth),
    `reason`, `end_reason`, `aperture_closed`, `aperture_lifted`; after a reset `split`, `seed`, `families`.

    Reset: `seed` is the number of the scene within its split; without one it is drawn from those that are
    not reserved for evaluation. Option `split` changes the split from then on.

    Args:
        robot: the cell; by default config/robots/sim.yaml.
        mdp: by default config/mdp.yaml.
        scene: distribution of scenes; by default config/scene.yaml.
        camera: name of the active camera.
        split: where scenes come from until a reset says otherwise.
        rendered: without it images stay black.
        render_mode: `rgb_array` or None.
        jitter_cameras: False puts the cameras where the URDF has them in every scene, as sim_node does.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 3}  # noqa: RUF012 (gymnasium's own form)

    def __init__(
        self,
        robot: RobotConfig | None = None,
        mdp: MdpConfig | None = None,
        scene: SceneConfig | None = None,
        camera: str = "wrist",
        split: str = "train",
        rendered: bool = True,
        render_mode: str | None = None,
        jitter_cameras: bool = True,
    ) -> None:
        self.robot = robot or load_robot(resolve(ROBOT_FILE))
        self.mdp = mdp or load_config(resolve(MDP_FILE), MdpConfig)
        self.config = scene or load_scene_config()
        self.world = World(self.robot, self.config, jitter_cameras, self.mdp.success_height)
        if camera not in self.robot.cameras:
            raise UnknownNameError("camera", camera, self.robot.cameras)
        self.camera = camera
        self.split = split
        self.render_mode = render_mode
        self._rendered = rendered
        self._executor = Executor(self.world, self.mdp)
        crop = self.robot.cameras[camera].crop
        self._view = View(self.mdp.image_size, crop, self.robot.bin.centre[2])
        self._observation: Observation | None = None
        self._steps = 0
        self._done = True
        self.action_space = action_box(self.mdp)
        self.observation_space = observation_space(self.mdp)

    @property
    def observation(self) -> Observation:
        """The latest observation in the form that policies take.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if self._observation is None:
            raise gymnasium.error.ResetNeeded("GraspEnv: no observation before the first reset")
        return self._observation

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Build scene number `seed` of the split, let it settle, bring the arm home.

        Raises:
            UnknownKeyError: an option that does not exist.
            UnknownNameError: no such split.
            ConfigError: `seed` is out of range.
        """
        super().reset(seed=seed)
        for key in options or {}:
            if key not in RESET_OPTIONS:
                raise UnknownKeyError("GraspEnv.reset options", key, RESET_OPTIONS)
        self.split = (options or {}).get("split", self.split)
        if seed is None:
            seed = int(self.np_random.integers(self.config.evaluation_seeds, SEEDS_PER_SPLIT))
        scene = self._draw(seed)
        self.world.reset(scene)
        self._executor.start()
        self._steps, self._done, self._seed = 0, False, seed
        families = tuple(item.shape.family for item in scene.objects)
        return self._observe(), {"split": self.split, "seed": seed, "families": families}

    def _draw(self, seed: int) -> Scene:
        return sample_scene(self.config, self.split, seed, self.robot.bin)

    def step(self, action: ArrayLike) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Carry out one step of the MDP.

        Raises:
            gymnasium.error.ResetNeeded: the episode has ended.
            ShapeError: the action is not 8 finite numbers.
        """
        if self._done:
            raise gymnasium.error.ResetNeeded("GraspEnv: the episode has ended, call reset()")
        record = self._execute(self._decode(action))
        info: dict[str, Any] = {"step": record}
        reward = -self.mdp.step_penalty
        if record.is_terminal:
            self._done = True
            info |= self._finish(record.end_cause)
            reward = float(info["success"])
        return self._observe(), reward, record.is_terminal, False, info

    def _decode(self, action: ArrayLike) -> GraspAction:
        values = np.array(action, dtype=np.float64)
        if values.shape != (8,) or not np.isfinite(values).all():
            raise ShapeError(f"action {values.tolist()}, expected 8 finite numbers")
        flags = values[5:]
        values[5:] = (np.arange(3) == np.argmax(flags)) & (flags > 0.5)
        raw = GraspAction.from_array(values)
        bound, turn = self.mdp.max_translation, self.mdp.max_yaw
        return GraspAction(
            np.clip(raw.translation, -bound, bound), float(np.clip(raw.yaw, -turn, turn)), raw.choice
        )

    def _execute(self, action: GraspAction) -> StepRecord:
        before, mdp = self.observation, self.mdp
        start = self.world.tool_pose()
        if action.choice == TERMINATE:
            action, cause = GraspAction(np.zeros(3), 0.0, TERMINATE), "terminate"
        else:
            target = clip(start, action.target(start, mdp.action_frame), self.robot.limits).target
            action = GraspAction.between(start, target, mdp.action_frame, action.choice)
            cause = self._executor.run(target, action.choice)
        done = execution(action, start, self.world.tool_pose(), mdp)
        self._steps += 1
        return StepRecord(
            episode_id=f"{self.split}-{self._seed}",
            index=self._steps - 1,
            image_stamp=before.stamp,
            gripper_closed=before.gripper_closed,
            height_to_bottom=before.height_to_bottom,
            aperture=before.aperture,
            tool_pose=tuple(before.tool_pose.as_array().tolist()),
            asked=tuple(action.as_array().tolist()),
            executed=tuple(done.action.as_array().tolist()),
            altered=done.altered,
            contact=done.altered,  # what was asked is within the limits already
            duration=self.world.time - before.stamp,
            end_cause=cause,
            q=math.nan,
            is_terminal=action.choice == TERMINATE or self._steps >= mdp.max_steps,
            policy="",
        )

    def _finish(self, cause: str) -> dict[str, Any]:
        """Lift and judge; return the entries of the last info."""
        closed = self.world.aperture()
        self._executor.lift(self.mdp.lift_height)
        truth, lifted = self.world.truth(), self.world.aperture()
        verdict = judge(
            self.robot.gripper,
            self._executor.gripper_closed,
            GripperSample(closed),
            GripperSample(lifted),
        )
        return {
            "success": verdict.success,
            "truth": truth.lifted,
            "reason": verdict.reason,
            "end_reason": "terminate" if cause == "terminate" else "max_steps",
            "aperture_closed": closed,
            "aperture_lifted": lifted,
        }

    def _observe(self) -> Observations:
        world = self.world
        camera = world.camera_model(self.camera)
        if self._rendered:
            image = world.render(self.camera)
        else:
            image = np.zeros((camera.height, camera.width, 3), dtype=np.uint8)
        state = RobotState(world.tool_pose(), world.aperture(), self._executor.gripper_closed)
        self._observation = observe(image, camera, state, self._view, world.time)
        return as_arrays(self._observation)

    def truth(self) -> Truth:
        """Return the ground truth of now; for tests and the oracle, never for policies."""
        return self.world.truth()

    def render(self) -> NDArray[np.uint8] | None:
        """Return the active camera's picture, uint8 (height, width, 3), in the mode `rgb_array`."""
        return self.world.render(self.camera) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Free the renderer."""
        self.world.close()


def action_box(mdp: MdpConfig) -> spaces.Box:
    """Return the space of the recorded form of actions."""
    high = np.array([mdp.max_translation] * 3 + [1.0] * 5)
    low = np.array([-mdp.max_translation] * 3 + [-1.0] * 2 + [0.0] * 3)
    return spaces.Box(low, high, dtype=np.float64)


def observation_space(mdp: MdpConfig) -> spaces.Dict:
    """Return the space of GraspEnv's observations."""

    def box(low: float, high: float, size: int) -> spaces.Box:
        return spaces.Box(low, high, (size,), dtype=np.float32)

    return spaces.Dict(
        {
            "image": spaces.Box(0, 255, (*mdp.image_size, 3), dtype=np.uint8),
            "gripper_closed": box(0.0, 1.0, 1),
            "height_to_bottom": box(-1.0, 2.0, 1),
            "aperture": box(0.0, 1.0, 1),
            "tool_pose": box(-3.0, 3.0, 7),
            "camera": box(-1e4, 1e4, 11),
        }
    )


def as_arrays(observation: Observation) -> Observations:
    """Return an observation as GraspEnv's dict of arrays."""
    camera: CameraModel = observation.camera
    values = [camera.fx, camera.fy, camera.cx, camera.cy, *camera.pose.as_array()]
    return {
        "image": observation.image,
        "gripper_closed": np.array([observation.gripper_closed], dtype=np.float32),
        "height_to_bottom": np.array([observation.height_to_bottom], dtype=np.float32),
        "aperture": np.array([observation.aperture], dtype=np.float32),
        "tool_pose": observation.tool_pose.as_array().astype(np.float32),
        "camera": np.array(values, dtype=np.float32),
    }
