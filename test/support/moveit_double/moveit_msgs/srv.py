"""Double of moveit_msgs.srv: what a client is made of and called with."""

from shape_msgs.msg import Message


class _Request(Message):
    JOINT_JOG, TWIST, POSE = 0, 1, 2
    DEFAULTS = {"command_type": int}  # noqa: RUF012


class _Response(Message):
    DEFAULTS = {"success": bool}  # noqa: RUF012


class ServoCommandType:
    Request = _Request
    Response = _Response
