"""What an arm did: where it was at every tick of its own clock, and what that says about limits and rest."""

from dataclasses import dataclass, field

import numpy as np

from grasp_bringup.kinematics import Kinematics
from qtopt_policy.geometry import Array
from qtopt_policy.limits import Limits

REST = 0.001  # [m] an arm that stays within this distance of where it ends is at rest
WINDOW = 5  # ticks over which speeds are measured
# The arm is simulated with its inertia: braked at a wall of its workspace it swings 3 mm past its set points.
BOX_TOLERANCE = 0.005  # [m]
# As the guard's own `overspeed`, over its `overspeed_time`: round a corner 0.243 m/s of set points become
# 0.287, and a controller that had a trajectory late catches up. That the set points keep the limits is what
# test/conformance holds.
SPEED_TOLERANCE = 1.5


@dataclass
class Trace:
    """Joint positions at rising stamps [s] of the drivers' own clock, and the tool points they mean [m]."""

    kinematics: Kinematics
    stamps: list[float] = field(default_factory=list)
    joints: list[Array] = field(default_factory=list)
    points: list[Array] = field(default_factory=list)

    def add(self, stamp: float, q: Array) -> None:
        """Note a joint state; one that is not newer is left out."""
        if self.stamps and stamp <= self.stamps[-1]:
            return
        self.stamps.append(stamp)
        self.joints.append(q)
        self.points.append(self.kinematics.forward(q).position)

    def clear(self) -> None:
        """Forget everything, as when a simulator starts anew."""
        for values in (self.stamps, self.joints, self.points):
            values.clear()

    def since(self, stamp: float) -> "Trace":
        """Return the part after `stamp`."""
        first = int(np.searchsorted(self.stamps, stamp, side="right"))
        return Trace(self.kinematics, self.stamps[first:], self.joints[first:], self.points[first:])

    def travelled(self, duration: float) -> float:
        """Return how far the tool is from where it was `duration` [s] ago, at most in between [m]."""
        recent = np.array(self.since(self.stamps[-1] - duration).points)
        return float(np.linalg.norm(recent - recent[-1], axis=1).max())

    def rest_after(self, stamp: float) -> float:
        """Return the time from `stamp` to the rest in which the trace ends [s]; 0 if it never moved."""
        part = self.since(stamp)
        if not part.stamps:
            return 0.0
        away = np.linalg.norm(np.array(part.points) - part.points[-1], axis=1) > REST
        return part.stamps[int(np.flatnonzero(away)[-1])] - stamp if away.any() else 0.0

    def outside(self, limits: Limits) -> float:
        """Return how far the tool was outside its workspace at most [m]; 0 or less: never."""
        return float(self._beyond(limits).max(initial=-np.inf))

    def _beyond(self, limits: Limits) -> Array:
        """Return how far each point is beyond the nearest wall [m], shape (n,); below 0: within."""
        points = np.array(self.points).reshape(-1, 3)
        low = np.array([*limits.workspace_min[:2], limits.min_height])
        beyond: Array = np.maximum(low - points, points - np.array(limits.workspace_max)).max(axis=1)
        return beyond

    def tool_speed(self) -> float:
        """Return the highest speed of the tool over WINDOW ticks [m/s]."""
        return float(np.linalg.norm(self._rates(self.points), axis=-1).max(initial=0.0))

    def joint_speeds(self) -> Array:
        """Return the highest speed of each joint over WINDOW ticks [rad/s], shape (n,)."""
        highest: Array = np.abs(self._rates(self.joints)).max(axis=0, initial=0.0)
        return highest

    def _rates(self, values: list[Array]) -> Array:
        rows, times = np.array(values), np.array(self.stamps)
        if len(rows) <= WINDOW:
            return np.zeros((0, len(self.kinematics.joints)))
        rates: Array = (rows[WINDOW:] - rows[:-WINDOW]) / (times[WINDOW:] - times[:-WINDOW])[:, None]
        return rates

    def violations(self, limits: Limits, box_tolerance: float = BOX_TOLERANCE) -> list[str]:
        """Return which limits the arm broke, with numbers; empty: none.

        Args:
            limits: of the robot.
            box_tolerance: how far the tool may be outside its box [m].
        """
        found = []
        if (outside := self.outside(limits)) > box_tolerance:
            where = np.round(self.points[int(self._beyond(limits).argmax())], 3).tolist()
            found.append(f"{1000 * outside:.1f} mm outside the box at {where}")
        if (speed := self.tool_speed()) > SPEED_TOLERANCE * limits.max_tool_speed:
            found.append(f"tool at {speed:.3f} m/s")
        allowed = limits.joint_speed_fraction * self.kinematics.velocity_limits
        share = self.joint_speeds() / allowed
        if share.max() > SPEED_TOLERANCE:
            found.append(
                f"{self.kinematics.joints[int(share.argmax())]} at {share.max():.2f} of its speed limit"
            )
        return found
