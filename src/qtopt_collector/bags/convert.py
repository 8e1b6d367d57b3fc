"""Write a whole episode that lies in memory (GraspEnv, tests, import) as a bag."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from qtopt_collector.bags import messages, schema
from qtopt_collector.bags.records import encode_step, step_records
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_collector.episode import Episode
from qtopt_policy import topics
from qtopt_policy.geometry import Pose
from qtopt_policy.grasp_action import ACTION_NAMES


@dataclass(frozen=True, eq=False)
class Signal:
    """One message for a bag: log time [ns], relative topic name, rosbags message object."""

    time: int
    topic: str
    message: object


def write_episode(
    bags: Path,
    episode: Episode,
    signals: Sequence[Signal],
    base_frame: str = "base_link",
    source: str = "",
) -> Path:
    """Write an episode and the signals measured beside it; return the bag's folder.

    Args:
        bags: folder of all bags.
        episode: its observations, actions, poses and step records are written from its arrays.
        signals: what the arrays do not hold, joint_states above all: a bag without them is refused by the
            reader, unless it has a source. An own stream of arm/tool_pose or camera/camera_info replaces the
            one from the arrays.
        base_frame: of the tool poses.
        source: the shard of an episode store that the episode comes from. The bag is marked as converted,
            and its images are PNG whatever their size, so that every pixel stays what it is.

    Raises:
        BagError: the episode exists already, or the disk refuses.
    """
    given = {signal.topic for signal in signals}
    held = episode_signals(episode, base_frame, lossless=bool(source))
    own = (signal for signal in held if signal.topic not in given)
    writer = EpisodeWriter(bags, episode.info)
    writer.set_camera(episode.camera)
    if source:
        writer.annotate(schema.CONVERT_RECORD, {"source": source})
    for signal in sorted([*signals, *own], key=lambda signal: signal.time):
        writer.write(signal.topic, signal.time, signal.message)
    return writer.close(episode.info)


def episode_signals(episode: Episode, base_frame: str, lossless: bool = False) -> Iterator[Signal]:
    """Return what an episode's arrays hold as messages, in the order of the steps."""
    steps, camera_frame = episode.steps, f"{episode.camera.mount}_camera"
    frame = str(episode.info.mdp.get("action_frame", ""))
    for row, record in enumerate(step_records(steps, episode.info.episode_id)):
        stamp = messages.nanoseconds(record.image_stamp)
        pose = messages.pose_stamped(Pose.from_array(record.tool_pose), stamp, base_frame)
        action = messages.joint_state(stamp, ACTION_NAMES, record.asked, frame_id=frame)
        end = stamp + messages.nanoseconds(record.duration)
        values = messages.diagnostics("step", encode_step(record), end)
        info = messages.camera_info(episode.camera, stamp, camera_frame)
        image = messages.compressed_image(steps.image[row], stamp, camera_frame, lossless)
        yield Signal(stamp, topics.TOOL_POSE, pose)
        yield Signal(stamp, topics.CAMERA_INFO, info)
        yield Signal(stamp, topics.OBSERVATION, image)
        yield Signal(stamp, topics.ACTION, action)
        yield Signal(end, topics.STEP, values)
