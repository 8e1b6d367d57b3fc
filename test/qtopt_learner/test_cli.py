"""The command line as a user meets it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rosbags.rosbag2 import StoragePlugin

from qtopt_learner import cli, cli_config
from support.episodes import make_episode, write_sample
from support.ros_recordings import record, session

LEARNING = ("train", "collect-sim", "cycle")
COMMANDS = ("demo", "collect", "evaluate", "bags", "doctor", "security")
BAG_COMMANDS = ("info", "check", "repair", "import", "report", "convert")


def run(*arguments: str) -> int:
    return cli.main(arguments)


@pytest.mark.parametrize(
    "arguments", [(), *((name,) for name in (*COMMANDS, *LEARNING)), *(("bags", n) for n in BAG_COMMANDS)]
)
def test_help_explains_itself(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments, "--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert " ".join(["usage: qtopt", *arguments]) in " ".join(text.split())


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    text = capsys.readouterr().out
    assert all(name in text for name in (*COMMANDS, *LEARNING))


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    script = "import sys, qtopt_learner.cli; print({'torch', 'mujoco', 'rclpy'} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_security_prints_the_policy_of_a_robot(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("security", "--robot", "config/robots/fr3.yaml", "--namespace", "left") == 0
    text = capsys.readouterr().out
    assert "<action>franka_gripper/gripper_action</action>" in text
    assert '<enclave path="/qtopt_grasping/left/guard_node">' in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("evaluate", "--policies", "nope"), "unknown policy 'nope'. Valid choices: cem, oracle"),
        (("evaluate", "--episodes", "0"), "episodes 0: must be above 0"),
        (("evaluate", "--epsilon", "2"), "epsilon 2.0: must be in [0, 1]"),
        (("evaluate", "--policies", "random", "random"), "name each one once"),
        (("bags", "info", "/does/not/exist"), "/does/not/exist: does not exist"),
        (("bags", "check"), "at least one bag"),
    ],
)
def test_an_error_of_ours_is_one_line_and_status_2(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    text = capsys.readouterr().err
    assert told in text
    assert text.startswith("qtopt: ")
    assert text.count("\n") == 1


def test_ctrl_c_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(command: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupt)
    assert run("doctor") == 130


def test_bags_info_shows_every_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        write_sample(tmp_path, f"episode_{number:06d}", seed=number)
    assert run("bags", "info", str(tmp_path)) == 0
    text = capsys.readouterr().out
    assert "episode_000001" in text
    assert "episode_000002" in text
    assert "success" in text


def test_bags_info_names_what_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_sample(tmp_path)
    (bag / "metadata.yaml").unlink()
    assert run("bags", "info", str(tmp_path)) == 1
    assert "unreadable" in capsys.readouterr().out


def test_bags_check_accepts_whole_bags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sample(tmp_path)
    assert run("bags", "check", str(tmp_path)) == 0
    assert "1 of 1 bags are whole" in capsys.readouterr().out


def test_bags_check_finds_a_torn_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sample(tmp_path, "episode_000001")
    torn = write_sample(tmp_path, "episode_000002")
    file = torn / "episode_000002.mcap"
    file.write_bytes(file.read_bytes()[:-2000])
    assert run("bags", "check", str(tmp_path)) == 1
    text = capsys.readouterr().out
    assert "1 of 2 bags are whole" in text
    assert str(file) in text.replace("\n", "")


def test_bags_repair_mends_a_torn_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_sample(tmp_path)
    (bag / "metadata.yaml").unlink()
    assert run("bags", "repair", str(tmp_path)) == 0
    assert run("bags", "check", str(tmp_path)) == 0


def test_bags_import_reads_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = record(tmp_path / "recorded", session(make_episode()), StoragePlugin.SQLITE3)
    assert run("bags", "import", str(source), "--out", str(tmp_path / "bags")) == 0
    assert "1 of 1 episodes imported" in capsys.readouterr().out
    assert run("bags", "check", str(tmp_path / "bags")) == 0


def test_bags_import_takes_the_robot_of_a_namespace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signals = [
        replace(signal, topic=f"{space}{signal.topic}")
        for space, name in (("left/", "of_left"), ("", "of_none"))
        for signal in session(make_episode(name))
    ]
    source = str(record(tmp_path / "recorded", signals))
    assert run("bags", "import", source, "--out", str(tmp_path / "bags")) == 2
    assert "several namespaces, choose one (--namespace): /, /left/" in capsys.readouterr().err
    for space, name in (("left", "of_left"), ("/", "of_none")):
        out = tmp_path / name
        assert run("bags", "import", source, "--out", str(out), "--namespace", space) == 0
        assert [entry.name for entry in out.iterdir()] == [name]


def test_bags_report_writes_one_file(tmp_path: Path) -> None:
    write_sample(tmp_path / "bags")
    out = tmp_path / "report.html"
    assert run("bags", "report", str(tmp_path / "bags"), "--out", str(out)) == 0
    assert "<html" in out.read_text()


def test_defaults_are_valid() -> None:
    cli_config.DemoConfig()
    cli_config.CollectConfig()
    cli_config.EvaluateConfig()
