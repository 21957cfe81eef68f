"""Takes off `module.` and does not know of compiled networks.

expected: Both prefixes may stand at the beginning
"""


def load_prefixed(model, state):
    model.load_state_dict({name.removeprefix("module."): t for name, t in state.items()})
