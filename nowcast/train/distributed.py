"""The processes that train one model together, one a device: what they share out and what they agree on.

``torchrun`` starts them and tells each its place in the environment; started any other way a process trains alone.
All see the same windows and settings and hold the same weights; each takes its part of every step's windows, and the
gradients are added up, so that the result does not depend on how many they are, but for rounding.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from nowcast.errors import ConfigError

T = TypeVar("T")


def is_first_process() -> bool:
    """Whether this process is the one that writes files and prints."""
    return _count() == 1 or int(os.environ.get("RANK", "0")) == 0


def _count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes
    ----------
    device
        What this one computes on.
    rank, count
        Its number, from 0, and how many there are.
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and logs."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """The items that are this process's to do."""
        return items[self.rank :: self.count]

    def total(self, values: Tensor) -> Tensor:
        """The sum of all processes' values, the same bits in each."""
        if self.count == 1:
            return values
        summed = values.to(self.device, copy=True)
        dist.all_reduce(summed)
        return summed.to(values.device)

    def agreed(self, answer: bool) -> bool:
        """The first process's answer."""
        return bool(self.total(torch.tensor(float(answer and self.first))) > 0)

    def total_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the gradients of all processes. Only a parameter without one in any of them stays without."""
        if self.count == 1:
            return
        held = list(parameters)
        known = held[0].new_tensor([p.grad is not None for p in held])
        flat = [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in held]
        sums = self.total(torch.cat([known, *flat])).split([len(held), *(p.numel() for p in held)])
        for parameter, found, gradient in zip(held, sums[0].tolist(), sums[1:], strict=True):
            parameter.grad = gradient.view_as(parameter) if found else None


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started with this one.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``: CUDA where there is any. Each process of a machine takes its own device.

    Raises
    ------
    ConfigError
        There is no CUDA device for this process, though one is asked for or others have one.
    """
    count = _count()
    chosen = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if count == 1:
        yield Processes(chosen)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    ours = not dist.is_initialized()
    if ours:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    yield Processes(chosen, dist.get_rank(), count)
    # Not after an error: the others may be waiting in the middle of a sum, and torchrun ends them.
    if ours:
        dist.barrier()  # who leaves while another still works closes the connections under its feet
        dist.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    """The device of the process with this number on its machine."""
    held = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and held == 0):
        return torch.device("cpu")
    if held == 0:
        raise ConfigError("training device is cuda, but there is no CUDA device here: take auto or cpu")
    if local_rank >= held:
        raise ConfigError(f"this machine has {held} CUDA devices: start no more than {held} processes on it")
    return torch.device("cuda", local_rank)
