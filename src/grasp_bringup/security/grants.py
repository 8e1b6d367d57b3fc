"""What each process of a system may say and hear: the list behind the SROS2 policies.

Nodes of ours may do what access.py lists. What other packages open inside their processes is theirs to say:
those may do everything but speak in the name of a node of ours or ask one for anything, so that only the
guard moves the arm's target.
"""

from dataclasses import dataclass, replace

from grasp_bringup.node_spec import NodeSpec
from grasp_bringup.security.access import LOGS, NONE, PRIVATE, Access, Facts, own_access
from grasp_bringup.security.enclaves import DRIVERS, GAZEBO_SERVER, JOYSTICK, OPERATOR, enclave_path
from grasp_bringup.system import EXECUTORS, SystemOptions, system_nodes
from qtopt_policy import topics
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import PACKAGE, resolve

ANYTHING = frozenset({"/*"})
# Nodes of the tools that an operator uses.
TOOLS = ("_ros2cli*", "doctor_node", "rviz*", "transform_listener_impl_*")


@dataclass(frozen=True)
class Grant:
    """The access of one enclave.

    Attributes:
        enclave: its name, from `/`.
        node, namespace: that names are relative to.
        foreign: whether other packages' code runs in the process.
        access: what it may do.
    """

    enclave: str
    node: str
    namespace: str
    foreign: bool
    access: Access


def grants(options: SystemOptions) -> tuple[Grant, ...]:
    """Return what each process of a system may do, the drivers' and the operator's included."""
    robot, specs = load_robot(resolve(options.robot)), (*system_nodes(options), *beside(options))
    camera = robot.camera_topics(options.camera)
    ours = {spec.name: own_access(Facts(spec, robot, camera)) for spec in specs if spec.package == PACKAGE}
    other = _foreign_access(ours)
    found = []
    for spec in specs:
        access, foreign = ours.get(spec.name, other), spec.package != PACKAGE
        if foreign:
            access = other  # its name may be one of ours: MoveIt Servo's is
        elif spec.executable == EXECUTORS["moveit"]:  # MoveIt runs inside this process
            access, foreign = _beside(access, spec.name, other), True
        enclave = enclave_path(spec.name, spec.namespace, spec.package)
        found.append(Grant(enclave, spec.name, spec.namespace, foreign, access))
    outside = {"gazebo": GAZEBO_SERVER, "robot": DRIVERS}
    if name := outside.get(options.system):
        found.append(_outside(name, options.namespace, other))
    if options.dead_man == "joy":
        switch = replace(other, deny_publish=other.deny_publish - {topics.JOY})
        found.append(_outside(JOYSTICK, options.namespace, switch))
    return (*found, _outside(OPERATOR, options.namespace, _operator_access(robot)))


def beside(options: SystemOptions) -> tuple[NodeSpec, ...]:
    """Return the nodes of ours that an operator starts beside the system."""
    if options.dead_man != "keyboard":
        return ()
    node = "dead_man_node"
    return (NodeSpec(PACKAGE, node, node, {"use_sim_time": False}, namespace=options.namespace),)


def _outside(name: str, namespace: str, access: Access) -> Grant:
    """Return the grant of processes that are started beside the system."""
    return Grant(enclave_path(name, namespace), name, namespace, True, access)


def _foreign_access(ours: dict[str, Access]) -> Access:
    """Return the access of a process with other packages' code, beside our nodes."""
    published = frozenset[str]().union(*(access.publish for access in ours.values()))
    offered = frozenset[str]().union(*(access.reply for access in ours.values()))
    return Access(
        publish=ANYTHING,
        subscribe=ANYTHING,
        reply=ANYTHING,
        request=ANYTHING,
        deny_publish=(published | {topics.JOY}) - LOGS - {topics.DIAGNOSTICS, "~/transition_event"},
        deny_services=(offered - PRIVATE) | {f"{name}/*" for name in ours},
    )


def _beside(own: Access, name: str, other: Access) -> Access:
    """Return the access of a process that holds a node of ours and other packages' code."""
    spared = own.reply | {f"{name}/*"}
    return replace(
        other, deny_publish=other.deny_publish - own.publish, deny_services=other.deny_services - spared
    )


def _operator_access(robot: RobotConfig) -> Access:
    """Return the access of terminals: hears everything, asks for anything, commands the fingers (doctor)."""
    by_topic = robot.gripper_command == "topic"
    finger = frozenset({robot.gripper_topic})
    return Access(
        publish=LOGS | (finger if by_topic else NONE),
        subscribe=ANYTHING,
        reply=frozenset(f"/{name}/*" for name in TOOLS),
        request=ANYTHING,
        call=NONE if by_topic else finger,
    )
