"""Gradient steps on labelled transitions, beside the labels that they need."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qtopt_learner.augment import augment
from qtopt_learner.labels import Floats, Labeller
from qtopt_learner.mixture import draw, split
from qtopt_learner.objective import make_objective
from qtopt_learner.quantile_labels import QuantileLabeller
from qtopt_learner.ranks import ALONE, Ranks
from qtopt_learner.replay import Index, Replay
from qtopt_learner.rows import Rows, observation_batch
from qtopt_learner.sweep import Sweep
from qtopt_learner.targets import TargetNetworks
from qtopt_learner.train_config import OptimiserConfig, TrainConfig
from qtopt_policy.networks.base import QNetwork
from qtopt_policy.networks.batch import send

INPUTS = ("image", "vectors", "geometry", "action")
# What a batch holds of a row: the inputs of the network, and V of the state that it leads to (0 at an end).
DRAWN = (*INPUTS, "value")


@dataclass(frozen=True, eq=False)
class Experience:
    """What is learned from: scripted or logged episodes, and the learner's own."""

    offline: Replay
    online: Replay

    def replays(self) -> dict[str, Replay]:
        """Return both by name."""
        return {"offline": self.offline, "online": self.online}


def make_optimiser(network: QNetwork, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Return the optimiser of a network's weights."""
    if config.name == "sgd":
        return torch.optim.SGD(
            network.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


class Trainer:
    """One network in training.

    Args:
        make: builds the network with fresh weights.
        config: of the run.
        experience: to learn from; may grow while training.
        discount: gamma.
        ranks: the processes that train this network together.

    Attributes:
        network: that is trained.
        targets: target 1 acts, both make labels.
        step: gradient steps made.
        labels_made: labels made.
        last: Q and label of each transition of the last batch, and V of those that do not end an episode.
    """

    def __init__(
        self,
        make: Callable[[], QNetwork],
        config: TrainConfig,
        experience: Experience,
        discount: float,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config = config
        self._ranks = ranks
        self.experience = experience
        self.device = torch.device(config.device)
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            network = make()
        self.network = network.to(self.device).train()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.targets = TargetNetworks(self.network, config.targets.resolve(config.steps))
        self.optimiser = make_optimiser(self.network, config.optimiser)
        self.sweeps = {n: Sweep(r, config.seed) for n, r in experience.replays().items()}
        self.rng = np.random.default_rng(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.labels_made = 0
        self.labels_due = 0.0
        self.last: dict[str, Tensor] = {}
        self._objective = make_objective(self.network, config)
        self._labeller = Labeller(self.targets, config.labels, discount, self.device)
        self._distributions: QuantileLabeller | None = None
        if config.loss == "quantile":
            count = config.quantile.count
            self._distributions = QuantileLabeller(self.targets, config.labels, discount, self.device, count)

    def start(self) -> None:
        """Make the labels that the first batches draw from, where they are not there already."""
        if not self.config.labels.cached:
            return
        for name, replay in self.experience.replays().items():
            while replay.labelled() < min(self.config.first_labels, replay.transitions()):
                self._relabel(name)

    def advance(self) -> dict[str, Tensor]:
        """Make one gradient step and the labels that are due; return its measures, still on the device."""
        share = self._online_share()
        online = split(self.config.batch, share, self.rng)
        rows, labels, age = self._draw({"offline": self.config.batch - online, "online": online})
        measures = self._descend(rows, send(torch.from_numpy(labels), self.device))
        self.targets.update(self.network)
        self.step += 1
        self._make_labels(share)
        return measures | {"label_age": torch.tensor(float(age.mean())), "online_share": torch.tensor(share)}

    def _online_share(self) -> float:
        online = self.experience.online
        own = 0
        if len(online):
            own = online.labelled() if self.config.labels.cached else len(online)
        return self.config.mix.online_share(len(self.experience.offline), own)

    def _draw(self, counts: dict[str, int]) -> tuple[Rows, Floats, Index]:
        wanted, ends = self.config.labels, self.config.mix.ends
        oldest = None
        if wanted.cached:
            oldest = self.step - wanted.age_limit if wanted.age_limit is not None else 0
        parts, labels, ages = [], [], []
        for name, replay in self.experience.replays().items():
            if counts[name] == 0:
                continue
            index = draw(replay, counts[name], oldest, self.rng, wanted.kind == "outcome", ends)
            labels.append(self._label(replay, index))
            parts.append(replay.gather(index, DRAWN))
            ages.append(self.step - replay.get("value_step", index))
        rows = {name: np.concatenate([part[name] for part in parts]) for name in DRAWN}
        return rows, np.concatenate(labels), np.concatenate(ages)

    def _label(self, replay: Replay, index: Index) -> Floats:
        """Return the labels of a batch, made now or taken from the cache."""
        if not self.config.labels.cached:
            self.labels_made += len(index)
        if self._distributions is not None:
            return self._distributions.label(replay, index, self.step, self.rng)
        if not self.config.labels.cached:
            self._labeller.label(replay, index, self.step, self.rng)
        return self._labeller.targets_of(replay, index)

    def _descend(self, rows: Rows, labels: Tensor) -> dict[str, Tensor]:
        batch = observation_batch(rows).to(self.device)
        actions = send(torch.from_numpy(rows["action"]), self.device)
        batch, actions = augment(batch, actions, self.config.augment, self.generator)
        bounded = labels.clamp(0.0, 1.0)
        losses, q = self._objective(batch, actions, bounded, self._rival_seed())
        loss = losses.mean()
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._ranks.average(self.network.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.optimiser.gradient_norm)
        self._schedule()
        self.optimiser.step()
        clipped = (labels != bounded).float().mean()
        bounded = bounded if bounded.dim() == 1 else bounded.mean(dim=1)
        values = torch.from_numpy(rows["value"])
        self.last = {"q": q, "v": values[values > 0.0], "label": bounded}
        return {
            "loss": loss.detach(),
            "q": q.mean(),
            "v": values.sum() / (values > 0.0).sum().clamp(min=1),
            "label": bounded.mean(),
            "td_error": (q - bounded).abs().mean(),
            "labels_clipped": clipped,
            "gradient_norm": norm,
        }

    def _rival_seed(self) -> int:
        return int(self.rng.integers(2**62)) if self.config.conservative.weight else 0

    def _schedule(self) -> None:
        config = self.config.optimiser
        left = 1.0 - min(1.0, self.step / self.config.steps)
        rate = config.learning_rate * (config.final_share + (1.0 - config.final_share) * left)
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def _make_labels(self, share: float) -> None:
        if not self.config.labels.cached:
            return
        self.labels_due += self.config.labels.ratio * self.config.batch
        while self.labels_due >= self.config.labels.block:
            self.labels_due -= self.config.labels.block
            own = self.sweeps["online"].backlog() >= self.config.labels.block
            self._relabel("online" if own or self.rng.random() < share else "offline")

    def _relabel(self, name: str) -> None:
        replay = self.experience.replays()[name]
        rows = self.sweeps[name].next(self.config.labels.block)
        if len(rows):
            self._labeller.label(replay, rows, self.step, self.rng)
        self.labels_made += len(rows)
