"""`qtopt train --env`: the learner of grasping on any Gymnasium environment.

Replay, labels, trainer, targets, search, checkpoints and metrics are the same as for grasping; what differs
is who plays (this process, between gradient steps) and what the rows are made from. Starting a run again
goes on at its last checkpoint, with all that was played; a finished run is only scored again.
"""

import json
from collections.abc import Sequence
from functools import partial

import numpy as np
from rich.console import Console

from qtopt_learner.envs.deciders import CemDecider, ExploringDecider, RandomDecider
from qtopt_learner.envs.env_config import EnvRunConfig
from qtopt_learner.envs.player import Played, Player, played_rows
from qtopt_learner.envs.score import SCORE_SEEDS, Score, play_score
from qtopt_learner.envs.task import EnvTask, make_env
from qtopt_learner.envs.weights import load_weights, save_weights
from qtopt_learner.report.source import CONFIG_FILE, SCORES, read_json
from qtopt_learner.rows import Rows
from qtopt_learner.run import STATE_FOLDER, Run
from qtopt_learner.run_state import find_begun, lost_state
from qtopt_learner.train import training_progress
from qtopt_learner.trainer import Experience, Trainer
from qtopt_policy.config import to_mapping
from qtopt_policy.errors import CheckpointError, ConfigError
from qtopt_policy.search_config import CemConfig

NEWEST = "newest.safetensors"
# With others, the rows of the replay would have other rewards.
OF_THE_ROWS = ("env", "returns", "discount")
# Returns are written as the mean over so many episodes.
REPORT_EPISODES = 20
# Rows that are put into the replay at a time, at least.
GROUP = 128
# Scored episodes are played so many side by side.
SCORED_TOGETHER = 16


class EnvLearner:
    """One run on an environment.

    Args:
        config: of the run.

    Attributes:
        task: the environment.
        trainer: the network in training.

    Raises:
        ConfigError: see EnvTask, Replay; or the replay is too small.
        CheckpointError: the folder holds a run that this one cannot go on with; it stays as it is.
    """

    def __init__(self, config: EnvRunConfig) -> None:
        self._config = config
        self.task = EnvTask(config)
        self._require_same()
        self._online = self.task.replay()
        if config.play.random_steps > self._online.capacity:
            raise ConfigError(
                f"play.random_steps {config.play.random_steps}: the replay holds {self._online.capacity} "
                "rows; fewer of them, or a larger train.replay_gb"
            )
        (config.out / CONFIG_FILE).write_text(json.dumps(to_mapping(config), indent=1) + "\n")
        experience = Experience(self.task.nothing(), self._online)
        self.trainer = Trainer(self.task.network, config.train, experience, config.discount)
        # Each start draws anew: what was played before is in the replay.
        self._rng = np.random.default_rng((config.train.seed, self._online.end))
        self._player = Player(self.task, partial(make_env, config.env), config.play.envs, self._seed)
        self._random = RandomDecider(self.task.actions, self._rng)
        greedy = CemDecider(self.trainer.targets.first, config.play.cem, self.trainer.device, self._rng)
        self._exploring = ExploringDecider(greedy, self.task.actions, config.play, self._rng)
        self._due = 0.0
        self._recent: list[Played] = []
        self._waiting: list[Rows] = []

    def _require_same(self) -> None:
        """Refuse other rows, another configuration, and fresh weights where trained ones lost their state."""
        config, path = self._config, self._config.out / CONFIG_FILE
        if path.exists():
            saved, present = read_json(path), to_mapping(config)
            for key in OF_THE_ROWS:
                if saved.get(key) != present[key]:
                    raise CheckpointError(
                        f"{path}: '{key}' was {saved.get(key)}, this run has {present[key]}, and what was "
                        "played would count for it: take another --out"
                    )
        states, weights = config.out / STATE_FOLDER, config.out / "weights" / NEWEST
        if (
            not find_begun(states, config.train)
            and weights.exists()
            and load_weights(weights)[1]["steps"] > 0
        ):
            raise lost_state(states, weights)

    def _seed(self) -> int:
        return int(self._rng.integers(0, SCORE_SEEDS))

    def prepare(self) -> None:
        """Play at random until there is something to learn from."""
        while len(self._online) < self._config.play.random_steps:
            self._take(self._player.step(self._random)[1])

    def on_step(self, trainer: Trainer, run: Run) -> None:
        """Play what is due after a gradient step."""
        self._due += self._config.play.steps_per_update
        while self._due >= 1.0:
            steps, ended = self._player.step(self._exploring)
            self._due -= steps
            self._take(ended)
            self._recent += ended
        if len(self._recent) >= REPORT_EPISODES:
            run.metrics.write(trainer.step, episode_numbers(self._recent))
            self._recent = []

    def _take(self, ended: Sequence[Played]) -> None:
        """Keep what ended; an append to the replay costs a sync, so episodes go there in groups."""
        config = self._config
        self._waiting += [played_rows(played, config.returns, config.discount) for played in ended]
        if sum(len(rows["reward"]) for rows in self._waiting) < GROUP:
            return
        joined = {name: np.concatenate([rows[name] for rows in self._waiting]) for name in self._waiting[0]}
        self._online.append(joined, f"from row {self._online.end}")
        self._waiting = []

    def on_checkpoint(self, trainer: Trainer) -> None:
        """Publish target 1, the network that acts."""
        path = self._config.out / "weights" / NEWEST
        save_weights(path, trainer.targets.first, self._config.env, trainer.step)

    def scores(self) -> list[Score]:
        """Play with the random and the learned policy, on the same seeds."""
        config, task = self._config, self.task
        rng = np.random.default_rng(SCORE_SEEDS)
        random = RandomDecider(task.actions, rng)
        learned = CemDecider(self.trainer.targets.first, CemConfig(), self.trainer.device, rng)
        return [
            play_score(
                name, decider, task, partial(make_env, config.env), config.score_episodes, SCORED_TOGETHER
            )
            for name, decider in (("random", random), ("learned", learned))
        ]

    def close(self) -> None:
        """Free the environments."""
        self._player.close()


def episode_numbers(episodes: Sequence[Played]) -> dict[str, float]:
    """Return means over episodes, for the metrics."""
    values = {
        "return/exploring": float(np.mean([played.total for played in episodes])),
        "episode_steps": float(np.mean([len(played.actions) for played in episodes])),
    }
    told = [played.success for played in episodes if played.success is not None]
    return values | ({"success/exploring": float(np.mean(told))} if told else {})


def train_env(config: EnvRunConfig, console: Console | None = None) -> list[Score]:
    """Train, from the start or from where the run was; return the scores at its end.

    Raises:
        ConfigError: the configuration or the environment cannot be used.
        CheckpointError: the folder holds a run that this one cannot go on with.
    """
    console = console or Console()
    learner = EnvLearner(config)
    trainer = learner.trainer
    try:
        with training_progress(console, config.train.steps) as show:
            run = Run(config.out, trainer, lambda t: learner.on_step(t, run), learner.on_checkpoint, show)
            learner.prepare()
            run.go()
        scores = learner.scores()
    finally:
        learner.close()
    found = [score.to_mapping() for score in scores]
    (config.out / SCORES).write_text(json.dumps({"env": config.env, "scores": found}, indent=1) + "\n")
    for score in scores:
        console.print(str(score), soft_wrap=True, highlight=False)
    return scores
