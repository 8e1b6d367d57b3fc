import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from grasp_bringup.sim.env import GraspEnv
from qtopt_learner.actor import Actor, ActorConfig, run_actor
from qtopt_learner.cli_train import main
from qtopt_learner.collect_sim import CollectSimConfig, collect_sim
from qtopt_learner.crew import Crew, CrewError, actor_crew
from qtopt_learner.store import PART, SUFFIX, read_infos, read_store, shard_paths
from qtopt_policy.checkpoint import describe, save_checkpoint
from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.registry import make_network


def weights(folder: Path, seed: int) -> Path:
    env = GraspEnv()
    env.reset(seed=20_000)
    torch.manual_seed(seed)
    network = make_network("compact", env.mdp.action_spec(), env.mdp.observation_spec())
    info = describe(network, env.mdp, env.robot, [env.observation.camera])
    path = folder / "newest.safetensors"
    save_checkpoint(path, network, info)
    env.close()
    return path


def test_episodes_are_of_different_scenes_kept_from_evaluation(tmp_path: Path) -> None:
    base = ActorConfig(tmp_path, "a", "random", per_shard=2, actors=2)
    for index in range(2):
        actor = Actor(replace(base, prefix=f"a{index}", index=index))
        for _ in range(2):
            actor.play()
        actor.close()
    seeds = [episode.info.seed for episode in read_store(tmp_path)]
    assert sorted(seeds) == [10_000, 10_001, 10_064, 10_065]
    assert len({episode.info.benchmark for episode in read_store(tmp_path)}) == 1


def test_an_actor_that_starts_again_goes_on_with_new_scenes(tmp_path: Path) -> None:
    for _ in range(2):
        actor = Actor(ActorConfig(tmp_path, "a", "random", per_shard=1))
        actor.play()
        actor.close()
    assert [e.info.seed for e in read_store(tmp_path)] == [10_000, 10_064]


def test_new_weights_are_taken_between_episodes(tmp_path: Path) -> None:
    path = weights(tmp_path, seed=1)
    config = ActorConfig(tmp_path / "store", "a", "cem", weights=path, epsilon=0.5, noise=0.1, explore=0.5)
    actor = Actor(config)
    for seed in (1, 1, 2, 2):
        if seed == 2 and actor.played == 2:
            weights(tmp_path, seed=2)
        actor.play()
    actor.close()
    episodes = list(read_store(tmp_path / "store"))
    digests = [episode.info.checkpoint for episode in episodes]
    assert digests[0] == digests[1] != digests[2] == digests[3]
    assert all(digests)


def test_a_share_of_the_episodes_explores(tmp_path: Path) -> None:
    path = weights(tmp_path, seed=1)
    config = ActorConfig(tmp_path / "store", "a", "cem", weights=path, epsilon=1.0, noise=0.1, explore=0.5)
    actor = Actor(config)
    for _ in range(4):
        actor.play()
    actor.close()
    names = [(e.info.policy, e.info.epsilon) for e in read_store(tmp_path / "store")]
    exploring = ("epsilon(noisy(cem, 0.1), 1)", 1.0)
    assert names == [("cem", 0.0), exploring, ("cem", 0.0), exploring]


def test_exploring_episodes_repeat_the_scenes_of_failures_with_other_chance(tmp_path: Path) -> None:
    path = weights(tmp_path, seed=1)  # never trained: it fails
    config = ActorConfig(
        tmp_path / "store", "a", "cem", weights=path, epsilon=1.0, explore=0.75, again=2, per_shard=8
    )
    actor = Actor(config)
    for _ in range(8):
        actor.play()
    actor.close()
    episodes = list(read_store(tmp_path / "store"))
    assert [e.info.policy == "cem" for e in episodes] == [True, False, False, False] * 2
    assert not any(e.info.success for e in episodes if e.info.policy == "cem")
    first, *again = episodes[:3]
    assert [e.info.seed for e in again] == [first.info.seed] * 2
    assert episodes[3].info.seed == 10_192  # 3 x 64; twice is enough: a new scene
    assert len({e.info.episode_id for e in episodes}) == 8
    assert not np.array_equal(again[0].steps.asked[0], again[1].steps.asked[0])


def test_senseless_configs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="again -1"):
        ActorConfig(tmp_path, "a", again=-1)
    with pytest.raises(ConfigError, match="needs a file of weights"):
        ActorConfig(tmp_path, "a", "cem")
    with pytest.raises(ConfigError, match="actor 2 of 2"):
        ActorConfig(tmp_path, "a", index=2, actors=2)


@pytest.mark.slow
def test_a_killed_actor_is_started_again_and_nothing_whole_is_lost(tmp_path: Path) -> None:
    """Those of a shard that was not full are in it in the end; the weights tell: not played anew."""
    store, path = tmp_path / "store", weights(tmp_path, seed=1)
    with Crew(actor_crew(ActorConfig(store, "a", "cem", weights=path, per_shard=4), 1)) as crew:
        (pid,) = crew.pids
        wait_for(lambda: stops_amid_a_shard(pid, store))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not crew.pids)
        shards, before = len(shard_paths(store)), played_in(store)
        assert len(before) > 4 * shards
        weights(tmp_path, seed=2)
        assert crew.watch() == ["actor a0 died with -9: started again"]
        wait_for(lambda: len(shard_paths(store)) > shards)
    after = [episode.info for episode in read_store(store)]
    assert [(info.seed, info.checkpoint) for info in after[: len(before)]] == before
    assert [info.seed for info in after] == [10_000 + 64 * played for played in range(len(after))]
    assert after[-1].checkpoint != before[-1][1]
    assert len(read_infos(shard_paths(store)[shards])) == 4
    assert waiting(store) == []


