"""`qtopt demo`: the whole ROS graph for some episodes, then a table, the bags and a report."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from grasp_bringup.run import NodeDiedError
from grasp_bringup.sim.benchmark import load_benchmark
from grasp_bringup.system import SystemOptions, next_seed
from qtopt_collector.report.source import Report, write_report
from qtopt_collector.switching import AUTO, EVERY, TURNS
from qtopt_learner.bag_watch import ClosedBag
from qtopt_learner.cli_config import DemoConfig
from qtopt_learner.collect import now
from qtopt_learner.demo_tables import bag_line, policy_table, speed_line, topic_table
from qtopt_learner.graph_run import GraphProgress, run_graph
from qtopt_learner.shipped import shipped_policy
from qtopt_learner.untrained import save_untrained

TRAINED = (
    "The learned policy {weights} (cem) and the scripted one take turns, on objects of the {split} families."
)
UNTRAINED = (
    "No trained checkpoint ships for the {camera} camera. The scripted policy runs most episodes; every "
    "{every}th one is run by a network with random weights (cem), which nobody has trained and which is "
    "expected to fail."
)


def run(config: DemoConfig) -> int:
    """Run the demo; return 0, 1 if something died or no episode came, 130 after Ctrl-C."""
    console = Console()
    out = (config.out or Path("out") / f"demo-{now()}").absolute()
    bags, logs, html = out / "bags", out / "logs", out / "report.html"
    options, note = demo_options(config, out)
    console.print(f"[bold]qtopt demo[/]: {config.episodes} episodes over ROS 2, in simulation. {note}\n")
    collected: list[ClosedBag] = []
    status, trouble = grasp(config, options, logs, collected, console)
    if collected:
        first = options.first_seed
        title = f"qtopt demo, {config.split} scenes {first} to {first + config.episodes - 1}"
        show(write_report([bags], html, title, load_benchmark().robot, [note]), console)
        console.print(f"report  {html}", soft_wrap=True, highlight=False)
        console.print(f"bags    {bags}", soft_wrap=True, highlight=False)
    console.print(f"logs    {logs}", soft_wrap=True, highlight=False)
    if trouble:
        console.print(f"[{'red' if status == 1 else 'yellow'}]{escape(trouble)}[/]", soft_wrap=True)
    return status


def grasp(
    config: DemoConfig, options: SystemOptions, logs: Path, collected: list[ClosedBag], console: Console
) -> tuple[int, str]:
    """Run the graph with live progress, adding to `collected`; return the exit status and what went wrong."""
    try:
        with GraphProgress(console, config.episodes, "grasping") as progress:
            done = run_graph(options, logs, progress.showing(collected.append), config.deadline)
    except NodeDiedError as error:
        return 1, str(error)
    except KeyboardInterrupt:
        return 130, "stopped by Ctrl-C"
    if done:
        return 0, ""
    count = f"{len(collected)} of {config.episodes} episodes"
    return 0 if collected else 1, f"stopped after {config.deadline:.0f} s with {count}"


def demo_options(config: DemoConfig, out: Path) -> tuple[SystemOptions, str]:
    """Return what is to run, and a sentence on it; without weights an untrained network goes into `out`."""
    benchmark = load_benchmark()
    bags = out / "bags"
    checkpoint = config.checkpoint or shipped_policy(config.camera)
    trained = checkpoint is not None
    if checkpoint is None:
        checkpoint = out / "untrained.safetensors"
        save_untrained(checkpoint, benchmark.robot, benchmark.mdp, config.camera, seed=0)
    weights = f"{checkpoint.parent.name}/{checkpoint.name}"
    note = TRAINED.format(weights=weights, split=config.split)
    options = SystemOptions(
        system="sim",
        camera=config.camera,
        policy=TURNS if trained else AUTO,
        checkpoint=checkpoint,
        allow_untrained=not trained,
        bags=bags,
        episodes=config.episodes,
        split=config.split,
        seed=next_seed(bags) if config.seed is None else config.seed,
        rtf=config.real_time_factor,
        benchmark=benchmark.digest,
    )
    return options, note if trained else UNTRAINED.format(camera=config.camera, every=EVERY)


def show(report: Report, console: Console) -> None:
    """Print the numbers of a report."""
    console.print()
    console.print(policy_table(report.recordings))
    console.print(topic_table(report.recordings))
    console.print(f"{bag_line(report.recordings)}\n{speed_line(report.recordings)}\n", highlight=False)
    for reason in report.refused:
        console.print(f"[red]left out[/] {escape(reason)}", soft_wrap=True)
