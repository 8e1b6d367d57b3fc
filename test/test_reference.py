"""docs/reference.md says what the code says."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

from grasp_bringup.environment import ros_environment

ROOT = Path(__file__).resolve().parents[1]


def test_the_reference_is_current(tmp_path: Path) -> None:
    environment = {**os.environ, **ros_environment(os.environ, one_machine=True)}
    environment |= {"ROS_DOMAIN_ID": str(1 + os.getpid() % 200), "ROS_LOG_DIR": str(tmp_path)}
    command = [sys.executable, str(ROOT / "tools" / "make_reference.py"), "--check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_every_node_that_can_be_started_is_in_the_reference() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "tools" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    # A title names the executable where the node is called otherwise.
    named = {re.sub(r".*\(executable (\w+)\)", r"\1", title) for title in tool.NODES}
    assert named == {path.name for path in (ROOT / "scripts").glob("*_node")}
