"""Forgets the shared part.

expected: The shared part has to be there as well
"""


def best_that_fits(methods, network, tasks, megabytes):
    def size(method):
        return 4 * (tasks * method["trained"]) / 1e6

    fitting = [name for name in methods if size(methods[name]) <= megabytes]
    return max(fitting, key=lambda name: methods[name]["accuracy"], default=None)
