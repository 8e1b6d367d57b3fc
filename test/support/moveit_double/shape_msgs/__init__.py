"""A double of the part of shape_msgs that moveit_node uses."""
