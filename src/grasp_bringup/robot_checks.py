"""What is wrong with a robot's joints, controllers, gripper and workspace, and what to do (no ROS)."""

import math
from collections.abc import Iterator

from grasp_bringup.finding import Finding
from grasp_bringup.gripper import GripperResult
from grasp_bringup.kinematics import Kinematics
from grasp_bringup.observed import Heard, Observed
from grasp_bringup.reach import TURNS, ReachMap
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import RobotConfig

MAX_JOINT_GAP = 0.2  # [s]: the guard stops the arm then
MAX_AGE = 0.2  # [s] at arrival: beyond it, clocks differ or the network is too slow
TOOL_TOLERANCE = 0.002  # [m] between the guard's tool pose and the one computed here, of an arm at rest
HOME_TOLERANCE = 0.005  # [m] between `start` and the pose at `home`


def silent(heard: Heard, wanted: str, mend: str) -> Finding | None:
    """Return what is wrong with a topic on which nothing came, None where something did."""
    kind = wanted.rsplit("/", 1)[-1]
    if heard.types and wanted not in heard.types:
        text = f"{heard.topic} carries {', '.join(heard.types)}, expected {wanted}"
        return Finding(kind, "wrong", text, mend)
    if not heard.publishers:
        return Finding(kind, "wrong", f"nobody publishes {heard.topic}", mend)
    if not heard.count:
        text = f"{heard.topic}: {', '.join(heard.publishers)} published nothing"
        return Finding(kind, "wrong", text, "start the driver's streaming; compare QoS: ros2 topic info -v")
    return None


def stale(subject: str, heard: Heard, max_age: float) -> Iterator[Finding]:
    """Yield a finding if stamps and clock do not fit."""
    if not heard.age <= max_age or heard.age < -max_age:
        text = f"{heard.topic}: stamps are {heard.age:.3f} s old on arrival, at most {max_age} s is usable"
        mend = "synchronise the machines' clocks (chrony), and let the driver stamp at capture"
        yield Finding(subject, "wrong", text, mend)


def check_joints(robot: RobotConfig, mdp: MdpConfig, observed: Observed) -> Iterator[Finding]:
    """Joint states: there, fresh, often enough, with the names of the robot file."""
    heard = observed.joints
    trouble = silent(heard, "sensor_msgs/msg/JointState", "start joint_state_broadcaster, or remap its topic")
    if trouble is not None:
        yield trouble
        return
    wanted = (*robot.arm_joints, *robot.gripper.joints[:1])
    missing = [name for name in wanted if name not in observed.positions]
    if missing:
        found = ", ".join(sorted(observed.positions))
        mend = (
            "correct arm_joints and gripper.joints, or merge the topics (joint_state_publisher source_list)"
        )
        yield Finding(
            "joint names", "wrong", f"{heard.topic} lacks {', '.join(missing)}; it has {found}", mend
        )
    else:
        yield Finding("joint names", "ok", f"{heard.topic} has all {len(wanted)} joints")
    for kind, joint in (("arm", robot.arm_joints[0]), ("gripper", robot.gripper.joints[0])):
        stamps = observed.joint_stamps.get(joint, ())
        if stamps:
            one = Heard(heard.topic, heard.publishers, heard.types, stamps, heard.ages)
            yield _joint_rate(f"{kind} joints", one, mdp.max_skew)
    yield from stale("JointState", heard, MAX_AGE)


def _joint_rate(subject: str, heard: Heard, max_skew: float) -> Finding:
    """Return whether joints come often enough: an image farther than `max_skew` [s] from one is refused."""
    text = f"{heard.rate:.1f} Hz, longest gap {heard.longest_gap:.3f} s"
    if not 1.0 / heard.rate <= max_skew:
        mend = "raise the publisher's rate (state_publish_rate, joint_state_publisher rate)"
        return Finding(subject, "wrong", f"{text}; images need them at most {max_skew} s apart", mend)
    if not heard.longest_gap <= MAX_JOINT_GAP:
        mend = "raise the publisher's rate, or find what delays it"
        return Finding(subject, "wrong", f"{text}: the guard stops the arm at {MAX_JOINT_GAP} s", mend)
    return Finding(subject, "ok", text)


def check_controllers(robot: RobotConfig, observed: Observed) -> Iterator[Finding]:
    """Somebody takes the arm's and the gripper's commands, and ros2_control says that it is active."""
    listeners = ", ".join(observed.arm_listeners)
    expected = robot.driver.arm_controller
    if not observed.arm_listeners:
        mend = f"ros2 control load_controller --set-state active {expected}; or correct arm_topic"
        yield Finding("arm controller", "wrong", f"nobody listens on {observed.arm_topic}", mend)
    elif not observed.simulated and expected not in observed.arm_listeners:
        text = f"{observed.arm_topic} is heard by {listeners}, not by {expected}"
        yield Finding("arm controller", "wrong", text, "correct driver.arm_controller or arm_topic")
    else:
        yield Finding("arm controller", "ok", f"{listeners} listens on {observed.arm_topic}")
    if observed.gripper_obstacle:
        mend = "start the gripper's controller or driver; or correct gripper_topic and gripper_command"
        yield Finding("gripper controller", "wrong", observed.gripper_obstacle, mend)
    else:
        yield Finding("gripper controller", "ok", f"takes {robot.gripper_command} on {robot.gripper_topic}")
    yield from _active(robot, observed)


