"""Steps of the optimisers, in place."""

from . import _arguments as check
from ._optim import momentum_step as step_momentum


def _arrays(p, g, **state):
    """`p`, `g` and the state of an optimiser: one shape and dtype, and no element in two places."""
    p = check.in_place("p", p)
    g = check.real("g", check.array_only("g", g), p, "p")
    check.shape("g", g, p.shape)
    named = [("p", p), ("g", g)]
    for name, array in state.items():
        array = check.in_place(name, array, p, "p")
        check.shape(name, array, p.shape)
        named.append((name, array))
    for i, (name, array) in enumerate(named):
        for other_name, other in named[:i]:
            if check.overlap(array, other):
                raise ValueError(f"{name} must not overlap {other_name}")
    return [array for _, array in named]


def momentum_step(p, g, velocity, *, lr, momentum=0.9, nesterov=False, weight_decay=0.0):
    """One step of stochastic gradient descent with momentum; changes `p` and `velocity` in place.

    Parameters
    ----------
    p : array of float32 or float64
        The values to improve; writeable, any strides. Updated.
    g : array of the shape and dtype of `p`
        Gradient of the loss with respect to `p`.
    velocity : array of the shape and dtype of `p`
        Zeros before the first step. Updated.
    lr : float
        Length of the step, not negative.
    momentum : float
        The part of the velocity that survives a step, not negative.
    nesterov : bool
        Take the gradient one step ahead.
    weight_decay : float
        Factor of the penalty ``weight_decay |p|^2 / 2``, not negative.

    Raises
    ------
    TypeError
        If an argument is not an array of float32 or float64, or differs in dtype from `p`.
    ValueError
        If a shape differs from that of `p`, `p` or `velocity` is read-only, two arrays overlap, or a number is
        negative.

    Notes
    -----
    As `torch.optim.SGD` with dampening 0: ``g' = g + weight_decay p``, ``velocity = momentum velocity + g'``, then
    ``p -= lr velocity``, or ``p -= lr (g' + momentum velocity)`` if `nesterov`.

    References
    ----------
    .. [1] I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization and momentum in deep
       learning", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> p, velocity = np.array([1.0, 2.0]), np.zeros(2)
    >>> nk.momentum_step(p, np.array([1.0, -1.0]), velocity, lr=0.5)
    >>> p
    array([0.5, 2.5])
    """
    p, g, velocity = _arrays(p, g, velocity=velocity)
    lr = check.number("lr", lr, 0)
    momentum = check.number("momentum", momentum, 0)
    weight_decay = check.number("weight_decay", weight_decay, 0)
    step_momentum(p, g, velocity, lr, momentum, bool(nesterov), weight_decay)
