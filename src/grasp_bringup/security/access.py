"""What each node of ours may say and hear: what its code uses and nothing else.

A test compares this list with the nodes themselves. Names are as ROS has them: relative to the namespace,
private with `~/`, absolute with `/`; `*` stands for anything, slashes included.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from grasp_bringup.moveit_servo import SCENE, SCENE_MADE, SERVO
from grasp_bringup.node_spec import CLOCK, NodeSpec
from qtopt_policy import topics
from qtopt_policy.drivers import CameraTopics
from qtopt_policy.robot import RobotConfig

Names = frozenset[str]
NONE: Names = frozenset()

# What rclpy and rcl open for every lifecycle node (Kilted; in Jazzy the same).
PARAMETERS = (
    *("describe_parameters", "get_parameter_types", "get_parameters"),
    *("list_parameters", "set_parameters", "set_parameters_atomically"),
)
LIFECYCLE = (
    *("change_state", "get_available_states", "get_available_transitions"),
    *("get_state", "get_transition_graph"),
)
PRIVATE = frozenset(f"~/{name}" for name in (*PARAMETERS, *LIFECYCLE, "get_type_description"))
LOGS = frozenset({"/rosout", "/parameter_events"})


@dataclass(frozen=True)
class Access:
    """What a process may do, and what it may not although the rest allows it (`deny_`).

    Attributes:
        publish, subscribe: topics.
        reply, request: services that it offers and calls.
        call: actions whose goals it sends.
        deny_publish, deny_services: exceptions; of services, both to offer and to call them.
    """

    publish: Names = NONE
    subscribe: Names = NONE
    reply: Names = NONE
    request: Names = NONE
    call: Names = NONE
    deny_publish: Names = NONE
    deny_services: Names = NONE


@dataclass(frozen=True)
class Facts:
    """What a node's names depend on: how it is started, its robot, and its camera's topics."""

    spec: NodeSpec
    robot: RobotConfig
    camera: CameraTopics


def own_access(facts: Facts) -> Access:
    """Return what a node of ours may do: what every BaseNode does, and what it is for."""
    spec, access = facts.spec, OWN[facts.spec.executable](facts)
    clock = frozenset({_clock(spec)}) if spec.parameters["use_sim_time"] else NONE
    beat = f"{topics.HEARTBEAT}/{spec.name}"
    return replace(
        access,
        publish=access.publish | LOGS | {topics.DIAGNOSTICS, beat, "~/transition_event"},
        subscribe=access.subscribe | clock,
        reply=access.reply | PRIVATE,
    )


def _clock(spec: NodeSpec) -> str:
    return dict(spec.remappings).get(CLOCK, CLOCK)


def _beats(nodes: Iterable[object]) -> Names:
    return frozenset(f"{topics.HEARTBEAT}/{name}" for name in nodes if name)


def _listed(value: object) -> list[object]:
    assert isinstance(value, list)
    return list(value)


def _guard(facts: Facts) -> Access:
    wishes = {topics.POLICY_TARGET, topics.POLICY_GRIPPER, topics.COLLECTOR_TARGET, topics.COLLECTOR_GRIPPER}
    beats = _beats(("policy_node", "collector_node", facts.spec.parameters["executor"]))
    moves = {topics.TARGET_POSE, topics.GRIPPER_CLOSE}
    switch = NONE if facts.spec.parameters["dead_man"] == "none" else frozenset({topics.JOY})
    return Access(
        publish=frozenset(moves | {topics.TOOL_POSE, topics.ARM_STATE, topics.ARM_MARKERS}),
        subscribe=frozenset(wishes | {topics.JOINT_STATES}) | beats | switch,
        reply=frozenset({topics.ARM_STOP, topics.ARM_RESUME, topics.ARM_ARM}),
    )


def _executor(facts: Facts) -> Access:
    return Access(subscribe=frozenset({topics.JOINT_STATES, topics.TARGET_POSE, topics.ARM_STATE}))


def _servo(facts: Facts) -> Access:
    return replace(_executor(facts), publish=frozenset({facts.robot.arm_topic}))


def _moveit_servo(facts: Facts) -> Access:
    return Access(
        publish=frozenset({SCENE}),
        subscribe=frozenset({f"{SERVO}/status", SCENE_MADE, topics.ARM_STATE}),
        request=frozenset({f"{SERVO}/switch_command_type", f"{SERVO}/pause_servo"}),
    )


def _gripper(facts: Facts) -> Access:
    by_topic = facts.robot.gripper_command == "topic"
    driver = frozenset({facts.robot.gripper_topic})
    return Access(
        publish=frozenset({topics.GRIPPER_RESULT}) | (driver if by_topic else NONE),
        subscribe=frozenset({topics.JOINT_STATES, topics.GRIPPER_CLOSE}),
        call=NONE if by_topic else driver,
    )


def _policy(facts: Facts) -> Access:
    wishes = {topics.POLICY_TARGET, topics.POLICY_GRIPPER}
    record = {topics.OBSERVATION, topics.ACTION, topics.STEP, topics.EPISODE, topics.IMAGE_TAKEN}
    shown = {topics.DEBUG_IMAGE, f"{topics.DEBUG_IMAGE}/compressed", topics.POLICY_MARKERS}
    arm = {topics.JOINT_STATES, topics.TOOL_POSE, topics.TARGET_POSE, topics.GRIPPER_CLOSE}
    return Access(
        publish=frozenset(wishes | record | shown),
        subscribe=frozenset(arm | {facts.camera.topic, facts.camera.info}),
        reply=frozenset({topics.RUN_EPISODE, topics.CANCEL_EPISODE}),
    )


def _collector(facts: Facts) -> Access:
    policy = {topics.OBSERVATION, topics.ACTION, topics.STEP, topics.EPISODE}
    arm = {topics.JOINT_STATES, topics.TOOL_POSE, topics.TARGET_POSE, topics.GRIPPER_CLOSE, topics.ARM_STATE}
    judged = {topics.GRIPPER_RESULT, topics.SIM_TRUTH, f"{topics.DEBUG_IMAGE}/compressed"}
    camera = {facts.camera.topic, facts.camera.info}
    parameters = facts.spec.parameters
    watched = [*_listed(parameters["watched"]), "sim_node" if parameters["reset"] == "sim" else ""]
    told = {f"{name}/set_parameters_atomically" for name in ("guard_node", "policy_node", "sim_node")}
    asked = {topics.RUN_EPISODE, topics.CANCEL_EPISODE, topics.ARM_RESUME, topics.SIM_RESET}
    return Access(
        publish=frozenset(
            {topics.COLLECTOR_TARGET, topics.COLLECTOR_GRIPPER, topics.OUTCOME, topics.DROP_IMAGE}
        ),
        subscribe=frozenset(policy | arm | judged | camera) | _beats(watched),
        request=frozenset(told | asked),
    )


def _simulator(facts: Facts) -> Access:
    parameters = facts.spec.parameters
    consumers = _listed(parameters["lockstep_consumers"])
    made = {_clock(facts.spec), topics.JOINT_STATES, topics.IMAGE, topics.CAMERA_INFO, topics.SIM_TRUTH}
    taken = {facts.robot.arm_topic, facts.robot.gripper_topic, topics.IMAGE_TAKEN}
    return Access(
        publish=frozenset(made),
        subscribe=frozenset(taken) | _beats(consumers),
        reply=frozenset({topics.SIM_RESET}),
    )


def _gazebo(facts: Facts) -> Access:
    return Access(reply=frozenset({topics.SIM_RESET}))


def _dead_man(facts: Facts) -> Access:
    return Access(publish=frozenset({topics.JOY}))


# By executable.
OWN: dict[str, Callable[[Facts], Access]] = {
    "guard_node": _guard,
    "servo_node": _servo,
    "moveit_node": _executor,
    "moveit_servo_node": _moveit_servo,
    "gripper_node": _gripper,
    "policy_node": _policy,
    "collector_node": _collector,
    "sim_node": _simulator,
    "gazebo_node": _gazebo,
    "dead_man_node": _dead_man,
}
