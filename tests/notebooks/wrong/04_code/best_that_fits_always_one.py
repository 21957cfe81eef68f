"""Names the smallest when none fits.

expected: somebody has to choose a smaller network
"""


def best_that_fits(methods, network, tasks, megabytes):
    def size(method):
        return 4 * (network - method["trained"] + tasks * method["trained"]) / 1e6

    fitting = [name for name in methods if size(methods[name]) <= megabytes]
    fitting = fitting or [min(methods, key=lambda name: size(methods[name]))]
    return max(fitting, key=lambda name: methods[name]["accuracy"])
