"""`qtopt cycle`: from the first scripted episode to a policy that learns from its own (1806.10293, 5).

    collect   episodes of the scripted policy; in later rounds of the learned one, once it leads
    train     offline, then further, with the run's own episodes mixed in by its ramp (mixture.py)
    measure   both policies on the same scenes
    decide    who collects next, and whether these are the best weights so far

Every stage is a command's own function. When one has ended, its numbers go to cycle.jsonl, and the same
command started again goes on with the first stage that has not: collections and training where they were,
a measurement from its beginning.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from grasp_bringup.sim.benchmark import load_benchmark
from qtopt_collector.report.score import EpisodeResult, Rate, score
from qtopt_learner.cycle_config import FREE, CycleConfig
from qtopt_learner.cycle_journal import Entry, Journal
from qtopt_learner.cycle_sources import PolicyName, Source, Wanted, make_source
from qtopt_learner.evaluate_results import rate_values
from qtopt_learner.metrics import Metrics
from qtopt_learner.run_config import RunConfig
from qtopt_learner.train import train
from qtopt_learner.watch import Watch
from qtopt_policy.checkpoint import load_checkpoint, read_info, save_checkpoint
from qtopt_policy.checkpoint_info import EvaluationRecord
from qtopt_policy.config import to_mapping
from qtopt_policy.errors import ConfigError

JOURNAL, CONFIG = "cycle.jsonl", "cycle.json"
COLUMNS = ("round", "collected by", "episodes", "success", "steps", "scripted", "learned [95 %]", "next")


class Cycle:
    """One cycle in its folder.

    Args:
        config: of the cycle.
        console: for progress.
        source: of episodes; by default the one that the config names.

    Raises:
        ConfigError: the folder holds a cycle that was told something else.
    """

    def __init__(self, config: CycleConfig, console: Console, source: Source | None = None) -> None:
        self._config = config
        self._console = console
        self._source = make_source(config, console) if source is None else source
        check_config(config)
        self.journal = Journal(config.out / JOURNAL)

    def run(self) -> Path:
        """Do what has not been done; return the best weights.

        Raises:
            KeyboardInterrupt: Ctrl-C; started again, the cycle goes on.
            WaitingError: people must collect episodes first.
            Whatever a stage raises.
        """
        for number in range(self._config.rounds + 1):
            self._stage("collect", number, self._collect)
            self._stage("train", number, self._train)
            if number == 0:
                self._stage("measure scripted", number, self._measure_scripted)
            self._stage("measure", number, self._measure)
            self._stage("decide", number, self._decide)
        self._console.print(cycle_table(self.journal))
        return self._config.best

    def _stage(self, name: str, number: int, work: Callable[[int], Entry]) -> None:
        if self.journal.find(name, number) is not None:
            return
        self._console.rule(f"round {number} of {self._config.rounds}: {name}")
        start = time.monotonic()
        numbers = work(number)
        self.journal.add(name, number, numbers | {"seconds": round(time.monotonic() - start, 1)})

    def _noted(self, name: str, number: int) -> Entry:
        entry = self.journal.find(name, number)
        assert entry is not None, f"{name} of round {number} comes first"
        return entry

    # ---- stages

    def _measure_scripted(self, number: int) -> Entry:
        return self._measured("scripted", None, self._config.out / "evaluation-scripted.json")

    def _collect(self, number: int) -> Entry:
        config = self._config
        policy: PolicyName = "scripted" if number == 0 else self._noted("decide", number - 1)["next"]
        learned = policy == "cem"
        earlier = [e for e in self.journal.entries if e["stage"] == "collect" and e["policy"] == policy]
        wanted = Wanted(
            policy=policy,
            weights=config.weights(number - 1) if learned else None,
            folder=config.own if learned else config.offline,
            number=number,
            episodes=config.scripted if number == 0 else config.more,
            before=sum(entry["episodes"] for entry in earlier),
        )
        found = self._source.collect(wanted)
        won = [bool(info.success) for info in found if not info.aborted]
        return {"policy": policy, "episodes": len(found), **rate_values(Rate(sum(won), len(won)))}

    def _train(self, number: int) -> Entry:
        config = self._config
        steps = config.steps(number)
        train(
            RunConfig(
                out=config.run,
                data=(config.offline,),
                train=replace(config.train, steps=steps),
                robot=config.robot,
                mdp=config.mdp,
                benchmark=config.benchmark,
                camera=config.camera,
            ),
            self._console,
        )
        return {"steps": steps, "weights": str(config.weights(number))}

    def _measure(self, number: int) -> Entry:
        out = self._config.run / f"evaluation-r{number}.json"
        entry = self._measured("cem", self._config.weights(number), out)
        self._show_evaluation(self._config.steps(number))
        return entry

    def _show_evaluation(self, step: int) -> None:
        """Bring the evaluation into the run's curves now: after the last round no training does."""
        metrics = Metrics(self._config.run, step)
        for line in Watch(self._config.run).evaluations(metrics, step):
            self._console.print(f"[yellow]{line}[/]")
        metrics.close()

    def _measured(self, policy: PolicyName, weights: Path | None, out: Path) -> Entry:
        out.parent.mkdir(parents=True, exist_ok=True)
        results = self._source.measure(policy, weights, out)
        return {"policy": policy, "file": str(out), **rate_values(success(policy, results))}

    def _decide(self, number: int) -> Entry:
        """Compare the two policies; keep the weights if none before did better."""
        scripted, learned = (
            Rate(entry["successes"], entry["trials"])
            for entry in (self._noted("measure scripted", 0), self._noted("measure", number))
        )
        ahead = leads(learned, scripted)
        reason = (
            f"the lower end of the learned policy's interval, {learned.interval[0]:.3f}, is "
            f"{'above' if ahead else 'not above'} the scripted policy's rate, {scripted.value:.3f}"
        )
        self._console.print(reason, soft_wrap=True)
        return {
            "scripted": rate_values(scripted),
            "learned": rate_values(learned),
            "next": "cem" if ahead else "scripted",
            "reason": reason,
            "best": self._keep_best(number, learned),
        }

    def _keep_best(self, number: int, learned: Rate) -> bool:
        config = self._config
        checkpoint = load_checkpoint(config.weights(number))
        scenes = "robot" if config.through == "robot" else config.split
        digest = load_benchmark(config.benchmark).digest
        record = EvaluationRecord(digest, scenes, learned.successes, learned.trials)
        before = read_info(config.best).evaluation if config.best.exists() else None
        if not record.beats(before):
            return False
        save_checkpoint(config.best, checkpoint.network, replace(checkpoint.info, evaluation=record))
        return True


