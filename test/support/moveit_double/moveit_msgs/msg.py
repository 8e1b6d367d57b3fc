"""Doubles of messages: fields as in moveit_msgs, unknown ones refused as rosidl's do."""

from geometry_msgs.msg import Pose
from shape_msgs.msg import Message
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory


class CollisionObject(Message):
    ADD, REMOVE = b"\x00", b"\x01"
    DEFAULTS = {  # noqa: RUF012
        "header": Header,
        "pose": Pose,
        "id": str,
        "primitives": list,
        "primitive_poses": list,
        "operation": lambda: CollisionObject.ADD,
    }


class PlanningSceneWorld(Message):
    DEFAULTS = {"collision_objects": list}  # noqa: RUF012


class RobotState(Message):
    DEFAULTS = {"is_diff": bool}  # noqa: RUF012


class PlanningScene(Message):
    DEFAULTS = {  # noqa: RUF012
        "name": str,
        "robot_state": RobotState,
        "robot_model_name": str,
        "world": PlanningSceneWorld,
        "is_diff": bool,
    }


class RobotTrajectory(Message):
    DEFAULTS = {"joint_trajectory": JointTrajectory}  # noqa: RUF012


class MoveItErrorCodes(Message):
    SUCCESS = 1
    PLANNING_FAILED = -1
    INVALID_MOTION_PLAN = -2
    TIMED_OUT = -6
    START_STATE_IN_COLLISION = -10
    NO_IK_SOLUTION = -31
    DEFAULTS = {"val": int}  # noqa: RUF012


class ServoStatus(Message):
    DEFAULTS = {"code": int, "message": str}  # noqa: RUF012
