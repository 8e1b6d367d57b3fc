"""Asks the controller managers of a live graph which controllers they run, for `qtopt doctor --robot`."""

import time
from collections.abc import Callable
from typing import Any

SERVICE = "controller_manager_msgs/srv/ListControllers"
PATIENCE = 3.0  # [s] of wall time for one manager's answer


def controller_states(node: Any, spin: Callable[[], None]) -> tuple[dict[str, str], str]:
    """Return the state of every controller by name, and why one is not known ("" where all are).

    A robot may have several managers, one of the arm and one of the gripper.

    Args:
        node: that asks.
        spin: handles one event of it.
    """
    services = sorted(name for name, kinds in node.get_service_names_and_types() if SERVICE in kinds)
    if not services:
        return {}, "no controller manager is there"
    try:
        from controller_manager_msgs.srv import ListControllers
    except ImportError:
        return (
            {},
            "controller_manager_msgs is not installed: apt install ros-$ROS_DISTRO-controller-manager-msgs",
        )
    states: dict[str, str] = {}
    for service in services:
        answer = _call(node.create_client(ListControllers, service), ListControllers.Request(), spin)
        if answer is None:
            return states, f"no answer of {service} within {PATIENCE:.0f} s"
        states |= {str(found.name): str(found.state) for found in answer.controller}
    return states, ""


def _call(client: Any, request: Any, spin: Callable[[], None]) -> Any:
    """Return the response, None if it does not come in time."""
    end = time.monotonic() + PATIENCE
    future = None
    while time.monotonic() < end:
        if future is None and client.service_is_ready():
            future = client.call_async(request)
        if future is not None and future.done():
            return future.result()
        spin()
    return None
