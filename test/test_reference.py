"""docs/reference.md says what the code says."""

import os
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
