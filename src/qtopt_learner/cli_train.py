"""`train`, `collect-sim` and `cycle`: learning from the command line.

Apart from cli.py, whose help must not wait for torch: `python -m qtopt_learner.cli_train --help`.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro
from rich.console import Console
from tyro import conf

from qtopt_learner.collect_sim import CollectSimConfig, collect_sim
from qtopt_learner.cycle import Cycle
from qtopt_learner.cycle_config import CycleConfig
from qtopt_learner.envs.env_config import EnvRunConfig
from qtopt_learner.envs.train_env import NEWEST, train_env
from qtopt_learner.ranks import require_alone
from qtopt_learner.recipe import expand
from qtopt_learner.run_config import RunConfig
from qtopt_learner.train import train
from qtopt_policy.errors import QtoptError

TRAIN = (
    "Train to grasp, from bags, stores and own episodes. --recipe scratch, bags or a file like those in "
    "config/recipes gives settings that belong together; flags beside it win. For any Gymnasium environment: "
    "`qtopt train --env ID --help`."
)
CYCLE = (
    "Collect, train, measure, and collect with the learned policy once it leads; goes on where it was. "
    "--recipe FILE gives other settings of training."
)
Command = (
    Annotated[RunConfig, conf.subcommand("train", description=TRAIN)]
    | Annotated[
        EnvRunConfig,
        conf.subcommand("train-env", description="Train on any Gymnasium environment: qtopt train --env ID"),
    ]
    | Annotated[
        CollectSimConfig,
        conf.subcommand("collect-sim", description="Fill an episode store from GraspEnv, without ROS."),
    ]
    | Annotated[CycleConfig, conf.subcommand("cycle", description=CYCLE)]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return the exit status: 0 done, 2 an error of ours, 130 Ctrl-C or SIGTERM."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["train"] and any(word.split("=")[0] == "--env" for word in words):
        words[0] = "train-env"
    try:
        words = expand(words) if words[:1] in (["train"], ["cycle"]) else words
        command = tyro.cli(Command, prog="qtopt", args=words)
        if isinstance(command, RunConfig):
            print(f"weights: {train(command)}")
        elif isinstance(command, EnvRunConfig):
            require_alone()
            train_env(command)
            print(f"weights: {command.out / 'weights' / NEWEST}")
        elif isinstance(command, CycleConfig):
            print(f"weights: {Cycle(command, Console()).run()}")
        else:
            collect_sim(command)
        return 0
    except QtoptError as error:
        sys.stderr.write(f"qtopt: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
