"""Exact types of the calls of moveit_py that this package makes (moveit2 8fcb5d23, moveit_py/src/moveit)."""
