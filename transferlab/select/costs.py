"""What a network costs: parameters, operations, time and memory."""

import copy
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from transferlab.device import choose_device, seeded
from transferlab.errors import InputError
from transferlab.metrics import evaluation_mode

WARM_UP = 3


@dataclass(frozen=True)
class Cost:
    """The result of `cost`.

    Attributes:
        parameters: how many numbers the network holds.
        trainable: how many of them are trained (fewer when a part is frozen).
        flops: operations of one forward pass for one image, in matrix products, convolutions and
            attention; a multiplication with its addition counts as 2. Tables of networks often
            count it as 1 ("multiply-adds"). Normalisation and activations are not counted.
        seconds: median time of a forward pass, divided by the images in the batch.
        memory: bytes that one training step needs at its peak: weights, gradients, and what the
            forward pass keeps for the backward pass. An optimizer adds to it (Adam: 2 more numbers
            per trainable parameter).
        memory_is: "measured" by the GPU's allocator, or "counted" from the tensors that torch keeps
            (on a CPU, which has no such record; short-lived buffers are left out).
        batch_size: images in the batch that was timed and counted.
        device: where it was measured.
        threads: the number of CPU threads.
    """

    parameters: int
    trainable: int
    flops: int
    seconds: float
    memory: int
    memory_is: str
    batch_size: int
    device: str
    threads: int

    def __repr__(self) -> str:
        where = self.device + (f", threads: {self.threads}" if self.device == "cpu" else "")
        return (
            f"Cost: {self.parameters:,} parameters ({self.trainable:,} trained), "
            f"{self.flops / 1e6:,.1f} MFLOPs and {1e3 * self.seconds:.2f} ms per image, "
            f"{self.memory / 1e6:,.1f} MB to train ({self.memory_is}); "
            f"batch size {self.batch_size}, {where}"
        )


def cost(
    model: nn.Module,
    shape: Sequence[int] | None = None,
    *,
    batch_size: int = 1,
    repeats: int = 20,
    device: str = "auto",
) -> Cost:
    """Measure what a network costs, on random images and a copy of the network.

    Args:
        shape: of one input, (channels, height, width); None takes the backbone's own.
        batch_size: images at once, for time and memory.
        repeats: forward passes that are timed, after a few to warm up.
    """
    if batch_size < 1 or repeats < 1:
        raise InputError(f"found {batch_size=} and {repeats=}; expected 1 or more.")
    shape = shape or getattr(model, "shape", None)
    if shape is None:
        raise InputError(f"{type(model).__name__} has no attribute `shape`; give shape=(C, H, W).")
    where = choose_device(device)
    before = _allocated(where)
    twin = copy.deepcopy(model).to(where)  # the original keeps its statistics and gradients
    x = torch.rand(batch_size, *shape, generator=torch.Generator().manual_seed(0)).to(where)
    with seeded(0, where):  # for dropout
        memory, memory_is = _step_memory(twin, x, before)
    return Cost(
        parameters=sum(p.numel() for p in twin.parameters()),
        trainable=sum(p.numel() for p in twin.parameters() if p.requires_grad),
        flops=_flops(twin, x[:1]),
        seconds=_seconds(twin, x, repeats) / batch_size,
        memory=memory,
        memory_is=memory_is,
        batch_size=batch_size,
        device=str(where),
        threads=torch.get_num_threads(),
    )


def _flops(model: nn.Module, x: Tensor) -> int:
    # With gradients enabled: without, attention runs as one fused operation, which is not counted.
    with evaluation_mode(model), torch.enable_grad(), FlopCounterMode(display=False) as counter:
        model(x.clone().requires_grad_())
    return counter.get_total_flops()


@torch.inference_mode()
def _seconds(model: nn.Module, x: Tensor, repeats: int) -> float:
    """Return the median time of a forward pass; a mean would include interruptions."""
    times = []
    with evaluation_mode(model):
        for _ in range(WARM_UP + repeats):
            _wait(x.device)
            started = time.perf_counter()
            model(x)
            _wait(x.device)
            times.append(time.perf_counter() - started)
    return statistics.median(times[WARM_UP:])


def _step_memory(model: nn.Module, x: Tensor, before: int) -> tuple[int, str]:
    """Return the bytes of one forward and backward pass, and how they were determined."""
    held = [*model.parameters(), *model.buffers(), x]
    own = {tensor.untyped_storage().data_ptr() for tensor in held}
    kept: dict[int, int] = {}  # storage → bytes: several operations may keep the same one

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()  # it keeps as much, and a single image may have no variance
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(x).square().mean()
        if loss.requires_grad:  # not when everything is frozen
            loss.backward()
    if x.device.type == "cuda":
        return torch.cuda.max_memory_allocated(x.device) - before, "measured"
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    tensors = sum(tensor.numel() * tensor.element_size() for tensor in [*held, *gradients])
    return tensors + sum(kept.values()), "counted"


def _allocated(device: torch.device) -> int:
    """Return the bytes allocated on a GPU, and reset its peak statistics."""
    if device.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _wait(device: torch.device) -> None:
    if device.type != "cpu":  # a GPU runs asynchronously: the call returns before the work is done
        torch.accelerator.synchronize()
