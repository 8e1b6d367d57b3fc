from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtopt_collector.bags.convert import write_episode
from qtopt_collector.episode import Episode
from qtopt_learner.intake import Intake, find_sources, widens
from qtopt_learner.replay import Replay
from qtopt_learner.rows import Layout, Rows
from qtopt_learner.store import SUFFIX, StoreWriter, write_shard
from qtopt_policy.camera import CameraModel
from qtopt_policy.envelope import Envelope
from qtopt_policy.errors import BagError, ConfigError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.robot import GripperConfig
from support.episodes import make_episode, make_signals
from support.recordings import recording

MDP = MdpConfig()
LAYOUT = Layout.of(MDP.action_spec(), MDP.observation_spec())


def episodes(count: int, first: int = 0) -> list[Episode]:
    return [
        recording(f"e{first + i}", seed=first + i, success=i % 2 == 0, count=5).episode for i in range(count)
    ]


def fill(folder: Path, prefix: str, found: list[Episode], per_shard: int = 2) -> None:
    with StoreWriter(folder, prefix, per_shard) as writer:
        for episode in found:
            writer.append(episode)


def intake_of(folder: Path | None = None) -> tuple[Replay, Intake]:
    replay = Replay(LAYOUT, 1000, folder)
    return replay, Intake(replay, MDP, 0.08, "tool", folder)


def test_each_shard_is_taken_once(tmp_path: Path) -> None:
    replay, intake = intake_of()
    fill(tmp_path, "a", episodes(4))
    assert intake.take_all([tmp_path]) == 20
    assert intake.take_all([tmp_path]) == 0
    fill(tmp_path, "b", episodes(2, first=4))
    assert intake.take_all([tmp_path]) == 10
    assert len(replay) == 30
    assert [info.success for info in intake.outcomes] == [True, False] * 3


def test_a_reopened_replay_is_not_read_again_and_knows_its_cameras(tmp_path: Path) -> None:
    fill(tmp_path / "data", "a", episodes(4))
    _, first = intake_of(tmp_path / "replay")
    first.take_all([tmp_path / "data"])
    replay, again = intake_of(tmp_path / "replay")
    assert again.take_all([tmp_path / "data"]) == 0
    assert len(replay) == 20
    assert [c.to_mapping() for c in again.cameras] == [c.to_mapping() for c in first.cameras]
    assert len(again.cameras) == 1


def test_a_torn_shard_is_named_and_the_others_are_taken(tmp_path: Path) -> None:
    fill(tmp_path, "a", episodes(4))
    torn = sorted(tmp_path.iterdir())[0]
    torn.write_bytes(torn.read_bytes()[:-200])
    replay, intake = intake_of()
    assert intake.take_all([tmp_path]) == 10
    assert list(intake.refused) == [str(torn)]
    assert len(replay) == 10


def test_an_unusable_episode_is_named_and_its_neighbours_are_taken(tmp_path: Path) -> None:
    good, bad = episodes(2)
    broken = replace(bad, steps=replace(bad.steps, is_terminal=np.zeros(5, dtype=bool)))
    write_shard(tmp_path / f"a-0{SUFFIX}", [good, broken])
    _, intake = intake_of()
    assert intake.take_all([tmp_path]) == 5
    assert "terminal steps" in intake.refused["e1"]


def test_aborted_episodes_are_taken_but_are_no_outcome(tmp_path: Path) -> None:
    whole = recording("x", success=None, end_reason="watchdog", count=5).episode
    aborted = replace(whole, steps=replace(whole.steps, is_terminal=np.zeros(5, dtype=bool)))
    write_shard(tmp_path / f"a-0{SUFFIX}", [aborted])
    _, intake = intake_of()
    assert intake.take_all([tmp_path]) == 5
    assert intake.outcomes == []


def test_a_bag_gives_the_rows_that_a_shard_of_it_gives(tmp_path: Path) -> None:
    episode = make_episode(count=5)
    mdp = replace(MDP, image_size=(24, 32))
    write_episode(tmp_path / "bags", episode, make_signals(episode))
    fill(tmp_path / "store", "a", [episode])
    replays = []
    for path in (tmp_path / "bags", tmp_path / "store"):
        replay = Replay(Layout.of(mdp.action_spec(), mdp.observation_spec()), 100)
        intake = Intake(replay, mdp, 0.08, "tool")
        assert intake.take_all([path]) == 5, intake.refused
        replays.append(replay.gather(np.arange(5)))
    for name, column in replays[0].items():
        np.testing.assert_array_equal(column, replays[1][name], err_msg=name)


def test_progress_counts_sources(tmp_path: Path) -> None:
    fill(tmp_path, "a", episodes(6))
    counts: list[int] = []
    _, intake = intake_of()
    intake.take_all([tmp_path], counts.append)
    assert counts == [1, 2, 3]


