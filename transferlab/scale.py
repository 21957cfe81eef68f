"""Bigger machines: mixed precision, gradient accumulation, compiling, and several processes.

A small run needs none of this. `fit(…, scale=Scale(…))` takes the steps of `ScaledStep` instead of
`train.take_step`, and so does every run that torchrun has started:

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
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from transferlab.data import Batch
from transferlab.errors import InputError
from transferlab.metrics import LossFunction

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Scale:
    """How the steps of a run are computed on a bigger machine; the defaults change nothing.

    Attributes:
        precision: "float32"; "bfloat16" or "float16" compute matrix products in 16 bits, which a
            GPU does several times faster (Micikevicius et al., Mixed Precision Training, 2018).
            Weights, optimizer and loss stay in 32 bits.
        parts: gradient accumulation: compute each batch in this many parts, one after the other.
            The step is the same (except for BatchNorm, which sees one part), with the memory of
            one part.
        channels_last: store images as (N, H, W, C), which is faster for convolutions on a GPU.
        compile: let torch.compile fuse the operations of a step; worthwhile on a GPU, in long runs.
        workers: processes that read samples from files; None: one per core except one.
    """

    precision: str = "float32"
    parts: int = 1
    channels_last: bool = False
    compile: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.parts < 1:
            raise InputError(f"parts={self.parts}: expected at least 1 part of a batch.")
        if self.precision not in PRECISIONS:
            raise InputError(
                f"precision={self.precision!r} is unknown; expected one of {', '.join(PRECISIONS)}."
            )


class ScaledStep:
    """One optimizer step, called like `train.take_step`, computed as a `Scale` says.

    Attributes:
        scaler: keeps small gradients of float16 above zero; switched off in other precisions.
    """

    def __init__(self, model: nn.Module, scale: Scale, device: torch.device) -> None:
        if scale.precision == "float16" and device.type == "cpu":
            raise InputError(
                "precision='float16' is far slower than float32 on a CPU; expected 'float32' "
                "or 'bfloat16' there."
            )
        if scale.channels_last:
            model.to(memory_format=torch.channels_last)
        self.scale = scale
        self.scaler = GradScaler(device.type, enabled=scale.precision == "float16")
        self._loss: _Loss | None = None
        self._learning: list[bool] = []  # which parameters were trainable when `_averaged` was made

    def __call__(
        self,
        model: nn.Module,
        batch: Batch,
        loss_fn: LossFunction,
        optimizer: Optimizer,
        penalty: Any = None,
    ) -> Tensor:
        """Take the step; return the mean loss of this process's samples."""
        loss_of = self._wrapped(model, loss_fn)
        optimizer.zero_grad()
        x, y = batch
        losses = []
        for part_x, part_y in self._parts(x, y):
            loss = loss_of(part_x, part_y)
            self.scaler.scale(weighted(loss, len(part_y), len(y))).backward()
            losses.append((loss.detach(), len(part_y)))
        if penalty is not None:
            self.scaler.unscale_(optimizer)
            penalty.add_to_gradients()
        self.scaler.step(optimizer)
        self.scaler.update()
        if len(losses) == 1:
            return losses[0][0]
        return sum(loss * n for loss, n in losses) / max(len(y), 1)

    def _parts(self, x: Tensor, y: Tensor) -> list[Batch]:
        """Split a batch into parts; the same number in all processes, even if some are empty."""
        if self.scale.parts == 1:
            return [(x, y)]
        parts = zip(x.tensor_split(self.scale.parts), y.tensor_split(self.scale.parts), strict=True)
        return [part for part in parts if len(part[1]) or process_count() > 1]

    def _wrapped(self, model: nn.Module, loss_fn: LossFunction) -> nn.Module:
        """Return the loss as a module that is compiled and averages gradients, if required."""
        if self._loss is None:
            self._loss = _Loss(model, loss_fn, self.scale)
            if self.scale.compile:
                self._loss.compile()
        learning = [parameter.requires_grad for parameter in model.parameters()]
        if learning != self._learning:  # DDP fixes at construction which parameters it watches
            self._averaged, self._learning = average_gradients(self._loss), learning
        return self._averaged


