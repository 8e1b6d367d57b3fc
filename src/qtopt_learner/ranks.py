"""One network trained on several GPUs: torchrun starts a process (rank) for each, gradients are averaged.

    g = 1/N sum_i g_i,   g_i the gradient of rank i's own batch

so that N ranks with batches of B make the steps of one with a batch of N B. All start from the same weights
and apply the same gradients; what could make them differ is checked, not trusted. Rank 0 is the learner: it
keeps the run's folder and takes in new episodes. The others read its replays (ranks_run.py).
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

# Before there is a group: its default arguments keep the group that there is when it is imported, and an
# optimiser imports it; the group's threads would live on and abort the process at its end.
import torch.distributed.nn.functional
from torch import nn

from qtopt_policy.errors import ConfigError, QtoptError

# The others wait for rank 0 while it reads the offline data.
PATIENCE = timedelta(hours=2)


class RanksError(QtoptError):
    """Ranks that should hold the same weights do not."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train one network.

    Attributes:
        rank: its number; 0 is the learner.
        count: of processes.
        local: its number on this machine, and that of its GPU.
    """

    rank: int = 0
    count: int = 1
    local: int = 0

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ) -> "Ranks":
        """Return what torchrun says; a process that it did not start is alone.

        Raises:
            ConfigError: a variable of torchrun's is missing or no number.
        """
        if "WORLD_SIZE" not in environ:
            return ALONE
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        try:
            return cls(*(int(environ[name]) for name in names))
        except (KeyError, ValueError) as error:
            found = {name: environ.get(name) for name in names}
            raise ConfigError(f"torchrun's variables {found}: each must be a number") from error

    def device(self, name: str) -> str:
        """Return the device of this rank where a run was told `name`: each its own GPU, or the CPU."""
        return f"cuda:{self.local}" if self.count > 1 and name == "cuda" else name

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over all ranks."""
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(joined)
        parts = torch.split(joined.div_(self.count), [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    @contextmanager
    def others_wait(self) -> Iterator[None]:
        """On rank 0: do something while the others wait for it (wait_for_first)."""
        self._meet()
        yield
        self._meet()

    def wait_for_first(self) -> None:
        """On the others: wait until rank 0 has done what it does in `others_wait`."""
        self._meet()
        self._meet()

    def _meet(self) -> None:
        if self.count > 1:
            dist.barrier()

    def require_same(self, network: nn.Module) -> None:
        """Compare the weights of all ranks; every rank must call.

        Raises:
            RanksError: they differ.
        """
        if self.count == 1:
            return
        own = torch.cat([weight.detach().flatten() for weight in network.parameters()]).double()
        sums = torch.stack([own.sum(), own.square().sum()])
        found = [torch.empty_like(sums) for _ in range(self.count)]
        dist.all_gather(found, sums)
        for rank, other in enumerate(found):
            if not torch.equal(other, found[0]):
                raise RanksError(f"rank {rank} has other weights than rank 0: {other} and {found[0]}")


ALONE = Ranks()


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the ranks that torchrun started, over NCCL on GPUs and Gloo on CPUs, and leave them at the end.

    Raises:
        ConfigError: of_environment.
    """
    ranks = Ranks.of_environment()
    if ranks.count == 1:
        yield ALONE
        return
    gpu = device.startswith("cuda")
    if gpu:
        torch.cuda.set_device(ranks.local)
    dist.init_process_group("nccl" if gpu else "gloo", timeout=PATIENCE)
    try:
        yield ranks
    finally:
        dist.destroy_process_group()


def require_alone() -> None:
    """Refuse to be one of several processes of torchrun (ConfigError)."""
    count = Ranks.of_environment().count
    if count > 1:
        raise ConfigError(f"{count} ranks: only qtopt train without --env trains one network with several")
