"""What can go wrong on the way to the arm, and what must come of it."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from qtopt_policy import topics
from support.fault_cell import RTF, FaultCell
from support.wires import BEAT, CLOCK

# hold: the arm comes to rest and goes on by itself afterwards. stop: it rests until someone resumes.
# disarm: it rests until someone arms it. ride: it goes on as if nothing had happened.
# bound: it may go on or rest; its limits hold.
Outcome = Literal["hold", "stop", "disarm", "ride", "bound"]

# What the arm itself takes to stand once its set points do, and one look of each node on the way [s].
SETTLING = 0.15
HORIZON = 0.1  # [s] of the longest trajectory
SILENCE = 0.25 + HORIZON + SETTLING  # [s] after the last wish that came through
JOINTS = 0.2 + HORIZON + SETTLING  # [s] after the last joint state that came through
AT_ONCE = HORIZON + SETTLING


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong while the arm is on its way.

    Attributes:
        name: for people.
        outcome: what must come of it.
        rest: time from the fault to rest that the watchdogs promise [s].
        word: what arm/state or the diagnostics say of it; "": nothing that anybody must say.
        begin, end: cause it and take it back.
        quick: belongs to the usual run, not to the sweep alone.
    """

    name: str
    outcome: Outcome
    rest: float
    word: str
    begin: Callable[[FaultCell], None]
    end: Callable[[FaultCell], None]
    quick: bool = True


def frozen(node: str, outcome: Outcome, rest: float = 0.0, word: str = "") -> Fault:
    """Return a fault: the node's process is stopped by SIGSTOP, and goes on later."""
    return Fault(
        f"{node} frozen",
        outcome,
        rest,
        word,
        lambda cell: cell.signal(node, signal.SIGSTOP),
        lambda cell: cell.signal(node, signal.SIGCONT),
    )


def killed(node: str, outcome: Outcome, rest: float = 0.0, word: str = "") -> Fault:
    """Return a fault: the node is killed, and started anew later."""

    def kill(cell: FaultCell) -> None:
        cell.system.child(node).kill()

    return Fault(f"{node} killed", outcome, rest, word, kill, lambda cell: cell.revive(node))


def wire(
    topic: str,
    mode: str,
    outcome: Outcome,
    word: str = "",
    *,
    rest: float = 0.0,
    much: float = 0.0,
    quick: bool = True,
) -> Fault:
    """Return a fault of a topic; `mode` and its argument `much` as in relay.make_mode."""
    amount = f" {much:g}" if much else ""

    def end(cell: FaultCell) -> None:
        if topic in (topics.ARM_COMMAND, CLOCK):  # the servo must have come to rest too: see test_leap
            cell.graph.spin(SILENCE / RTF)
        cell.wire(topic)

    return Fault(
        f"{topic}: {mode}{amount}",
        outcome,
        rest,
        word,
        lambda cell: cell.wire(topic, mode, much / RTF if mode == "delay" else much),
        end,
        quick,
    )


