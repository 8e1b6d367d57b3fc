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
        reaction_time: longest time from a cause (first wish, hold, silence beyond its timeout) to its effect
            on the trajectory that the controller holds: motion begun, or the arm at rest [s].
        horizon: longest trajectory: after the executor's death the arm moves on for so long at most [s].
        wish_timeout: silence of wishes after which it holds [s].
        paths: folders of Python packages that its process needs.
        environment: of its process.
    """

    name: str
    module: str
    parameters: tuple[str, ...]
    reaction_time: float
    horizon: float
    wish_timeout: float = 0.25
    paths: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


EXECUTORS = (
    Executor("embedded", "grasp_bringup.servo_node", (), reaction_time=0.15, horizon=0.1),
    # With the double of moveit_py. From a wish to motion: 0.2 s for a state, 0.2 s for a plan, and what the
    # double takes; the real action's way to the controller comes on top (0.1 to 0.4 s by its users' reports).
    # From a hold to rest: 0.02 s until it looks and 0.1 s of braking. The longest move is one step.
    Executor(
        "moveit",
        "grasp_bringup.moveit_node",
        (),
        reaction_time=0.5,
        horizon=1.5,
        paths=(DOUBLE,),
        environment={"MOVEIT_DOUBLE_FAULTS": "teardown_crash"},
    ),
)
