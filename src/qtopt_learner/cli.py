"""The command line: `qtopt demo | collect | evaluate | compare | scenario | bags | report | ...`."""

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro
from tyro import conf

from qtopt_learner import cli_config, scenario_config
from qtopt_policy.errors import QtoptError

Command = (
    Annotated[cli_config.DemoConfig, conf.subcommand("demo")]
    | Annotated[cli_config.CollectConfig, conf.subcommand("collect")]
    | Annotated[cli_config.EvaluateConfig, conf.subcommand("evaluate")]
    | Annotated[cli_config.CompareConfig, conf.subcommand("compare")]
    | Annotated[scenario_config.ScenarioRunConfig, conf.subcommand("scenario")]
    | Annotated[cli_config.Bags, conf.subcommand("bags")]
    | Annotated[cli_config.DoctorConfig, conf.subcommand("doctor")]
    | Annotated[cli_config.CalibrateConfig, conf.subcommand("calibrate")]
    | Annotated[cli_config.SecurityConfig, conf.subcommand("security")]
    | Annotated[cli_config.ReportConfig, conf.subcommand("report")]
)
# Have a parser of their own, because their parameters can only be named by importing torch.
LEARNING = ("train", "collect-sim", "cycle")
DESCRIPTION = (
    "Closed-loop vision-based grasping that learns from its own bags (QT-Opt) for ROS 2. Learning in "
    "simulation has its own help: `qtopt train --help`, `qtopt collect-sim --help`, `qtopt cycle --help`."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return the exit status: 0 done, 1 found wanting, 2 an error of ours, 130 Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in LEARNING:
        from qtopt_learner import cli_train

        return cli_train.main(words)
    try:
        return _run(tyro.cli(Command, prog="qtopt", description=DESCRIPTION, args=words))
    except QtoptError as error:
        sys.stderr.write(f"qtopt: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _run(command: object) -> int:
    # Imported only when asked for: torch, MuJoCo and rclpy take seconds.
    if isinstance(command, cli_config.DemoConfig):
        from qtopt_learner import demo

        return demo.run(command)
    if isinstance(command, cli_config.CollectConfig):
        from qtopt_learner import collect

        return collect.run(command)
    if isinstance(command, cli_config.EvaluateConfig):
        from qtopt_learner import evaluate

        return evaluate.run(command)
    if isinstance(command, cli_config.CompareConfig):
        from qtopt_learner import compare

        return compare.run(command)
    if isinstance(command, scenario_config.ScenarioRunConfig):
        from qtopt_learner import scenario

        return scenario.run(command)
    if isinstance(command, cli_config.Bags):
        from qtopt_learner import cli_bags

        return cli_bags.run(command.command)
    if isinstance(command, cli_config.ReportConfig):
        from qtopt_learner.report import command as report

        return report.run(command)
    if isinstance(command, cli_config.CalibrateConfig):
        return _calibrate(command)
    if isinstance(command, cli_config.SecurityConfig):
        return _security(command)
    assert isinstance(command, cli_config.DoctorConfig)
    return _doctor(command)


def _calibrate(config: cli_config.CalibrateConfig) -> int:
    from grasp_bringup import calibrate
    from grasp_bringup.charuco import Board

    board = Board(config.columns, config.rows, config.square, config.marker, config.dictionary)
    if config.folder is None:
        assert config.draw_board is not None
        calibrate.draw_board(board, config.draw_board)
        return 0
    options = calibrate.CalibrateOptions(config.folder, config.robot, config.camera, board)
    return calibrate.run(options)


def _security(config: cli_config.SecurityConfig) -> int:
    from grasp_bringup.security.policy import policy_text
    from grasp_bringup.system import SystemOptions

    options = SystemOptions(
        system=config.system,
        robot=config.robot,
        arm=config.arm,
        camera=config.camera,
        dead_man=config.dead_man,
        headless=not config.window,
        namespace=config.namespace,
    )
    sys.stdout.write(policy_text(options))
    return 0


def _doctor(config: cli_config.DoctorConfig) -> int:
    if config.robot is None:
        from grasp_bringup import doctor

        return doctor.main()
    from grasp_bringup import robot_doctor

    options = robot_doctor.DoctorOptions(
        config.camera,
        config.checkpoint,
        config.mdp,
        config.seconds,
        config.gripper,
        config.picture,
        config.one_machine,
        config.namespace,
    )
    return robot_doctor.run(config.robot, options)


if __name__ == "__main__":
    sys.exit(main())
