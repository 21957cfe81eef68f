"""Takes the smallest.

expected: take the most accurate
"""


def best_that_fits(methods, network, tasks, megabytes):
    def size(method):
        return 4 * (network - method["trained"] + tasks * method["trained"]) / 1e6

    fitting = [name for name in methods if size(methods[name]) <= megabytes]
    return min(fitting, key=lambda name: size(methods[name]), default=None)
