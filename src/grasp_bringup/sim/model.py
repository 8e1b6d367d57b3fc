"""The MuJoCo model of a scene: arm from URDF and SRDF, table, bin, objects, lamp, cameras, servos.

Compiling takes 1 to 2 ms, against some 15 ms of settling, so every scene gets a model of its own and
nothing of the scene before can leak into it.
"""

from typing import Any

import mujoco
import numpy as np

from grasp_bringup.sim.objects import Part
from grasp_bringup.sim.scene import Colour, PhysicsConfig, Scene, SceneConfig, SceneObject
from grasp_bringup.urdf import disabled_collisions, expand
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose
from qtopt_policy.robot import BinConfig, RobotConfig

WALL_THICKNESS = 0.01  # [m]
VISUAL_GROUP = 1  # geoms of the URDF's <visual>; the renderer leaves group 0 (collision) out
SCENE_GROUP = 2
TABLE_SIZE = (0.6, 0.6)  # half sides of the table around the bin [m]

_GEOMS = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}
# MuJoCo's cameras look along -z with y up; optical frames along z with y down: half a turn about x.
_OPTICAL_TO_MUJOCO = Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))


def object_name(index: int) -> str:
    """Return the name of the body of object number `index`."""
    return f"object{index}"


def wxyz(pose: Pose) -> list[float]:
    """Return the quaternion in MuJoCo's order."""
    x, y, z, w = pose.quaternion
    return [w, x, y, z]


def arm_spec(robot: RobotConfig, config: SceneConfig) -> Any:
    """Return the part of the model that all scenes share: arm, servos, SRDF exclusions, options.

    Raises:
        ConfigError: the URDF does not compile or lacks a joint or frame of the robot's configuration.
    """
    try:
        spec = mujoco.MjSpec.from_string(expand(robot.urdf, robot.xacro_args))
    except ValueError as error:
        raise ConfigError(f"{robot.urdf}: MuJoCo cannot read it: {error}") from error
    _check_names(spec, robot)
    _set_options(spec, config)
    for first, second in disabled_collisions(robot.srdf):
        spec.add_exclude(bodyname1=first, bodyname2=second)
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0
    _add_servos(spec, robot, config.physics)
    _set_pads(spec, robot, config.physics)
    return spec


def scene_spec(base: Any, robot: RobotConfig, config: SceneConfig, scene: Scene, jitter: bool = True) -> Any:
    """Return `base` with the bin, the objects, the lamp and the cameras (off their poses by `jitter`)."""
    spec = base.copy()
    _add_table(spec, scene)
    _add_bin(spec, robot.bin, scene.bin_colour)
    for index, item in enumerate(scene.objects):
        _add_object(spec, index, item, config.physics)
    _add_lamp(spec, robot.bin, scene)
    for name, camera in robot.cameras.items():
        if name not in config.cameras:
            raise ConfigError(f"camera '{name}' of the robot has no entry in the scene's cameras")
        offset = scene.camera_offsets[name] if jitter else Pose.identity()
        pose = offset @ _OPTICAL_TO_MUJOCO
        spec.body(camera.frame).add_camera(
            name=name, pos=pose.position, quat=wxyz(pose), fovy=config.cameras[name].fovy
        )
    return spec


def _check_names(spec: Any, robot: RobotConfig) -> None:
    joints = {joint.name for joint in spec.joints}
    bodies = {body.name for body in spec.bodies}
    frames = [robot.base_frame, robot.tool_frame, *(camera.frame for camera in robot.cameras.values())]
    for kind, names, known in (
        ("joint", (*robot.arm_joints, *robot.gripper.joints), joints),
        ("frame", tuple(frames), bodies),
    ):
        for name in names:
            if name not in known:
                raise ConfigError(f"{robot.urdf}: no {kind} '{name}'. It has: {', '.join(sorted(known))}")


def _set_options(spec: Any, config: SceneConfig) -> None:
    option, physics = spec.option, config.physics
    option.timestep = physics.timestep
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = physics.impratio
    option.noslip_iterations = physics.noslip_iterations
    option.sleep_tolerance = physics.sleep_tolerance
    # Objects at rest cost nothing until something touches them: 10 times faster with a full bin.
    option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)
    quality = spec.visual.quality
    quality.offsamples, quality.shadowsize = 0, 0
    window = spec.visual.global_
    window.offwidth = max(camera.width for camera in config.cameras.values())
    window.offheight = max(camera.height for camera in config.cameras.values())
    spec.visual.map.znear = 0.005  # times the extent below [m]
    spec.stat.extent = 1.0


