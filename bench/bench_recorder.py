"""What recording costs, and whether anything is lost.

- MB/s and messages/s of EpisodeWriter against rosbags' Writer (MCAP) on the same serialised messages: the
  small ones of an episode, and 640x480 frames; both with everything handed to the operating system at the
  end. Ours flushes after each step and computes a checksum; rosbags' keeps chunks of 1 MiB in memory, which
  a killed process loses.
- What fsync adds to closing an episode.
- Frames lost at 30 Hz 640x480 over DDS: one process publishes, another records as collector_node does.

    python bench/bench_recorder.py --seconds 60
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys.stores import ros2_kilted as ros

from grasp_bringup.environment import ros_environment
from qtopt_collector.bags import layout, messages, schema
from qtopt_collector.bags.reader import read_contents
from qtopt_collector.bags.writer import EpisodeWriter
from qtopt_collector.episode import EpisodeInfo
from qtopt_collector.recorder import Recorder
from qtopt_policy import topics
from qtopt_policy.geometry import Pose

RATE = 30.0  # [Hz]
FRAME = 640 * 480 * 3  # bytes
STEP_EVERY = 150  # messages


@dataclass(frozen=True)
class Item:
    """One serialised message: topic, log time [ns] and CDR bytes."""

    topic: str
    time: int
    cdr: bytes


def info(name: str) -> EpisodeInfo:
    """Return the information of an episode."""
    return EpisodeInfo(name, 1, "bench", "terminate", True, 1.0)


def small_messages(count: int) -> list[Item]:
    """Return joint states, tool poses and now and then a step record, as an episode has them."""
    joints = messages.joint_state(0, [f"joint{i}" for i in range(9)], *np.zeros((3, 9)))
    pose = messages.pose_stamped(Pose.identity(), 0, "base_link")
    step = messages.diagnostics("step", {f"key{i}": "0.123456789" for i in range(17)}, 0)
    cdr = {
        topics.JOINT_STATES: schema.serialize(joints, schema.JOINT_STATE),
        topics.TOOL_POSE: schema.serialize(pose, schema.POSE),
        topics.STEP: schema.serialize(step, schema.DIAGNOSTICS),
    }
    pair = (topics.JOINT_STATES, topics.TOOL_POSE)
    names = [topics.STEP if i % STEP_EVERY == 0 else pair[i % 2] for i in range(1, count + 1)]
    return [Item(name, i * 5_000_000, cdr[name]) for i, name in enumerate(names)]


def frames(count: int) -> list[Item]:
    """Return 640x480 frames of noise."""
    data = np.random.default_rng(0).integers(0, 256, FRAME, dtype=np.uint8)
    message = ros.sensor_msgs__msg__CompressedImage(messages.header(0, "camera"), "raw", data)
    cdr = schema.serialize(message, schema.COMPRESSED_IMAGE)
    return [Item(topics.OBSERVATION, i * 33_000_000, cdr) for i in range(count)]


def write_ours(folder: Path, items: Sequence[Item]) -> None:
    """Write the items as one episode."""
    writer = EpisodeWriter(folder, info("ours"))
    for item in items:
        writer.write_cdr(item.topic, item.time, item.cdr)
    writer.close(info("ours"))


def write_rosbags(folder: Path, items: Sequence[Item]) -> None:
    """Write the items with rosbags, and sync them as ours does."""
    with Writer(folder / "rosbags", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            topic: writer.add_connection(f"/{topic}", schema.SPECS[topic].kind, typestore=schema.TYPESTORE)
            for topic in dict.fromkeys(item.topic for item in items)
        }
        for item in items:
            writer.write(connections[item.topic], item.time, item.cdr)
    file = next((folder / "rosbags").glob("*.mcap"))
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def measure(write: Callable[[Path, Sequence[Item]], None], items: Sequence[Item]) -> float:
    """Return the time of one run in a new folder [s]."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        start = time.perf_counter()
        write(Path(folder), items)
        return time.perf_counter() - start


def compare(title: str, items: Sequence[Item], rounds: int) -> None:
    """Print the rates of both writers, measured in turns."""
    pairs = [(measure(write_ours, items), measure(write_rosbags, items)) for _ in range(rounds)]
    size = sum(len(item.cdr) for item in items) / 1e6
    print(f"\n{title}: {len(items)} messages, {size:.1f} MB, median of {rounds}")
    for name, column in (("EpisodeWriter", 0), ("rosbags Writer", 1)):
        taken = statistics.median(pair[column] for pair in pairs)
        print(f"  {name:<15}{size / taken:9.1f} MB/s {len(items) / taken:10.0f} messages/s")
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    print(f"  ours is {ratio:.2f} times as fast")