CHAIN = (
    frozen("guard_node", "hold", SILENCE, "servo_node: wish_timeout"),
    frozen("servo_node", "stop", AT_ONCE, "no heartbeat of the executor"),
    frozen("gripper_node", "ride"),
    frozen("sim_node", "hold", 0.0, "/clock stands still"),
    killed("guard_node", "disarm", SILENCE, "servo_node: wish_timeout"),
    killed("servo_node", "stop", AT_ONCE, "no heartbeat of the executor"),
    killed("gripper_node", "ride"),
)
_SILENT, _UNHEARD = "guard: no wish of policy", "servo_node: wish_timeout"
WISHES = (
    wire(topics.POLICY_TARGET, "drop", "hold", _SILENT, rest=SILENCE),
    wire(topics.POLICY_TARGET, "delay", "hold", "guard_node: stale", rest=SILENCE, much=0.5),
    wire(topics.POLICY_TARGET, "delay", "ride", much=0.15, quick=False),
    wire(topics.POLICY_TARGET, "duplicate", "ride", much=3),
    wire(topics.POLICY_TARGET, "reorder", "bound", much=4),
    wire(topics.POLICY_TARGET, "nan", "hold", "guard_node: not_finite", rest=SILENCE),
    wire(topics.POLICY_TARGET, "huge", "bound", "guard_node: step_length"),
    wire(topics.POLICY_TARGET, "names", "hold", "guard_node: frame", rest=SILENCE),
    wire(topics.POLICY_TARGET, "empty", "hold", "guard_node: frame", rest=SILENCE),
    wire(BEAT, "drop", "hold", "guard: no heartbeat of policy", rest=SILENCE),
    wire(BEAT, "delay", "ride", much=0.15, quick=False),
    wire(BEAT, "empty", "ride", quick=False),
)
_SWITCH = "guard: dead-man"
SWITCH = (
    wire(topics.JOY, "drop", "hold", f"{_SWITCH} silent", rest=SILENCE),
    wire(topics.JOY, "released", "hold", f"{_SWITCH} released", rest=AT_ONCE),
    wire(topics.JOY, "empty", "hold", f"{_SWITCH} has 0 buttons", rest=AT_ONCE),
    wire(topics.JOY, "delay", "ride", much=0.15, quick=False),
    wire(topics.JOY, "duplicate", "ride", much=3),
)
TARGETS = (
    wire(topics.TARGET_POSE, "drop", "hold", _UNHEARD, rest=SILENCE),
    wire(topics.TARGET_POSE, "delay", "hold", "servo_node: stale", rest=SILENCE, much=0.5),
    wire(topics.TARGET_POSE, "delay", "ride", much=0.15, quick=False),
    wire(topics.TARGET_POSE, "duplicate", "ride", much=3),
    wire(topics.TARGET_POSE, "reorder", "bound", much=4),
    wire(topics.TARGET_POSE, "nan", "hold", "servo_node: not_finite", rest=SILENCE),
    wire(topics.TARGET_POSE, "huge", "hold", "servo_node: workspace", rest=SILENCE),
    wire(topics.TARGET_POSE, "outside", "hold", "servo_node: workspace", rest=SILENCE),
    wire(topics.TARGET_POSE, "names", "hold", "servo_node: frame", rest=SILENCE),
    wire(topics.TARGET_POSE, "empty", "hold", "servo_node: frame", rest=SILENCE),
)
_BLIND = "guard: no joint state"
STATES = (
    wire(topics.JOINT_STATES, "drop", "stop", _BLIND, rest=JOINTS),
    wire(topics.JOINT_STATES, "delay", "stop", _BLIND, rest=JOINTS, much=0.5),
    wire(topics.JOINT_STATES, "delay", "ride", much=0.1, quick=False),
    wire(topics.JOINT_STATES, "duplicate", "ride", much=3),
    wire(topics.JOINT_STATES, "reorder", "ride", much=3),
    wire(topics.JOINT_STATES, "nan", "stop", _BLIND, rest=JOINTS),
    wire(topics.JOINT_STATES, "huge", "stop", _BLIND, rest=JOINTS),
    wire(topics.JOINT_STATES, "velocity", "stop", "guard: tool at", rest=JOINTS),
    wire(topics.JOINT_STATES, "effort", "stop", "guard: joint", rest=JOINTS),
    wire(topics.JOINT_STATES, "names", "stop", _BLIND, rest=JOINTS),
    wire(topics.JOINT_STATES, "empty", "stop", _BLIND, rest=JOINTS),
    wire(topics.ARM_STATE, "drop", "ride"),
    wire(topics.ARM_STATE, "empty", "ride", quick=False),
)
_REFUSED = "sim_node: trajectory"
COMMANDS = (
    wire(topics.ARM_COMMAND, "drop", "hold", rest=AT_ONCE),
    wire(topics.ARM_COMMAND, "delay", "hold", _REFUSED, rest=AT_ONCE, much=0.3),
    wire(topics.ARM_COMMAND, "duplicate", "ride", much=3),
    wire(topics.ARM_COMMAND, "reorder", "bound", much=3),
    wire(topics.ARM_COMMAND, "nan", "hold", _REFUSED, rest=AT_ONCE),
    wire(topics.ARM_COMMAND, "names", "hold", _REFUSED, rest=AT_ONCE),
    wire(topics.ARM_COMMAND, "empty", "hold", _REFUSED, rest=AT_ONCE),
    wire(topics.GRIPPER_CLOSE, "drop", "ride"),
)
CLOCKS = (
    wire(CLOCK, "drop", "hold", "guard: /clock stands still", rest=AT_ONCE),
    wire(CLOCK, "delay", "hold", _REFUSED, rest=AT_ONCE, much=0.3),
    wire(CLOCK, "duplicate", "ride", much=3),
    wire(CLOCK, "reorder", "bound", much=3),
    wire(CLOCK, "shift", "bound", much=2.0),  # the controller creeps to a point that is seconds ahead
    wire(CLOCK, "shift", "hold", rest=AT_ONCE, much=-2.0),
)
LAST = (killed("sim_node", "hold", 0.0, "/clock stands still"),)  # its clock starts anew
FAULTS = (*CHAIN, *WISHES, *SWITCH, *TARGETS, *STATES, *COMMANDS, *CLOCKS, *LAST)