def _add_servos(spec: Any, robot: RobotConfig, physics: PhysicsConfig) -> None:
    gains = zip(robot.arm_joints, physics.arm_stiffness, physics.arm_damping, strict=True)
    for name, stiffness, damping in gains:
        actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=stiffness, kv=damping)
    # One motor drives both fingers: a tendon over their mean, as a spindle would. Its reflected inertia
    # also gives the mimic constraint something to hold on to: light fingers would be pushed apart unevenly.
    tendon = spec.add_tendon(name="gripper")
    for name in robot.gripper.joints:
        tendon.wrap_joint(name, 1.0 / len(robot.gripper.joints))
        spec.joint(name).armature = physics.finger_armature
    for equality in spec.equalities:
        equality.solref, equality.solimp[:2] = [2.0 * physics.timestep, 1.0], [0.99, 0.999]
    actuator = spec.add_actuator(name="gripper", target="gripper", trntype=mujoco.mjtTrn.mjTRN_TENDON)
    actuator.set_to_position(kp=physics.grip_stiffness, kv=physics.grip_damping)
    force = robot.gripper.max_effort
    actuator.forcerange, actuator.forcelimited = [-force, force], True


def _set_pads(spec: Any, robot: RobotConfig, physics: PhysicsConfig) -> None:
    for name in robot.gripper.joints:
        for geom in spec.joint(name).parent.geoms:
            if geom.contype:
                geom.condim, geom.priority = 4, 1
                geom.friction = physics.pad_friction
                geom.solref = physics.pad_solref
                geom.solimp[:3] = physics.pad_solimp


def _add_table(spec: Any, scene: Scene) -> None:
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[*TABLE_SIZE, 0.1],
        pos=[0.4, 0.0, 0.0],
        rgba=[*scene.table_colour, 1.0],
        group=SCENE_GROUP,
    )


def _add_bin(spec: Any, config: BinConfig, colour: Colour) -> None:
    """Add floor and walls of a bin that stands on the table."""
    x, y, floor = config.centre
    half_x, half_y, wall = config.size[0] / 2, config.size[1] / 2, WALL_THICKNESS / 2
    top = floor + config.size[2]
    boxes = {
        "floor": ([half_x, half_y, floor / 2], [x, y, floor / 2]),
        "wall_front": ([wall, half_y + 2 * wall, top / 2], [x - half_x - wall, y, top / 2]),
        "wall_back": ([wall, half_y + 2 * wall, top / 2], [x + half_x + wall, y, top / 2]),
        "wall_right": ([half_x, wall, top / 2], [x, y - half_y - wall, top / 2]),
        "wall_left": ([half_x, wall, top / 2], [x, y + half_y + wall, top / 2]),
    }
    for name, (size, position) in boxes.items():
        shade = 1.0 if name == "floor" else 0.8
        spec.worldbody.add_geom(
            name=f"bin_{name}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=size,
            pos=position,
            rgba=[*(shade * channel for channel in colour), 1.0],
            group=SCENE_GROUP,
        )


def _add_object(spec: Any, index: int, item: SceneObject, physics: PhysicsConfig) -> None:
    body = spec.worldbody.add_body(name=object_name(index), pos=item.pose.position, quat=wxyz(item.pose))
    body.add_freejoint(name=object_name(index))
    for part in item.shape.parts:
        _add_part(body, part, item, physics)


def _add_part(body: Any, part: Part, item: SceneObject, physics: PhysicsConfig) -> None:
    x, y, z, w = part.quaternion
    body.add_geom(
        type=_GEOMS[part.kind],
        size=[*part.size, 0.0, 0.0][:3],
        pos=part.position,
        quat=[w, x, y, z],
        density=item.density,
        friction=[item.friction, physics.object_torsion, physics.object_rolling],
        # A box rests on four points, which resist turning and rolling by themselves.
        condim=3 if part.kind == "box" else 6,
        rgba=[*item.colour, 1.0],
        group=SCENE_GROUP,
    )


def _add_lamp(spec: Any, config: BinConfig, scene: Scene) -> None:
    position = np.array(scene.light_position)
    direction = np.array(config.centre) - position
    light = spec.worldbody.add_light(
        name="lamp", pos=position, dir=direction / np.linalg.norm(direction), castshadow=False
    )
    light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    light.diffuse, light.ambient = [scene.light_diffuse] * 3, [scene.light_ambient] * 3
    light.specular = [0.1] * 3
    head = spec.visual.headlight
    head.ambient, head.diffuse, head.specular = [0.1] * 3, [0.2] * 3, [0.0] * 3
