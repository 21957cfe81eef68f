"""Training over several processes that `torchrun` starts; one process needs none of this.

    torchrun --nproc-per-node 2 train.py

The script stays as it is. Every process computes the gradients of its share of each batch, and the
gradients are averaged before each step, so the run takes the same steps as one process with the
same batch size. Source: Li et al., PyTorch Distributed: Experiences on Accelerating Data Parallel
Training (2020).
"""

import atexit
import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from transferlab.errors import InputError


def join_processes(device: torch.device) -> None:
    """Meet the other processes that torchrun started; do nothing when there are none."""
    if not distributed.is_available() or distributed.is_initialized():
        return
    if distributed.is_torchelastic_launched():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def process_count() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if _joined() else 1


def process_rank() -> int:
    """Return the number of this process; process 0 writes files and shows the progress bar."""
    return distributed.get_rank() if _joined() else 0


def sum_over_processes(x: Tensor) -> Tensor:
    """Return the sum of all processes' tensors."""
    if process_count() > 1:
        x = x.clone()
        distributed.all_reduce(x)
    return x


def gather_from_processes(value: Any) -> list[Any]:
    """Return every process's value, in the order of the ranks."""
    if process_count() == 1:
        return [value]
    values = [None] * process_count()
    distributed.all_gather_object(values, value)
    return values


def wait_for_processes() -> None:
    """Wait until every process has come this far."""
    if process_count() > 1:
        distributed.barrier()


@torch.no_grad()
def start_alike(model: nn.Module) -> None:
    """Give every process the weights and buffers of process 0."""
    if process_count() > 1:
        for tensor in [*model.parameters(), *model.buffers()]:
            distributed.broadcast(tensor.detach(), src=0)


class _WeightedLoss(nn.Module):
    """A loss whose gradient counts as much as this process has samples of the batch.

    DDP averages the processes' gradients. Their mean is the gradient of the whole batch only if
    all have equally many samples, and the last batch of an epoch may not divide evenly.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        counts = torch.tensor([float(len(y))], device=x.device)
        weight = process_count() * counts / sum_over_processes(counts)
        if len(y) == 0:  # DDP waits for all: take part, with a sample that counts for nothing
            x, y = x.new_zeros(1, *x.shape[1:]), y.new_zeros(1)
        loss = self.loss(x, y)
        loss.register_hook(lambda gradient: gradient * weight.squeeze())  # the value stays
        return loss


def in_processes(loss: nn.Module) -> nn.Module:
    """Wrap a loss so that its backward pass averages the gradients of all processes.

    DDP decides here which parameters it watches: wrap again after unfreezing some.
    """
    if process_count() == 1:
        return loss
    # Some objectives leave a layer out, such as the head; DDP would wait for its gradient forever.
    return DistributedDataParallel(_WeightedLoss(loss), find_unused_parameters=True)


@contextlib.contextmanager
def sentence_when_one_dies(advice: str) -> Iterator[None]:
    """Turn the error of a lost connection into a sentence; others pass through.

    Args:
        advice: what to do next, the end of the sentence.
    """
    try:
        yield
    except RuntimeError as error:
        lost = ("connection", "gloo", "nccl", "socket", "peer")
        text = str(error).lower()
        if (
            process_count() == 1
            or isinstance(error, InputError)
            or not any(w in text for w in lost)
        ):
            raise
        raise RuntimeError(f"another process of this run has ended; {advice}.") from error
