"""Touches: kinematics, guard, servo and gripper nodes, the embedded simulator, the list of nodes."""
