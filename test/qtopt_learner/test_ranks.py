import os
import subprocess
import sys
from pathlib import Path

import pytest

from qtopt_learner.metrics import CSV_FILE, read_metrics
from qtopt_learner.ranks import ALONE, Ranks, require_alone
from qtopt_policy.checkpoint import load_checkpoint
from qtopt_policy.errors import ConfigError
from support.recordings import make_store

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
CHILD = """
import sys
from pathlib import Path

import torch
from qtopt_learner.ranks import RanksError, joined

with joined("cpu") as ranks:
    layer = torch.nn.Linear(2, 1, bias=False)
    torch.optim.AdamW(layer.parameters())
    with torch.no_grad():
        layer.weight.fill_(1.0)
    layer(torch.full((1, 2), float(ranks.rank + 1))).sum().backward()
    ranks.average(layer.parameters())
    ranks.require_same(layer)
    found = f"gradient {layer.weight.grad.tolist()}"
    if ranks.rank == 1:
        with torch.no_grad():
            layer.weight[0, 0] = 2.0
    try:
        ranks.require_same(layer)
    except RanksError as error:
        found += f", refused: {error}"
names = [task.joinpath("comm").read_text() for task in Path("/proc/self/task").iterdir()]
assert not [name for name in names if "gloo" in name], names
Path(sys.argv[1], str(ranks.rank)).write_text(found)
"""


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*TORCHRUN, *arguments], capture_output=True, text=True, timeout=150, env=env)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_store(tmp_path / "data", 4)


def options(tmp_path: Path, data: Path, steps: int) -> list[str]:
    words = ["-m", "qtopt_learner.cli_train", "train", "--out", str(tmp_path / "run"), "--data", str(data)]
    words += ["--train.steps", str(steps), "--train.batch", "4", "--train.replay-gb", "0.01"]
    words += ["--train.threads", "1", "--train.checkpoint-every", "2", "--train.log-every", "1"]
    return [*words, "--online.intake-every", "2"]


def test_gradients_are_averaged_weights_that_differ_are_refused_and_no_thread_is_left(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    done = torchrun(str(script), str(tmp_path))
    assert done.returncode == 0, done.stderr
    for rank in ("0", "1"):
        found = (tmp_path / rank).read_text()
        assert found.startswith("gradient [[1.5, 1.5]], refused: rank 1 has other weights than rank 0: ")


def test_two_ranks_train_one_network_and_go_on_after_a_stop(tmp_path: Path, data: Path) -> None:
    for steps in (4, 8):
        done = torchrun(*options(tmp_path, data, steps))
        assert done.returncode == 0, done.stderr
        assert load_checkpoint(tmp_path / "run" / "weights" / "newest.safetensors").info.steps == steps
    found = [row for row in read_metrics(tmp_path / "run" / CSV_FILE) if row["name"] == "loss"]
    assert [int(row["step"]) for row in found] == list(range(1, 9))


def test_labels_from_the_cache_need_a_single_process(tmp_path: Path, data: Path) -> None:
    done = torchrun(*options(tmp_path, data, 4), "--train.labels.no-fresh")
    assert done.returncode != 0
    assert "2 ranks, deterministic False, 0 updaters, labels of kind bellman, fresh False" in done.stderr


def test_a_process_that_torchrun_did_not_start_is_alone() -> None:
    assert Ranks.of_environment({}) is ALONE
    found = Ranks.of_environment({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"})
    assert found == Ranks(5, 8, 1)
    assert found.device("cuda") == "cuda:1"
    assert found.device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="'LOCAL_RANK': None"):
        Ranks.of_environment({"RANK": "0", "WORLD_SIZE": "2"})


def test_training_on_an_environment_takes_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    require_alone()
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="2 ranks: only qtopt train without --env"):
        require_alone()
