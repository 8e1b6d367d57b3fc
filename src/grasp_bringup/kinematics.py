"""Forward and inverse kinematics of any URDF chain, by MuJoCo on scratch data (no ROS, no physics)."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasp_bringup.dls import bounded_step
from grasp_bringup.urdf import expand
from grasp_bringup.urdf_tree import UrdfTree, kinematic_urdf
from qtopt_policy.errors import ConfigError, ShapeError
from qtopt_policy.geometry import Pose, readonly
from qtopt_policy.robot import RobotConfig

Array = NDArray[np.float64]

MAX_ITERATIONS = 100
POSITION_TOLERANCE = 1e-5  # [m]
ANGLE_TOLERANCE = 1e-4  # [rad]
_LARGEST_STEP = 0.3  # [rad or m] per iteration and joint: beyond it the linearisation is worth nothing
_POSTURE_GAIN = 0.1  # share of the way to the comfortable posture per iteration...
_POSTURE_ITERATIONS = 5  # ...in the first ones: later its second-order effect would keep the tool moving


@dataclass(frozen=True, eq=False)
class IkResult:
    """Outcome of an inverse kinematics search.

    Attributes:
        q: best joint positions found, within the limits, shape (n,).
        converged: both errors are within the tolerances.
        position_error: remaining distance [m].
        angle_error: remaining rotation [rad].
    """

    q: Array
    converged: bool
    position_error: float
    angle_error: float


@dataclass(frozen=True, eq=False)
class Aim:
    """A tool pose in the axes of the URDF's root: position [m], shape (3,), quaternion (w, x, y, z)."""

    position: Array
    quaternion: Array


class Kinematics:
    """The chain of `joints` that moves `tool_frame` in `base_frame`.

    Meshes are ignored, so their files need not exist. All other joints (fingers) stay at zero. An instance
    holds scratch data: one per thread.

    Attributes:
        lower, upper: position limits [rad or m], shape (n,); infinite for continuous joints.
        velocity_limits: [rad/s or m/s], shape (n,).
        posture: comfortable joint positions that the null space tends to, shape (n,).

    Raises:
        UnknownNameError: a frame or joint is not in the URDF; the message lists those that are.
        ConfigError: not a URDF, a speed limit is missing, or `joints` are not those between the frames.
    """

    def __init__(
        self,
        urdf_xml: str,
        base_frame: str,
        tool_frame: str,
        joints: tuple[str, ...],
        posture: ArrayLike | None = None,
    ) -> None:
        self._tree = UrdfTree(urdf_xml)
        self._tree.check_chain(base_frame, tool_frame, joints)
        self.joints = joints
        self.velocity_limits = readonly(self._tree.velocity_limits(joints), (len(joints),), "velocity limits")
        self._model = _compile(urdf_xml)
        self._data = mujoco.MjData(self._model)
        indices = [self._model.joint(name).id for name in joints]
        self._qpos = self._model.jnt_qposadr[indices]
        self._dof = self._model.jnt_dofadr[indices]
        limited = self._model.jnt_limited[indices].astype(bool)
        limits = self._model.jnt_range[indices]
        self.lower = np.where(limited, limits[:, 0], -np.inf)
        self.upper = np.where(limited, limits[:, 1], np.inf)
        middle = np.where(limited, limits.mean(axis=1), 0.0)
        self.posture = readonly(middle if posture is None else posture, middle.shape, "posture")
        self._tool = self._model.body(tool_frame).id
        self._set_base(self._model.body(base_frame).id)
        self._set_shapes()
        self._jacobian = np.zeros((6, self._model.nv))

    def _set_base(self, body: int) -> None:
        """Remember the base frame's place: none of the chain's joints moves it."""
        self._place(np.clip(self.posture, self.lower, self.upper))
        self._base = _body_pose(self._data, body)
        self._base_rotation = self._base.rotation()
        self._base_inverse = self._base.inverse()
        self._origin = self.aim(Pose.identity())

    def _set_shapes(self) -> None:
        moving = {self._model.body(link).id for link in self._tree.links_below(self.joints)}
        owners = self._model.geom_bodyid
        self._shapes = np.flatnonzero([body in moving for body in owners])
        types, sizes = self._model.geom_type[self._shapes], self._model.geom_size[self._shapes]
        self._half_extents, self._radii = _half_extents(types, sizes)

    def forward(self, q: ArrayLike) -> Pose:
        """Return the tool's pose in the base frame at joint positions `q` [rad or m], shape (n,)."""
        self._place(self._checked(q))
        return self._base_inverse @ _body_pose(self._data, self._tool)

    def frame_pose(self, q: ArrayLike, frame: str) -> Pose:
        """Return the pose of any link in the base frame.

        Raises:
            UnknownNameError: no such link; the message lists those that exist.
        """
        self._tree.require_link(frame)
        self._place(self._checked(q))
        return self._base_inverse @ _body_pose(self._data, self._model.body(frame).id)

    def jacobian(self, q: ArrayLike) -> Array:
        """Return the tool's Jacobian in the base frame, shape (6, n): linear rows, then angular ones."""
        _, rows = self.linearise(self._checked(q), self._origin)
        turned: Array = (self._base_rotation.T @ rows.reshape(2, 3, -1)).reshape(6, -1)
        return turned

    def lowest_point(self, q: ArrayLike) -> float:
        """Return the least height [m] in the base frame of all moving primitive collision shapes.

        Exact for boxes, spheres, capsules, cylinders and ellipsoids' boxes; +inf where there are none.
        """
        self._place(self._checked(q))
        if not len(self._shapes):
            return float("inf")
        up = self._base_rotation[:, 2]
        centres = self._data.geom_xpos[self._shapes] @ up - self._base.position @ up
        # Row i: the up direction in the axes of shape i.
        local = np.einsum("j,ijk->ik", up, self._data.geom_xmat[self._shapes].reshape(-1, 3, 3))
        boxes = (np.abs(local) * self._half_extents).sum(axis=1)
        discs = np.sqrt(np.maximum(0.0, 1.0 - local[:, 2] ** 2)) * self._radii[:, 0]
        return float((centres - boxes - discs - self._radii[:, 1]).min())

    def aim(self, target: Pose) -> Aim:
        """Prepare a target (base frame) for many calls of `linearise`."""
        world = self._base @ target
        x, y, z, w = world.quaternion
        return Aim(world.position, np.array([w, x, y, z]))

    def linearise(self, q: Array, aim: Aim) -> tuple[Array, Array]:
        """Return the error from the tool at `q` to the aim, shape (6,), and the Jacobian, shape (6, n).

        Both in the axes of the URDF's root rather than the base frame, which spares turning them: [m] and
        rotation vector [rad]. `q` is not checked: this is the inner loop.
        """
        self._place(q)
        rotation = np.zeros(3)
        mujoco.mju_subQuat(rotation, aim.quaternion, self._data.xquat[self._tool])
        error = np.empty(6)
        error[:3] = aim.position - self._data.xpos[self._tool]
        error[3:] = self._data.xmat[self._tool].reshape(3, 3) @ rotation
        mujoco.mj_comPos(self._model, self._data)
        rows = self._jacobian
        mujoco.mj_jacBody(self._model, self._data, rows[:3], rows[3:], self._tool)
        return error, rows[:, self._dof]

    def solve(self, target: Pose, seed: ArrayLike) -> IkResult:
        """Search joint positions that bring the tool to `target` (base frame), starting from `seed`.

        Damping grows with the error (Sugihara 2011, "Solvability-unconcerned inverse kinematics by the
        Levenberg-Marquardt method"), so unreachable targets end at the nearest pose found.
        """
        aim = self.aim(target)
        q = np.clip(self._checked(seed), self.lower, self.upper)
        error, rows = self.linearise(q, aim)
        best = _result(q, error)
        for iteration in range(MAX_ITERATIONS):
            if best.converged:
                break
            q = self._improve(q, error, rows, _POSTURE_GAIN if iteration < _POSTURE_ITERATIONS else 0.0)
            error, rows = self.linearise(q, aim)
            found = _result(q, error)
            if _cost(found) < _cost(best):
                best = found
        return best

    def _improve(self, q: Array, error: Array, rows: Array, posture_gain: float) -> Array:
        room = (np.maximum(self.lower - q, -_LARGEST_STEP), np.minimum(self.upper - q, _LARGEST_STEP))
        damping = 1e-4 + 0.1 * float(np.linalg.norm(error))
        posture = np.clip(posture_gain * (self.posture - q), *room)
        return np.clip(q + bounded_step(rows, error, posture, room, damping), self.lower, self.upper)

    def _checked(self, q: ArrayLike) -> Array:
        array = np.asarray(q, dtype=np.float64)
        if array.shape != (len(self.joints),) or not np.isfinite(array).all():
            raise ShapeError(f"joint positions {array.tolist()}, expected {len(self.joints)} finite values")
        return array

    def _place(self, q: Array) -> None:
        self._data.qpos[self._qpos] = q
        mujoco.mj_kinematics(self._model, self._data)


