"""Steps of optimisers."""


def momentum_step(p, g, velocity, *, lr, momentum=0.9, nesterov=False, weight_decay=0.0):
    """One step of stochastic gradient descent with momentum; `p` and `velocity` change in place."""
    # g' = g + weight_decay p;  velocity = momentum velocity + g';  p -= lr velocity, or lr (g' + momentum velocity)
    g = g + weight_decay * p
    velocity[...] = momentum * velocity + g
    p -= lr * (g + momentum * velocity if nesterov else velocity)
