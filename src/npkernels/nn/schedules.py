"""Learning rates as functions of the epoch, a float that grows from batch to batch: 1.5 is half of the second epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from .. import _arguments as check

Schedule: TypeAlias = Callable[[float], float]


def time_decay(lr: float, rate: float) -> Schedule:
    """``lr / (1 + rate * whole epochs)``.

    Parameters
    ----------
    lr : float
        Learning rate of the first epoch, not negative.
    rate : float
        Not negative.

    Returns
    -------
    schedule : callable of the epoch

    Examples
    --------
    >>> from npkernels import nn
    >>> [nn.time_decay(0.5, 1.0)(epoch) for epoch in (0, 0.5, 1, 4)]
    [0.5, 0.5, 0.25, 0.1]
    """
    lr, rate = check.number("lr", lr, 0), check.number("rate", rate, 0)
    return lambda epoch: lr / (1 + rate * math.floor(epoch))


def step_decay(lr: float, factor: float, every: float) -> Schedule:
    """``lr * factor ** floor(epoch / every)``.

    Parameters
    ----------
    lr : float
        Learning rate of the first epochs, not negative.
    factor : float
        Not negative.
    every : float
        Epochs from step to step, positive.

    Returns
    -------
    schedule : callable of the epoch

    Examples
    --------
    >>> from npkernels import nn
    >>> [nn.step_decay(0.5, 0.5, every=10)(epoch) for epoch in (0, 9.9, 10, 20)]
    [0.5, 0.5, 0.25, 0.125]
    """
    lr, factor, every = check.number("lr", lr, 0), check.number("factor", factor, 0), _positive("every", every)
    return lambda epoch: float(lr * factor ** math.floor(epoch / every))


def exponential_decay(lr: float, rate: float) -> Schedule:
    """``lr * rate ** epoch``.

    Parameters
    ----------
    lr : float
        Learning rate at the start, not negative.
    rate : float
        What is left of it after an epoch, not negative.

    Returns
    -------
    schedule : callable of the epoch

    Examples
    --------
    >>> from npkernels import nn
    >>> [nn.exponential_decay(1.0, 0.25)(epoch) for epoch in (0, 0.5, 1, 2)]
    [1.0, 0.5, 0.25, 0.0625]
    """
    lr, rate = check.number("lr", lr, 0), check.number("rate", rate, 0)
    return lambda epoch: float(lr * rate**epoch)


def cosine_decay(lr: float, epochs: float, final: float = 0.0) -> Schedule:
    """Half a wave of the cosine from `lr` to `final`, where it stays: ``final + (lr - final) (1 + cos(pi e)) / 2`` with
    ``e = min(1, epoch / epochs)``.

    Parameters
    ----------
    lr, final : float
        Learning rates at the start and from `epochs` on, not negative.
    epochs : float
        Positive.

    Returns
    -------
    schedule : callable of the epoch

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> from npkernels import nn
    >>> [round(nn.cosine_decay(0.5, 10, final=0.1)(epoch), 3) for epoch in (0, 5, 10, 20)]
    [0.5, 0.3, 0.1, 0.1]
    """
    lr, final, epochs = check.number("lr", lr, 0), check.number("final", final, 0), _positive("epochs", epochs)
    return lambda epoch: final + (lr - final) * (1 + math.cos(math.pi * min(1.0, epoch / epochs))) / 2


def warm_up(schedule: Schedule | float, epochs: float) -> Schedule:
    """``schedule(epoch) * min(1, epoch / epochs)``: a straight line from 0 at the start.

    Parameters
    ----------
    schedule : callable of the epoch, or float
        A number is the same for all epochs.
    epochs : float
        Length of the line, positive.

    Returns
    -------
    schedule : callable of the epoch

    Examples
    --------
    >>> from npkernels import nn
    >>> [nn.warm_up(0.5, 2)(epoch) for epoch in (0, 1, 2, 3)]
    [0.0, 0.25, 0.5, 0.5]
    """
    epochs = _positive("epochs", epochs)
    if callable(schedule):
        return lambda epoch: schedule(epoch) * min(1.0, epoch / epochs)
    lr = check.number("schedule", schedule, 0)
    return lambda epoch: lr * min(1.0, epoch / epochs)


def _positive(name: str, value: float) -> float:
    value = check.number(name, value, 0)
    if not value:
        raise ValueError(f"{name} must be positive, got 0")
    return value
