"""Thinks that more trained numbers are always better.

expected: Compare the accuracies
"""


def best_that_fits(methods, network, tasks, megabytes):
    def size(method):
        return 4 * (network - method["trained"] + tasks * method["trained"]) / 1e6

    fitting = [name for name in methods if size(methods[name]) <= megabytes]
    return max(fitting, key=lambda name: methods[name]["trained"], default=None)
