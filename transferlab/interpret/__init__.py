"""Looking inside a network: what each layer knows, how alike layers are, where a network looks."""

from transferlab.interpret.cka import cka, compare_layers, minibatch_cka, unbiased_hsic
from transferlab.interpret.grad_cam import grad_cam
from transferlab.interpret.probe import probe_by_depth
from transferlab.interpret.stages import stages

__all__ = [
    "cka",
    "compare_layers",
    "grad_cam",
    "minibatch_cka",
    "probe_by_depth",
    "stages",
    "unbiased_hsic",
]
