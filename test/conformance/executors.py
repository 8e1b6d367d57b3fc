"""The executors that the conformance suite runs, and what each promises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DOUBLE = Path(__file__).resolve().parents[1] / "support" / "moveit_double"


@dataclass(frozen=True)
class Executor:
    """One way to move the arm behind arm/target_pose.

    Attributes:
        name: value of the launch argument `arm`.
        module: of its node, run as a process of its own.
        parameters: rules for its command line.
        begin_time: longest time from the first wish to a trajectory that moves [s].
        stop_time: longest time from a cause (hold, silence beyond its timeout) to the arm's rest on the
            trajectory that the controller holds [s].
        horizon: longest trajectory: after the executor's death the arm moves on for so long at most [s].
        wish_timeout: silence of wishes after which it holds [s].
        paths: folders of Python packages that its process needs.
        environment: of its process.
    """

    name: str
    module: str
    parameters: tuple[str, ...]
    begin_time: float
    stop_time: float
    horizon: float
    wish_timeout: float = 0.25
    paths: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


EXECUTORS = (
    Executor("embedded", "grasp_bringup.servo_node", (), begin_time=0.1, stop_time=0.15, horizon=0.1),
    # With the double of moveit_py. From a wish to motion: 0.05 s until it is repeated, a state, 0.02 s of the
    # double's planning, 0.02 s of listening. The real one may wait 0.2 s for a state and plan for 0.2 s, and
    # its action's way to the controller comes on top (0.1 to 0.4 s by its users' reports).
    # From a hold to rest: 0.02 s until it looks and 0.1 s of braking. The longest move is one step.
    Executor(
        "moveit",
        "grasp_bringup.moveit_node",
        (),
        begin_time=0.2,
        stop_time=0.15,
        horizon=1.5,
        paths=(DOUBLE,),
        environment={"MOVEIT_DOUBLE_FAULTS": "teardown_crash"},
    ),
)