def kinematics_of(robot: RobotConfig) -> Kinematics:
    """Return the kinematics of a robot's arm; its home is the comfortable posture. Errors as Kinematics."""
    urdf = expand(robot.urdf, robot.xacro_args)
    return Kinematics(urdf, robot.base_frame, robot.tool_frame, robot.arm_joints, robot.home)


def _compile(urdf_xml: str) -> "mujoco.MjModel":
    try:
        return mujoco.MjModel.from_xml_string(kinematic_urdf(urdf_xml))
    except ValueError as error:
        raise ConfigError(f"URDF: MuJoCo refuses it: {error}") from error


def _body_pose(data: "mujoco.MjData", body: int) -> Pose:
    w, x, y, z = data.xquat[body]
    return Pose(data.xpos[body], np.array([x, y, z, w]))


def _result(q: Array, error: Array) -> IkResult:
    position, angle = float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:]))
    return IkResult(q, position <= POSITION_TOLERANCE and angle <= ANGLE_TOLERANCE, position, angle)


def _cost(result: IkResult) -> float:
    return result.position_error + 0.3 * result.angle_error


def _half_extents(types: NDArray[np.int32], sizes: Array) -> tuple[Array, Array]:
    """Return, per shape, half edges of its core (n, 3) and radii of its disc and of its sphere (n, 2).

    A capsule is a segment plus a sphere, a cylinder a segment plus a disc: their supports add up.
    """
    kinds = mujoco.mjtGeom
    extents, radii = np.zeros((len(types), 3)), np.zeros((len(types), 2))
    for i, (kind, size) in enumerate(zip(types, sizes, strict=True)):
        if kind == kinds.mjGEOM_SPHERE:
            radii[i, 1] = size[0]
        elif kind == kinds.mjGEOM_CAPSULE:
            extents[i, 2], radii[i, 1] = size[1], size[0]
        elif kind == kinds.mjGEOM_CYLINDER:
            extents[i, 2], radii[i, 0] = size[1], size[0]
        else:  # URDF knows no others but boxes
            extents[i] = size
    return extents, radii
