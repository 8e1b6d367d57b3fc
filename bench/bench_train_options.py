"""What the options of a gradient step are worth here: channels_last, bfloat16, torch.compile.

One network and one batch of noise; the variants take turns within each round, so that whatever else the
machine does meets all of them. Times are medians over rounds, of forward and backward pass, beside the median
ratio to the first variant of the same round; `compile` names how long its first call took. channels_last is
what every run has; the first variant takes it from weights and pictures.

    python bench/bench_train_options.py --batch 128
    python bench/bench_train_options.py --without bfloat16
    python bench/bench_train_options.py --device cuda --network grasping44 --batch 64
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from qtopt_learner.objective import make_objective
from qtopt_learner.train_config import TrainConfig
from qtopt_policy.mdp import MdpConfig
from qtopt_policy.networks.batch import Geometry, ObservationBatch
from qtopt_policy.networks.registry import make_network

# Name, channels_last, amp, compile.
VARIANTS = (
    ("contiguous float32", False, False, False),
    ("channels_last float32", True, False, False),
    ("channels_last bfloat16", True, True, False),
    ("channels_last float32 compiled", True, False, True),
    ("channels_last bfloat16 compiled", True, True, True),
)


def batch_of(mdp: MdpConfig, count: int, device: torch.device) -> tuple[ObservationBatch, Tensor]:
    """Return observations of noise, seen by a camera above the hand, and actions."""
    height, width = mdp.image_size
    camera = torch.eye(4)[:3].repeat(count, 1, 1)
    camera[:, 2, 3] = 0.15
    geometry = Geometry(
        camera_from_hand=camera,
        intrinsics=torch.tensor([[0.6 * width, 0.6 * width, width / 2, height / 2]]).repeat(count, 1),
        hand_from_action=torch.eye(3).repeat(count, 1, 1),
        opening=torch.full((count,), 0.08),
        height=torch.full((count,), 0.1),
    )
    image = torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    vectors = torch.rand(count, mdp.observation_spec().vector_size)
    spec, rng = mdp.action_spec(), np.random.default_rng(0)
    actions = np.stack([spec.encode(rng.uniform(spec.low, spec.high)) for _ in range(count)])
    batch = ObservationBatch(image, vectors, geometry)
    return batch.to(device), torch.from_numpy(actions).to(device)


def make_contiguous(network: nn.Module) -> None:
    """Have the convolutions work on contiguous pictures; the networks hand them over as channels_last."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))


def make_step(
    variant: tuple[str, bool, bool, bool], arguments: argparse.Namespace, mdp: MdpConfig
) -> Callable[[], None]:
    """Return a forward and backward pass of a variant."""
    _, channels_last, amp, compiled = variant
    specs, device = (mdp.action_spec(), mdp.observation_spec()), torch.device(arguments.device)
    torch.manual_seed(0)
    network = make_network(arguments.network, *specs).to(device).train()
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    else:
        make_contiguous(network)
    config = TrainConfig(network=arguments.network, device=arguments.device, amp=amp, compile=compiled)
    objective = make_objective(network, config)
    batch, actions = batch_of(mdp, arguments.batch, device)
    labels = torch.full((arguments.batch,), 0.3, device=device)

    def step() -> None:
        network.zero_grad(set_to_none=True)
        torch.autograd.backward(objective(batch, actions, labels, 0)[0].mean())
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def timed(step: Callable[[], None]) -> float:
    """Return how long a call took [s]."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    """Print one line per variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="compact", choices=("compact", "grasping44"))
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--without", nargs="*", default=[], help="words of variants to leave out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size = (472, 472) if arguments.network == "grasping44" else (64, 64)
    variants = [v for v in VARIANTS if not any(word in v[0] for word in arguments.without)]
    steps = [make_step(variant, arguments, MdpConfig(image_size=size)) for variant in variants]
    first = [timed(step) for step in steps]
    rounds = [[timed(step) for step in steps] for _ in range(arguments.rounds)]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    print(f"{arguments.network}, batch {arguments.batch}, {arguments.device}, {arguments.threads} threads")
    for index, (variant, median, call) in enumerate(zip(variants, medians, first, strict=True)):
        built = f", first call {call:.1f} s" if variant[3] else ""
        ratio = statistics.median(times[0] / times[index] for times in rounds)
        print(f"{variant[0]:32} {1000 * median:7.1f} ms   x{ratio:.2f}{built}")


if __name__ == "__main__":
    main()
