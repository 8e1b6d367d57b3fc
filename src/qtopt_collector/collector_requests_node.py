"""What the collector asks of other nodes, as service calls."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.client import Client
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from qtopt_collector.cell import Reply, Request, Value
from qtopt_policy import topics
from qtopt_policy.base_node import BaseNode

Then = Callable[[Reply], None]
TRIGGERS = {"run": topics.RUN_EPISODE, "cancel": topics.CANCEL_EPISODE, "resume": topics.ARM_RESUME}


@dataclass(frozen=True)
class _Call:
    """A service call that a request needs: who serves it, its message, and what follows on the reply."""

    request: Request
    client: Client
    message: Any
    then: Then


class RequestCaller:
    """Carries requests out; their replies arrive while the node spins.

    Args:
        node: that calls.
    """

    def __init__(self, node: BaseNode) -> None:
        self._parameters = {
            name: node.create_client(SetParametersAtomically, f"{name}/set_parameters_atomically")
            for name in ("guard_node", "policy_node", "sim_node")
        }
        self._triggers = {
            name: node.create_client(Trigger, name) for name in (*TRIGGERS.values(), topics.SIM_RESET)
        }
        self._waiting: list[_Call] = []

    def take(self, request: Request) -> None:
        """Begin to carry a request out."""

        def done(reply: Reply) -> None:
            request.reply = reply

        if request.kind == "own":
            owner = {topics.OWNER_PARAMETER: request.values["owner"]}
            self._set(request, "guard_node", owner, done)
        elif request.kind == "prepare":
            self._set(request, "policy_node", request.values, done)
        elif request.kind == "reset":
            self._set(request, "sim_node", request.values, lambda reply: self._reset(request, reply, done))
        else:
            self._call(_Call(request, self._triggers[TRIGGERS[request.kind]], Trigger.Request(), done))

    def _reset(self, request: Request, reply: Reply, done: Then) -> None:
        if reply.done:
            self._call(_Call(request, self._triggers[topics.SIM_RESET], Trigger.Request(), done))
        else:
            done(reply)

    def _set(self, request: Request, node: str, values: Mapping[str, Value], done: Then) -> None:
        parameters = [parameter_message(name, value) for name, value in values.items()]
        message = SetParametersAtomically.Request(parameters=parameters)
        self._call(_Call(request, self._parameters[node], message, done))

    def _call(self, call: _Call) -> None:
        self._waiting.append(call)
        self.pump()

    def pump(self) -> None:
        """Send what waits for its service to appear and was not given up meanwhile; call it now and then."""
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            if call.request.given_up:
                continue
            if call.client.service_is_ready():
                future = call.client.call_async(call.message)
                future.add_done_callback(lambda future, then=call.then: then(read_reply(future.result())))
            else:
                self._waiting.append(call)


def parameter_message(name: str, value: Value) -> ParameterMessage:
    """Return a parameter for a set_parameters service."""
    return Parameter(name, value=value).to_parameter_msg()


def read_reply(response: Any) -> Reply:
    """Return what a Trigger or SetParametersAtomically response says."""
    if isinstance(response, SetParametersAtomically.Response):
        return Reply(response.result.successful, response.result.reason)
    return Reply(response.success, _reason(response.message))


def _reason(message: str) -> str:
    """Return the `reason` of a JSON reply, or the message itself."""
    try:
        parsed = json.loads(message)
    except ValueError:
        return message
    return str(parsed.get("reason", message)) if isinstance(parsed, dict) else message
