"""Takes each prefix off once, in one order only.

expected: Both prefixes may stand at the beginning
"""


def load_prefixed(model, state):
    renamed = {
        name.removeprefix("module.").removeprefix("_orig_mod."): tensor
        for name, tensor in state.items()
    }
    model.load_state_dict(renamed)
