"""Child processes: started with a log each, watched, and stopped one by one without leaving anything."""

import ctypes
import signal
import subprocess
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grasp_bringup import shared_memory

# Seconds that a process gets after each signal.
GRACE = ((signal.SIGINT, 10.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))
LOOK_PERIOD = 5.0  # [s] between looks at a process's shared memory: a look costs milliseconds
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Exit:
    """How a process ended: its name, exit status (negative: minus the signal) and log file."""

    name: str
    status: int
    log: Path

    def last_lines(self, count: int = 15) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def __str__(self) -> str:
        cause = f"status {self.status}" if self.status >= 0 else signal.Signals(-self.status).name
        return f"{self.name} ended with {cause}; {self.log} ends with:\n{self.last_lines()}"


class Child:
    """One running process."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._shared: set[Path] = set()
        self._looked = -LOOK_PERIOD
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours to pass on, in order
                preexec_fn=_die_with_parent,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def poll(self) -> Exit | None:
        """Return how it ended, or None while it runs."""
        status = self._process.poll()
        if status is None:
            if time.monotonic() - self._looked > LOOK_PERIOD:
                self._look_at_shared_memory()
            return None
        return Exit(self.name, status, self.log)

    def _look_at_shared_memory(self) -> None:
        self._looked = time.monotonic()
        self._shared |= shared_memory.used_by(self.pid)

    def stop(self) -> Exit:
        """End it by SIGINT, SIGTERM or SIGKILL, whichever helps first."""
        self._look_at_shared_memory()
        for number, seconds in GRACE:
            ended = self.poll()
            if ended is not None:
                return ended
            self._process.send_signal(number)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        return Exit(self.name, self._process.wait(), self.log)

    def kill(self) -> None:
        """End it at once."""
        self._look_at_shared_memory()
        self._process.kill()
        self._process.wait()

    def remove_leftovers(self, but: Container[int] = ()) -> tuple[Path, ...]:
        """Remove the shared memory that it left behind, if it was killed; call when it has ended.

        `but` as in shared_memory.remove_unused.
        """
        return shared_memory.remove_unused(self._shared, but)


def _die_with_parent() -> None:
    """Ask the kernel for SIGINT when the process that started this one dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def stop_all(children: Sequence[Child]) -> tuple[Exit, ...]:
    """Stop the last one first, each after the other has ended.

    One after the other, because a Fast DDS participant that is destroyed while another one announces its end
    may wait for ever (seen with 3.2.3: DomainParticipant::set_listener in rmw's destroy_participant).
    """
    try:
        return tuple(child.stop() for child in reversed(children))
    except KeyboardInterrupt:  # asked twice: at once
        for child in children:
            child.kill()
        raise
    finally:
        for child in children:
            child.remove_leftovers()


def wait_any(children: Sequence[Child], timeout: float) -> Exit | None:
    """Return the first child found to have ended, or None after `timeout` [s]."""
    deadline = time.monotonic() + timeout
    while True:
        for child in children:
            ended = child.poll()
            if ended is not None:
                return ended
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.1)
