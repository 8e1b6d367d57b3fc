"""New bags are told once, when they are closed."""

from pathlib import Path

from qtopt_learner.bag_watch import BagWatch
from support.episodes import write_sample


def test_a_folder_that_is_not_there_yet_has_no_bags(tmp_path: Path) -> None:
    assert BagWatch(tmp_path / "bags").poll() == []


def test_bags_from_before_the_watch_do_not_count(tmp_path: Path) -> None:
    write_sample(tmp_path, "episode_000001")
    watch = BagWatch(tmp_path)
    write_sample(tmp_path, "episode_000002", count=3)
    assert [(bag.info.episode_id, bag.steps) for bag in watch.poll()] == [("episode_000002", 3)]


def test_a_bag_is_told_once(tmp_path: Path) -> None:
    watch = BagWatch(tmp_path)
    write_sample(tmp_path)
    assert len(watch.poll()) == 1
    assert watch.poll() == []


def test_an_open_bag_waits_until_it_is_closed(tmp_path: Path) -> None:
    watch = BagWatch(tmp_path)
    metadata = write_sample(tmp_path) / "metadata.yaml"
    text = metadata.read_text()
    metadata.unlink()
    assert watch.poll() == []
    metadata.write_text(text)
    assert len(watch.poll()) == 1


def test_result_goes_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    watch = BagWatch(tmp_path)
    write_sample(tmp_path, count=5)
    result = watch.poll()[0].result("scripted")
    assert (result.policy, result.steps, result.success, result.truth) == ("scripted", 5, True, True)
