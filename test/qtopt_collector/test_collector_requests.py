"""Which service calls the collector makes, and when not; without a graph."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParametersAtomically
from std_srvs.srv import Trigger

from qtopt_collector.cell import Request
from qtopt_collector.collector_requests_node import RequestCaller
from qtopt_policy import topics
from qtopt_policy.base_node import BaseNode


class Answer:
    """A future that has its result at once."""

    def __init__(self, response: Any) -> None:
        self.response = response

    def result(self) -> Any:
        return self.response

    def add_done_callback(self, then: Callable[["Answer"], None]) -> None:
        then(self)


class Service:
    """Client and service in one; `ready` says whether the service is there."""

    def __init__(self, kind: Any) -> None:
        self.ready, self.calls, self._kind = False, 0, kind

    def service_is_ready(self) -> bool:
        return self.ready

    def call_async(self, message: Any) -> Answer:
        self.calls += 1
        if self._kind is Trigger:
            return Answer(Trigger.Response(success=True))
        return Answer(SetParametersAtomically.Response(result=SetParametersResult(successful=True)))


class Services:
    """Stands for the node that calls: knows all services by name."""

    def __init__(self) -> None:
        self.known: dict[str, Service] = {}

    def create_client(self, kind: Any, name: str) -> Service:
        return self.known.setdefault(name, Service(kind))

    def appear(self) -> None:
        """Let all services be there."""
        for service in self.known.values():
            service.ready = True

    @property
    def calls(self) -> dict[str, int]:
        """How often each service was called, where it was."""
        return {name: service.calls for name, service in self.known.items() if service.calls}


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def caller(services: Services) -> RequestCaller:
    return RequestCaller(cast(BaseNode, services))


def test_a_request_waits_for_its_service(services: Services, caller: RequestCaller) -> None:
    request = Request("own", {"owner": "none"})
    caller.take(request)
    assert services.calls == {}
    services.appear()
    caller.pump()
    caller.pump()
    assert services.calls == {"guard_node/set_parameters_atomically": 1}
    assert request.reply is not None
    assert request.reply.done


def test_what_was_given_up_meanwhile_is_never_sent(services: Services, caller: RequestCaller) -> None:
    given_up, wanted = Request("run"), Request("cancel")
    for request in (given_up, wanted):
        caller.take(request)
    given_up.given_up = True
    services.appear()
    caller.pump()
    assert services.calls == {topics.CANCEL_EPISODE: 1}


def test_a_reset_that_was_given_up_places_no_scene(services: Services, caller: RequestCaller) -> None:
    request = Request("reset", {"seed": 1, "split": "train"})
    services.known["sim_node/set_parameters_atomically"].ready = True
    caller.take(request)
    request.given_up = True
    services.appear()
    caller.pump()
    assert services.calls == {"sim_node/set_parameters_atomically": 1}
