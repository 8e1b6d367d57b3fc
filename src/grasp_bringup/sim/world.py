"""The simulated cell: arm, gripper, cameras, bin and objects, stepped by its owner (GraspEnv, sim_node).

Bitwise deterministic: after `reset(scene)` the state depends on the scene alone, and equal commands give
equal states. An instance belongs to one thread, as its OpenGL context does.
"""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasp_bringup.sim.model import arm_spec, object_name, scene_spec
from grasp_bringup.sim.render import Renderer
from grasp_bringup.sim.scene import Scene, SceneConfig
from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import ConfigError, ShapeError, UnknownNameError
from qtopt_policy.geometry import Pose
from qtopt_policy.robot import RobotConfig

Array = NDArray[np.float64]

CONTROL_PERIOD = 0.01  # [s] between updates of the servos' set points
_XYZW = [1, 2, 3, 0]  # MuJoCo's quaternions start with w
MAX_FEEDFORWARD = 3.0  # [rad/s] that a joint's servo takes from the change of its set point


@dataclass(frozen=True, eq=False)
class JointSample:
    """State of all joints in the order of `names`: [rad or m], [rad/s or m/s], [N m or N], shape (n,)."""

    names: tuple[str, ...]
    position: Array
    velocity: Array
    effort: Array


@dataclass(frozen=True, eq=False)
class Truth:
    """What only a simulator knows.

    Attributes:
        held: index of the object that both fingers touch, or None.
        height: of the held object's centre above the bin floor [m]; NaN where none is held.
        lifted: an object is held at least `success_height` above the bin floor.
        object_poses: in the base frame.
    """

    held: int | None
    height: float
    lifted: bool
    object_poses: tuple[Pose, ...]


