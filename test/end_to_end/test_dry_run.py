"""The dry run of docs/your_arm.md: its commands, given to an unarmed cell, log wishes and move nothing."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from std_srvs.srv import Trigger

from grasp_bringup.run import RunningSystem
from grasp_bringup.system import SystemOptions, system_nodes
from qtopt_policy import topics
from qtopt_policy.base_node import LATEST_QOS, RECORD_QOS, pose_values
from support.graph import Graph, ros_graph

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(120)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your_arm.md"
SET = re.compile(r"ros2 param set /(\w+) ([\w.]+) (\w+)")
CALL = re.compile(r"ros2 service call /(\S+) std_srvs/srv/Trigger$")
WISH = re.compile(r"wish of policy refused: not_armed: dry run: would move to (\[.+\] yaw .+)")
WISHES = 2


def commands() -> tuple[list[str], list[str]]:
    """Return what the page tells to type to begin the dry run, and to end it."""
    section = PAGE.read_text().split("\n## 5. ")[1]
    blocks = [block.strip().splitlines() for block in re.findall(r"```\n(.*?)```", section, re.DOTALL)]
    begin, end = (block for block in blocks if any(SET.match(line) for line in block))
    return begin, end


def type_in(graph: Graph, node: Node, line: str) -> None:
    """Do what a command of the `ros2` tool does."""
    if found := SET.match(line):
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=found[3])
        rule = Parameter(name=found[2], value=value)
        answer = graph.ask(node, SetParameters, f"{found[1]}/set_parameters", parameters=[rule])
        assert answer.results[0].successful, line
        return
    called = CALL.match(line)
    assert called, line
    answer = graph.ask(node, Trigger, called[1])
    assert answer.success, (line, answer.message)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Return the folder of the cell's logs."""
    return tmp_path / "logs"


@pytest.fixture
def graph(tmp_path: Path, logs: Path) -> Iterator[Graph]:
    """Run the whole cell with a guard that must be armed, as on a robot; open a graph beside it."""
    options = SystemOptions(bags=tmp_path / "bags", episodes=1, seed=10_000, rtf=4.0)
    unarmed = [
        replace(spec, parameters={**spec.parameters, "require_arming": True})
        if spec.name == "guard_node"
        else spec
        for spec in system_nodes(options)
    ]
    with ros_graph(tmp_path) as opened, RunningSystem(unarmed, logs):
        yield opened


def test_the_documented_commands_log_wishes_and_move_nothing(graph: Graph, logs: Path) -> None:
    node = graph.add(rclpy.create_node("operator"))
    poses: list[Any] = []
    targets: list[Any] = []
    wishes: list[Any] = []
    node.create_subscription(PoseStamped, topics.TOOL_POSE, poses.append, RECORD_QOS)
    node.create_subscription(PoseStamped, topics.TARGET_POSE, targets.append, LATEST_QOS)
    node.create_subscription(PoseStamped, topics.POLICY_TARGET, wishes.append, RECORD_QOS)
    log = logs / "guard_node.log"
    graph.spin_until(lambda: bool(poses), "arm/tool_pose")
    collector = logs / "collector_node.log"
    graph.spin_until(lambda: "waiting: the arm is not armed" in collector.read_text(), "the collector")
    begin, end = commands()
    for line in begin:
        type_in(graph, node, line)
    graph.spin_until(lambda: len(WISH.findall(log.read_text())) >= WISHES, f"{WISHES} wishes in {log}")
    for line in end:
        type_in(graph, node, line)
    assert targets == []
    moved = [np.abs(pose_values(pose) - pose_values(poses[0])).max() for pose in poses]
    assert max(moved) < 1e-3
    # A wish is logged once, not with each of its 20 messages a second.
    logged = len(WISH.findall(log.read_text()))

    def arrived() -> int:
        return len({tuple(pose_values(wish)) for wish in wishes})

    graph.spin_until(lambda: arrived() >= logged, f"{logged} different wishes, as many as were logged")
    assert len(wishes) > 5 * WISHES
