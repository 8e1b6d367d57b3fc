"""Processes that work beside the learner: started, watched, started again when they die, stopped."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event

from qtopt_learner.actor import ActorConfig, run_actor
from qtopt_learner.spawning import one_thread
from qtopt_policy.errors import QtoptError

# What a member does until the function that it is given says stop; returns whether it has done all that it
# was to do. Must be picklable.
Work = Callable[[Callable[[], bool]], bool]
# Exit status of a member that something other than the crew made end early, as shells report SIGTERM.
EARLY = 128 + signal.SIGTERM
# A member that lived so long was all right: its deaths before do not count any more [s].
SETTLED = 600.0


class CrewError(QtoptError):
    """Members die again and again."""


@dataclass(eq=False)
class _Member:
    name: str
    work: Work
    process: SpawnProcess
    started: float
    deaths: int = 0


class Crew:
    """The actors and updaters of a learner; a context manager.

    Args:
        members: what each does, by name.
        patience: deaths in a row of one member that are put up with; a row ends once it lives for SETTLED
            seconds.
        clock: time for how long a member has lived [s].
    """

    def __init__(
        self, members: Mapping[str, Work], patience: int = 10, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._stop: Event = self._context.Event()
        self._patience = patience
        self._clock = clock
        self._members: list[_Member] = []
        self.add(members)

    def add(self, members: Mapping[str, Work]) -> None:
        """Start more members."""
        for name, work in members.items():
            self._members.append(_Member(name, work, self._start(name, work), self._clock()))

    def _start(self, name: str, work: Work) -> SpawnProcess:
        process = self._context.Process(target=_work, args=(work, self._stop), name=name)
        with one_thread():
            process.start()
        return process

    @property
    def pids(self) -> list[int]:
        """Process ids of the members that are alive."""
        return [m.process.pid for m in self._members if m.process.is_alive() and m.process.pid is not None]

    @property
    def unfinished(self) -> bool:
        """Whether a member has yet to end by itself: it lives, or `watch` will start it again."""
        return any(member.process.exitcode != 0 for member in self._members)

    def watch(self) -> list[str]:
        """Start members again that have died or were made to end early; return a line for each.

        Raises:
            CrewError: one has died more often in a row than `patience`.
        """
        lines = []
        for member in self._members:
            status = member.process.exitcode
            if status is None or status == 0:
                continue
            settled = self._clock() - member.started >= SETTLED
            member.deaths = 1 if settled else member.deaths + 1
            if member.deaths > self._patience:
                raise CrewError(
                    f"{member.name} died {member.deaths} times, last with {status}, without living for "
                    f"{SETTLED:g} s in between"
                )
            lines.append(f"{member.name} died with {status}: started again")
            member.process = self._start(member.name, member.work)
            member.started = self._clock()
        return lines

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all members have ended by themselves; return whether they have."""
        end = None if timeout is None else time.monotonic() + timeout
        for member in self._members:
            member.process.join(None if end is None else max(0.0, end - time.monotonic()))
        return not self.pids

    def stop(self, timeout: float = 30.0) -> None:
        """Let every member finish what it is at; end by force what takes longer."""
        self._stop.set()
        if not self.wait(timeout):
            for member in self._members:
                member.process.kill()
            self.wait()

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _work(work: Work, stop: Event) -> None:
    """Work until the crew says stop or is gone, however early; whoever ends before leaves with EARLY."""
    parent = multiprocessing.parent_process()

    def stopped() -> bool:
        # Not getppid: a parent that died while this process was starting is not the one seen then.
        return stop.is_set() or (parent is not None and not parent.is_alive())

    if not work(stopped) and not stopped():
        sys.exit(EARLY)


def actor_crew(config: ActorConfig, actors: int) -> dict[str, Work]:
    """Return `actors` actors that do the same on different scenes."""
    prefix = config.prefix
    configs = [replace(config, prefix=f"{prefix}{i}", index=i, actors=actors) for i in range(actors)]
    return {f"actor {each.prefix}": partial(run_actor, each) for each in configs}