class World:
    """One cell.

    Args:
        robot: the arm, its gripper, its cameras and the bin.
        config: cameras and physics of the simulation.
        jitter_cameras: whether the scenes' camera offsets are applied. `camera_model` always tells the
            true pose; where poses come from the URDF instead (ROS nodes), turn the jitter off.
        success_height: see Truth.lifted [m].
    """

    def __init__(
        self,
        robot: RobotConfig,
        config: SceneConfig,
        jitter_cameras: bool = True,
        success_height: float = 0.10,
    ) -> None:
        if robot.gripper.aperture_scale <= 0.0:
            raise ConfigError(f"gripper.aperture_scale {robot.gripper.aperture_scale}: must be above 0")
        self.robot = robot
        self.config = config
        self.scene: Scene | None = None
        steps = CONTROL_PERIOD / config.physics.timestep
        if abs(steps - round(steps)) > 1e-6:
            raise ConfigError(
                f"physics.timestep {config.physics.timestep}: must divide the period {CONTROL_PERIOD} s"
            )
        self._jitter = jitter_cameras
        self._success_height = success_height
        self._base = arm_spec(robot, config)
        self._renderer: Renderer | None = None
        self._names = (*robot.arm_joints, *robot.gripper.joints)
        self._arm = len(robot.arm_joints)
        physics = config.physics
        self._lag = np.array(physics.arm_damping) / np.array(physics.arm_stiffness)  # [s]
        self._start_from(np.array(robot.home), robot.gripper.open_position)

    def _start_from(self, home: Array, opening: float) -> None:
        """Set what the next model starts with: joint positions, velocities and set points, time."""
        fingers = [opening] * len(self.robot.gripper.joints)
        self._positions = np.concatenate([home, fingers])
        self._velocities = np.zeros(len(self._names))
        self._controls = np.concatenate([home, [opening]])
        self._arm_command, self._arm_reference = home, home
        self._gripper_target = opening
        self._start_time = 0.0

    def reset(self, scene: Scene, keep_arm: bool = False, settle: bool = True) -> None:
        """Replace the scene.

        Args:
            scene: what to build.
            keep_arm: leave arm, gripper and time as they are; otherwise home, open and time 0.
            settle: let the objects come to rest (simulated time passes); otherwise they begin to fall now.
        """
        if keep_arm and self.scene is not None:
            self._remember()
        else:
            self._start_from(np.array(self.robot.home), self.robot.gripper.open_position)
        self.scene = scene
        self._build(scene)
        if settle:
            self.settle()

    def _remember(self) -> None:
        self._positions = self._data.qpos[self._qpos].copy()
        self._velocities = self._data.qvel[self._dof].copy()
        self._controls = self._data.ctrl.copy()
        self._start_time = float(self._data.time)

    def _build(self, scene: Scene) -> None:
        self._model = scene_spec(self._base, self.robot, self.config, scene, self._jitter).compile()
        self._data = mujoco.MjData(self._model)
        joints = [self._model.joint(name).id for name in self._names]
        self._qpos, self._dof = self._model.jnt_qposadr[joints], self._model.jnt_dofadr[joints]
        self._data.qpos[self._qpos] = self._positions
        self._data.qvel[self._dof] = self._velocities
        self._data.ctrl[:] = self._controls
        self._data.time = self._start_time
        bodies = [self._model.body(object_name(i)).id for i in range(len(scene.objects))]
        self._objects = np.array(bodies, dtype=np.int64)
        self._tool = self._model.body(self.robot.tool_frame).id
        self._fingers = [self._model.jnt_bodyid[joint] for joint in joints[self._arm :]]
        self._place()
        base = self._world_pose(self._model.body(self.robot.base_frame).id)
        self._base_is_world = base.distance(Pose.identity()) == 0.0 and base.angle(Pose.identity()) == 0.0
        self._base_inverse = base.inverse()
        self._cameras = {name: self._measure_camera(name) for name in self.robot.cameras}

    def settle(self) -> None:
        """Advance until the objects rest, at most `settle_time`."""
        steps = round(self.config.physics.settle_time / CONTROL_PERIOD)
        for _ in range(steps):
            self.advance(CONTROL_PERIOD)
            if self.settled():
                return

    def settled(self) -> bool:
        """Return whether no object moves faster than `settle_speed`."""
        speeds = np.delete(self._data.qvel, self._dof)
        return bool(np.abs(speeds).max(initial=0.0) < self.config.physics.settle_speed)

    @property
    def time(self) -> float:
        """Simulated time [s]."""
        return float(self._data.time)

    def command_arm(self, q: ArrayLike) -> None:
        """Set the arm's joint set points [rad], shape (n,), held until the next command.

        As in real drives, the change since the set point of the control period before is fed forward as
        velocity, so that a smooth sequence of set points is followed without lag.

        Raises:
            ShapeError: wrong length or not finite.
        """
        array = np.asarray(q, dtype=np.float64)
        if array.shape != (self._arm,) or not np.isfinite(array).all():
            raise ShapeError(f"arm command {array.tolist()}, expected {self._arm} finite values")
        self._arm_command = array.copy()

    def command_gripper(self, position: float) -> None:
        """Set the finger joints' goal [m]; the fingers travel there at `finger_speed`.

        Raises:
            ShapeError: not finite.
        """
        if not np.isfinite(position):
            raise ShapeError(f"gripper command {position}: not finite")
        gripper = self.robot.gripper
        low, high = sorted((gripper.closed_position, gripper.open_position))
        self._gripper_target = float(np.clip(position, low, high))

    def advance(self, duration: float) -> None:
        """Simulate for `duration` [s], rounded to whole timesteps."""
        timestep = self._model.opt.timestep
        remaining = round(duration / timestep)
        chunk = max(1, round(CONTROL_PERIOD / timestep))
        while remaining > 0:
            steps = min(chunk, remaining)
            self._update_servos(steps * timestep)
            mujoco.mj_step(self._model, self._data, steps)
            remaining -= steps
        self._place()

    def _update_servos(self, period: float) -> None:
        control = self._data.ctrl
        speed = (self._arm_command - self._arm_reference) / period
        # The servo's torque is kp (control - q) - kv dq; control = q* + kv / kp dq* makes it follow dq*.
        forward = np.minimum(np.maximum(speed, -MAX_FEEDFORWARD), MAX_FEEDFORWARD)
        control[: self._arm] = self._arm_command + self._lag * forward
        self._arm_reference = self._arm_command
        travel = self.config.physics.finger_speed * period
        rest = self._gripper_target - control[self._arm]
        control[self._arm] += min(max(rest, -travel), travel)

    def _place(self) -> None:
        """Bring frames and cameras up to date: mj_step leaves them one timestep behind."""
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)

    def joint_sample(self) -> JointSample:
        """Return the state of arm and fingers; efforts are the actuators' forces on the joints."""
        data = self._data
        return JointSample(
            self._names,
            data.qpos[self._qpos].copy(),
            data.qvel[self._dof].copy(),
            data.qfrc_actuator[self._dof].copy(),
        )

    def tool_pose(self) -> Pose:
        """Return the pose of the tool frame in the base frame."""
        return self._pose(self._tool)

    def aperture(self) -> float:
        """Return the distance of the fingertips [m]."""
        return self.robot.gripper.aperture(float(self._data.qpos[self._qpos[self._arm]]))

    def _pose(self, body: int) -> Pose:
        """Return the pose of a body in the base frame."""
        pose = self._world_pose(body)
        return pose if self._base_is_world else self._base_inverse @ pose

    def _world_pose(self, body: int) -> Pose:
        return Pose(self._data.xpos[body], self._data.xquat[body][_XYZW])

    def render(self, camera: str) -> NDArray[np.uint8]:
        """Return the picture of a camera, RGB uint8, shape (height, width, 3).

        Raises:
            MissingDependencyError: nothing to render with is installed.
            UnknownNameError: there is no such camera.
        """
        self._require_camera(camera)
        if self._renderer is None:
            self._renderer = Renderer(self._model)
        spec = self.config.cameras[camera]
        return self._renderer.render(self._model, self._data, camera, spec.width, spec.height)

    def camera_model(self, camera: str) -> CameraModel:
        """Return intrinsics and true pose of a camera.

        Raises:
            UnknownNameError: there is no such camera.
        """
        self._require_camera(camera)
        return self._cameras[camera]

    def _require_camera(self, camera: str) -> None:
        if camera not in self.robot.cameras:
            raise UnknownNameError("camera", camera, self.robot.cameras)

    def _measure_camera(self, name: str) -> CameraModel:
        """Build the model: fy = height / (2 tan(fovy / 2)), square pixels, centre of the image."""
        spec, index = self.config.cameras[name], self._model.camera(name).id
        rotation = self._data.cam_xmat[index].reshape(3, 3) @ np.diag([1.0, -1.0, -1.0])
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation, self._data.cam_xpos[index]
        in_base = self._base_inverse @ Pose.from_matrix(matrix)
        mount = self.robot.cameras[name].mount
        pose = self.tool_pose().inverse() @ in_base if mount == "tool" else in_base
        focal = spec.height / (2.0 * np.tan(np.deg2rad(spec.fovy) / 2.0))
        cx, cy = (spec.width - 1) / 2.0, (spec.height - 1) / 2.0
        return CameraModel(spec.width, spec.height, focal, focal, cx, cy, mount, pose)

    def truth(self) -> Truth:
        """Return the ground truth of the present state."""
        poses = tuple(self._pose(body) for body in self._objects)
        held = self._held()
        floor = self.robot.bin.centre[2]
        height = float("nan") if held is None else float(poses[held].position[2]) - floor
        return Truth(held, height, held is not None and height >= self._success_height, poses)

    def _held(self) -> int | None:
        """Return the object that touches every finger."""
        contacts = self._model.geom_bodyid[self._data.contact.geom]  # (ncon, 2) bodies
        both = np.concatenate([contacts, contacts[:, ::-1]])
        touching = [set(both[both[:, 0] == finger, 1]) for finger in self._fingers]
        common = set.intersection(*touching) & set(self._objects)
        return int(np.flatnonzero(self._objects == min(common))[0]) if common else None

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    @property
    def mujoco_state(self) -> tuple[Any, Any]:
        """The MjModel and MjData of now, for tests and benchmarks."""
        return self._model, self._data
