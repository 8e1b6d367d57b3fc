"""A double of the part of moveit_msgs that moveit_node uses."""
