#!/usr/bin/env python3
"""Write docs/reference.md: topics, launch arguments, and parameters as the nodes declare them.

usage: tools/make_reference.py [--check]

With --check nothing is written; the exit status is 1 if the file is not what would be written. The nodes are
built, not started: they declare their parameters before they look at anything. Where MoveIt is not installed,
the tests' double stands for its messages.
"""

import dataclasses
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import rclpy
from rclpy.parameter import Parameter

from grasp_bringup.system import CELL_OPTIONS, SystemOptions
from qtopt_policy import topics

ROOT = Path(__file__).resolve().parents[1]
DOUBLE = ROOT / "test" / "support" / "moveit_double"
TARGET = ROOT / "docs" / "reference.md"
NODES = {
    "policy_node": "qtopt_policy.policy_node:PolicyNode",
    "collector_node": "qtopt_collector.collector_node:CollectorNode",
    "guard_node": "grasp_bringup.guard_node:GuardNode",
    "dead_man_node": "grasp_bringup.dead_man_node:DeadManNode",
    "servo_node": "grasp_bringup.servo_node:ServoNode",
    "moveit_node": "grasp_bringup.moveit_topics_node:MoveItTopicsNode",
    "moveit_servo_node": "grasp_bringup.moveit_servo_node:MoveItServoNode",
    "gripper_node": "grasp_bringup.gripper_node:GripperNode",
    "sim_node": "grasp_bringup.sim.sim_node:SimNode",
    "sim_node in Gazebo (executable gazebo_node)": "grasp_bringup.gazebo.reset_node:GazeboNode",
}
OURS = ("qtopt_policy", "qtopt_collector", "grasp_bringup")
HEAD = """# Topics, launch arguments and parameters

Written by `tools/make_reference.py` out of the code; a test keeps it current. Names are relative: a namespace
goes in front of them. Parameters that rclpy itself declares are left out.
"""
PARAMETER_FILE = """
## Parameter file

`params:=mine.yaml` (`--params` of `qtopt collect`) gives the nodes below what is no launch argument:

```yaml
guard_node:
  ros__parameters: {overspeed: 1.3, effort_time: 0.1}
moveit_node:
  ros__parameters: {planner: ik}
collector_node:
  ros__parameters: {deadline: 120.0, prefix: monday, record_debug_image: false}
```

The file wins over what the launch files themselves set (`watched`, `heartbeat_timeout`), its later entries
over earlier ones. A launch argument in it is refused, and so is a node that no system has; nodes that only
another system has are left out. A name alone is that node under any namespace, `/left/guard_node` the one
under this, `/**` every node. ROS ignores a parameter that its node does not declare, and tells 1 from 1.0."""
# Sections of a Google style docstring that describe names.
SECTIONS = ("Parameters (ROS)", "Attributes", "Args")
ENTRY = re.compile(r"([a-z_.]+(?:, [a-z_.]+)*): (.+)")
CONSTANT = re.compile(r'^[A-Z_]+ = "([^"]+)"\s+# (.+)$')


def main(arguments: list[str]) -> int:
    """Write the reference, or compare it; return the exit status."""
    sections = (topic_section(), launch_section(), [PARAMETER_FILE], node_sections())
    text = "\n".join([HEAD, *(line for section in sections for line in section)]) + "\n"
    if arguments == ["--check"]:
        if not TARGET.is_file() or TARGET.read_text() != text:
            sys.stderr.write("docs/reference.md is not current: run tools/make_reference.py\n")
            return 1
        return 0
    TARGET.write_text(text)
    return 0


def topic_section() -> list[str]:
    """Return the table of all topics and services, grouped as in topics.py."""
    lines, group = ["## Topics and services", ""], ""
    source = Path(inspect.getsourcefile(topics) or "").read_text().splitlines()
    for line in source:
        found = CONSTANT.match(line)
        if line.startswith("# ") and not line.startswith("# Keys"):
            group = line[2:]
        elif found and "/" in found[2].split(":")[0] and found[1] != "owner":
            if group:
                lines += ["", f"**{group}**", "", "| name | type and meaning |", "| --- | --- |"]
                group = ""
            name = f"{found[1]}/<node>" if found[1] == topics.HEARTBEAT else found[1]
            lines.append(f"| `{name}` | {escaped(found[2])} |")
    return lines


