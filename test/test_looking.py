"""The layouts of RViz and Foxglove name what there is."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from grasp_bringup.urdf_tree import UrdfTree
from qtopt_policy import topics
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand

ROOT = Path(__file__).resolve().parents[1]
RVIZ = ROOT / "config" / "qtopt.rviz"
FOXGLOVE = ROOT / "config" / "foxglove.json"
# Of robot_state_publisher, which a robot's bringup starts.
FROM_OUTSIDE = {"/robot_description"}
# Message type that each of RViz's displays takes.
DISPLAYS = {"Image": "sensor_msgs/Image", "MarkerArray": "visualization_msgs/MarkerArray"}
DISPLAYS["Pose"] = "geometry_msgs/PoseStamped"
KEYS = {topics.STEP: topics.STEP_KEYS, topics.GRIPPER_RESULT: topics.GRIPPER_RESULT_KEYS}
CONSTANT = re.compile(r'^([A-Z_]+) = "([^"]+)"  # (\w+_msgs/\w+)', re.MULTILINE)


def published() -> dict[str, str]:
    """Return the message type by topic of all that a node makes a publisher of."""
    nodes = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*_node.py"))
    found = CONSTANT.findall(Path(topics.__file__).read_text())
    made = r"(?:create_publisher|MarkerPublisher)\([^()]*\btopics\.%s\b"
    return {f"/{topic.lstrip('/')}": kind for name, topic, kind in found if re.search(made % name, nodes)}


def leaves(tree: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in a tree, keys too, with the key that it stands under."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield key, str(name)
            yield from leaves(value, str(name))
    elif isinstance(tree, list):
        for value in tree:
            yield from leaves(value, key)
    elif isinstance(tree, str):
        yield key, tree


def rviz() -> Any:
    return yaml.safe_load(RVIZ.read_text())


def foxglove() -> Any:
    return json.loads(FOXGLOVE.read_text())


def known(text: str) -> bool:
    """Return whether a text that begins with a slash begins with a topic that is published."""
    topic = text.split(".")[0].removesuffix("/compressed")
    return topic in published() or topic in FROM_OUTSIDE


def test_all_topics_are_published() -> None:
    assert published()["/policy/markers"] == "visualization_msgs/MarkerArray"
    for tree in (rviz(), foxglove()):
        named = {text for _, text in leaves(tree) if text.startswith("/")}
        assert len(named) >= 5
        assert [text for text in named if not known(text)] == []


def test_rviz_shows_each_topic_as_what_it_is() -> None:
    shown = 0
    for display in rviz()["Visualization Manager"]["Displays"]:
        kind = DISPLAYS.get(display["Class"].split("/")[1])
        if kind is not None:
            assert published()[display["Topic"]["Value"]] == kind
            shown += 1
    assert shown >= 5


def test_all_frames_are_in_the_urdf() -> None:
    robot = load_robot(resolve(Path("config/robots/sim.yaml")))
    links = UrdfTree(expand(robot.urdf, robot.xacro_args)).links
    keys = ("Fixed Frame", "Target Frame", "Reference Frame", "followTf", "frameId")
    frames = [text for tree in (rviz(), foxglove()) for key, text in leaves(tree) if key in keys]
    assert len(frames) >= 5
    assert set(frames) <= set(links)


def test_plots_take_keys_that_are_there() -> None:
    paths = [text for key, text in leaves(foxglove()) if key == "value" and text.startswith("/")]
    assert len(paths) == 3
    for path in paths:
        found = re.fullmatch(r'/([a-z_/]+)\.status\[:\]\.values\[:\]\{key=="(\w+)"\}\.value', path)
        assert found, path
        assert found[2] in KEYS[found[1]]


def test_the_layout_holds_every_panel_once() -> None:
    panels = [text for _, text in leaves(foxglove()["layout"]) if "!" in text]
    assert sorted(panels) == sorted(foxglove()["configById"])
