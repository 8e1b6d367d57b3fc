"""What is wrong with a robot's camera and with a checkpoint for it, and what to do (no ROS)."""

from collections.abc import Iterator

from grasp_bringup.finding import Finding
from grasp_bringup.observed import Observed
from grasp_bringup.robot_checks import silent, stale
from qtopt_policy.camera import CameraModel
from qtopt_policy.checkpoint_info import CheckpointInfo
from qtopt_policy.errors import QtoptError
from qtopt_policy.extrinsics import camera_pose
from qtopt_policy.geometry import Pose
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.preprocess import centred_square
from qtopt_policy.robot import CameraConfig, RobotConfig, camera_model
from qtopt_policy.urdf import expand

MIN_IMAGE_RATE = (
    2.0  # [Hz]: a decision waits for the next image, and the policy gives up after 1 s without one
)
MAX_IMAGE_AGE = 0.5  # [s] at arrival
CALIBRATE = "qtopt calibrate (docs/calibration.md) prints the pose to put into cameras.<name>.pose"


def check_camera(robot: RobotConfig, name: str, observed: Observed) -> Iterator[Finding]:
    """Images and camera_info: there, fresh, often enough, of one size, usable, undistorted."""
    where = robot.camera_topics(name)
    kind = "sensor_msgs/msg/Image" if where.transport == "raw" else "sensor_msgs/msg/CompressedImage"
    mend = f"start the camera's driver, or correct driver.cameras.{name}"
    troubles = (
        silent(observed.image, kind, mend),
        silent(observed.info, "sensor_msgs/msg/CameraInfo", mend),
    )
    yield from (trouble for trouble in troubles if trouble is not None)
    if troubles[0] is None:
        yield from _images(observed, where.encoding)
    if troubles[1] is None:
        wrong = tuple(_info(robot.cameras[name], observed))
        info = observed.camera
        assert info is not None
        text = f"{info.width} x {info.height}, focal length {info.k[0]:.0f} px, frame {info.frame}"
        yield from wrong or (Finding("camera_info", "ok", text),)


def _images(observed: Observed, expected: str) -> Iterator[Finding]:
    heard, picture = observed.image, observed.picture
    assert picture is not None
    text = f"{picture.width} x {picture.height} {picture.encoding}, {heard.rate:.1f} Hz"
    if picture.trouble:
        yield Finding("image", "wrong", picture.trouble, "let the driver publish rgb8 or bgr8")
    elif not heard.rate >= MIN_IMAGE_RATE:
        mend = (
            "raise the camera's rate; with Fast DDS use config/fastdds.xml (its shared memory is too small)"
        )
        yield Finding("image", "wrong", f"{text}; at least {MIN_IMAGE_RATE:.0f} Hz is needed", mend)
    elif expected and picture.encoding != expected:
        mend = "correct driver.cameras.<name>.encoding, or the driver's format"
        yield Finding("image", "wrong", f"{text}; the robot file expects {expected}", mend)
    else:
        yield Finding("image", "ok", text)
    yield from stale("image", heard, MAX_IMAGE_AGE)


def _info(camera: CameraConfig, observed: Observed) -> Iterator[Finding]:
    info, picture = observed.camera, observed.picture
    assert info is not None
    if picture is not None and not picture.trouble:
        sizes = (info.width, info.height), (picture.width, picture.height)
        if sizes[0] != sizes[1]:
            text = f"is of {sizes[0][0]} x {sizes[0][1]}, the image of {sizes[1][0]} x {sizes[1][1]} pixels"
            mend = "publish the camera_info of that image; resize both (image_proc)"
            yield Finding("camera_info", "wrong", text, mend)
    if any(info.d):
        mend = "rectify: image_proc's rectify_node, and its image_rect in driver.cameras"
        yield Finding("camera_info", "wrong", f"distorted: {list(info.d)}", mend)
    if not (info.k[0] > 0.0 and info.k[4] > 0.0):
        yield Finding("camera_info", "wrong", f"K {list(info.k)}: not calibrated", "camera_calibration")
    if info.frame != camera.frame:
        mend = "correct cameras.<name>.frame"
        yield Finding("camera_info", "wrong", f"frame '{info.frame}', configured '{camera.frame}'", mend)
    left, top, width, height = camera.crop or centred_square(info.width, info.height)
    if left + width > info.width or top + height > info.height:
        text = f"crop {width} x {height} at ({left}, {top}) is not within {info.width} x {info.height}"
        yield Finding("camera_info", "wrong", text, "correct cameras.<name>.crop")


def extrinsics(robot: RobotConfig, name: str) -> tuple[Pose | None, Finding]:
    """Return the camera's pose in its mount frame, if the robot file or the URDF has it."""
    camera = robot.cameras[name]
    try:
        pose = camera_pose(expand(robot.urdf, robot.xacro_args), robot, camera)
    except QtoptError as error:
        return None, Finding("extrinsics", "wrong", str(error), CALIBRATE)
    x, y, z = pose.position
    source = "the robot file" if camera.pose is not None else "the URDF"
    frame = robot.tool_frame if camera.mount == "tool" else robot.base_frame
    text = f"{camera.frame} at {x:.3f} {y:.3f} {z:.3f} m in {frame}, from {source}"
    return pose, Finding("extrinsics", "ok", text)


def seen_camera(
    robot: RobotConfig, name: str, observed: Observed, mdp: MdpConfig, pose: Pose
) -> CameraModel | None:
    """Return the camera as the network sees it, None where camera_info does not allow it."""
    info = observed.camera
    if info is None or not (info.k[0] > 0.0 and info.k[4] > 0.0):
        return None
    config = robot.cameras[name]
    whole = camera_model(config, info.width, info.height, info.k, pose)
    try:
        cropped = whole.cropped(*(config.crop or centred_square(info.width, info.height)))
    except QtoptError:
        return None
    return cropped.resized(mdp.image_size[1], mdp.image_size[0])


def check_envelope(
    info: CheckpointInfo, robot: RobotConfig, mdp: MdpConfig, camera: CameraModel | None
) -> Iterator[Finding]:
    """The robot lies within what a checkpoint was trained on."""
    outside = [*info.envelope.outside_gripper(robot.gripper), *info.envelope.outside_bounds(mdp)]
    if info.action_frame != mdp.action_frame:
        outside.append(f"action_frame {mdp.action_frame}, trained {info.action_frame}")
    if camera is None:
        mend = "mend the camera first"
        yield Finding("checkpoint", "wrong", "its camera cannot be compared: none is usable", mend)
    else:
        if camera.mount != info.mount:
            outside.append(f"camera mount {camera.mount}, trained {info.mount}")
        outside += info.envelope.outside_camera(camera)
    if not info.trained:
        outside.append("the weights are untrained")
    for text in outside:
        mend = "train with such a robot (collect and train), or allow_outside_envelope for an experiment"
        yield Finding("checkpoint", "wrong", text, mend)
    if not outside and camera is not None:
        yield Finding("checkpoint", "ok", "camera, gripper and bounds lie within what it was trained on")
