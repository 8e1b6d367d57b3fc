"""Gazebo Transport by its command line, `gz service` and `gz topic` (gz-transport f2996c6b, src/cmd). No ROS.

Every call starts a process, which takes a good part of a second: `gz` is a Ruby script.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from types import TracebackType

from grasp_bringup.gazebo.poses import ModelPoses, parse_poses
from qtopt_policy.errors import QtoptError

ANSWER_TIME = 5.0  # [s] in which a service must answer
START_TIME = 10.0  # [s] that the process of a call may take beside that


class GazeboError(QtoptError):
    """Gazebo did not do what it was asked to. The message names service or topic, and what was found."""


def quoted(text: str) -> str:
    """Return a string of protobuf's text format."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def request(service: str, kind: str, body: str) -> None:
    """Call a service that answers with gz.msgs.Boolean; user commands are queued, not done, when it returns.

    Args:
        service: its name, e.g. /world/bin/remove.
        kind: type of the request, e.g. gz.msgs.Entity.
        body: the request in protobuf's text format.

    Raises:
        GazeboError: `gz` is not installed, there is no answer in time, or the answer is not `data: true`.
    """
    words = ["gz", "service", "-s", service, "--reqtype", kind, "--reptype", "gz.msgs.Boolean"]
    words += ["--timeout", str(round(ANSWER_TIME * 1000)), "--req", body]
    process, limit = _start(words), ANSWER_TIME + START_TIME
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise GazeboError(f"{service}: `gz service` did not end within {limit:g} s") from None
    if "data: true" in map(str.strip, out.splitlines()):
        return
    # It ends with status 0 whatever happens; `false` is left out of protobuf's text.
    said = " ".join(f"{out} {err}".split()) or "false"
    raise GazeboError(f"{service}: expected `data: true`, found: {said}")


def _start(words: Sequence[str]) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # with what the script starts itself
        )
    except OSError as error:
        raise GazeboError(
            f"`{' '.join(words[:2])}` cannot be started: {error}; is Gazebo sourced?"
        ) from error


def _kill(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


class PoseStream:
    """The poses of a world's models that may move, as `gz topic` prints them. A context manager.

    Args:
        world: its name.
    """

    def __init__(self, world: str) -> None:
        self.topic = f"/world/{world}/dynamic_pose/info"
        self._news = threading.Condition()
        self._line = ""
        self._ended = False

    def __enter__(self) -> "PoseStream":
        self._process = _start(["gz", "topic", "-e", "-t", self.topic, "--json-output"])
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join()
        self._process.communicate()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip():
                self._tell(line)
        self._tell("", ended=True)

    def _tell(self, line: str, ended: bool = False) -> None:
        with self._news:
            self._line, self._ended = line, ended
            self._news.notify_all()

    def next(self, deadline: float) -> ModelPoses | None:
        """Return the next message, the latest if there are more; None at `deadline` (time.monotonic, [s]).

        Raises:
            GazeboError: `gz topic` has ended, or prints what is no message of poses.
        """
        with self._news:
            while not self._line:
                left = deadline - time.monotonic()
                if self._ended:
                    raise GazeboError(f"{self.topic}: `gz topic` ended: {self._last_words()}")
                if left <= 0.0:
                    return None
                self._news.wait(left)
            line, self._line = self._line, ""
        try:
            return parse_poses(line)
        except ValueError as error:
            raise GazeboError(f"{self.topic}: {error}") from error

    def _last_words(self) -> str:
        status = self._process.wait()
        assert self._process.stderr is not None
        return " ".join(self._process.stderr.read().split()) or f"status {status}"
