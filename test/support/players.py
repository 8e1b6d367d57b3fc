"""What plays evaluation jobs without a simulator; importable in worker processes."""

import os
import time
from pathlib import Path

from qtopt_collector.report.score import EpisodeResult
from qtopt_learner.evaluate_jobs import Job, Play
from qtopt_policy.errors import UnknownNameError


def play(job: Job) -> EpisodeResult:
    return EpisodeResult(
        job.policy, job.seed, job.seed % 3 == 0, job.seed % 2 == 0, job.seed + 1, "terminate"
    )


def make_player() -> Play:
    return play


def make_interrupted() -> Play:
    """Plays scenes below 2, then Ctrl-C comes."""

    def player(job: Job) -> EpisodeResult:
        if job.seed >= 2:
            raise KeyboardInterrupt
        return play(job)

    return player


def make_dying() -> Play:
    """Dies without a word in scene 1, as the kernel kills a process that takes too much memory."""

    def player(job: Job) -> EpisodeResult:
        if job.seed == 1:
            os._exit(9)
        return play(job)

    return player


def make_marking(folder: Path) -> Play:
    """Leaves a file for each scene that it has begun, and takes its time."""

    def player(job: Job) -> EpisodeResult:
        (folder / str(job.seed)).touch()
        time.sleep(0.02)
        return play(job)

    return player


def make_failing() -> Play:
    def player(job: Job) -> EpisodeResult:
        raise ValueError(f"scene {job.seed}")

    return player


def make_refusing() -> Play:
    def player(job: Job) -> EpisodeResult:
        raise UnknownNameError("policy", "x", ("a", "b"))

    return player