def launch_section() -> list[str]:
    """Return the table of the launch files' arguments, which are the fields of SystemOptions."""
    lines = [
        "",
        "## Launch arguments",
        "",
        "Of `grasp.launch.py`; `gazebo.launch.py` takes all but `system`, `sim.launch.py` those with a star.",
        "",
        "| argument | default | choices | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for entry in dataclasses.fields(SystemOptions):
        mark = "*" if entry.name in CELL_OPTIONS else ""
        default = "-" if entry.default in ("", None) else f"`{launch_text(entry.default)}`"
        choices = ", ".join(f"`{choice}`" for choice in entry.metadata["choices"])
        meaning = escaped(entry.metadata["description"])
        lines.append(f"| `{entry.name}`{mark} | {default} | {choices} | {meaning} |")
    return lines


def launch_text(value: object) -> str:
    """Return a default as the command line of `ros2 launch` has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def node_sections() -> list[str]:
    """Return a table of parameters for each node."""
    if importlib.util.find_spec("moveit_msgs") is None:
        sys.path.append(str(DOUBLE))
    rclpy.init(args=["--ros-args", "--disable-stdout-logs", "-p", "autostart:=false"])
    lines: list[str] = []
    for name, place in NODES.items():
        module, kind = place.split(":")
        cls = getattr(importlib.import_module(module), kind)
        node = cls()
        lines += ["", f"## {name}", "", "| parameter | default | meaning |", "| --- | --- | --- |"]
        about = descriptions(cls)
        for parameter in sorted(own_parameters(node), key=lambda found: str(found.name)):
            meaning = escaped(about.get(parameter.name, ""))
            lines.append(f"| `{parameter.name}` | {shown(parameter)} | {meaning} |")
        node.destroy_node()
    rclpy.shutdown()
    return lines


def own_parameters(node: Any) -> list[Parameter]:
    """Return the parameters that the project's classes declare, with the values that they have."""
    left_out = ("qos_overrides", "use_sim_time", "start_type_description_service", "autostart")
    names = [name for name in node._parameters if not name.startswith(left_out)]
    return [node.get_parameter(name) for name in names]


def escaped(text: str) -> str:
    """Return a text as a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def shown(parameter: Parameter) -> str:
    """Return a default as YAML would have it."""
    value = parameter.value
    return f"`{value}`" if value not in ("", [""], None) else "-"


def descriptions(cls: type) -> dict[str, str]:
    """Return what docstrings say: of the class, of those it is made from, of the dataclasses it reads."""
    bases = [base for base in reversed(cls.__mro__) if base.__module__.split(".")[0] in OURS]
    modules = [vars(sys.modules[base.__module__]) for base in bases]
    read = [value for module in modules for value in module.values() if dataclasses.is_dataclass(value)]
    found: dict[str, str] = {}
    for source in (*read, *bases):
        told = entries(inspect.getdoc(source) or "")
        found |= {name: text for name, text in told.items() if not text.startswith("see ")}
    return found


def entries(text: str) -> dict[str, str]:
    """Return name and description of everything that a docstring's sections describe."""
    found: dict[str, str] = {}
    inside, names = False, list[str]()
    for line in text.splitlines():
        if line and not line.startswith(" "):
            inside, names = line.split(":")[0].split(",")[0].strip() in SECTIONS, []
        elif inside and line.strip():
            # `robot, mdp: paths. camera: the active one.` may stand in one line.
            for part in re.split(r"(?<=\.) (?=[a-z_]+: )", line.strip()):
                match = ENTRY.match(part)
                if match:
                    names = match[1].split(", ")
                    found |= dict.fromkeys(names, match[2])
                else:
                    found |= {name: f"{found[name]} {part}" for name in names}
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
