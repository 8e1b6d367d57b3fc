"""The embedded servo on recorded targets, as recorded and disturbed, against a Franka's datasheet.

The motion is that which joint_trajectory_controller makes of the servo's trajectories, sampled at 1 kHz
(grasp_bringup/shaping.py). The arm is the simulated one, which has the kinematics of the Panda and the FR3.
Prints the largest share of each limit that a joint uses, and draws velocity, acceleration and jerk of all
joints over time as shares of their limits; the red lines are the limits.

    python bench/bench_shaping.py --datasheet fr3 --accelerations 15 10 5 --picture shaping.png
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.servo import ServoConfig
from grasp_bringup.shaping import (
    DATASHEETS,
    DISTURBANCES,
    NAMES,
    RATE,
    JointLimits,
    derivatives,
    follow,
    read_targets,
    shares,
)
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]

TARGETS = Path(__file__).resolve().parents[1] / "test" / "data" / "target_poses.csv"
PANEL, MARGIN = (420, 130), 28  # width, height [px]
COLOURS = (
    *((31, 119, 180), (255, 127, 14), (44, 160, 44), (148, 103, 189)),
    *((140, 86, 75), (227, 119, 194), (90, 90, 90)),
)
LIMIT, INK = (200, 30, 30), (40, 40, 40)


def panel(values: F64, bound: F64, title: str) -> Image:
    """Draw the joints' values over time as shares of their bounds, from -1.2 to 1.2."""
    width, height = PANEL
    picture = np.full((height + MARGIN, width + MARGIN, 3), 255, dtype=np.uint8)
    cv2.putText(picture, title, (MARGIN, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
    for share in (-1.0, 1.0):
        row = round(MARGIN + height * (0.5 - share / 2.4))
        cv2.line(picture, (MARGIN // 2, row), (width + MARGIN // 2, row), LIMIT, 1)
    x = MARGIN // 2 + np.linspace(0, width, len(values))
    for joint, colour in zip(range(values.shape[1]), COLOURS, strict=False):
        y = MARGIN + height * (0.5 - np.clip(values[:, joint] / bound[joint], -1.2, 1.2) / 2.4)
        points = np.column_stack([x, y]).round().astype(np.int32)
        cv2.polylines(picture, [points], False, colour, 1, cv2.LINE_AA)
    return picture


def column(path: F64, limits: JointLimits, title: str) -> Image:
    """Draw velocity, acceleration and jerk of one motion below each other."""
    seconds = len(path) / RATE
    return np.vstack(
        [
            panel(values, getattr(limits, name), f"{title}: {name}, {seconds:.1f} s")
            for name, values in derivatives(path).items()
        ]
    )


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--datasheet", choices=sorted(DATASHEETS), default="fr3")
    parser.add_argument("--targets", type=Path, default=TARGETS)
    parser.add_argument("--accelerations", type=float, nargs="+", default=[5.0], help="[rad/s2]")
    parser.add_argument("--picture", type=Path, help="of the motion with the last of the accelerations")
    arguments = parser.parse_args()
    robot = load_robot(resolve(Path("config/robots/sim.yaml")))
    kinematics, limits = kinematics_of(robot), DATASHEETS[arguments.datasheet]
    targets = read_targets(arguments.targets)
    print(f"largest share of the {arguments.datasheet} datasheet's limits, at 1 kHz")
    print(f"{'rad/s2':>6}  {'targets':12}" + "".join(f"{name:>14}" for name in NAMES))
    columns: list[Image] = []
    for acceleration in arguments.accelerations:
        columns.clear()
        for title, disturb in DISTURBANCES.items():
            config = ServoConfig(max_acceleration=acceleration)
            path = follow(kinematics, robot.limits, np.array(robot.home), disturb(targets), config)
            used = shares(path, limits)
            print(f"{acceleration:6.1f}  {title:12}" + "".join(f"{used[name].max():14.2f}" for name in NAMES))
            columns.append(column(path, limits, title))
    if arguments.picture is not None:
        cv2.imwrite(str(arguments.picture), cv2.cvtColor(np.hstack(columns), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
