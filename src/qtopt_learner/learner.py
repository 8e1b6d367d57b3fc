"""One learner with its data, its actors and the weights that it publishes.

A run's folder holds

    run.json            what was asked for
    state/              checkpoints of the training itself (run_state.py)
    weights/            policy checkpoints: newest.safetensors, which actors follow, and one per checkpoint
    episodes/           what the actors have played (store.py)
    targets.safetensors both target networks, which updaters follow
    updaters/           how many labels each of them has made (updater.py)
    replay/             the memory-mapped replays, a cache of the above and of the offline data
    metrics.csv, tensorboard/

and starting the same run again goes on where it was.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from grasp_bringup.sim.benchmark import load_benchmark, require_robot
from qtopt_collector.episode import EpisodeInfo
from qtopt_learner.actor import ActorConfig
from qtopt_learner.bag_watch import closed_bags
from qtopt_learner.crew import Crew, actor_crew
from qtopt_learner.intake import Intake
from qtopt_learner.intake_progress import take_many
from qtopt_learner.ranks import ALONE, Ranks
from qtopt_learner.replay import Replay
from qtopt_learner.report.source import CONFIG_FILE, read_json
from qtopt_learner.run import STATE_FOLDER, Run
from qtopt_learner.run_config import RunConfig
from qtopt_learner.run_state import find_begun, lost_state
from qtopt_learner.task import REPLAY_FOLDER, Task
from qtopt_learner.trainer import Experience, Trainer
from qtopt_learner.updater import TARGETS_FILE, publish_targets
from qtopt_learner.updater_process import updater_crew
from qtopt_learner.watch import Watch
from qtopt_policy.checkpoint import describe, read_info, save_checkpoint
from qtopt_policy.config import to_mapping
from qtopt_policy.errors import CheckpointError, UnknownNameError
from qtopt_policy.share import resolve

NEWEST = "newest.safetensors"
# Weights of a gradient step; those of step 0 are what the run started from.
STEP = "step-{:09d}.safetensors"
# Scenes of the actors start here, apart from those of scripted collections; seeds of runs lie this far apart.
ONLINE_SEEDS = 100_000_000
# Success is written for so many episodes at a time.
REPORT_EPISODES = 50


class Learner:
    """Everything of one run in this process: replays, trainer, intake of new episodes, published weights.

    Args:
        config: of the run.
        console: for what is worth a line.
        ranks: the processes that train with this one, which is the first.

    Attributes:
        trainer: the network in training.
        crew: actors and updaters.
    """

    def __init__(self, config: RunConfig, console: Console, ranks: Ranks = ALONE) -> None:
        self._config = config
        self._ranks = ranks
        self._console = console
        self._task = Task(config)
        if config.online.actors:
            require_robot(load_benchmark(config.benchmark), self._task.robot, config.robot)
        self._weights = config.out / "weights"
        # Before anything is written: the folder of a run that cannot go on stays as it is.
        begun = self._find_begun()
        offline, self._offline = self._replay("offline")
        online, self._online = self._replay("online")
        if not (config.train.deterministic and begun):  # which learns from what it began with
            self._read_offline(offline)
        self._episodes = config.out / "episodes"
        self._episodes.mkdir(exist_ok=True)
        self._take_own(at_start=True)
        self._write_config()
        self._outcomes: list[EpisodeInfo] = []
        discount = self._task.mdp.discount
        experience = Experience(offline, online)
        self.trainer = Trainer(self._task.network, config.train, experience, discount, ranks)
        self.crew = Crew({})
        self._acting = False
        self._watch = Watch(config.out)

    def _find_begun(self) -> bool:
        """Return whether the run goes on; CheckpointError if it cannot or its weights lost their state."""
        if self._config.start_from is not None:
            self._task.network()  # refuses weights of another task or network
        states = self._config.out / STATE_FOLDER
        if find_begun(states, self._config.train):
            self._require_same()
            return True
        trained = trained_weights(self._weights)
        if trained is not None:
            raise CheckpointError(f"{lost_state(states, trained)}, there with --start-from {trained}")
        return False

    def _require_same(self) -> None:
        """Refuse to go on with another camera or robot; the state and the replays look at the rest."""
        path = self._config.out / CONFIG_FILE
        saved, config = read_json(path), self._config
        if saved["camera"] != config.camera:
            raise CheckpointError(f"{path}: camera was {saved['camera']}, this run has {config.camera}")
        if resolve(Path(saved["robot"])).resolve() != resolve(config.robot).resolve():
            raise CheckpointError(f"{path}: robot was {saved['robot']}, this run has {config.robot}")

    def _write_config(self) -> None:
        self._config.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(to_mapping(self._config), indent=1)
        (self._config.out / CONFIG_FILE).write_text(text + "\n")

    def _replay(self, name: str) -> tuple[Replay, Intake]:
        robot, camera = self._task.robot, self._config.camera
        if camera not in robot.cameras:
            raise UnknownNameError("camera", camera, robot.cameras)
        folder, mount = self._config.out / REPLAY_FOLDER / name, robot.cameras[camera].mount
        replay = self._task.replay(name)
        return replay, Intake(replay, self._task.mdp, robot.gripper.max_aperture, mount, folder)

    def _read_offline(self, replay: Replay) -> None:
        rows = take_many(self._offline, self._config.data, self._console, "reading offline data")
        self._console.print(f"offline data: {rows} new rows, {len(self._offline.outcomes)} new episodes")
        self._name_refused(self._offline)
        if replay.first > 0:
            held = f"the offline replay holds {len(replay)} of {replay.end} rows, the oldest gave way"
            advice = "raise --train.replay-gb, in another folder"
            self._console.print(f"[yellow]{held}:[/] {advice}", soft_wrap=True)

    def _name_refused(self, intake: Intake) -> None:
        for name, reason in intake.refused.items():
            self._console.print(f"[yellow]not used[/] {name}: {reason}", soft_wrap=True)
        intake.refused.clear()

    def start(self) -> None:
        """Start the updaters; the trainer has its weights by now."""
        if self._config.updaters:
            publish_targets(self._config.out / TARGETS_FILE, self.trainer.targets)
            self.crew.add(updater_crew(self._config))

    def stop(self) -> None:
        """Let actors and updaters finish what they are at."""
        self.crew.stop()

    def publish(self, *names: str) -> None:
        """Write target 1, the network that acts, as policy checkpoints, and both for the updaters."""
        cameras = self._offline.cameras + self._online.cameras
        trainer, task = self.trainer, self._task
        steps = task.steps_before + trainer.step
        info = describe(trainer.targets.first, task.mdp, task.robot, cameras, steps)
        for name in names:
            save_checkpoint(self._weights / name, trainer.targets.first, info)
        if self._config.updaters:
            publish_targets(self._config.out / TARGETS_FILE, trainer.targets)

    def on_checkpoint(self, trainer: Trainer) -> None:
        """Keep the weights of this step."""
        if self._offline.cameras or self._online.cameras:
            self.publish(STEP.format(trainer.step), NEWEST)

    def on_step(self, trainer: Trainer, run: Run) -> None:
        """Publish weights, start and watch the crew, take in what the actors have played."""
        online = self._config.online
        if trainer.step % online.publish_every == 0:
            self.publish(NEWEST)
        if online.actors and not self._acting and trainer.step >= online.start:
            self.publish(NEWEST)
            self.crew.add(actor_crew(self._actor_config(), online.actors))
            self._acting = True
        if trainer.step % online.intake_every == 0:
            for line in self.crew.watch():
                self._console.print(f"[yellow]{line}[/]")
            with self._ranks.others_wait():
                if self._acting or online.bags:
                    self._take_own()
            self._report(trainer.step, run)
        if trainer.step % self._config.train.checkpoint_every == 0:
            self._ranks.require_same(trainer.network)
            watch, step = self._watch, trainer.step
            for line in (*watch.films(run.metrics, step), *watch.evaluations(run.metrics, step)):
                self._console.print(f"[yellow]{line}[/]", soft_wrap=True)

    def _take_own(self, at_start: bool = False) -> None:
        """Take in what actors and collectors have played since; with a bar of its own `at_start` alone."""
        bags = [bag for folder in self._config.online.bags for bag in closed_bags(folder)]
        paths = [self._episodes, *bags]
        if at_start:
            take_many(self._online, paths, self._console, "reading own episodes")
        else:
            self._online.take_all(paths)
        self._name_refused(self._online)

    def _actor_config(self) -> ActorConfig:
        config, online = self._config, self._config.online
        return ActorConfig(
            store=self._episodes,
            prefix="own",
            policy="cem",
            weights=self._weights / NEWEST,
            epsilon=online.epsilon,
            noise=online.noise,
            explore=online.explore,
            again=online.again,
            first_seed=ONLINE_SEEDS * (1 + config.train.seed % 10),
            per_shard=online.per_shard,
            camera=config.camera,
            mdp=config.mdp,
            benchmark=config.benchmark,
        )

    def _report(self, step: int, run: Run) -> None:
        self._outcomes.extend(self._online.outcomes)
        self._online.outcomes.clear()
        if len(self._outcomes) >= REPORT_EPISODES:
            run.metrics.write(step, success_rates(self._outcomes))
            self._outcomes.clear()


def trained_weights(folder: Path) -> Path | None:
    """Return the newest of a run's weights that a gradient step of the run has changed, None without any.

    A run that was killed before its first state leaves those of step 0 alone, whose steps are those of what
    it started from (--start-from).
    """
    first, newest = folder / STEP.format(0), folder / NEWEST
    if newest.exists() and read_info(newest).steps > (read_info(first).steps if first.exists() else 0):
        return newest
    return max((path for path in folder.glob("step-*.safetensors") if path != first), default=None)


def success_rates(outcomes: Sequence[EpisodeInfo]) -> dict[str, float]:
    """Return the success rate and the number of episodes by policy."""
    values: dict[str, float] = {}
    for policy in sorted({info.policy for info in outcomes}):
        own = [info for info in outcomes if info.policy == policy]
        values[f"success/{policy}"] = sum(bool(info.success) for info in own) / len(own)
        values[f"episodes/{policy}"] = float(len(own))
    return values
