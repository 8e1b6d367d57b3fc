"""Gazebo's sim_node in a real graph: the collector's protocol of resets, over the double of `gz`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.node import Node
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from grasp_bringup.gazebo.reset_node import GazeboNode
from grasp_bringup.sim.scene import load_scene_config, sample_scene
from grasp_bringup.system import SystemOptions, driver_nodes
from qtopt_collector.collector_requests_node import parameter_message
from qtopt_policy import topics
from qtopt_policy.base_node import LATEST_QOS
from support.graph import Graph, ros_graph
from support.gz_install import GzWorld

pytestmark = pytest.mark.graph


class Cell:
    """The node and somebody who asks it as the collector does."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.node = graph.start(GazeboNode())
        user = graph.add(Node("user"))
        self._parameters = user.create_client(SetParametersAtomically, "sim_node/set_parameters_atomically")
        self.client = user.create_client(Trigger, topics.SIM_RESET)
        self.beats: list[Header] = []
        user.create_subscription(Header, f"{topics.HEARTBEAT}/sim_node", self.beats.append, LATEST_QOS)

    def set(self, **values: Any) -> None:
        parameters = [parameter_message(name, value) for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=parameters)
        assert self.graph.call(self._parameters, request).result.successful

    def reset(self) -> tuple[bool, str]:
        answer = self.graph.call(self.client, Trigger.Request())
        return answer.success, answer.message


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GzWorld:
    return GzWorld(tmp_path, monkeypatch)


@pytest.fixture
def cell(world: GzWorld, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cell]:
    deadline = getattr(request, "param", 30.0)  # a busy machine starts the double of gz slowly
    with ros_graph(tmp_path / "logs", [f"sim_node:deadline:={deadline}"]) as graph:
        yield Cell(graph)


def test_a_reset_places_the_embedded_simulator_s_scene_and_tells_what_it_tells(
    cell: Cell, world: GzWorld
) -> None:
    cell.set(seed=4, split="test")
    done, message = cell.reset()
    assert done, message
    reply = json.loads(message)
    scene = sample_scene(load_scene_config(), "test", 4, cell.node._bin)
    expected = {"seed": 4, "split": "test", "objects": len(scene.objects)}
    assert {name: reply[name] for name in expected} == expected
    assert reply["settled_after"] > 0.0
    assert len(world.models) == len(scene.objects)


@pytest.mark.parametrize(
    ("values", "text"), [({"split": "exam"}, "'exam'"), ({"seed": -1}, "scene seed -1: must be in 0")]
)
def test_a_scene_that_does_not_exist_is_refused_and_nothing_is_asked_of_gazebo(
    cell: Cell, world: GzWorld, values: dict[str, Any], text: str
) -> None:
    cell.set(**values)
    done, message = cell.reset()
    assert not done
    assert text in message
    assert not (world.folder / "world.json").exists()


def test_a_failure_is_told_and_the_next_reset_is_free_to_succeed(cell: Cell, world: GzWorld) -> None:
    world.break_it("refuses")
    done, message = cell.reset()
    assert not done
    assert "found: Service call failed" in message
    world.break_it("")
    done, message = cell.reset()
    assert done, message


@pytest.mark.parametrize("cell", [5.0], indirect=True)
def test_while_a_reset_runs_another_is_refused_and_the_heart_beats(cell: Cell, world: GzWorld) -> None:
    world.break_it("no_poses")
    first = cell.client.call_async(Trigger.Request())
    cell.graph.spin(0.5)
    done, message = cell.reset()
    assert (done, message) == (False, "a reset is running")
    assert not first.done()
    before = len(cell.beats)
    cell.graph.spin_until(lambda: len(cell.beats) > before + 3, "heartbeats")
    assert not first.done()
    cell.graph.spin_until(first.done, "the end of the first reset")
    assert "waited 5 s in vain" in first.result().message


def test_it_takes_every_parameter_that_the_system_gives_it(cell: Cell) -> None:
    spec = next(spec for spec in driver_nodes(SystemOptions(system="gazebo")) if spec.name == "sim_node")
    assert cell.node.get_name() == spec.name
    for name, value in spec.parameters.items():
        assert type(cell.node.get_parameter(name).value) is type(value), name
