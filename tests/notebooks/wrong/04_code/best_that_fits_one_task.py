"""Forgets that each task has its own trained numbers.

expected: share nothing
"""


def best_that_fits(methods, network, tasks, megabytes):
    def size(method):
        return 4 * (network) / 1e6

    fitting = [name for name in methods if size(methods[name]) <= megabytes]
    return max(fitting, key=lambda name: methods[name]["accuracy"], default=None)
