"""Looking inside a network: what each layer knows, how alike layers are, where a network looks."""

from transferlab.interpret.gradcam import grad_cam
from transferlab.interpret.probe import probe_by_depth
from transferlab.interpret.similarity import cka, compare_layers, minibatch_cka, unbiased_hsic
from transferlab.models.layers import stages

__all__ = [
    "cka",
    "compare_layers",
    "grad_cam",
    "minibatch_cka",
    "probe_by_depth",
    "stages",
    "unbiased_hsic",
]
