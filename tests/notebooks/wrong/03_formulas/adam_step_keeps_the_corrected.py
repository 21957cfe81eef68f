"""Corrects m and v, and hands the corrected ones on to the next step.

expected: keeps it without the correction
"""


def adam_step(theta, gradient, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m = (beta1 * m + (1 - beta1) * gradient) / (1 - beta1**t)
    v = (beta2 * v + (1 - beta2) * gradient**2) / (1 - beta2**t)
    return theta - lr * m / (v.sqrt() + eps), m, v
