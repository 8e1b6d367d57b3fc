"""The embedded executor: cost of a tick, time of a move, speed of the tool; beside ruckig on equal terms.

Ruckig shapes each joint on its own towards the inverse kinematics of a target that moves at the tool's speed
limit. It keeps every joint limit, but nothing bounds the tool's speed while it catches up: the reason why the
servo shapes with moving averages (smoothing.py). Only the commanded motion is looked at, no physics.

    python bench/bench_servo.py --moves 200
"""

import argparse
import importlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from grasp_bringup.kinematics import Kinematics, kinematics_of
from grasp_bringup.servo import ServoConfig, ServoCore
from qtopt_policy.geometry import Array, Pose, pointing_down
from qtopt_policy.limits import Limits
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

PERIOD = 0.01  # [s]
CHANGE = 12  # tick at which a change of mind comes
LENGTH = 80  # ticks of a move
NEAR, SLOW = 0.003, 0.005  # [m], [m/s]: when a step has arrived

# A mover takes joint positions, a function from tick to target, and returns the joint path.
Mover = Callable[[Array, Callable[[int], Pose]], Array]


def servo_mover(kinematics: Kinematics, limits: Limits, costs: list[float]) -> Mover:
    """Return the servo; `costs` gets the time of every tick [s]."""
    servo = ServoCore(kinematics, limits, PERIOD)

    def move(q: Array, target: Callable[[int], Pose]) -> Array:
        servo.reset(q)
        path = [q]
        for tick in range(LENGTH):
            servo.set_target(target(tick))
            start = time.perf_counter()
            path.append(servo.tick().q)
            costs.append(time.perf_counter() - start)
        return np.array(path)

    return move


def ruckig_mover(kinematics: Kinematics, limits: Limits, costs: list[float]) -> Mover:
    """Return ruckig behind the same straight line and inverse kinematics.

    Raises:
        ImportError: it is not installed.
    """
    ruckig = importlib.import_module("ruckig")  # not a dependency of the package
    config, count = ServoConfig(), len(kinematics.joints)

    def move(q: Array, target: Callable[[int], Pose]) -> Array:
        shaper, state = ruckig.Ruckig(count, PERIOD), ruckig.InputParameter(count)
        out = ruckig.OutputParameter(count)
        state.current_position = q
        state.current_velocity = state.current_acceleration = [0.0] * count
        state.max_velocity = limits.joint_speed_fraction * kinematics.velocity_limits
        state.max_acceleration = [config.max_acceleration] * count
        state.max_jerk = [2.0 * config.max_acceleration / config.jerk_time] * count
        line, goal, path = kinematics.forward(q), q, [q]
        for tick in range(LENGTH):
            start = time.perf_counter()
            wanted = target(tick)
            way, turn = line.distance(wanted), line.angle(wanted)
            most = min(limits.max_tool_speed / max(way, 1e-9), limits.max_tool_yaw_speed / max(turn, 1e-9))
            line = line.interpolate(wanted, min(1.0, PERIOD * most))
            goal = kinematics.solve(line, goal).q
            state.target_position = goal
            state.target_velocity = state.target_acceleration = [0.0] * count
            shaper.update(state, out)
            out.pass_to_input(state)
            path.append(np.array(out.new_position))
            costs.append(time.perf_counter() - start)
        return np.array(path)

    return move


def targets(home: Pose, limits: Limits, changing: bool, rng: np.random.Generator) -> Callable[[int], Pose]:
    """Return a target of 3 to 4 cm and some yaw; `changing` replaces it on the way."""

    def random_pose() -> Pose:
        way = rng.normal(size=3)
        way *= rng.uniform(0.03, 0.04) / np.linalg.norm(way)
        return pointing_down(home.position + way, home.yaw() + rng.uniform(-0.3, 0.3))

    first, second = random_pose(), random_pose()
    return lambda tick: second if changing and tick >= CHANGE else first


def arrival(kinematics: Kinematics, path: Array, goal: Pose, begin: int) -> float:
    """Return the time from `begin` until the tool is near and slow [s]; NaN if it never is."""
    points = np.array([kinematics.forward(q).position for q in path])
    speed = np.linalg.norm(np.diff(points, axis=0), axis=1) / PERIOD
    near = np.linalg.norm(points[1:] - goal.position, axis=1) <= NEAR
    ready = np.flatnonzero(near & (speed <= SLOW) & (np.arange(len(speed)) >= begin))
    return float((ready[0] + 1 - begin) * PERIOD) if len(ready) else float("nan")


def run(name: str, kinematics: Kinematics, limits: Limits, home: Array, moves: int) -> None:
    """Print one table row per kind of move."""
    make = {"servo": servo_mover, "ruckig": ruckig_mover}[name]
    for changing in (False, True):
        costs: list[float] = []
        mover, rng = make(kinematics, limits, costs), np.random.default_rng(0)
        times, fastest = [], 0.0
        for _ in range(moves):
            target = targets(kinematics.forward(home), limits, changing, rng)
            path = mover(home, target)
            times.append(arrival(kinematics, path, target(LENGTH), CHANGE if changing else 0))
            points = np.array([kinematics.forward(q).position for q in path])
            fastest = max(fastest, float(np.linalg.norm(np.diff(points, axis=0), axis=1).max()) / PERIOD)
        kind = "changed on the way" if changing else "from rest to rest"
        cost, median, longest = np.median(costs) * 1e6, np.nanmedian(times), np.nanmax(times)
        print(f"{name:7} {kind:19} tick {cost:4.0f} us   arrived after {median:.2f} s, at most", end=" ")
        print(f"{longest:.2f} s   tool up to {fastest:.3f} m/s (limit {limits.max_tool_speed})")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", type=Path, default=Path("config/robots/sim.yaml"))
    parser.add_argument("--moves", type=int, default=200)
    options = parser.parse_args()
    robot = load_robot(resolve(options.robot))
    kinematics, home = kinematics_of(robot), np.array(robot.home)
    run("servo", kinematics, robot.limits, home, options.moves)
    try:
        run("ruckig", kinematics, robot.limits, home, options.moves)
    except ImportError:
        print("ruckig  not installed (pip install ruckig): nothing to compare with")


if __name__ == "__main__":
    main()
