"""Mass collection in simulation: N actors fill an episode store, faster than one bag per episode could."""

import time
from dataclasses import dataclass, replace

from rich.console import Console
from rich.progress import Progress

from qtopt_learner.actor import ActorConfig
from qtopt_learner.crew import Crew, actor_crew
from qtopt_learner.store import shard_paths
from qtopt_policy.errors import ConfigError

POLL = 2.0  # [s]


@dataclass(frozen=True)
class CollectSimConfig:
    """A collection; run again, it goes on where it was.

    Attributes:
        actor: what each actor does; `episodes` is of all actors together.
        actors: processes.
        patience: deaths in a row of one of them that are put up with.
    """

    actor: ActorConfig
    actors: int = 1
    patience: int = 10

    def __post_init__(self) -> None:
        if self.actor.episodes is None or self.actors < 1:
            raise ConfigError("collection: give the number of episodes, and at least one actor")


def collect_sim(config: CollectSimConfig, console: Console | None = None) -> None:
    """Collect with a progress bar; Ctrl-C ends it early and keeps what was played."""
    total = config.actor.episodes or 0
    share = -(-total // config.actors)
    actor = replace(config.actor, episodes=share)
    crew = Crew(actor_crew(actor, config.actors), config.patience)
    with Progress(console=console or Console()) as progress, crew:
        task = progress.add_task(f"{actor.policy} episodes", total=total)
        while crew.unfinished:
            for line in crew.watch():
                progress.console.print(f"[yellow]{line}[/]")
            # Shards only: what waits for one, in parts, cannot be read yet.
            done = len(shard_paths(actor.store)) * actor.per_shard
            progress.update(task, completed=min(done, total))
            time.sleep(POLL)
        progress.update(task, completed=total)
