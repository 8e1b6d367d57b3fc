"""`qtopt doctor --robot`: a healthy graph has nothing to mend, and each thing that is wrong is named."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from grasp_bringup import robot_doctor
from grasp_bringup.finding import Finding
from grasp_bringup.gripper import GripperResult
from grasp_bringup.kinematics import kinematics_of
from grasp_bringup.observed import Heard, ImageFacts, InfoFacts, Observed
from grasp_bringup.reach import BAD, GOOD, ReachMap, ReachPoint, draw_reach, workspace_reach
from grasp_bringup.robot_doctor import (
    DoctorOptions,
    consent,
    judge_robot,
    look_at_workspace,
    run,
    show,
)
from qtopt_policy.camera import CameraModel
from qtopt_policy.checkpoint_info import CheckpointInfo
from qtopt_policy.config import load_config
from qtopt_policy.envelope import Envelope
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.extrinsics import camera_pose
from qtopt_policy.geometry import Pose
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import RobotConfig, load_robot
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand

ROBOT = load_robot(resolve(Path("config/robots/sim.yaml")))
MDP = load_config(resolve(Path("config/mdp.yaml")), MdpConfig)
K = (76.0, 0.0, 63.5, 0.0, 76.0, 63.5, 0.0, 0.0, 1.0)


def heard(topic: str, kind: str, rate: float) -> Heard:
    stamps = tuple(np.arange(0.0, 3.0, 1.0 / rate).tolist())
    return Heard(topic, ("driver",), (kind,), stamps, (0.01,) * len(stamps))


JOINTS = heard("/joint_states", "sensor_msgs/msg/JointState", 100.0)
IMAGE = heard("/camera/image_raw", "sensor_msgs/msg/Image", 10.0)
INFO = heard("/camera/camera_info", "sensor_msgs/msg/CameraInfo", 10.0)
NAMES = (*ROBOT.arm_joints, *ROBOT.gripper.joints)
OPEN = GripperResult(False, "reached", 0.08, 0.5, reaction=0.05)
CLOSE = GripperResult(True, "reached", 0.0, 0.5, reaction=0.05)
HEALTHY = Observed(
    seconds=3.0,
    simulated=False,
    image=IMAGE,
    info=INFO,
    joints=JOINTS,
    picture=ImageFacts(128, 128, "rgb8"),
    camera=InfoFacts(128, 128, K, (), ROBOT.cameras["wrist"].frame),
    positions=dict(zip(NAMES, (*ROBOT.home, 0.04, 0.04), strict=True)),
    joint_stamps=dict.fromkeys(NAMES, JOINTS.stamps),
    arm_topic="/arm_controller/joint_trajectory",
    arm_listeners=("arm_controller",),
    controllers={"arm_controller": "active", "gripper_controller": "active"},
    tool_pose=ROBOT.start_pose,
    strokes=(OPEN, CLOSE, OPEN),
)
SLOW = tuple(np.arange(0.0, 3.0, 0.1).tolist())
GAP = (*JOINTS.stamps[:100], *(stamp + 0.5 for stamp in JOINTS.stamps[100:]))


ALL = ReachMap((ReachPoint((0.5, 0.0, 0.1), 3), ReachPoint((0.5, 0.1, 0.1), 3)))
PART = ReachMap((ReachPoint((0.5, 0.0, 0.1), 3), ReachPoint((1.2, 0.1, 0.1), 1)))


def findings(
    observed: Observed,
    robot: RobotConfig = ROBOT,
    checkpoint: CheckpointInfo | None = None,
    reach: ReachMap = ALL,
) -> tuple[Finding, ...]:
    return judge_robot(robot, "wrist", MDP, observed, lambda kinematics: (reach, "reach.png"), checkpoint)


def test_a_healthy_robot_has_nothing_to_mend() -> None:
    found = findings(HEALTHY)
    assert [finding for finding in found if finding.level != "ok"] == []
    assert {"joint names", "arm controller", "tool frame", "workspace", "image", "extrinsics"} <= {
        finding.subject for finding in found
    }


def test_a_workspace_that_is_reached_in_part_is_named_with_a_point() -> None:
    (wrong,) = [finding for finding in findings(HEALTHY, reach=PART) if finding.level == "wrong"]
    assert wrong.text == (
        "1 of 2 points, 3 turns each; drawn in reach.png; not reachable, for one: 1.20 0.10 0.10 m"
    )


def test_reach_is_tried_over_the_box_and_drawn(tmp_path: Path) -> None:
    far = dataclasses.replace(ROBOT, limits=replace(ROBOT.limits, workspace_max=(1.2, 0.15, 0.3)))
    reach = workspace_reach(kinematics_of(far), far, (2, 2, 2))
    assert [point.position[0] for point in reach.missed] == [1.2] * 4
    assert {point.position[2] for point in reach.points} == {ROBOT.limits.min_height, 0.3}
    picture = draw_reach(reach)
    for colour in (GOOD, BAD):
        assert (picture == colour).all(axis=-1).any()


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robot_doctor, "workspace_reach", lambda kinematics, robot: PART)
    with pytest.raises(ConfigError, match=r"nowhere/reach\.png: cannot be written"):
        look_at_workspace(ROBOT, tmp_path / "nowhere" / "reach.png", kinematics_of(ROBOT))


def positions_without(name: str) -> dict[str, float]:
    return {key: value for key, value in HEALTHY.positions.items() if key != name}


WRONG = {
    "nobody publishes /joint_states": {"joints": Heard("/joint_states")},
    "published nothing": {"joints": replace(JOINTS, stamps=(), ages=())},
    "carries std_msgs/msg/String, expected sensor_msgs/msg/Image": {
        "image": replace(IMAGE, types=("std_msgs/msg/String",), stamps=(), ages=())
    },
    "lacks joint3; it has finger_joint1": {"positions": positions_without("joint3")},
    "10.0 Hz, longest gap 0.100 s; images need them at most 0.05 s apart": {
        "joint_stamps": dict.fromkeys(ROBOT.arm_joints, SLOW)
    },
    "10.0 Hz, longest gap 0.100 s; images": {"joint_stamps": {"finger_joint1": SLOW}},
    "the guard stops the arm at 0.2 s": {"joint_stamps": {"joint1": GAP}},
    "stamps are 3.000 s old on arrival": {"joints": replace(JOINTS, ages=(3.0,) * 9)},
    "stamps are -3.000 s old on arrival": {"image": replace(IMAGE, ages=(-3.0,) * 9)},
    "nobody listens on /arm_controller/joint_trajectory": {"arm_listeners": ()},
    "heard by teleop, not by arm_controller": {"arm_listeners": ("teleop",)},
    "arm_controller is inactive": {
        "controllers": {"arm_controller": "inactive", "gripper_controller": "active"}
    },
    "gripper_controller is unconfigured": {
        "controllers": {"arm_controller": "active", "gripper_controller": "unconfigured"}
    },
    "no controller arm_controller; there are: gripper_controller, jtc": {
        "controllers": {"jtc": "active", "gripper_controller": "active"}
    },
    "no action server": {"gripper_obstacle": "no action server of GripperCommand on hand/gripper_cmd"},
    "from the guard's arm/tool_pose": {"tool_pose": Pose(np.array([0.5, 0.1, 0.18]), np.array([1, 0, 0, 0]))},
    "1.0 Hz; at least 2 Hz": {"image": heard("/camera/image_raw", "sensor_msgs/msg/Image", 1.0)},
    "encoding 'bgr7' is not supported": {
        "picture": ImageFacts(0, 0, "", "image encoding 'bgr7' is not supported. Valid: rgb8")
    },
    "is of 128 x 128, the image of 640 x 480 pixels": {"picture": ImageFacts(640, 480, "rgb8")},
    "distorted: [0.1": {"camera": replace(HEALTHY.camera, d=(0.1, 0.0))},  # type: ignore[type-var]
    "not calibrated": {"camera": replace(HEALTHY.camera, k=(0.0,) * 9)},  # type: ignore[type-var]
    "frame 'lens', configured": {"camera": replace(HEALTHY.camera, frame="lens")},  # type: ignore[type-var]
    "empty fingers would count as holding": {"strokes": (replace(CLOSE, aperture=0.01, outcome="stalled"),)},
    "the fingers are shut": {"strokes": (replace(OPEN, aperture=0.0, outcome="stalled"),)},
    "not where open_position": {"strokes": (replace(OPEN, aperture=0.05, outcome="stalled"),)},
    "after 0.11 s: the fingers did not move": {
        "strokes": (replace(CLOSE, outcome="stalled", aperture=0.08, duration=0.11, reaction=None),)
    },
    "moved after 0.15 s: a step does not wait": {"strokes": (replace(CLOSE, reaction=0.15),)},
    "after 1.20 s, moved after 0.05 s: a step ends after gripper_timeout 1.0 s": {
        "strokes": (replace(OPEN, duration=1.2),)
    },
    "no rest in time": {"strokes": (replace(OPEN, outcome="deadline"),)},
    "rejected": {"strokes": (replace(OPEN, outcome="refused", detail="rejected"),)},
    "no joint state of the gripper": {"strokes": (replace(OPEN, aperture=float("nan"), outcome="deadline"),)},
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named_with_what_mends_it(text: str) -> None:
    found = findings(replace(HEALTHY, **WRONG[text]))  # type: ignore[arg-type]
    wrong = [finding for finding in found if finding.level == "wrong" and text in finding.text]
    assert len(wrong) == 1, found
    assert wrong[0].mend


def test_a_stroke_of_fingers_that_are_there_already_is_fine() -> None:
    found = findings(replace(HEALTHY, strokes=(replace(OPEN, reaction=None), CLOSE, OPEN)))
    assert [finding.text for finding in found if finding.subject == "gripper strokes"] == [
        "open: reached at 0.0800 m after 0.50 s",
        "close: reached at 0.0000 m after 0.50 s, moved after 0.05 s",
        "open: reached at 0.0800 m after 0.50 s, moved after 0.05 s",
    ]
    assert all(finding.level == "ok" for finding in found)


def test_a_gripper_that_nobody_moved_is_said_to_be_untested() -> None:
    found = findings(replace(HEALTHY, strokes=(), strokes_skipped="not moved: --gripper no"))
    (finding,) = [finding for finding in found if finding.level != "ok"]
    assert (finding.level, finding.text) == ("absent", "not moved: --gripper no")


def test_whether_a_controller_is_active_is_not_claimed_unasked() -> None:
    real = dataclasses.replace(ROBOT, driver=replace(ROBOT.driver, simulated=False))
    unasked = replace(HEALTHY, controllers={}, controllers_unknown="no controller manager is there")
    found = [finding for finding in findings(unasked, real) if finding.level != "ok"]
    assert [(finding.level, finding.text) for finding in found] == [
        ("absent", f"whether {name} is active was not checked: no controller manager is there")
        for name in ("arm_controller", "gripper_controller")
    ]
    bare = dataclasses.replace(real, driver=replace(real.driver, gripper_controller=""))
    assert len([finding for finding in findings(unasked, bare) if finding.level != "ok"]) == 1


def test_the_embedded_simulator_has_no_controllers_to_be_asked_for() -> None:
    found = findings(replace(HEALTHY, controllers={}, controllers_unknown="no controller manager is there"))
    assert "ros2_control" not in {finding.subject for finding in found}


CHANGES = {
    "frame of the URDF 'hand_tip'": {"tool_frame": "hand_tip"},
    "away from start": {"start": (0.5, 0.0, 0.25, 1.0, 0.0, 0.0, 0.0)},
    "frame of the URDF 'lens'": {
        "cameras": {"wrist": replace(ROBOT.cameras["wrist"], frame="lens")},
    },
    "crop 200 x 100 at (0, 0)": {
        "cameras": {"wrist": replace(ROBOT.cameras["wrist"], crop=(0, 0, 200, 100))},
    },
}


@pytest.mark.parametrize("text", CHANGES)
def test_what_is_wrong_in_the_robot_file_is_named(text: str) -> None:
    robot = dataclasses.replace(ROBOT, **CHANGES[text])  # type: ignore[arg-type]
    found = findings(HEALTHY, robot)
    assert any(finding.level == "wrong" and text in finding.text and finding.mend for finding in found), found


def checkpoint(**changes: object) -> CheckpointInfo:
    pose = camera_pose(expand(ROBOT.urdf, ROBOT.xacro_args), ROBOT, ROBOT.cameras["wrist"])
    camera = CameraModel(128, 128, K[0], K[4], K[2], K[5], "tool", pose)
    small = camera.resized(MDP.image_size[1], MDP.image_size[0])
    info = CheckpointInfo(
        network="compact",
        network_config={},
        action_frame=MDP.action_frame,
        mount="tool",
        action_spec=MDP.action_spec(),
        observation_spec=MDP.observation_spec(),
        envelope=Envelope.around([small], [ROBOT.gripper], MDP),
        trained=True,
    )
    return replace(info, **changes)  # type: ignore[arg-type]


def test_a_robot_within_the_envelope_is_told_so() -> None:
    found = findings(HEALTHY, checkpoint=checkpoint())
    (finding,) = [finding for finding in found if finding.subject == "checkpoint"]
    assert finding.level == "ok"


@pytest.mark.parametrize(
    ("text", "observed", "info"),
    [
        ("fx", replace(HEALTHY, camera=replace(HEALTHY.camera, k=(99.0, *K[1:]))), {}),  # type: ignore[type-var]
        ("camera mount tool, trained base", HEALTHY, {"mount": "base"}),
        ("untrained", HEALTHY, {"trained": False}),
        ("cannot be compared", replace(HEALTHY, camera=None, info=Heard("/camera/camera_info")), {}),
    ],
)
def test_a_robot_outside_the_envelope_is_told_why(
    text: str, observed: Observed, info: dict[str, object]
) -> None:
    found = findings(observed, checkpoint=checkpoint(**info))
    assert any(finding.subject == "checkpoint" and text in finding.text for finding in found), found


def test_the_table_shows_each_finding_and_counts_what_is_wrong() -> None:
    console = Console(record=True, width=140)
    show(ROBOT, findings(replace(HEALTHY, arm_listeners=())), console)
    text = console.export_text()
    assert "nobody listens on /arm_controller/joint_trajectory" in text
    assert "-> ros2 control load_controller" in text
    assert "1 to mend" in text


def test_the_gripper_moves_only_with_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert consent("yes")() == ""
    assert "--gripper no" in consent("no")()
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert consent("ask")() == "not moved: nobody to ask"


def test_an_unknown_camera_is_refused_before_anything_starts() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown camera 'ceiling'\. Valid choices: shoulder, wrist"):
        run(Path("config/robots/sim.yaml"), DoctorOptions(camera="ceiling"))
