"""The collision scene as MoveIt's messages; not a node, but what both of MoveIt's nodes share."""

from collections.abc import Iterable

from geometry_msgs.msg import Point, Quaternion
from geometry_msgs.msg import Pose as PoseMessage

from grasp_bringup.moveit_scene import Box
from qtopt_policy.errors import MissingDependencyError
from qtopt_policy.geometry import Pose

try:
    from moveit_msgs.msg import CollisionObject, PlanningScene
    from shape_msgs.msg import SolidPrimitive
except ImportError as error:
    raise MissingDependencyError(
        f"the collision scene needs MoveIt: {error}; apt install ros-$ROS_DISTRO-moveit"
    ) from error


def pose_of(pose: Pose) -> PoseMessage:
    """Build a geometry_msgs/Pose."""
    x, y, z, qx, qy, qz, qw = pose.as_array().tolist()
    return PoseMessage(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def collision_object(box: Box, frame: str) -> CollisionObject:
    """Build the message that adds a box to the planning scene, or puts it in the place of its namesake."""
    message = CollisionObject(id=box.name, operation=CollisionObject.ADD)
    message.header.frame_id = frame
    message.pose = pose_of(Pose.identity())
    message.primitives = [SolidPrimitive(type=SolidPrimitive.BOX, dimensions=list(box.size))]
    x, y, z = box.centre
    message.primitive_poses = [PoseMessage(position=Point(x=x, y=y, z=z))]
    return message


def scene_message(boxes: Iterable[Box], frame: str) -> PlanningScene:
    """Build the message that adds boxes to a planning scene and leaves all else in it as it is.

    A robot state that is no difference would detach what is attached to the robot.
    """
    message = PlanningScene(is_diff=True)
    message.robot_state.is_diff = True
    message.world.collision_objects = [collision_object(box, frame) for box in boxes]
    return message


def scene_ids(message: PlanningScene) -> frozenset[str]:
    """Return the names of the objects that a scene, or a difference, says are there."""
    removed = CollisionObject.REMOVE
    return frozenset(item.id for item in message.world.collision_objects if item.operation != removed)
