"""Which credentials each process runs with: SROS2's enclaves and environment variables."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from grasp_bringup.node_spec import Enclave, NodeSpec
from qtopt_policy.share import PACKAGE

ENABLE, STRATEGY, KEYSTORE = "ROS_SECURITY_ENABLE", "ROS_SECURITY_STRATEGY", "ROS_SECURITY_KEYSTORE"
OVERRIDE = "ROS_SECURITY_ENCLAVE_OVERRIDE"  # an enclave for every context of a process, whatever it asks for

# What talks to the nodes without being started by us, by the last part of its enclave's name.
DRIVERS, OPERATOR, JOYSTICK = "drivers", "operator", "joy_node"
GAZEBO_SERVER = "gazebo_server"  # holds the controllers: ROS nodes inside Gazebo's own process


def enclave_path(name: str, namespace: str = "", package: str = PACKAGE) -> str:
    """Return the enclave of a process: /qtopt_grasping[/<namespace>][/<package, if not ours>]/<name>.

    The namespace is a part, because a policy holds full names of topics; so is another package, because
    MoveIt Servo's node is called servo_node as ours is.
    """
    parts = (PACKAGE, namespace.strip("/"), "" if package == PACKAGE else package, name)
    return "/" + "/".join(filter(None, parts))


def with_enclaves(nodes: Sequence[NodeSpec], keystore: Path) -> tuple[NodeSpec, ...]:
    """Return the nodes with an enclave of its own for each, ours or not."""
    folder = keystore.absolute()
    return tuple(
        replace(spec, enclave=Enclave(enclave_path(spec.name, spec.namespace, spec.package), folder))
        for spec in nodes
    )


def security_environment(keystore: Path) -> dict[str, str]:
    """Return the variables under which rcl takes an enclave from `keystore`, or no node starts."""
    return {ENABLE: "true", STRATEGY: "Enforce", KEYSTORE: str(keystore)}


def keystore_of(nodes: Sequence[NodeSpec]) -> Path | None:
    """Return the keystore that the nodes' enclaves are in; None if they are to run without security."""
    return next((spec.enclave.keystore for spec in nodes if spec.enclave is not None), None)
