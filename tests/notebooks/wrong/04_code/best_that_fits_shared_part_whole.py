"""Stores the whole network, and then the trained part of each task once more.

expected: the whole network once
"""


def best_that_fits(methods, network, tasks, megabytes):
    def size(method):
        return 4 * (network + tasks * method["trained"]) / 1e6

    fitting = [name for name in methods if size(methods[name]) <= megabytes]
    return max(fitting, key=lambda name: methods[name]["accuracy"], default=None)