def leads(learned: Rate, scripted: Rate) -> bool:
    """Return whether the learned policy collects from now on: the rule of the plan `auto` (switching.py)."""
    return learned.interval[0] > scripted.value


def success(policy: str, results: Sequence[EpisodeResult]) -> Rate:
    """Return the rate of success by ground truth, where there is none as judged."""
    found = score(policy, results)
    return found.truth if found.truth.trials else found.judged


def check_config(config: CycleConfig) -> None:
    """Write what a cycle was told, or compare with what is there.

    Raises:
        ConfigError: something differs that must not.
    """
    path, told = config.out / CONFIG, to_mapping(config)
    if path.exists():
        before = json.loads(path.read_text())
        for key in sorted((told.keys() | before.keys()) - {*FREE, "out"}):
            if told.get(key) != before.get(key):
                raise ConfigError(
                    f"{path}: '{key}' was {before.get(key)}, now it is {told.get(key)}. "
                    f"Only these may change: {', '.join(FREE)}"
                )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n")


def cycle_table(journal: Journal) -> Table:
    """Return one row per round that has ended."""
    table = Table(title="cycle", box=SIMPLE_HEAD)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for decision in (entry for entry in journal.entries if entry["stage"] == "decide"):
        number = decision["round"]
        collected, trained = journal.find("collect", number), journal.find("train", number)
        assert collected is not None
        assert trained is not None
        table.add_row(
            str(number),
            collected["policy"],
            str(collected["episodes"]),
            text(collected),
            str(trained["steps"]),
            text(decision["scripted"]),
            text(decision["learned"]),
            decision["next"] + (" (best)" if decision["best"] else ""),
        )
    return table


def text(entry: Entry) -> str:
    """Return a rate of the journal for people."""
    return str(Rate(entry["successes"], entry["trials"]))
