"""Doubles of moveit.core."""