@pytest.mark.parametrize("workers", [0, 3])
def test_the_replay_is_the_same_with_any_number_of_processes(tmp_path: Path, workers: int) -> None:
    found = episodes(11)
    fill(tmp_path / "data", "a", found[:10])
    torn = sorted((tmp_path / "data").iterdir())[1]
    torn.write_bytes(torn.read_bytes()[:-200])
    for episode in found[10:]:
        write_episode(tmp_path / "bags", episode, make_signals(episode))
    results = []
    for folder, count in ((tmp_path / "one", 1), (tmp_path / "several", workers)):
        replay, intake = intake_of(folder)
        counts: list[int] = []
        assert intake.take_all([tmp_path / "data", tmp_path / "bags"], counts.append, count) == 45
        results.append((replay, intake))
        assert (list(intake.refused), counts) == ([str(torn)], [1, 2, 3, 4, 5, 6])
    (one, first), (several, second) = results
    assert [info.episode_id for info in first.outcomes] == [info.episode_id for info in second.outcomes]
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "several" / path.name).read_bytes(), path.name
    assert one.sources == several.sources


def test_a_bag_that_was_mended_is_taken_by_the_next_start(tmp_path: Path) -> None:
    for episode in episodes(2):
        write_episode(tmp_path / "bags", episode, make_signals(episode))
    metadata = tmp_path / "bags" / "e0" / "metadata.yaml"
    text = metadata.read_text()
    metadata.unlink()
    _, intake = intake_of(tmp_path / "replay")
    assert intake.take_all([tmp_path / "bags"]) == 5
    assert "never closed" in intake.refused[str(tmp_path / "bags" / "e0")]
    metadata.write_text(text)
    _, again = intake_of(tmp_path / "replay")
    assert again.take_all([tmp_path / "bags"]) == 5
    assert again.refused == {}


def on_the_base(episode: Episode) -> Episode:
    return replace(episode, camera=replace(episode.camera, mount="base"))


def test_an_episode_of_a_camera_on_another_mount_is_named_and_its_camera_forgotten(tmp_path: Path) -> None:
    good, bad = episodes(2)
    write_shard(tmp_path / f"a-0{SUFFIX}", [on_the_base(bad), good])
    _, intake = intake_of()
    assert intake.take_all([tmp_path]) == 5
    assert intake.refused == {"e1": "camera mount base, this run has tool: --camera"}
    assert [camera.mount for camera in intake.cameras] == ["tool"]
    assert [info.episode_id for info in intake.outcomes] == ["e0"]


def test_rows_of_a_camera_on_another_mount_are_refused_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "data", "a", episodes(2))
    replay, intake = intake_of(tmp_path / "replay")
    intake.take_all([tmp_path / "data"])
    with pytest.raises(ConfigError, match=r"cameras\.json: .* camera mount tool, this run has base"):
        Intake(replay, MDP, 0.08, "base", tmp_path / "replay")


def test_sources_are_appended_together_as_far_as_the_replay_holds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a", episodes(10))  # five shards of ten rows
    appended: list[int] = []
    append = Replay.append

    def counting(replay: Replay, rows: Rows, *sources: str) -> None:
        appended.append(len(sources))
        append(replay, rows, *sources)

    monkeypatch.setattr(Replay, "append", counting)
    for capacity, expected in ((1000, [5]), (25, [2, 2, 1])):
        appended.clear()
        replay = Replay(LAYOUT, capacity)
        assert Intake(replay, MDP, 0.08, "tool").take_all([tmp_path]) == 50
        assert appended == expected
        assert replay.sources == [str(path) for path in find_sources(tmp_path)]


def test_an_empty_folder_has_no_sources_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    assert find_sources(tmp_path) == []
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(BagError, match="holds no bags"):
        find_sources(tmp_path)
    with pytest.raises(BagError, match="does not exist"):
        find_sources(tmp_path / "missing")


def test_the_cameras_remembered_have_the_envelope_of_all() -> None:
    rng = np.random.default_rng(0)
    base = recording().episode.camera
    cameras: list[CameraModel] = []
    for _ in range(200):
        moved = replace(base.pose, position=base.pose.position + rng.normal(0, 0.01, 3))
        cameras.append(replace(base, fx=base.fx + rng.normal(), cx=base.cx + rng.normal(), pose=moved))
    kept: list[CameraModel] = []
    for camera in cameras:
        if widens(kept, camera):
            kept.append(camera)
    gripper = [GripperConfig(("finger",))]
    assert len(kept) < 60
    assert Envelope.around(kept, gripper, MDP).ranges == Envelope.around(cameras, gripper, MDP).ranges


def test_a_source_is_taken_once_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "data", "a", episodes(4))
    replay, intake = intake_of(tmp_path / "replay")
    assert intake.take_all([Path("data"), Path("data"), tmp_path / "data"]) == 20
    _, again = intake_of(tmp_path / "replay")
    assert again.take_all([tmp_path / "data"]) == 0
    assert len(replay) == 20


def test_rows_with_the_rewards_of_another_mdp_are_refused_by_name(tmp_path: Path) -> None:
    replay, _ = intake_of(tmp_path)
    intake_of(tmp_path)
    with pytest.raises(ConfigError, match=r"rewards\.json.*'step_penalty': 0\.05.*'step_penalty': 0\.3"):
        Intake(replay, replace(MDP, step_penalty=0.3), 0.08, "tool", tmp_path)
