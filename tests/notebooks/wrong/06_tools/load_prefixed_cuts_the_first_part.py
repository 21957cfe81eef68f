"""Cuts off the first part of every name, whatever it is.

expected: A state dict without any prefix is not loaded
"""


def load_prefixed(model, state):
    model.load_state_dict({name.partition(".")[2]: tensor for name, tensor in state.items()})
