"""Failures that the double is told to make, each of them documented for the real moveit_py."""

import os

VARIABLE = "MOVEIT_DOUBLE_FAULTS"  # names, separated by commas; a name may be followed by :N, its count
NAMES = (
    "no_state",  # no robot state ever arrives
    "no_goal",  # set_goal_state returns False
    "no_plan",  # plan() fails: PLANNING_FAILED
    "plan_raises",  # a plugin throws
    "no_ik",  # set_from_ik returns False
    "other_branch",  # set_from_ik returns another branch of the redundant arm
    "no_timing",  # TOTG returns False
    "path_invalid",  # is_path_valid returns False
    "too_fast",  # the plan is timed twice as fast as the limits allow
    "repeated_stamp",  # the plan's last two points have one time
    "not_finite",  # a joint position of the plan is NaN
    "aborted",  # the controller aborts
    "execute_raises",
    "deaf",  # stop_execution does nothing
    "scene_refused",  # process_collision_object returns False
    "teardown_crash",  # Python's teardown ends in a crash (issue 3721)
)

_left: dict[str, int] = {}


def ask(name: str, count: int = 1_000_000) -> None:
    """Let a failure happen `count` times."""
    if name not in NAMES:
        raise ValueError(f"unknown fault {name}")
    _left[name] = count


def clear() -> None:
    """Let all be well."""
    _left.clear()


def due(name: str) -> bool:
    """Return whether a failure is to happen now, and count it."""
    assert name in NAMES
    left = _left.get(name, 0)
    if left > 0:
        _left[name] = left - 1
    return left > 0


for _rule in filter(None, os.environ.get(VARIABLE, "").split(",")):
    _name, _, _count = _rule.partition(":")
    ask(_name, int(_count or 1_000_000))
