"""Training over several processes that `torchrun` starts; one process needs none of this.

    torchrun --nproc-per-node 2 train.py

The script stays as it is. Every process computes the gradients of its share of each batch, and the
gradients are averaged before each step, so the run takes the same steps as one process with the
same batch size. Source: Li et al., PyTorch Distributed: Experiences on Accelerating Data Parallel
Training (2020).
"""

import atexit
import contextlib
import io
import signal
import threading
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
        _on_sigterm(_asked_to_end)


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _on_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():  # only that one may set handlers
        signal.signal(signal.SIGTERM, handler)


def _asked_to_end(*_: Any) -> None:
    """Stand in for sudden death: torchrun asks all to end when one process has ended."""
    raise RuntimeError("torchrun closed the connection to this process")


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
    """Return every process's value (what a checkpoint may hold), in the order of the ranks."""
    if process_count() == 1:
        return [value]
    # Sent in the format of checkpoints: pickle cannot hold the tensors of numpy's generator.
    buffer = io.BytesIO()
    torch.save(value, buffer)
    sent: list[Any] = [None] * process_count()
    distributed.all_gather_object(sent, buffer.getvalue())
    return [torch.load(io.BytesIO(content), weights_only=True) for content in sent]


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


def weigh(loss: Tensor, part: int, whole: int) -> Tensor:
    """Return the mean loss of a part, weighted so that the gradients of all parts add up.

    DDP averages the gradients of the processes. That is the gradient of the whole batch only if
    all have equally many samples, and the last batch of an epoch may not divide evenly.

    Args:
        part: samples that `loss` is the mean of.
        whole: samples of the batch in this process.
    """
    if process_count() == 1:
        return loss if part == whole else loss * (part / whole)
    samples = sum_over_processes(torch.tensor([float(whole)], device=loss.device))
    return loss * (process_count() * part / samples).squeeze()


def in_processes(loss: nn.Module) -> nn.Module:
    """Wrap a loss so that its backward pass averages the gradients of all processes.

    DDP decides here which parameters it watches: wrap again after unfreezing some.
    """
    if process_count() == 1:
        return loss
    # A static graph: DDP learns in the first step which parameters the loss does not use, such as
    # those of a head that an objective leaves out, instead of waiting for their gradients.
    return DistributedDataParallel(loss, static_graph=True)


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
        _on_sigterm(signal.SIG_IGN)  # this process ends, in its own words
        raise RuntimeError(f"another process of this run has ended; {advice}.") from error
