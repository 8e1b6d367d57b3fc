"""All parameters of a training run in one frozen dataclass, saved beside its checkpoints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from qtopt_learner.augment import AugmentConfig
from qtopt_learner.conservative import ConservativeConfig
from qtopt_learner.labels import LabelConfig
from qtopt_learner.losses import LossName
from qtopt_learner.mixture import MixConfig
from qtopt_learner.targets import TargetConfig
from qtopt_policy.errors import ConfigError
from qtopt_policy.networks.risk import RiskConfig, RiskName


@dataclass(frozen=True)
class OptimiserConfig:
    """How weights follow gradients.

    Attributes:
        name: `adamw` for short runs, `sgd` (with momentum) as in the paper.
        learning_rate: 5e-4 for adamw; the paper's sgd has 1e-4 over 15 million steps.
        final_share: of the learning rate left at the run's last step; it falls linearly.
        weight_decay: the paper's L2 weight is 7e-5.
        momentum: of sgd.
        gradient_norm: longest gradient; a longer one is scaled down.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 5e-4
    final_share: float = 1.0
    weight_decay: float = 7e-5
    momentum: float = 0.9
    gradient_norm: float = 10.0

    def __post_init__(self) -> None:
        if not self.learning_rate > 0.0 or not 0.0 <= self.final_share <= 1.0:
            raise ConfigError(f"learning_rate {self.learning_rate}, final_share {self.final_share}")
        if not self.gradient_norm > 0.0:
            raise ConfigError(f"gradient_norm {self.gradient_norm}: must be above 0")


@dataclass(frozen=True)
class QuantileConfig:
    """Quantiles of the return in place of its mean (Q2-Opt, 1910.02787).

    Attributes:
        count: of quantiles; Q2-Opt's has 100.
        risk: what the search maximises, see networks/risk.py.
        parameter: of the risk.
        kappa: errors above it count linearly; Q2-Opt's is 0.002.
    """

    count: int = 32
    risk: RiskName = "neutral"
    parameter: float = 0.0
    kappa: float = 0.002

    def __post_init__(self) -> None:
        if self.count < 1 or not self.kappa > 0.0:
            raise ConfigError(f"quantile count {self.count}, kappa {self.kappa}: must be above 0")
        RiskConfig(self.count, self.risk, self.parameter)

    def of_network(self) -> dict[str, object]:
        """Return the parameters of a network that gives them."""
        return {"quantiles": self.count, "risk": self.risk, "risk_parameter": self.parameter}


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        steps: gradient steps.
        batch: transitions per step.
        network: name in networks.registry.
        network_config: parameters of the network.
        loss: `cross_entropy` (the paper's), `huber`, or `quantile` (Q2-Opt).
        quantile: of the loss `quantile`, and the risk that is searched.
        optimiser, targets, labels, mix, augment, conservative: see there.
        first_labels: labels made before the first gradient step.
        replay_gb: cap of each replay, offline and online [GB].
        log_every, checkpoint_every: gradient steps between.
        threads: of torch on the CPU; 0 leaves torch's own choice.
        device: `cpu`, `cuda`, `cuda:1`.
        amp: gradient steps in bfloat16 where that is safe; labels stay in float32.
        compile: have torch compile the gradient step's network.
        deterministic: resumes to the bit (one process, fixed threads, frozen data).
        seed: of weights, batches, labels and augmentation.
    """

    steps: int = 20_000
    batch: int = 192
    network: str = "compact"
    network_config: dict[str, int] = field(default_factory=dict)
    loss: LossName = "cross_entropy"
    quantile: QuantileConfig = field(default_factory=QuantileConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    targets: TargetConfig = field(default_factory=TargetConfig)
    labels: LabelConfig = field(default_factory=LabelConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    conservative: ConservativeConfig = field(default_factory=ConservativeConfig)
    first_labels: int = 4096
    replay_gb: float = 4.0
    log_every: int = 100
    checkpoint_every: int = 1000
    threads: int = 2
    device: str = "cpu"
    amp: bool = False
    compile: bool = False
    deterministic: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "first_labels", "log_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: must be at least 1")
        if self.threads < 0 or (self.deterministic and self.threads == 0):
            raise ConfigError(f"threads {self.threads}: deterministic training needs a fixed number")
        if self.loss == "quantile" and (self.labels.cached or self.labels.kind != "bellman"):
            raise ConfigError(
                f"loss quantile with labels of kind {self.labels.kind}, fresh {self.labels.fresh}: its are "
                "distributions, made for each batch: set labels.kind to bellman and labels.fresh"
            )
        if self.loss == "quantile" and self.labels.monte_carlo_bound:
            raise ConfigError("loss quantile with labels.monte_carlo_bound: distributions know no such bound")
        if self.loss == "quantile" and self.conservative.weight:
            raise ConfigError(
                f"loss quantile with conservative.weight {self.conservative.weight}: it has no logits; set 0"
            )
        self._refuse_idle()

    def _refuse_idle(self) -> None:
        labels = self.labels
        for group, name, need in _idle(self.loss, labels.kind, labels.fresh):
            value, default = getattr(getattr(self, group), name), getattr(_DEFAULTS[group], name)
            if value != default:
                raise ConfigError(
                    f"{group}.{name} {value} with loss {self.loss}, labels of kind {labels.kind}, fresh "
                    f"{labels.fresh}: nothing would use it; leave it at {default}, or set {need}"
                )

    @property
    def network_parameters(self) -> dict[str, object]:
        """Parameters of the network, with what the loss needs of it."""
        return dict(self.network_config) | (self.quantile.of_network() if self.loss == "quantile" else {})


_DEFAULTS = {"quantile": QuantileConfig(), "labels": LabelConfig()}


def _idle(loss: str, kind: str, fresh: bool) -> Iterator[tuple[str, str, str]]:
    """Yield the parameters that these leave without effect: group, name, and what to set for it."""
    if loss != "quantile":
        yield from (("quantile", entry.name, "loss to quantile") for entry in fields(QuantileConfig))
    if kind != "bellman" or fresh:
        yield "labels", "age_limit", "labels.kind to bellman and labels.no-fresh"
    if kind != "bellman":
        for name in ("n_step", "through", "monte_carlo_bound"):
            yield "labels", name, "labels.kind to bellman"


def without_idle(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored TrainConfig without values that had no effect, and that it has refused since."""
    kept = {**saved, **{group: dict(saved.get(group, {})) for group in _DEFAULTS}}
    labels = kept["labels"]
    chosen = kept.get("loss", TrainConfig.loss), labels.get("kind", LabelConfig.kind)
    for group, name, _ in _idle(*chosen, labels.get("fresh", LabelConfig.fresh)):
        kept[group].pop(name, None)
    return kept
