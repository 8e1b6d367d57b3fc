"""Which nodes make a system: the one list behind the launch files, run.py and `qtopt`."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from grasp_bringup.gazebo.nodes import gazebo_nodes
from grasp_bringup.moveit_config import servo_parameters
from grasp_bringup.moveit_servo import SERVO
from grasp_bringup.node_spec import OWN_CLOCK, Parameter
from grasp_bringup.node_spec import NodeSpec as NodeSpec
from grasp_bringup.parameter_file import with_parameters
from grasp_bringup.security.enclaves import with_enclaves
from grasp_bringup.system_options import CELL_OPTIONS as CELL_OPTIONS
from grasp_bringup.system_options import EXECUTORS as EXECUTORS
from grasp_bringup.system_options import SystemOptions as SystemOptions
from grasp_bringup.system_options import next_seed as next_seed
from qtopt_collector.switching import AUTO, SCRIPTED, TURNS
from qtopt_policy.robot import load_robot
from qtopt_policy.share import PACKAGE, resolve
from qtopt_policy.topics import TARGET_POSE

# Nodes that may come back after a crash: none of them moves the arm before the guard has been resumed or
# armed, or an episode has been asked for.
RESTARTED = ("guard_node", "gripper_node", "policy_node", *EXECUTORS.values())
# All nodes of ours that a system may have.
OURS = ("sim_node", "guard_node", *EXECUTORS.values(), "gripper_node", "policy_node", "collector_node")
# Times as long as on a robot do watchdogs wait in a simulation.
PATIENCE = 4.0


def driver_nodes(options: SystemOptions) -> tuple[NodeSpec, ...]:
    """Return what stands for the robot's drivers, alone: images, joint states, controllers, resets.

    A robot's own are started beside it, as its file says.
    """
    return _settled(options, _drivers(options, ()))


def cell_nodes(options: SystemOptions) -> tuple[NodeSpec, ...]:
    """Return the nodes of the cell: what stands for the robot's drivers, guard, executor and gripper."""
    return _settled(options, _cell(options, ()))


def system_nodes(options: SystemOptions) -> tuple[NodeSpec, ...]:
    """Return all nodes in the order in which they start; they stop in the opposite one."""
    users = (_policy(options), _collector(options))
    nodes = (*_cell(options, users), *users)
    return _settled(options, nodes if options.headless else (_window(options), *nodes))


def _settled(options: SystemOptions, nodes: tuple[NodeSpec, ...]) -> tuple[NodeSpec, ...]:
    """Return the nodes with the parameters of the file that is given, and with their credentials."""
    if options.params is not None:
        arguments = [entry.name for entry in fields(SystemOptions)]
        nodes = with_parameters(nodes, options.params, OURS, arguments)
    return nodes if options.keystore is None else with_enclaves(nodes, options.keystore)


def _cell(options: SystemOptions, users: tuple[NodeSpec, ...]) -> tuple[NodeSpec, ...]:
    """Return the cell; every node of ours must have seen a tick of its clock before the next one."""
    nodes = (
        _node(options, "guard_node", _guarding(options)),
        *_executor(options),
        _node(options, "gripper_node"),
    )
    consumers = [spec.name for spec in (*nodes, *users) if spec.package == PACKAGE]
    return (*_drivers(options, consumers), *nodes)


def _drivers(options: SystemOptions, consumers: Sequence[str]) -> tuple[NodeSpec, ...]:
    if options.system == "sim":
        return (_simulator(options, consumers),)
    if options.system == "gazebo":
        scene: dict[str, Parameter] = {"split": options.split, "seed": options.scene_seed}
        resets = replace(_node(options, "gazebo_node", scene), name="sim_node")
        return (*gazebo_nodes(load_robot(resolve(options.robot)), options.camera), resets)
    return ()


def _guarding(options: SystemOptions) -> dict[str, Parameter]:
    """Return what the guard alone is told."""
    return {
        "require_arming": not options.simulated,
        "executor": EXECUTORS[options.executor],
        "dead_man": options.dead_man,
        "dead_man_button": options.dead_man_button,
    }


