"""The doctor asks every controller manager; who does not answer is named."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from grasp_bringup import controllers_node
from grasp_bringup.controllers_node import SERVICE, controller_states

ARM = [SimpleNamespace(name="arm_controller", state="active"), SimpleNamespace(name="jtc", state="inactive")]
GRIPPER = [SimpleNamespace(name="gripper_controller", state="active")]


class ListControllers:
    """controller_manager_msgs/srv/ListControllers, as far as a client sees it."""

    class Request:
        pass


class Future:
    """An answer that comes with the third event."""

    def __init__(self, controllers: list[SimpleNamespace]) -> None:
        self.controllers, self.events = controllers, 0

    def done(self) -> bool:
        return self.events >= 3

    def result(self) -> SimpleNamespace:
        assert self.done(), "asked for a result before it was there"
        return SimpleNamespace(controller=self.controllers)


class Managers:
    """A node in a graph with controller managers; a service without controllers never answers."""

    def __init__(self, services: dict[str, list[SimpleNamespace] | None]) -> None:
        self.services = services
        self.futures: list[Future] = []

    def get_service_names_and_types(self) -> list[tuple[str, list[str]]]:
        others = [("/controller_manager/list_hardware_components", ["controller_manager_msgs/srv/Other"])]
        return others + [(name, [SERVICE]) for name in self.services]

    def create_client(self, kind: type, name: str) -> Any:
        assert kind is ListControllers
        controllers = self.services[name]

        def call_async(request: object) -> Future:
            assert isinstance(request, ListControllers.Request)
            assert controllers is not None, "called before it was ready"
            self.futures.append(Future(controllers))
            return self.futures[-1]

        return SimpleNamespace(service_is_ready=lambda: controllers is not None, call_async=call_async)

    def spin(self) -> None:
        for future in self.futures:
            future.events += 1


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[dict[str, str], str]]:
    monkeypatch.setitem(sys.modules, "controller_manager_msgs", SimpleNamespace())
    srv = SimpleNamespace(ListControllers=ListControllers)
    monkeypatch.setitem(sys.modules, "controller_manager_msgs.srv", srv)
    monkeypatch.setattr(controllers_node, "PATIENCE", 0.05)

    def states(services: dict[str, list[SimpleNamespace] | None]) -> tuple[dict[str, str], str]:
        managers = Managers(services)
        return controller_states(managers, managers.spin)

    return states


def test_every_manager_is_asked(ask: Callable[..., tuple[dict[str, str], str]]) -> None:
    found = ask({"/controller_manager/list_controllers": ARM, "/hand/controller_manager/list": GRIPPER})
    assert found == ({"arm_controller": "active", "jtc": "inactive", "gripper_controller": "active"}, "")


def test_a_manager_that_does_not_answer_is_named(ask: Callable[..., tuple[dict[str, str], str]]) -> None:
    states, unknown = ask({"/a/list_controllers": GRIPPER, "/b/list_controllers": None})
    assert states == {"gripper_controller": "active"}
    assert "no answer of /b/list_controllers" in unknown


def test_without_a_manager_nothing_is_known(ask: Callable[..., tuple[dict[str, str], str]]) -> None:
    assert ask({}) == ({}, "no controller manager is there")


def test_without_the_messages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "controller_manager_msgs", None)
    managers = Managers({"/controller_manager/list_controllers": ARM})
    states, unknown = controller_states(managers, managers.spin)
    assert states == {}
    assert "apt install ros-$ROS_DISTRO-controller-manager-msgs" in unknown
