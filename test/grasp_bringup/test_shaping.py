"""The servo's motion as a controller follows it stays within a Franka's datasheet, whatever targets come."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.servo import ServoConfig
from grasp_bringup.shaping import (
    DATASHEETS,
    DISTURBANCES,
    NAMES,
    RATE,
    TimedPose,
    follow,
    read_targets,
    shares,
)
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Array
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

SIM = load_robot(resolve(Path("config/robots/sim.yaml")))
DATA = Path(__file__).resolve().parents[1] / "data" / "target_poses.csv"


@cache
def targets() -> tuple[TimedPose, ...]:
    return tuple(read_targets(DATA))


def motion(disturbance: str, config: ServoConfig) -> Array:
    """Return the set points for the first 4 s of the recording."""
    early = [target for target in DISTURBANCES[disturbance](targets()) if target.time < 4.0]
    return follow(kinematics_of(SIM), SIM.limits, np.array(SIM.home), early, config)


def driver(name: str) -> ServoConfig:
    robot = load_robot(resolve(Path(f"config/robots/{name}.yaml")))
    return ServoConfig().capped(robot.driver.max_joint_acceleration)


@pytest.mark.parametrize("robot", DATASHEETS)
@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_motion_stays_within_the_datasheet(robot: str, disturbance: str) -> None:
    path = motion(disturbance, driver(robot))
    assert np.abs(path - path[0]).max() > 0.1, "the arm must move"
    used = shares(path, DATASHEETS[robot])
    assert {name: float(used[name].max()) for name in NAMES if used[name].max() > 1.0} == {}


def test_without_the_drivers_limit_an_fr3_would_abort() -> None:
    used = shares(motion("as recorded", ServoConfig()), DATASHEETS["fr3"])
    assert used["acceleration"].max() > 1.0
    assert used["jerk"].max() > 1.0


def test_disturbances_do_what_they_say() -> None:
    whole = targets()
    assert len(DISTURBANCES["duplicates"](whole)) > 1.5 * len(whole)
    gaps = np.diff([target.time for target in DISTURBANCES["gaps"](whole)])
    assert gaps.max() > 0.4
    jumps = DISTURBANCES["jumps"](whole)
    steps = [b.pose.distance(a.pose) for a, b in pairwise(jumps)]
    assert max(steps) > 0.12


def test_set_points_come_at_the_rate_of_the_robot() -> None:
    path = motion("as recorded", driver("fr3"))
    last = max(target.time for target in targets() if target.time < 4.0)
    assert len(path) == pytest.approx((last + 0.5) * RATE, abs=20)


def test_a_table_that_holds_no_poses_is_named(tmp_path: Path) -> None:
    (tmp_path / "targets.csv").write_text("t,x\n1,2\n")
    with pytest.raises(ConfigError, match=r"targets\.csv: expected columns t,x,y,z"):
        read_targets(tmp_path / "targets.csv")


def test_a_drivers_limit_only_lowers_the_servos() -> None:
    assert ServoConfig().capped(None) == ServoConfig()
    assert ServoConfig().capped(20.0) == ServoConfig()
    assert ServoConfig().capped(5.0).max_acceleration == 5.0
