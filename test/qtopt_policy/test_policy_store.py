import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qtopt_policy.checkpoint_info import EvaluationRecord
from qtopt_policy.errors import CheckpointError, ConfigError, UnknownNameError
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.observation import Observation
from qtopt_policy.policies.base import Decision, Policy
from qtopt_policy.policy_store import PolicySettings, PolicyStore
from qtopt_policy.search_config import CemConfig
from support.fake_cell import make_robot


@dataclass
class Weighted:
    """A policy with weights: the digest is the file's text."""

    checkpoint: Any
    name: str = "weighted"

    def reset(self, seed: int) -> None: ...

    def decide(self, observation: Observation) -> Decision:
        raise NotImplementedError


@dataclass
class Maker:
    """Builds policies out of text files: `digest successes`; `broken` cannot be loaded."""

    built: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, name: str, mdp: MdpConfig, robot: Any, **options: Any) -> Policy:
        self.built.append({"name": name, **options})
        path = options["checkpoint"]
        if path is None:
            return Weighted(None)
        digest, successes = path.read_text().split()
        if digest == "broken":
            raise CheckpointError(f"{path}: trained for camera mount base, but this robot uses tool")
        record = EvaluationRecord("b1", "test", int(successes), 100)
        policy = Weighted(SimpleNamespace(digest=digest, info=SimpleNamespace(evaluation=record)))
        return policy


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    path.write_text("first 50")
    return path


def exchange(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))


Open = Callable[..., tuple[PolicyStore, Maker]]


def store(**options: Any) -> tuple[PolicyStore, Maker]:
    maker = Maker()
    return PolicyStore(MdpConfig(), make_robot(), "tool", make=maker, **options), maker


def test_a_policy_is_built_once_for_the_same_settings(weights: Path) -> None:
    policies, maker = store()
    settings = PolicySettings("cem", checkpoint=weights)
    first = policies.get(settings)
    assert policies.get(PolicySettings("cem", checkpoint=weights)).policy is first.policy
    assert (first.digest, len(maker.built)) == ("first", 1)


def test_all_settings_reach_the_registry(weights: Path) -> None:
    policies, maker = store()
    policies.get(PolicySettings("cem", 0.25, 0.1, weights, True, True, CemConfig(1, 8, 2)))
    assert maker.built == [
        {
            "name": "cem",
            "checkpoint": weights,
            "mount": "tool",
            "allow_outside_envelope": True,
            "allow_untrained": True,
            "search": CemConfig(1, 8, 2),
        }
    ]


def test_other_settings_build_another_policy(weights: Path) -> None:
    policies, maker = store()
    policies.get(PolicySettings("cem", checkpoint=weights))
    policies.get(PolicySettings("random"))
    assert [entry["name"] for entry in maker.built] == ["cem", "random"]


def test_the_digest_is_found_behind_epsilon(weights: Path) -> None:
    policies, _ = store()
    assert policies.get(PolicySettings("cem", 0.5, checkpoint=weights)).digest == "first"


@pytest.mark.parametrize("mode", ["never", "better"])
def test_exploring_is_done_with_the_weights_that_run(weights: Path, mode: str) -> None:
    policies, _ = store(hot_reload=mode)
    policies.get(PolicySettings("cem", checkpoint=weights))
    exchange(weights, "worse 10")
    exploring = policies.get(PolicySettings("cem", 0.5, 0.1, weights))
    assert (exploring.digest, exploring.policy.name) == ("first", "epsilon(noisy(weighted, 0.1), 0.5)")
    assert exploring.greedy is policies.get(PolicySettings("cem", checkpoint=weights)).policy


def test_without_hot_reload_a_changed_file_changes_nothing(weights: Path) -> None:
    policies, _ = store()
    settings = PolicySettings("cem", checkpoint=weights)
    policies.get(settings)
    exchange(weights, "second 90")
    assert policies.get(settings).digest == "first"


def test_hot_reload_takes_up_a_changed_file(weights: Path) -> None:
    policies, _ = store(hot_reload="newest")
    settings = PolicySettings("cem", checkpoint=weights)
    policies.get(settings)
    exchange(weights, "second 10")
    ready = policies.get(settings)
    assert (ready.digest, ready.note) == ("second", "")


@pytest.mark.parametrize(("successes", "digest"), [("51", "second"), ("50", "first"), ("10", "first")])
def test_better_takes_better_weights_alone(weights: Path, successes: str, digest: str) -> None:
    policies, _ = store(hot_reload="better")
    settings = PolicySettings("cem", checkpoint=weights)
    policies.get(settings)
    exchange(weights, f"second {successes}")
    ready = policies.get(settings)
    assert ready.digest == digest
    assert ("does not beat" in ready.note) is (digest == "first")


@pytest.mark.parametrize("mode", ["better", "newest"])
def test_weights_that_do_not_fit_are_refused_and_the_old_ones_stay(weights: Path, mode: str) -> None:
    policies, maker = store(hot_reload=mode)
    settings = PolicySettings("cem", checkpoint=weights)
    first = policies.get(settings)
    exchange(weights, "broken 99")
    ready = policies.get(settings)
    assert ready.policy is first.policy
    assert "new weights refused" in ready.note
    assert "camera mount" in ready.note
    policies.get(settings)
    assert len(maker.built) == 2  # the refused file is not tried again


def test_the_first_weights_are_refused_with_their_error(weights: Path) -> None:
    weights.write_text("broken 1")
    with pytest.raises(CheckpointError, match="camera mount"):
        store()[0].get(PolicySettings("cem", checkpoint=weights))


def test_unknown_policies_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'clever'.*cem, random, scripted"):
        PolicySettings("clever")


@pytest.mark.parametrize("epsilon", [-0.1, 1.1, float("nan")])
def test_epsilon_is_a_share(epsilon: float) -> None:
    with pytest.raises(ConfigError, match="epsilon"):
        PolicySettings("random", epsilon)


def test_noise_is_not_negative() -> None:
    with pytest.raises(ConfigError, match=r"noise -0\.1"):
        PolicySettings("random", noise=-0.1)


@pytest.mark.parametrize(("mode", "digest"), [("never", "first"), ("better", "first"), ("newest", "second")])
def test_policies_that_take_turns_exchange_their_weights_only_if_asked_to(
    weights: Path, mode: str, digest: str
) -> None:
    policies, _ = store(hot_reload=mode)
    settings = PolicySettings("cem", checkpoint=weights)
    policies.get(settings)
    policies.get(PolicySettings("random"))
    exchange(weights, "second 10")
    assert policies.get(settings).digest == digest


def test_the_policies_kept_are_the_last_two(weights: Path) -> None:
    policies, maker = store()
    for name in ("cem", "random", "scripted", "cem", "scripted"):
        policies.get(PolicySettings(name, checkpoint=weights if name == "cem" else None))
    assert [entry["name"] for entry in maker.built] == ["cem", "random", "scripted", "cem"]
