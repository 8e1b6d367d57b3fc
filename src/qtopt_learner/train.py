"""Training in simulation or from bags, with a progress bar: offline data, actors beside the learner.

`torchrun --nproc-per-node N -m qtopt_learner.cli_train train ...` trains one network on N GPUs (ranks.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qtopt_learner.learner import NEWEST, Learner
from qtopt_learner.ranks import Ranks, joined
from qtopt_learner.ranks_run import follow, of_several
from qtopt_learner.run import LogHook, Run
from qtopt_learner.run_config import RunConfig
from qtopt_learner.trainer import Trainer

COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(bar_width=20),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
    TextColumn("{task.fields[numbers]}"),
)


def train(config: RunConfig, console: Console | None = None) -> Path:
    """Train, from the start or from where the run was; return the path of the weights.

    Raises:
        ConfigError: the configuration or the data cannot be used.
        CheckpointError: the folder holds a run that this one cannot go on with.
        KeyboardInterrupt: see Run.go; actors and updaters have ended by then.
    """
    with joined(config.train.device) as ranks:
        if ranks.count > 1:
            config = of_several(config, ranks)
        if ranks.rank == 0:
            _learn(config, console or Console(), ranks)
        else:
            follow(config, ranks)
    return config.out / "weights" / NEWEST


def _learn(config: RunConfig, console: Console, ranks: Ranks) -> None:
    with ranks.others_wait():
        learner = Learner(config, console, ranks)
    run: Run

    def on_step(trainer: Trainer) -> None:
        learner.on_step(trainer, run)

    try:
        with training_progress(console, config.train.steps) as on_log:
            run = Run(config.out, learner.trainer, on_step, learner.on_checkpoint, on_log)
            learner.start()
            run.go(alone=ranks.count == 1)
    finally:
        learner.stop()


@contextmanager
def training_progress(console: Console, steps: int) -> Iterator[LogHook]:
    """Show how far a run of `steps` gradient steps is; yields what Run is to call with its numbers.

    Where the run was stopped is a line of its own, before actors and updaters take their time to end.
    """
    with Progress(*COLUMNS, console=console) as progress:
        task = progress.add_task("training", total=steps, numbers="")
        try:
            yield lambda step, values: progress.update(task, completed=step, numbers=_line(values))
        except KeyboardInterrupt as stop:
            if stop.args:  # of Run.go
                console.print(str(stop), soft_wrap=True, highlight=False)
            raise


def _line(values: dict[str, float]) -> str:
    rows = values["rows_offline"] + values["rows_online"]
    return (
        f"loss {values['loss']:.3f} q {values['q']:.3f} error {values['td_error']:.3f} "
        f"own {values['online_share']:.0%} of {rows:.0f} rows, {values['steps_per_second']:.1f} steps/s"
    )
