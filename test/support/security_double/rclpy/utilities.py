"""Stands for rclpy.utilities."""

import os


def get_rmw_implementation_identifier() -> str:
    return os.environ.get("RMW_DOUBLE", "rmw_fastrtps_cpp")