def played_in(store: Path) -> list[tuple[int | None, str]]:
    """Return the scenes and weights of all episodes on disk, those included that wait for a shard."""
    infos = [info for path in [*shard_paths(store), *waiting(store)] for info in read_infos(path)]
    return [(info.seed, info.checkpoint) for info in infos]


def waiting(store: Path) -> list[Path]:
    return sorted(store.glob(f".*{PART}"))


def stops_amid_a_shard(pid: int, store: Path) -> bool:
    """Stop a process with SIGSTOP; let it go on unless two or three episodes wait for a shard to come."""
    os.kill(pid, signal.SIGSTOP)
    shards = {path.name.split(SUFFIX)[0].lstrip(".") + SUFFIX for path in waiting(store)}
    amid = len(waiting(store)) in (2, 3) and not any((store / name).exists() for name in shards)
    if not amid:
        os.kill(pid, signal.SIGCONT)
    return amid


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let an actor run here: what it does to its process is undone."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr("qtopt_learner.actor.os.nice", lambda _: 0)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("in_this_process")
def test_an_actor_that_is_terminated_keeps_what_it_played_and_is_not_done(tmp_path: Path) -> None:
    config = ActorConfig(tmp_path, "a", "random", episodes=5, per_shard=4)
    looks = 0

    def terminated_at_the_second_look() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    assert not run_actor(config, terminated_at_the_second_look)
    kept = [episode.info.seed for episode in read_store(tmp_path)]
    assert 1 <= len(kept) <= 2  # the episode that it was at may be played
    assert run_actor(config, lambda: False)
    seeds = [episode.info.seed for episode in read_store(tmp_path)]
    assert seeds[: len(kept)] == kept
    assert len(set(seeds)) == len(seeds) == 5
    assert run_actor(config, lambda: False)
    assert len(list(read_store(tmp_path))) == 5


@pytest.mark.usefixtures("in_this_process")
def test_episodes_of_a_killed_actor_count_for_the_next_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where no crew starts it again: the whole command was killed."""
    config = ActorConfig(tmp_path, "a", "random", episodes=4, per_shard=3)
    killed = Actor(config)
    for _ in range(2):
        killed.play()
    killed._env.close()
    assert shard_paths(tmp_path) == []

    (tmp_path / f".a-000000.episodes.npz.000002{PART}").write_bytes(b"torn")
    assert run_actor(config, lambda: False)
    assert [e.info.seed for e in read_store(tmp_path)] == [10_000 + 64 * played for played in range(4)]
    assert "not used" in capsys.readouterr().err


@pytest.mark.slow
def test_a_terminated_actor_is_started_again_until_its_episodes_are_played(tmp_path: Path) -> None:
    with Crew(actor_crew(ActorConfig(tmp_path, "a", "random", episodes=32, per_shard=4), 1)) as crew:
        wait_for(lambda: len(shard_paths(tmp_path)) >= 1)
        os.kill(crew.pids[0], signal.SIGTERM)
        wait_for(lambda: not crew.pids)
        assert crew.unfinished
        assert crew.watch() == ["actor a0 died with 143: started again"]
        wait_for(lambda: not crew.pids)
        assert not crew.unfinished
        assert crew.watch() == []
    assert len(list(read_store(tmp_path))) == 32


@pytest.mark.slow
def test_actors_that_cannot_start_are_given_up_with_an_error(tmp_path: Path) -> None:
    broken = ActorConfig(tmp_path, "a", "random", mdp=tmp_path / "missing.yaml")
    crew = Crew(actor_crew(broken, 1), patience=1)

    def give_up() -> bool:
        crew.watch()
        return False

    with pytest.raises(CrewError, match="actor a0 died 2 times"):
        wait_for(give_up)
    crew.stop()


@pytest.mark.slow
def test_a_collection_ends_with_its_episodes_and_goes_on_where_it_was(tmp_path: Path) -> None:
    config = CollectSimConfig(ActorConfig(tmp_path, "a", "random", episodes=4, per_shard=2), actors=2)
    collect_sim(config)
    assert len(list(read_store(tmp_path))) == 4
    collect_sim(replace(config, actor=replace(config.actor, episodes=8)))
    seeds = [episode.info.seed for episode in read_store(tmp_path)]
    assert sorted(seeds) == [10_000 + 64 * played + actor for played in range(4) for actor in (0, 1)]


def wait_for(condition: Callable[[], bool], timeout: float = 90.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_another_number_of_actors_plays_no_scene_twice(tmp_path: Path) -> None:
    base = ActorConfig(tmp_path, "a", "random", per_shard=1)
    for actors in (1, 2):
        for index in range(actors):
            actor = Actor(replace(base, prefix=f"a{index}", index=index, actors=actors))
            for _ in range(2):
                actor.play()
            actor.close()
    seeds = [episode.info.seed for episode in read_store(tmp_path)]
    assert len(seeds) == len(set(seeds)) == 6


@pytest.mark.slow
def test_a_collection_whose_actors_die_ends_with_an_error(tmp_path: Path) -> None:
    broken = ActorConfig(tmp_path, "a", "random", mdp=tmp_path / "missing.yaml", episodes=4)
    with pytest.raises(CrewError, match="died"):
        collect_sim(CollectSimConfig(broken, patience=1))


@pytest.mark.parametrize("name", ["index", "actors"])
def test_what_a_collection_sets_itself_is_no_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words = ["collect-sim", "--actor.store", str(tmp_path), "--actor.prefix", "a", "--actor.episodes", "1"]
    with pytest.raises(SystemExit) as refused:
        main([*words, f"--actor.{name}", "1"])
    assert refused.value.code == 2
    assert f"--actor.{name}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["collect-sim", "--help"])
    shown = capsys.readouterr().out
    assert "--actor.episodes" in shown
    assert f"--actor.{name}" not in shown
