"""Names of topics, services and parameters: the one place where they are written (relative: REP 135)."""

from typing import Literal

Owner = Literal["none", "policy", "collector"]
OWNERS: tuple[Owner, ...] = ("none", "policy", "collector")

# drivers (robot, Gazebo or sim_node)
IMAGE = "camera/image_raw"  # sensor_msgs/Image
CAMERA_INFO = "camera/camera_info"  # sensor_msgs/CameraInfo
JOINT_STATES = "joint_states"  # sensor_msgs/JointState
ARM_COMMAND = "arm_controller/joint_trajectory"  # trajectory_msgs/JointTrajectory
GRIPPER_COMMAND = "gripper_controller/commands"  # std_msgs/Float64MultiArray

# guard
TOOL_POSE = "arm/tool_pose"  # geometry_msgs/PoseStamped
ARM_STATE = "arm/state"  # diagnostic_msgs/DiagnosticArray
TARGET_POSE = "arm/target_pose"  # geometry_msgs/PoseStamped, published by the guard alone
GRIPPER_CLOSE = "gripper/close"  # std_msgs/Bool, published by the guard alone
ARM_MARKERS = "arm/markers"  # visualization_msgs/MarkerArray: workspace, target; while someone subscribes
ARM_STOP = "arm/stop"  # std_srvs/Trigger
ARM_RESUME = "arm/resume"  # std_srvs/Trigger
ARM_ARM = "arm/arm"  # std_srvs/SetBool
OWNER_PARAMETER = "owner"  # parameter of guard_node, one of OWNERS, set by the collector
DEAD_MAN = "dead-man"  # how the reasons in ARM_STATE begin that a dead-man switch causes

# operator
JOY = "joy"  # sensor_msgs/Joy: the dead-man switch, from joy_node or, for a keyboard, dead_man_node

# gripper
GRIPPER_RESULT = "gripper/result"  # diagnostic_msgs/DiagnosticArray, transient local: how each command ended

# wishes
POLICY_TARGET = "policy/target_pose"  # geometry_msgs/PoseStamped
POLICY_GRIPPER = "policy/gripper_close"  # std_msgs/Bool
COLLECTOR_TARGET = "collector/target_pose"  # geometry_msgs/PoseStamped
COLLECTOR_GRIPPER = "collector/gripper_close"  # std_msgs/Bool

# policy
OBSERVATION = "policy/observation"  # sensor_msgs/CompressedImage
ACTION = "policy/action"  # sensor_msgs/JointState
STEP = "policy/step"  # diagnostic_msgs/DiagnosticArray: one per ended step, keys of STEP_KEYS
EPISODE = "policy/episode"  # diagnostic_msgs/DiagnosticArray, transient local
DEBUG_IMAGE = "policy/debug_image"  # sensor_msgs/Image
POLICY_MARKERS = "policy/markers"  # visualization_msgs/MarkerArray: the decision; while someone subscribes
RUN_EPISODE = "policy/run_episode"  # std_srvs/Trigger, reply: JSON
CANCEL_EPISODE = "policy/cancel_episode"  # std_srvs/Trigger, reply: JSON

# collector
OUTCOME = "collector/outcome"  # diagnostic_msgs/DiagnosticArray, transient local
DROP_IMAGE = "collector/drop_image"  # sensor_msgs/CompressedImage, header.frame_id before|after

# simulator
SIM_RESET = "sim/reset"  # std_srvs/Trigger; the parameter `seed` of sim_node goes before
SIM_TRUTH = "sim/truth"  # diagnostic_msgs/DiagnosticArray: ground truth for tests, never for policies

# all nodes
DIAGNOSTICS = "/diagnostics"  # diagnostic_msgs/DiagnosticArray, 1 Hz
HEARTBEAT = "heartbeat"  # heartbeat/<node>, std_msgs/Header, 20 Hz
IMAGE_TAKEN = "camera/image_taken"  # std_msgs/Header: stamp of an image taken, frame_id the node's name

REPUBLISH_RATE = 20.0  # [Hz] of level-triggered wishes and heartbeats

# Keys of one message on GRIPPER_RESULT (gripper_node; numbers, bools and null as JSON).
GRIPPER_RESULT_KEYS = (
    "command",  # open or close
    "outcome",  # reached, stalled, deadline or refused
    "aperture",  # at the end [m], null if no joint state ever came
    "duration",  # since the command [s]
    "stalled",  # whether the driver says that the fingers stopped before their goal; null: it does not say
    "effort",  # grip force that the driver reports, or null
)

# Keys of one step record on STEP (DiagnosticStatus.values, all strings; vectors as JSON lists).
STEP_KEYS = (
    "episode_id",  # as the parameter episode.id
    "index",  # 0, 1, ...
    "image_stamp",  # [s] of the observation used
    "gripper_closed",  # 0 or 1, as used
    "height_to_bottom",  # [m], as used
    "aperture",  # [m], as used
    "tool_pose",  # 7 numbers, base frame, as used
    "asked",  # 8 numbers, recorded form, after limits.clip
    "executed",  # 8 numbers: the displacement that happened, same choice
    "altered",  # 0 or 1
    "contact",  # 0 or 1: the arm was stopped by contact rather than by the guard
    "duration",  # [s]
    "end_cause",  # of the step
    "q",  # or nan
    "is_terminal",  # 0 or 1
    "policy",  # name of the policy that decided
    "latency",  # wall time from the image's arrival to the published wish [s], or nan
)

# Keys of one message on EPISODE (policy_node; all strings, "" while unknown).
EPISODE_KEYS = (
    "episode_id",  # as the parameter episode.id
    "state",  # started (request taken) | running (first decision) | ended
    "reason",  # of the end: mdp.EndReason
    "steps",  # ended so far
    "seed",
    "policy",  # name of the policy that decides
    "epsilon",
    "checkpoint",  # digest of the weights
    "camera",  # JSON of CameraModel.to_mapping, after crop and resize; known from `running` on
)

# Keys of one message on OUTCOME (collector_node; all strings; numbers, bools and null as JSON).
OUTCOME_KEYS = (
    "episode_id",
    "end_reason",  # mdp.EndReason
    "success",  # true, false, or null when aborted
    "reward",  # 1.0, 0.0, or null when aborted
    "truth",  # of the simulator, null on a robot
    "aperture_closed",  # before the lift [m]
    "aperture_lifted",  # after the lift [m]
    "steps",  # in the bag
    "reason",  # of the judgement: success.Judgement
    "drop_changed",  # the image test's opinion, null where it was not made
    "drop_area",  # share of the image that changed
    "bag",  # folder of the bag
)
