"""What policy_node publishes, built from plain data."""

import json

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool

from qtopt_policy import topics
from qtopt_policy.base_node import (
    LATCHED_QOS,
    LATEST_QOS,
    OK,
    RECORD_QOS,
    BaseNode,
    pose_message,
    status,
    time_message,
)
from qtopt_policy.debug_image import draw_decision
from qtopt_policy.decision_markers import decision_markers
from qtopt_policy.episode_events import Ask, Chosen, EpisodeRequest, Wish
from qtopt_policy.grasp_action import ACTION_NAMES, ActionFrame
from qtopt_policy.image_codec import Encoded, encode
from qtopt_policy.markers_node import MarkerPublisher
from qtopt_policy.observation import Observation
from qtopt_policy.step_record import StepRecord, encode_step

COMPRESSED_DEBUG_IMAGE = topics.DEBUG_IMAGE + "/compressed"  # as image_transport names it


class PolicyPublisher:
    """Publishes wishes, observations, actions, steps and episodes.

    Args:
        node: that publishes.
        base_frame: of target poses.
        action_frame: of actions.
        camera_frame: of observations.
    """

    def __init__(self, node: BaseNode, base_frame: str, action_frame: ActionFrame, camera_frame: str) -> None:
        self._node = node
        self._base_frame, self._action_frame, self._camera_frame = base_frame, action_frame, camera_frame
        self._target = node.create_publisher(PoseStamped, topics.POLICY_TARGET, LATEST_QOS)
        self._gripper = node.create_publisher(Bool, topics.POLICY_GRIPPER, LATEST_QOS)
        self._observation = node.create_publisher(CompressedImage, topics.OBSERVATION, RECORD_QOS)
        self._action = node.create_publisher(JointState, topics.ACTION, RECORD_QOS)
        self._step = node.create_publisher(DiagnosticArray, topics.STEP, RECORD_QOS)
        self._episode = node.create_publisher(DiagnosticArray, topics.EPISODE, LATCHED_QOS)
        self._debug = node.create_publisher(Image, topics.DEBUG_IMAGE, LATEST_QOS)
        self._debug_small = node.create_publisher(CompressedImage, COMPRESSED_DEBUG_IMAGE, RECORD_QOS)
        self._markers = MarkerPublisher(node, topics.POLICY_MARKERS, base_frame)

    def wish(self, wish: Wish) -> None:
        """Publish what is wanted, stamped now."""
        now = self._node.get_clock().now().to_msg()
        self._target.publish(pose_message(wish.target, self._base_frame, now))
        if wish.gripper_close is not None:
            self._gripper.publish(Bool(data=wish.gripper_close))

    def observation(self, ask: Ask) -> None:
        """Publish the image that is decided on."""
        self._observation.publish(self._compressed(ask.encoded, ask.observation.stamp))

    def action(self, chosen: Chosen) -> None:
        """Publish the action after clipping, under the image's stamp."""
        message = JointState(name=list(ACTION_NAMES), position=chosen.asked.as_array().tolist())
        message.header.stamp = time_message(_nanoseconds(chosen.ask.observation.stamp))
        message.header.frame_id = self._action_frame
        self._action.publish(message)

    def step(self, record: StepRecord) -> None:
        """Publish the record of an ended step, stamped at its end."""
        message = DiagnosticArray(status=[status("step", OK, "", dict(encode_step(record)))])
        message.header.stamp = time_message(_nanoseconds(record.image_stamp + record.duration))
        self._step.publish(message)

    def episode(
        self,
        request: EpisodeRequest,
        state: str,
        steps: int = 0,
        reason: str = "",
        detail: str = "",
        digest: str = "",
        camera: str = "",
    ) -> None:
        """Publish what the episode is doing; `detail` is for people."""
        known: dict[str, object] = {
            "episode_id": request.episode_id,
            "state": state,
            "reason": reason,
            "steps": steps,
            "seed": request.seed,
            "policy": request.policy,
            "epsilon": request.epsilon,
            "checkpoint": digest,
            "camera": camera,
        }
        values = {key: known[key] for key in topics.EPISODE_KEYS}
        message = DiagnosticArray(status=[status("episode", OK, detail, values)])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._episode.publish(message)

    @property
    def debug_wanted(self) -> bool:
        """Whether anybody looks at or records the debug image."""
        publishers = (self._debug, self._debug_small)
        return any(publisher.get_subscription_count() for publisher in publishers)

    def debug_image(self, chosen: Chosen) -> None:
        """Draw the decision into its image and publish it, under the image's stamp. Any thread."""
        seen = chosen.ask.observation
        picture = draw_decision(seen, chosen.decision, chosen.asked, self._action_frame)
        if self._debug_small.get_subscription_count():
            self._debug_small.publish(self._compressed(encode(picture, "jpeg"), seen.stamp))
        if self._debug.get_subscription_count():
            height, width = picture.shape[:2]
            message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
            message.header.stamp = time_message(_nanoseconds(seen.stamp))
            message.header.frame_id = self._camera_frame
            message.data = picture.tobytes()
            self._debug.publish(message)

    @property
    def markers_wanted(self) -> bool:
        """Whether anybody looks at or records the markers."""
        return self._markers.wanted

    def markers(self, chosen: Chosen) -> None:
        """Publish the decision as markers, under the image's stamp. Any thread."""
        seen = chosen.ask.observation
        drawings = decision_markers(seen, chosen.decision, chosen.asked, self._action_frame)
        self._markers.publish(drawings, time_message(_nanoseconds(seen.stamp)))

    def _compressed(self, encoded: Encoded, stamp: float) -> CompressedImage:
        message = CompressedImage(format=encoded.format, data=encoded.data)
        message.header.stamp = time_message(_nanoseconds(stamp))
        message.header.frame_id = self._camera_frame
        return message


def camera_text(observation: Observation) -> str:
    """Return the JSON of the camera that the network looked through."""
    return json.dumps(observation.camera.to_mapping())


def _nanoseconds(stamp: float) -> int:
    return round(stamp * 1e9)
