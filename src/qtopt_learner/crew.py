"""N actor processes of one learner: started, watched, started again when they die, stopped."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event

from qtopt_learner.actor import ActorConfig, run_actor
from qtopt_policy.errors import QtoptError

# One core per actor: more threads in each only fight for the same cores.
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class CrewError(QtoptError):
    """Actors die again and again."""


@dataclass(eq=False)
class _Member:
    config: ActorConfig
    process: SpawnProcess
    deaths: int = 0


class Crew:
    """The actors of a learner; a context manager.

    Args:
        configs: one per actor; their prefixes differ.
        patience: deaths of one actor that are put up with.
    """

    def __init__(self, configs: Sequence[ActorConfig], patience: int = 10) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._stop: Event = self._context.Event()
        self._patience = patience
        self._members = [_Member(config, self._start(config)) for config in configs]

    def _start(self, config: ActorConfig) -> SpawnProcess:
        # A spawned child reads these before it imports anything.
        before = {name: os.environ.get(name) for name in THREADS}
        os.environ.update(THREADS)
        process = self._context.Process(target=_work, args=(config, self._stop), name=config.prefix)
        try:
            process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        return process

    @property
    def pids(self) -> list[int]:
        """Process ids of the actors that are alive."""
        return [m.process.pid for m in self._members if m.process.is_alive() and m.process.pid is not None]

    def watch(self) -> list[str]:
        """Start actors again that have died; return a line for each.

        Raises:
            CrewError: one has died more often than `patience`.
        """
        lines = []
        for member in self._members:
            status = member.process.exitcode
            if status is None or status == 0:
                continue
            member.deaths += 1
            if member.deaths > self._patience:
                raise CrewError(
                    f"actor {member.config.prefix} died {member.deaths} times, last with {status}"
                )
            lines.append(f"actor {member.config.prefix} died with {status}: started again")
            member.process = self._start(member.config)
        return lines

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all actors have ended by themselves; return whether they have."""
        end = None if timeout is None else time.monotonic() + timeout
        for member in self._members:
            member.process.join(None if end is None else max(0.0, end - time.monotonic()))
        return not self.pids

    def stop(self, timeout: float = 30.0) -> None:
        """Let every actor end its episode and flush; end by force what takes longer."""
        self._stop.set()
        if not self.wait(timeout):
            for member in self._members:
                member.process.kill()
            self.wait()

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _work(config: ActorConfig, stop: Event) -> None:
    run_actor(config, stop.is_set)


def crew_configs(config: ActorConfig, actors: int) -> list[ActorConfig]:
    """Return the configs of `actors` actors that do the same on different scenes."""
    prefix = config.prefix
    return [replace(config, prefix=f"{prefix}{i}", index=i, actors=actors) for i in range(actors)]