def _active(robot: RobotConfig, observed: Observed) -> Iterator[Finding]:
    """Whether the controllers are active: an inactive one may listen to its topic, and does nothing."""
    if robot.driver.simulated and not observed.controllers:
        return  # the embedded simulator has none
    for name in filter(None, (robot.driver.arm_controller, robot.driver.gripper_controller)):
        state = observed.controllers.get(name)
        if state == "active":
            yield Finding("ros2_control", "ok", f"{name} is active")
        elif state is not None:
            mend = f"ros2 control set_controller_state {name} active"
            yield Finding("ros2_control", "wrong", f"{name} is {state}", mend)
        elif observed.controllers_unknown:
            text = f"whether {name} is active was not checked: {observed.controllers_unknown}"
            yield Finding("ros2_control", "absent", text, "ros2 control list_controllers")
        else:
            found = ", ".join(sorted(observed.controllers)) or "none"
            mend = f"ros2 control load_controller --set-state active {name}; or correct driver"
            yield Finding("ros2_control", "wrong", f"no controller {name}; there are: {found}", mend)


def check_tool(robot: RobotConfig, observed: Observed, kinematics: Kinematics) -> Iterator[Finding]:
    """The tool frame: home against start, the joints' pose against the guard's, and inside the box or not."""
    off = kinematics.forward(robot.home).distance(robot.start_pose)
    if off > HOME_TOLERANCE:
        at = kinematics.forward(robot.home).as_array().round(4).tolist()
        text = f"home brings {robot.tool_frame} {off:.3f} m away from start"
        yield Finding("home", "wrong", text, f"start: {at}, or correct home")
    else:
        yield Finding("home", "ok", f"brings {robot.tool_frame} to start")
    if any(name not in observed.positions for name in robot.arm_joints):
        return
    pose = kinematics.forward([observed.positions[name] for name in robot.arm_joints])
    place = " ".join(f"{value:.3f}" for value in pose.position)
    if observed.tool_pose is not None and pose.distance(observed.tool_pose) > TOOL_TOLERANCE:
        apart = pose.distance(observed.tool_pose)
        text = f"{robot.tool_frame} is {apart:.4f} m from the guard's arm/tool_pose"
        mend = "let the arm rest; start all nodes with the same robot file"
        yield Finding("tool frame", "wrong", text, mend)
    else:
        yield Finding("tool frame", "ok", f"{robot.tool_frame} at {place} m in {robot.base_frame}")


def check_reach(reach: ReachMap, picture: str) -> Iterator[Finding]:
    """The workspace box is reachable with the tool pointing down."""
    missed, total = reach.missed, len(reach.points)
    text = f"{total - len(missed)} of {total} points, {len(TURNS)} turns each; drawn in {picture}"
    if not missed:
        yield Finding("workspace", "ok", text)
        return
    first = " ".join(f"{value:.2f}" for value in missed[0].position)
    mend = "make limits.workspace_min and workspace_max smaller, or move the bin"
    yield Finding("workspace", "wrong", f"{text}; not reachable, for one: {first} m", mend)


def check_strokes(robot: RobotConfig, mdp: MdpConfig, observed: Observed) -> Iterator[Finding]:
    """The gripper opens and closes, within the time that a step gives it, and the aperture map says so."""
    if not observed.strokes:
        reason = observed.strokes_skipped or "not tried"
        yield Finding("gripper strokes", "absent", reason, "qtopt doctor --robot <file> --gripper yes")
        return
    for result in observed.strokes:
        trouble = _no_motion(robot, result) or _stroke_trouble(robot, result) or _slow(mdp, result)
        command = "close" if result.close else "open"
        text = f"{command}: {result.outcome} at {result.aperture:.4f} m after {result.duration:.2f} s"
        text += "" if result.reaction is None else f", moved after {result.reaction:.2f} s"
        if trouble:
            yield Finding("gripper strokes", "wrong", f"{text}: {trouble[0]}", trouble[1])
        else:
            yield Finding("gripper strokes", "ok", text)


def _no_motion(robot: RobotConfig, result: GripperResult) -> tuple[str, str] | None:
    """Return what is wrong with a stroke that began later than a step waits for it, or not at all."""
    allowed, reaction = robot.driver.gripper_reaction_time, result.reaction
    if result.outcome == "stalled" and reaction is None:
        mend = f"raise driver.gripper_reaction_time ({allowed} s); else look at the gripper driver's log"
        return "the fingers did not move", mend
    if reaction is not None and reaction > allowed:
        mend = f"raise driver.gripper_reaction_time ({allowed} s) well above that"
        return "a step does not wait so long for a motion", mend
    return None


def _slow(mdp: MdpConfig, result: GripperResult) -> tuple[str, str] | None:
    """Return what is wrong with a stroke that lasts longer than a step waits for it."""
    if result.duration <= mdp.gripper_timeout:
        return None
    mend = "a faster stroke, or a copy of config/mdp.yaml with a longer gripper_timeout (mdp:=<file>)"
    return f"a step ends after gripper_timeout {mdp.gripper_timeout} s, before the fingers rest", mend


def _stroke_trouble(robot: RobotConfig, result: GripperResult) -> tuple[str, str] | None:
    """Return what is wrong with a stroke of an empty gripper and what to do."""
    held = robot.gripper.held_aperture
    if result.outcome == "refused":
        return result.detail or "refused", "look at the gripper driver's log"
    if math.isnan(result.aperture):
        return "no joint state of the gripper", "correct gripper.joints"
    if result.outcome == "deadline":
        return "no rest in time", "raise driver.gripper_deadline, or look at the gripper driver's log"
    if result.close and result.aperture > held:
        mend = "empty the fingers; else correct closed_position, the aperture map or held_aperture"
        return f"empty fingers would count as holding (held_aperture {held} m)", mend
    if not result.close and result.aperture <= held:
        return "the fingers are shut", "correct open_position or the sign of aperture_scale"
    if not result.close and result.outcome == "stalled":
        return "not where open_position should bring them", "correct open_position or the aperture map"
    return None
