"""The one exception of the package."""


class InputError(ValueError):
    """Bad input, in one sentence: what, where, what was found and what was expected."""
