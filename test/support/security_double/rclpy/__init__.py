"""Stands for rclpy over a middleware that does with credentials what MIDDLEWARE_DOUBLE says.

secure: takes an enclave whose cert.pem is a certificate, refuses others. ignores: takes anything.
without: refuses every enclave, as a Fast DDS that was built without security. refuses: refuses every one.
crashes: ends the process.
"""

import os
import sys
from pathlib import Path
from typing import Any

CERTIFICATE = "-----BEGIN CERTIFICATE-----\n"
_enclave = ""


def init(args: list[str]) -> None:
    global _enclave
    _enclave = args[args.index("--enclave") + 1]
    assert os.environ["ROS_SECURITY_ENABLE"] == "true"
    assert os.environ["ROS_SECURITY_STRATEGY"] == "Enforce"
    assert "ROS_SECURITY_ENCLAVE_OVERRIDE" not in os.environ


def create_node(name: str, **options: Any) -> "_Node":
    kind = os.environ["MIDDLEWARE_DOUBLE"]
    if kind == "crashes":
        sys.stderr.write("Segmentation fault\n")
        os._exit(139)
    if kind == "without":
        raise RuntimeError("error creating node: This Fast DDS version doesn't have the security libraries")
    folder = Path(os.environ["ROS_SECURITY_KEYSTORE"]) / "enclaves" / _enclave.lstrip("/")
    real = (folder / "cert.pem").read_text() == CERTIFICATE
    if kind == "refuses" or (kind == "secure" and not real):
        raise RuntimeError("__create_participant failed to create participant, at /src/participant.cpp:97")
    return _Node()


def shutdown() -> None:
    pass


class _Node:
    def destroy_node(self) -> None:
        pass
