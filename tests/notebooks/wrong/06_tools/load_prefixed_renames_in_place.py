"""Renames the tensors in the dictionary that was handed over.

expected: has changed
"""


def load_prefixed(model, state):
    for name in list(state):
        new = name
        while new.startswith(("module.", "_orig_mod.")):
            new = new.partition(".")[2]
        state[new] = state.pop(name)
    model.load_state_dict(state)
