"""A strict double of moveit_py: the calls that moveit_node makes, with their documented preconditions.

From moveit2 8fcb5d23 (moveit_py/src/moveit, moveit_planners/pilz_industrial_motion_planner). Not MoveIt: no
collision checks, kinematics by grasp_bringup.kinematics. What it refuses, the real one refuses or crashes on:

- a goal that names no or several choices, or has no frame (ValueError, std::invalid_argument)
- plan() without a goal, with a start state older than STALE, or (LIN) with the arm in motion (no plan)
- execute() without both arguments, of an empty trajectory, or from another state than the trajectory's start
- plan() keeps Python's lock while it works; execute() does not
- an end of the process by Python's own teardown (abort, as moveit2 issue 3721)

Faults are asked for by `faults.ask`, or for another process by the environment variable of faults.VARIABLE.
"""
