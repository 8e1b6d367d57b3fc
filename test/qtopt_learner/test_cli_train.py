from pathlib import Path

import pytest

from qtopt_learner.cli_train import main
from qtopt_learner.store import StoreWriter
from qtopt_policy.checkpoint import load_checkpoint
from support.recordings import recording


def test_training_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StoreWriter(tmp_path / "data", "a") as writer:
        for seed in range(3):
            writer.append(recording(f"e{seed}", seed=seed, count=6).episode)
    options = ["--out", str(tmp_path / "run"), "--data", str(tmp_path / "data"), "--train.steps", "3"]
    options += ["--train.batch", "4", "--train.first-labels", "4", "--train.replay-gb", "0.01"]
    options += ["--train.labels.block", "4", "--train.threads", "1"]
    assert main(["train", *options]) == 0
    assert f"weights: {tmp_path}" in capsys.readouterr().out.replace("\n", "")
    assert load_checkpoint(tmp_path / "run" / "weights" / "newest.safetensors").info.steps == 3


def test_an_error_of_ours_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path / "run"), "--data", str(tmp_path / "missing")]
    assert main(["train", *options]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_help_explains_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--help"])
    assert ended.value.code == 0
    assert "minimum over both targets" in " ".join(capsys.readouterr().out.replace("│", "").split())
