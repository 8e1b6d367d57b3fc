"""`qtopt doctor --robot` on the live graph of the simulated cell."""

import time
from pathlib import Path
from typing import Any

import pytest

from grasp_bringup import doctor_node
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


class Late:
    """Stands for node and executor: everybody is found after so many turns."""

    def __init__(self, turns: int) -> None:
        self.turns, self.taken = turns, 0

    @property
    def complete(self) -> bool:
        return self.taken >= self.turns

    def spin_once(self, timeout_sec: float) -> None:
        time.sleep(0.001)
        self.taken += 1


@pytest.mark.parametrize(("turns", "found"), [(100, True), (10**9, False)])
def test_who_is_found_late_is_waited_for(monkeypatch: pytest.MonkeyPatch, turns: int, found: bool) -> None:
    monkeypatch.setattr(doctor_node, "DISCOVERY", 0.0)
    monkeypatch.setattr(doctor_node, "LATEST", 20.0 if found else 0.1)
    late: Any = Late(turns)
    doctor_node._discover(late, late)
    assert late.complete is found
    assert late.taken >= (turns if found else 1)
