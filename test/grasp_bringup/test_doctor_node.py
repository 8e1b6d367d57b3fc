"""`qtopt doctor --robot` on the live graph of the simulated cell."""

import time
from pathlib import Path

import pytest

from grasp_bringup.doctor_node import examine
from grasp_bringup.robot_doctor import DoctorOptions, run
from grasp_bringup.run import RunningSystem
from grasp_bringup.system import SystemOptions, cell_nodes
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.graph import isolate

pytestmark = pytest.mark.graph

SIM = Path("config/robots/sim.yaml")
DEADLINE = 40.0  # [s] of wall time for the nodes to come up


@pytest.mark.parametrize("namespace", ["", "left"])
def test_the_simulated_cell_has_nothing_to_mend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    for name, value in isolate(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "160")
    picture = tmp_path / "reach.png"
    with RunningSystem(cell_nodes(SystemOptions(namespace=namespace)), tmp_path / "logs"):
        end = time.monotonic() + DEADLINE
        while True:
            seen = examine(load_robot(resolve(SIM)), "wrist", 0.5, lambda: "not yet", namespace)
            if seen.picture is not None and seen.tool_pose is not None and not seen.gripper_obstacle:
                break
            assert time.monotonic() < end, seen
        assert seen.strokes_skipped == "not yet"
        assert seen.simulated
        options = DoctorOptions(
            seconds=1.0, gripper="yes", picture=picture, one_machine=True, namespace=namespace
        )
        status = run(SIM, options)
    text = capsys.readouterr().out
    assert status == 0, text
    assert "nothing to mend" in text
    place = f"/{namespace}" if namespace else ""
    assert f"sim_node listens on {place}/arm_controller/joint_trajectory" in text
    assert "close: reached" in text
    assert picture.is_file()
