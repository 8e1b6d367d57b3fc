"""What can go wrong with the topics of an episode, and what must come of it."""

from dataclasses import dataclass

from qtopt_policy import topics
from support.recording_wires import BEATS

ABORTS = ("watchdog", "operator", "node_died", "deadline", "error")


@dataclass(frozen=True)
class Broken:
    """A topic that is treated by a mode of the relay from the middle of an episode to its end.

    Attributes:
        topic, mode, much: as relay.make_mode takes them; delays in [s] of wall time.
        ends: reasons with which the episode may end; "judged" stands for all verdicts.
        quick: belongs to the usual run, not to the sweep alone.
    """

    topic: str
    mode: str
    ends: tuple[str, ...]
    much: float = 0.0
    quick: bool = True

    def __str__(self) -> str:
        return f"{self.topic}: {self.mode}{f' {self.much:g}' if self.much else ''}"


JUDGED, LOST = ("judged",), ("error",)
EITHER = ("judged", *ABORTS)
BLIND = ("watchdog",)
GONE = ("node_died", "watchdog")
CAMERA = (
    Broken(topics.IMAGE, "drop", GONE),  # time waits for images, and heartbeats for time
    Broken(topics.IMAGE, "delay", EITHER, 0.2),
    Broken(topics.IMAGE, "duplicate", JUDGED, 3),
    Broken(topics.IMAGE, "reorder", JUDGED, 3, quick=False),
    Broken(topics.IMAGE, "small", EITHER),
    Broken(topics.IMAGE, "encoding", BLIND),
    Broken(topics.IMAGE, "truncated", BLIND),
    Broken(topics.CAMERA_INFO, "drop", JUDGED),
    Broken(topics.CAMERA_INFO, "nan", BLIND),
    Broken(topics.CAMERA_INFO, "small", EITHER),
    Broken(topics.CAMERA_INFO, "empty", BLIND),
)
STATES = (
    Broken(topics.JOINT_STATES, "drop", BLIND),
    Broken(topics.JOINT_STATES, "nan", BLIND),
    Broken(topics.JOINT_STATES, "names", BLIND),
    Broken(topics.JOINT_STATES, "fingers", BLIND),
    Broken(topics.JOINT_STATES, "no fingers", BLIND),
    Broken(topics.JOINT_STATES, "delay", EITHER, 0.1),
    Broken(topics.JOINT_STATES, "duplicate", JUDGED, 3),
    Broken(topics.JOINT_STATES, "reorder", EITHER, 3, quick=False),
    Broken(topics.TOOL_POSE, "drop", BLIND),
    Broken(topics.TOOL_POSE, "nan", BLIND),
    Broken(topics.TOOL_POSE, "empty", BLIND),
    Broken(topics.TOOL_POSE, "names", BLIND),
    Broken(topics.TOOL_POSE, "huge", EITHER),
    Broken(topics.TOOL_POSE, "delay", EITHER, 0.1),
    # Three times as many messages may be more than a busy machine's collector keeps up with.
    Broken(topics.TOOL_POSE, "duplicate", ("judged", "watchdog"), 3),
    Broken(topics.TOOL_POSE, "reorder", EITHER, 3, quick=False),
)
FINGERS = (
    Broken(topics.POLICY_GRIPPER, "drop", JUDGED),
    Broken(topics.POLICY_GRIPPER, "delay", JUDGED, 0.2),
    Broken(topics.POLICY_GRIPPER, "duplicate", JUDGED, 3, quick=False),
    Broken(topics.POLICY_GRIPPER, "reorder", JUDGED, 4),
    Broken(topics.POLICY_GRIPPER, "flipped", JUDGED),
    Broken(topics.GRIPPER_CLOSE, "drop", JUDGED),
    Broken(topics.GRIPPER_CLOSE, "delay", JUDGED, 0.2),
    Broken(topics.GRIPPER_CLOSE, "duplicate", JUDGED, 3, quick=False),
    Broken(topics.GRIPPER_CLOSE, "reorder", JUDGED, 4),
    Broken(topics.GRIPPER_CLOSE, "flipped", JUDGED),
    Broken(topics.GRIPPER_COMMAND, "drop", JUDGED),
    Broken(topics.GRIPPER_COMMAND, "delay", JUDGED, 0.2),
    Broken(topics.GRIPPER_COMMAND, "duplicate", JUDGED, 3, quick=False),
    Broken(topics.GRIPPER_COMMAND, "nan", JUDGED),
    Broken(topics.GRIPPER_COMMAND, "empty", JUDGED),
    Broken(topics.GRIPPER_RESULT, "drop", JUDGED),
    Broken(topics.GRIPPER_RESULT, "empty", JUDGED, quick=False),
    Broken(topics.GRIPPER_RESULT, "names", JUDGED),
    Broken(topics.GRIPPER_RESULT, "words", JUDGED),
)
WISHES = (
    Broken(topics.POLICY_TARGET, "drop", JUDGED),
    Broken(topics.COLLECTOR_TARGET, "drop", LOST),
    Broken(topics.COLLECTOR_TARGET, "delay", EITHER, 0.5),
    Broken(topics.COLLECTOR_TARGET, "duplicate", JUDGED, 3, quick=False),
    Broken(topics.COLLECTOR_TARGET, "reorder", EITHER, 4),
    Broken(topics.COLLECTOR_TARGET, "nan", LOST),
    Broken(topics.COLLECTOR_TARGET, "names", LOST),
    Broken(topics.COLLECTOR_TARGET, "huge", EITHER),
    Broken(topics.COLLECTOR_GRIPPER, "drop", JUDGED),
    Broken(topics.COLLECTOR_GRIPPER, "flipped", JUDGED),
    Broken(topics.COLLECTOR_GRIPPER, "reorder", JUDGED, 4, quick=False),
)
RECORDS = (
    Broken(topics.OBSERVATION, "drop", LOST),
    Broken(topics.OBSERVATION, "truncated", LOST),
    Broken(topics.OBSERVATION, "empty", LOST, quick=False),
    Broken(topics.OBSERVATION, "delay", JUDGED, 0.3),
    Broken(topics.OBSERVATION, "duplicate", JUDGED, 3, quick=False),
    Broken(topics.ACTION, "drop", LOST),
    Broken(topics.ACTION, "nan", LOST),
    Broken(topics.ACTION, "names", LOST, quick=False),
    Broken(topics.ACTION, "delay", JUDGED, 0.3),
    Broken(topics.STEP, "drop", LOST),
    Broken(topics.STEP, "names", LOST),
    Broken(topics.STEP, "words", LOST, quick=False),
    Broken(topics.STEP, "empty", LOST, quick=False),
    Broken(topics.STEP, "delay", JUDGED, 0.3),
    Broken(topics.STEP, "duplicate", JUDGED, 3),
    Broken(topics.STEP, "reorder", EITHER, 2),
    Broken(topics.EPISODE, "drop", ("deadline",)),
    Broken(topics.EPISODE, "empty", ("deadline",)),
    Broken(topics.EPISODE, "words", ("error", "deadline"), quick=False),
    Broken(topics.EPISODE, "duplicate", JUDGED, 3),
    Broken(topics.EPISODE, "delay", JUDGED, 0.3),
)
SIGNS_OF_LIFE = (
    Broken(BEATS["guard_node"], "drop", GONE),
    Broken(BEATS["servo_node"], "drop", GONE),
    Broken(BEATS["gripper_node"], "drop", GONE),
    Broken(BEATS["policy_node"], "drop", GONE),
    Broken(BEATS["collector_node"], "drop", LOST),
    Broken(BEATS["guard_node"], "delay", JUDGED, 0.15, quick=False),
)
BROKEN = (*CAMERA, *STATES, *FINGERS, *WISHES, *RECORDS, *SIGNS_OF_LIFE)
