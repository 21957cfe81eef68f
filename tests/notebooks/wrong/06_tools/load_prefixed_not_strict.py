"""Lets load_state_dict skip what does not fit.

expected: head.bias is missing in the file
"""


def load_prefixed(model, state):
    renamed = {}
    for name, tensor in state.items():
        while name.startswith(("module.", "_orig_mod.")):
            name = name.partition(".")[2]
        renamed[name] = tensor
    model.load_state_dict(renamed, strict=False)
