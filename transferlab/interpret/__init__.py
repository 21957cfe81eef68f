"""Looking inside a network: linear probes, similarity of layers, Grad-CAM."""

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