def fsync_cost(items: Sequence[Item], rounds: int) -> None:
    """Print what closing takes with and without fsync."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * rounds):
        synced = number % 2 == 0
        with tempfile.TemporaryDirectory(dir=".") as folder:
            writer = EpisodeWriter(Path(folder), info("ours"))
            for item in items:
                writer.write_cdr(item.topic, item.time, item.cdr)
            with mock.patch("os.fsync", os.fsync if synced else lambda descriptor: None):
                start = time.perf_counter()
                writer.close(info("ours"))
                taken[synced].append(time.perf_counter() - start)
    size = sum(len(item.cdr) for item in items) / 1e6
    with_sync, without = (statistics.median(taken[synced]) * 1e3 for synced in (True, False))
    print(f"\nclosing an episode of {size:.1f} MB: {with_sync:.1f} ms with fsync, {without:.1f} ms without")


def publish(seconds: float) -> None:
    """Publish frames at 30 Hz once somebody listens; the child process."""
    import rclpy
    from sensor_msgs.msg import CompressedImage

    from qtopt_policy.base_node import RECORD_QOS

    rclpy.init()
    node = rclpy.create_node("bench_camera")
    publisher = node.create_publisher(CompressedImage, topics.OBSERVATION, RECORD_QOS)
    message = CompressedImage(format="raw", data=np.zeros(FRAME, dtype=np.uint8).tobytes())
    while publisher.get_subscription_count() == 0:
        time.sleep(0.05)
    time.sleep(0.5)
    start, count = time.monotonic(), round(seconds * RATE)
    for number in range(count):
        time.sleep(max(0.0, start + number / RATE - time.monotonic()))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(number, 1_000_000_000)
        publisher.publish(message)
    time.sleep(1.0)
    node.destroy_node()
    rclpy.try_shutdown()


def record(seconds: float) -> int:
    """Record what a child process publishes, and print what was lost; return the frames lost."""
    os.environ.update(ros_environment(os.environ, one_machine=True))
    child = subprocess.Popen([sys.executable, __file__, "--publish", "--seconds", str(seconds)])
    with tempfile.TemporaryDirectory(dir=".") as folder:
        bag, busy = _record_into(Path(folder), child)
        entries = read_contents(layout.mcap_path(bag)).entries[topics.OBSERVATION]
        numbers = [messages.stamp_of(schema.deserialize(e.cdr, schema.COMPRESSED_IMAGE)) for e in entries]
    sent = round(seconds * RATE)
    lost = sent - len(set(numbers))
    print(
        f"\n640x480 at {RATE:.0f} Hz for {seconds:.0f} s: {sent} sent, {len(numbers)} recorded, {lost} lost"
    )
    print(f"  the recorder was busy {busy / seconds:.1%} of one core with receiving and writing")
    return lost


def _record_into(folder: Path, child: "subprocess.Popen[bytes]") -> tuple[Path, float]:
    import rclpy
    from sensor_msgs.msg import CompressedImage

    from qtopt_collector.collector_inputs_node import RECORDED

    rclpy.init()
    node, recorder = rclpy.create_node("bench_recorder"), Recorder(folder)
    recorder.open(info(recorder.next_id()))

    def take(cdr: bytes) -> None:
        recorder.record(topics.OBSERVATION, time.time_ns(), cdr)

    qos = RECORDED[topics.OBSERVATION][1]
    node.create_subscription(CompressedImage, topics.OBSERVATION, take, qos, raw=True)
    before = time.process_time()
    while child.poll() is None:
        rclpy.spin_once(node, timeout_sec=0.1)
    busy = time.process_time() - before
    recorder.record_message(topics.STEP, time.time_ns(), messages.diagnostics("step", {}, 0))
    bag = recorder.close(info("episode_000001"))
    node.destroy_node()
    rclpy.try_shutdown()
    assert bag is not None
    return bag, busy


def main() -> int:
    """Run all measurements; 1 if a frame was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of recording over DDS")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish:
        publish(arguments.seconds)
        return 0
    compare("small messages", small_messages(20_000), arguments.rounds)
    compare("640x480 frames", frames(100), arguments.rounds)
    fsync_cost(small_messages(5_000), arguments.rounds)
    return 1 if record(arguments.seconds) else 0


if __name__ == "__main__":
    raise SystemExit(main())
