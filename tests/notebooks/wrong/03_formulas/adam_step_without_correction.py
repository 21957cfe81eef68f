"""Leaves out the division by 1 − β₁ᵗ and 1 − β₂ᵗ.

expected: The first step is about three times too long
"""


def adam_step(theta, gradient, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    return theta - lr * m / (v.sqrt() + eps), m, v
