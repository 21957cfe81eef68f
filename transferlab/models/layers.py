"""The layers of a network: by name, as stages to look at, as blocks of parameters.

A stage is a place to look: probes, CKA and Grad-CAM read what comes out of it (`stages`). A block
is the parameters that belong together: they share a learning rate, and are frozen or unfrozen
together (`blocks`). Both run from the input to the head. A stage that learns shows what its own
blocks have computed, in most networks exactly one; a lone activation has no parameters, and shows
what the block before it has computed. Only some blocks have no stage of their own, such as the
first convolution of a ResNet and the head.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from torch import Tensor, nn

from transferlab.errors import InputError

# torchvision keeps the stages of its networks inside modules of these names.
HOLDERS = ("features", "encoder", "layers", "blocks", "trunk_output")
ACTIVATIONS = (nn.ELU, nn.GELU, nn.Hardswish, nn.LeakyReLU, nn.ReLU, nn.ReLU6, nn.SiLU, nn.Tanh)


def stages(model: nn.Module) -> list[str]:
    """Return the names of the layers worth looking at, from the input to the features.

    These are the top-level blocks of `model.features` (inside torchvision's networks their
    stages), and each activation function that stands alone between such blocks.

    >>> stages(load_backbone("small_cnn", num_classes=10))
    ['block1', 'block2', 'block3', 'block4', 'block5']
    """
    names = _stages_inside(getattr(model, "features", model))
    if not names:
        raise InputError(
            f"{type(model).__name__} has no blocks to serve as stages; name its layers."
        )
    return names


def _stages_inside(module: nn.Module, prefix: str = "") -> list[str]:
    """Return the stages inside a module; `prefix` is put in front of their names."""
    names = []
    for name, child in module.named_children():
        is_composite = len(list(child.children())) > 0
        learns = len(list(child.parameters())) > 0
        if is_composite and name in HOLDERS:
            names += _stages_inside(child, f"{prefix}{name}.")
        elif (is_composite and learns) or isinstance(child, ACTIVATIONS):
            names.append(prefix + name)
    return names


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """Return the layer of that name, as in `model.named_modules()`; "features." may be left out."""
    modules = dict(model.named_modules())
    for full_name in (name, f"features.{name}"):
        if full_name and full_name in modules:
            return modules[full_name]
    children = [child for child, _ in model.named_children()]
    if "features" in children:
        inside = [child for child, _ in model.get_submodule("features").named_children()]
        children = inside + children
    raise InputError(
        f"the model has no layer {name!r}; expected one of {', '.join(children)}, "
        "or a layer inside them."
    )


def blocks(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return all parameters of a model in blocks, from the input to the head, each exactly once.

    A block is what a network repeats: `layer1` … `layer4` of a ResNet, `features.0`,
    `features.1`, … of VGG and MobileNet, `block1` … `block5` of our small CNN. These are
    numbered, so a parameter belongs to the outermost part of its name that contains a digit, and
    where there is none, to its own layer. A normalisation outside the blocks belongs to the layer
    before it. The names serve as `until` of `freeze`.
    """
    by_name: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():  # in the order of definition, each once
        by_name.setdefault(_block(name), []).append(parameter)
    joined: dict[str, list[nn.Parameter]] = {}
    for name, parameters in by_name.items():
        only_vectors = all(parameter.ndim < 2 for parameter in parameters)  # a normalisation
        if only_vectors and joined:
            joined[next(reversed(joined))] += parameters
        else:
            joined[name] = parameters
    return joined


def _block(name: str) -> str:
    """Return the block of a parameter: features.layer1.0.conv1.weight is in features.layer1."""
    layer = name.partition(".parametrizations.")[0]  # where LoRA's matrices are kept
    if layer == name:
        layer = name.rpartition(".")[0]
    parts = layer.split(".")
    for end, part in enumerate(parts, start=1):
        if any(character.isdigit() for character in part):
            return ".".join(parts[:end])
    return layer


def mode_is_held(module: nn.Module) -> bool:
    """Return whether `freeze` keeps a layer in one mode."""
    return "train" in vars(module)


@contextlib.contextmanager
def recorded(
    model: nn.Module, layers: Sequence[str], reduce: Callable[[Tensor], Tensor]
) -> Iterator[dict[str, Tensor]]:
    """Let each forward pass store `reduce(output)` of every layer in the dictionary.

    The output is reduced at once, inside the hook. Kept as it is, it could still be changed by the
    layer that follows: torchvision's ReLUs write into their input.
    """
    outputs: dict[str, Tensor] = {}

    def hook_for(name: str):
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            if not isinstance(output, Tensor) or output.ndim < 2:
                raise InputError(
                    f"layer {name!r} returns {type(output).__name__}; "
                    "expected a tensor of shape (N, …)."
                )
            outputs[name] = reduce(output.detach())

        return hook

    modules = {name: find_layer(model, name) for name in layers}
    with contextlib.ExitStack() as hooks:  # removes them all, also after an error
        for name, module in modules.items():
            hooks.enter_context(module.register_forward_hook(hook_for(name)))
        yield outputs


def puts_channels_last(model: nn.Module) -> bool:
    """Return whether feature maps are (N, H, W, C), as in torchvision's Swin transformers."""
    return getattr(model, "name", "").startswith("swin")


def output_of(outputs: dict[str, Tensor], name: str) -> Tensor:
    """Return what `recorded` stored for a layer; refuse a layer that the network skipped."""
    if name not in outputs:
        raise InputError(f"layer {name!r} was not used in the forward pass; name another one.")
    return outputs[name]
