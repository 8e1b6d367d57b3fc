"""Tries one enclave in a process of its own.

usage: python -m grasp_bringup.security.probe_node NODE NAMESPACE ENCLAVE

The last line of its output is JSON with the fields of middleware.Answer.
"""

import json
import re
import sys
from pathlib import Path

import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.utilities import get_rmw_implementation_identifier

LIBRARY = re.compile(
    r"/\S*/lib(?:rmw_(?!implementation|dds_common|security)\w+|fastdds|fastrtps|ddsc|nddsc)\.so\S*"
)


def main() -> int:
    """Make a node with an enclave and say what came of it; the exit status is 0 either way."""
    name, namespace, enclave = sys.argv[1:]
    reason = ""
    try:
        rclpy.init(args=["--ros-args", "--enclave", enclave])
        node = _bare_node(name, namespace)
        node.destroy_node()
        rclpy.shutdown()
    except Exception as error:
        # rclpy's errors of a refused participant are of a private class.
        # Without rcl's places in its own sources: "..., at /project/src/participant.cpp:406, at ...".
        reason = " ".join(str(error).split(", at /")[0].split()) or type(error).__name__
    answer = {
        "rmw": get_rmw_implementation_identifier(),
        "libraries": sorted(set(LIBRARY.findall(Path("/proc/self/maps").read_text()))),
        "started": not reason,
        "reason": reason,
    }
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _bare_node(name: str, namespace: str) -> Node:
    """Make a node with as few topics as rclpy allows: a policy may deny any of the others."""
    return rclpy.create_node(
        name,
        namespace=namespace or None,
        enable_rosout=False,
        start_parameter_services=False,
        parameter_overrides=[Parameter("start_type_description_service", value=False)],
    )


if __name__ == "__main__":
    sys.exit(main())