def _executor(options: SystemOptions) -> tuple[NodeSpec, ...]:
    if options.executor != "moveit_servo":
        return (_node(options, EXECUTORS[options.executor]),)
    node = _node(
        options, EXECUTORS[options.executor], {"rtf": float(options.rtf) if options.simulated else 1.0}
    )
    parameters = servo_parameters(load_robot(resolve(options.robot))) | {"use_sim_time": options.simulated}
    remappings = (("~/pose_target_cmds", TARGET_POSE), *_clock(options))
    servo = NodeSpec("moveit_servo", "servo_node", SERVO, parameters, remappings, options.namespace)
    return (servo, node)


def _node(
    options: SystemOptions, executable: str, parameters: Mapping[str, Parameter] | None = None
) -> NodeSpec:
    common: dict[str, Parameter] = {
        "use_sim_time": options.simulated,
        "real_time_factor": _watchdog_factor(options.rtf) if options.simulated else 1.0,
        "robot": str(options.robot),
    }
    return NodeSpec(
        PACKAGE,
        executable,
        executable,
        {**common, **(parameters or {})},
        _clock(options),
        options.namespace,
        restarts=options.restarts if executable in RESTARTED else 0,
    )


def _clock(options: SystemOptions) -> tuple[tuple[str, str], ...]:
    """Return the remapping of a node that makes or hears simulated time."""
    return OWN_CLOCK if options.simulated and options.namespace else ()


def _seeing(options: SystemOptions) -> dict[str, Parameter]:
    """Return the parameters of the nodes that take images."""
    return {"mdp": str(options.mdp), "camera": options.camera}


def _simulator(options: SystemOptions, consumers: Sequence[str]) -> NodeSpec:
    parameters: dict[str, Parameter] = {
        **_seeing(options),
        "use_sim_time": False,  # it makes the time
        "rtf": float(options.rtf),  # ROS tells 4 from 4.0
        "lockstep": bool(consumers),
        "lockstep_consumers": list(consumers) or [""],
        "split": options.split,
        "seed": options.scene_seed,
    }
    return _node(options, "sim_node", parameters)


def _policy(options: SystemOptions) -> NodeSpec:
    parameters: dict[str, Parameter] = {
        **_seeing(options),
        "seed": options.first_seed,
        "policy.name": SCRIPTED if options.policy in (AUTO, TURNS) else options.policy,
        "policy.epsilon": float(options.epsilon),
        "policy.noise": float(options.noise),
        "checkpoint": _text(options.checkpoint),
        "allow_untrained": options.allow_untrained,
        "hot_reload": options.hot_reload,
    }
    return _node(options, "policy_node", parameters)


def _collector(options: SystemOptions) -> NodeSpec:
    parameters: dict[str, Parameter] = {
        **_seeing(options),
        "bags": str(options.bags.absolute()),
        "episodes": options.episodes,
        "seed": options.first_seed,
        "policy": options.policy,
        "epsilon": float(options.epsilon),
        "noise": float(options.noise),
        "explore": float(options.explore),
        "checkpoint": _text(options.checkpoint),
        "split": options.split,
        "benchmark": options.benchmark,
        "reset": "sim" if options.simulated else "none",
        "watched": ["guard_node", EXECUTORS[options.executor], "gripper_node", "policy_node"],
        "heartbeat_timeout": 1.0,
        "exit_when_done": True,
    }
    return _node(options, "collector_node", parameters)


def _window(options: SystemOptions) -> NodeSpec:
    remappings = (("image", "policy/debug_image"),)
    return NodeSpec("image_view", "image_view", "debug_view", {}, remappings, options.namespace, False)


def _watchdog_factor(rtf: float) -> float:
    """Return the real-time factor that the watchdogs of a simulation count on.

    A simulation may not reach the factor asked of it, and a watchdog that counts on it all the same fires at
    a healthy graph: so it counts on real time at most. Simulated time waits for every node, so nothing is
    lost by patience with a machine that is busy otherwise.
    """
    return (rtf if 0.0 < rtf < 1.0 else 1.0) / PATIENCE


def _text(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())
