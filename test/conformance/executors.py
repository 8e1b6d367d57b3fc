"""The executors that the conformance suite runs, and what each promises."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Executor:
    """One way to move the arm behind arm/target_pose.

    Attributes:
        name: value of the launch argument `arm`.
        module: of its node, run as a process of its own.
        parameters: rules for its command line.
        reaction_time: longest time from a cause (first wish, hold, silence beyond its timeout, death) to its
            effect on the trajectory that the controller holds: motion begun, or the arm at rest [s].
        wish_timeout: silence of wishes after which it holds [s].
    """

    name: str
    module: str
    parameters: tuple[str, ...]
    reaction_time: float
    wish_timeout: float = 0.25


EXECUTORS = (Executor("embedded", "grasp_bringup.servo_node", (), reaction_time=0.15),)
