"""The parts of moveit_msgs that this package uses; messages of other packages are Any."""

from typing import Any

from shape_msgs.msg import SolidPrimitive

class CollisionObject:
    ADD: bytes
    REMOVE: bytes
    header: Any
    pose: Any
    id: str
    primitives: list[SolidPrimitive]
    primitive_poses: list[Any]
    operation: bytes
    def __init__(self, *, id: str = "", operation: bytes = ...) -> None: ...

class PlanningSceneWorld:
    collision_objects: list[CollisionObject]

class RobotState:
    is_diff: bool

class PlanningScene:
    robot_state: RobotState
    world: PlanningSceneWorld
    is_diff: bool
    def __init__(self, *, is_diff: bool = False) -> None: ...

class RobotTrajectory:
    joint_trajectory: Any
    def __init__(self, *, joint_trajectory: Any = ...) -> None: ...

class MoveItErrorCodes:
    val: int

class ServoStatus:
    code: int
    message: str
