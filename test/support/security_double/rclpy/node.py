"""Stands for rclpy.node."""


class Node:
    """Only a name."""
