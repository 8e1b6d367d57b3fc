"""Stands for rclpy.parameter."""


class Parameter:
    """Takes what rclpy's takes."""

    def __init__(self, name: str, *, value: object) -> None:
        self.name, self.value = name, value
