"""The loop of a training run: steps, numbers, checkpoints, and going on after a stop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from qtopt_learner.metrics import Averages, Metrics
from qtopt_learner.run_state import latest_state, load_state, save_state
from qtopt_learner.stopping import stops_between
from qtopt_learner.trainer import Trainer
from qtopt_learner.updater import labels_beside

STATE_FOLDER = "state"
# Called between steps with the trainer; whatever it does must not change the weights.
Hook = Callable[[Trainer], None]
# Called with the step and its numbers whenever they are written.
LogHook = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class _Mark:
    """Where a run was: time [s], gradient steps, and labels made by all its processes."""

    seconds: float
    step: int
    labels: int


class Run:
    """A training run in a folder; starting it again goes on at its last checkpoint.

    Args:
        folder: of the run.
        trainer: fresh, with its experience.
        on_step: called after every gradient step (new episodes, evaluations).
        on_checkpoint: called at every checkpoint before the state is saved, e.g. to publish weights.
        on_log: called with the numbers that are written.

    Raises:
        CheckpointError: the folder's checkpoint does not fit; nothing is started anew in its place.
    """

    def __init__(
        self,
        folder: Path,
        trainer: Trainer,
        on_step: Hook | None = None,
        on_checkpoint: Hook | None = None,
        on_log: LogHook | None = None,
    ) -> None:
        self._trainer = trainer
        self._folder = folder
        self._states = folder / STATE_FOLDER
        self._on_step = on_step
        self._on_checkpoint = on_checkpoint
        self._on_log = on_log
        self._fix_numerics()
        state = latest_state(self._states)
        if state is not None:
            load_state(state, trainer)
        self.metrics = Metrics(folder, trainer.step)

    def _fix_numerics(self) -> None:
        config = self._trainer.config
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.use_deterministic_algorithms(config.deterministic)

    def go(self, alone: bool = True) -> None:
        """Train to the last step; a checkpoint is written at its end.

        Args:
            alone: False for one of several ranks. It must not stop between steps by itself, since the others
                would wait for its gradient: signals stay what they were.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; unless there were two, a checkpoint of the step at which
                the run was has been written.
        """
        trainer, config = self._trainer, self._trainer.config
        trainer.start()
        if trainer.step == 0:
            self._checkpoint()
        saved, averages, mark = trainer.step, Averages(), self._mark()
        with stops_between(answered=alone) as stopped:
            while trainer.step < config.steps and not stopped():
                averages.add(trainer.advance())
                if trainer.step % config.log_every == 0:
                    before, mark = mark, self._mark()
                    self._log(averages.take() | self._rates(before, mark))
                if self._on_step is not None:
                    self._on_step(trainer)
                if trainer.step % config.checkpoint_every == 0:
                    self._checkpoint()
                    saved = trainer.step
            if saved != trainer.step:
                self._checkpoint()
            self.metrics.close()
        if stopped():
            raise KeyboardInterrupt(f"stopped after step {trainer.step}; the same command goes on there")

    def _log(self, values: dict[str, float]) -> None:
        step = self._trainer.step
        self.metrics.write(step, values)
        for name, batch in self._trainer.last.items():
            if batch.numel():
                self.metrics.histogram(step, f"{name}_values", batch)
        if self._on_log is not None:
            self._on_log(step, values)

    def _mark(self) -> _Mark:
        trainer = self._trainer
        return _Mark(time.monotonic(), trainer.step, trainer.labels_made + labels_beside(self._folder))

    def _rates(self, before: _Mark, now: _Mark) -> dict[str, float]:
        trainer = self._trainer
        elapsed = max(now.seconds - before.seconds, 1e-9)
        steps, labels = now.step - before.step, now.labels - before.labels
        sizes = {f"rows_{name}": float(len(r)) for name, r in trainer.experience.replays().items()}
        return sizes | {
            "steps_per_second": steps / elapsed,
            "labels_per_second": labels / elapsed,
            "relabel_ratio": labels / (steps * trainer.config.batch),
            "learning_rate": float(trainer.optimiser.param_groups[0]["lr"]),
        }

    def _checkpoint(self) -> None:
        if self._on_checkpoint is not None:
            self._on_checkpoint(self._trainer)
        save_state(self._states, self._trainer)
