"""A recording double of the classes of `launch_ros` that this project uses (ros2/launch_ros f9ab937)."""
