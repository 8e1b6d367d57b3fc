"""Doubles of launch.launch_description_sources."""

from launch import expect


class PythonLaunchDescriptionSource:
    """A launch file written in Python."""

    def __init__(self, launch_file_path: str) -> None:
        expect(launch_file_path, str, "launch_file_path")
        self.location = launch_file_path