class _Loss(nn.Module):
    """`loss_fn(model, batch)` as a module: torch.compile and DDP wrap modules, not functions."""

    def __init__(self, model: nn.Module, loss_fn: LossFunction, scale: Scale) -> None:
        super().__init__()
        self.model, self.loss_fn, self.channels_last = model, loss_fn, scale.channels_last
        self.precision = PRECISIONS[scale.precision]

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if len(y) == 0:  # the other processes wait: take part, with a weight of 0
            x, y = x.new_zeros(1, *x.shape[1:]), y.new_zeros(1)
        if self.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        if self.precision == torch.float32:
            return self.loss_fn(self.model, (x, y))
        with torch.autocast(x.device.type, self.precision):
            return self.loss_fn(self.model, (x, y))


# ---- several processes ---------------------------------------------------------------------------


def join_processes(device: torch.device) -> None:
    """Join the process group of torchrun; do nothing without torchrun."""
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
    if threading.current_thread() is threading.main_thread():  # others may not set handlers
        signal.signal(signal.SIGTERM, handler)


def _asked_to_end(*_: Any) -> None:
    """Raise an error instead of dying: torchrun terminates all processes when one has ended."""
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
    """Return the sum of all processes' tensors (all-reduce)."""
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


def check_same_network(model: nn.Module) -> None:
    """Refuse networks of other shapes: a broadcast between them would wait forever."""
    shapes = [list(tensor.shape) for tensor in [*model.parameters(), *model.buffers()]]
    first, *others = gather_from_processes(shapes)
    for rank, other in enumerate(others, start=1):
        if other != first:
            raise InputError(f"process {rank} has another network than process 0; expected one.")


@torch.no_grad()
def broadcast_model(model: nn.Module) -> None:
    """Broadcast the weights and buffers of process 0 to every process."""
    if process_count() > 1:
        for tensor in [*model.parameters(), *model.buffers()]:
            distributed.broadcast(tensor.detach(), src=0)


def weighted(loss: Tensor, part: int, whole: int) -> Tensor:
    """Return the mean loss of a part, weighted so that the gradients of all parts add up.

    DDP averages the gradients of the processes. That is the gradient of the whole batch only if
    all have the same number of samples, and the last batch of an epoch may not divide evenly.

    Args:
        part: samples that `loss` is the mean of.
        whole: samples of the batch in this process.
    """
    if process_count() == 1:
        return loss if part == whole else loss * (part / whole)
    samples = sum_over_processes(torch.tensor([float(whole)], device=loss.device))
    return loss * (process_count() * part / samples).squeeze()


def average_gradients(loss: nn.Module) -> nn.Module:
    """Wrap a loss so that its backward pass averages the gradients of all processes."""
    if process_count() == 1:
        return loss
    from torch.nn.parallel import DistributedDataParallel

    # A static graph: DDP records in the first step which parameters the loss does not use, such as
    # those of a head that an objective leaves out, instead of waiting for their gradients.
    return DistributedDataParallel(loss, static_graph=True)


@contextlib.contextmanager
def explain_lost_process(advice: str) -> Iterator[None]:
    """Explain the error of a lost connection in one sentence; re-raise any other.

    Args:
        advice: what to do next, as the end of the sentence.
    """
    try:
        yield
    except RuntimeError as error:
        words = ("connection", "gloo", "nccl", "socket", "peer")
        is_lost = any(word in str(error).lower() for word in words)
        if process_count() == 1 or not is_lost:
            raise
        _on_sigterm(signal.SIG_IGN)  # let this process end with its own message
        raise RuntimeError(f"another process of this run has ended; {advice}.") from error
