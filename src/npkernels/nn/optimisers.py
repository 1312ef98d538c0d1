"""Optimisers: each is a function of `npkernels` that steps, with its state for every parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import (
    _arguments as check,
    adagrad_step,
    adam_step,
    adamw_step,
    momentum_step,
    rmsprop_step,
    sgd_step,
)
from .optimiser import Optimiser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]


class SGD(Optimiser):
    """Stochastic gradient descent, with momentum if wanted: `torch.optim.SGD`.

    Parameters
    ----------
    lr : float
        Length of a step, not negative.
    momentum : float
        The part of the velocity that survives a step, not negative; 0 keeps no velocity.
    nesterov : bool
        Take the gradient one step ahead; needs momentum.
    weight_decay : float
        Factor of the penalty ``weight_decay |p|^2 / 2``, not negative.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a number is negative, or `nesterov` has no momentum.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.SGD(0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)
    """

    settings = ("lr", "momentum", "nesterov", "weight_decay")

    def __init__(self, lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> None:
        super().__init__(lr)
        self.momentum = check.number("momentum", momentum, 0)
        self.nesterov = check.flag("nesterov", nesterov)
        self.weight_decay = check.number("weight_decay", weight_decay, 0)
        if self.nesterov and not self.momentum:
            raise ValueError("momentum must be positive with nesterov, got 0")
        self.slots = ("velocity",) if self.momentum else ()

    def update(self, value: Array, gradient: Array, slots: dict[str, Array], step: int) -> None:
        """As `npkernels.sgd_step`, or `npkernels.momentum_step` with momentum."""
        if not self.momentum:
            sgd_step(value, gradient, lr=self.lr, weight_decay=self.weight_decay)
            return
        momentum_step(
            value,
            gradient,
            slots["velocity"],
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )

    def _slots_of(self, mapping: Mapping[str, Any]) -> tuple[str, ...]:
        return ("velocity",) if np.any(mapping.get("momentum", 0)) else ()


class Adagrad(Optimiser):
    """Steps divided by the root of the sum of all squared gradients so far: `torch.optim.Adagrad`.

    Parameters
    ----------
    lr : float
        Length of a step, not negative.
    eps : float
        Added to the root, not negative.
    weight_decay : float
        Factor of the penalty ``weight_decay |p|^2 / 2``, not negative.

    Raises
    ------
    TypeError
        If an argument is no number.
    ValueError
        If a number is negative.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.Adagrad(0.05)
    Adagrad(lr=0.05, eps=1e-10, weight_decay=0.0)
    """

    settings, slots = ("lr", "eps", "weight_decay"), ("sum_sq",)

    def __init__(self, lr: float = 0.01, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(lr)
        self.eps = check.number("eps", eps, 0)
        self.weight_decay = check.number("weight_decay", weight_decay, 0)

    def update(self, value: Array, gradient: Array, slots: dict[str, Array], step: int) -> None:
        """As `npkernels.adagrad_step`."""
        adagrad_step(value, gradient, slots["sum_sq"], lr=self.lr, eps=self.eps, weight_decay=self.weight_decay)


class RMSProp(Optimiser):
    """Steps divided by the root of a running mean of squared gradients: `torch.optim.RMSprop`.

    Parameters
    ----------
    lr : float
        Length of a step, not negative.
    alpha : float
        The part of the mean that survives a step, in [0, 1].
    eps : float
        Added to the root, not negative.
    weight_decay : float
        Factor of the penalty ``weight_decay |p|^2 / 2``, not negative.

    Raises
    ------
    TypeError
        If an argument is no number.
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.RMSProp()
    RMSProp(lr=0.01, alpha=0.99, eps=1e-08, weight_decay=0.0)
    """

    settings, slots = ("lr", "alpha", "eps", "weight_decay"), ("mean_sq",)

    def __init__(self, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        super().__init__(lr)
        self.alpha = check.fraction("alpha", alpha)
        self.eps = check.number("eps", eps, 0)
        self.weight_decay = check.number("weight_decay", weight_decay, 0)

    def update(self, value: Array, gradient: Array, slots: dict[str, Array], step: int) -> None:
        """As `npkernels.rmsprop_step`."""
        rmsprop_step(
            value,
            gradient,
            slots["mean_sq"],
            lr=self.lr,
            alpha=self.alpha,
            eps=self.eps,
            weight_decay=self.weight_decay,
        )


class Adam(Optimiser):
    """Running means of gradients and of their squares, free of the bias of their start: `torch.optim.Adam`.

    Parameters
    ----------
    lr : float
        Length of a step, not negative.
    beta1, beta2 : float
        The parts of the two means that survive a step, in [0, 1).
    eps : float
        Added to the root, not negative.
    weight_decay : float
        Factor of the penalty ``weight_decay |p|^2 / 2``, not negative.

    Raises
    ------
    TypeError
        If an argument is no number.
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.Adam()
    Adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.0)
    """

    settings, slots = ("lr", "beta1", "beta2", "eps", "weight_decay"), ("m", "v")
    _take = staticmethod(adam_step)

    def __init__(
        self,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr)
        self.beta1 = check.fraction("beta1", beta1, below=True)
        self.beta2 = check.fraction("beta2", beta2, below=True)
        self.eps = check.number("eps", eps, 0)
        self.weight_decay = check.number("weight_decay", weight_decay, 0)

    def update(self, value: Array, gradient: Array, slots: dict[str, Array], step: int) -> None:
        """As `npkernels.adam_step`."""
        self._take(
            value,
            gradient,
            slots["m"],
            slots["v"],
            step=step,
            lr=self.lr,
            beta1=self.beta1,
            beta2=self.beta2,
            eps=self.eps,
            weight_decay=self.weight_decay,
        )


class AdamW(Adam):
    """Adam whose weight decay does not pass through the means of the gradients: `torch.optim.AdamW`.

    Parameters
    ----------
    lr, beta1, beta2, eps : float
        As of `Adam`, with its errors.
    weight_decay : float
        The part ``lr weight_decay`` of a parameter is taken away before the step, not negative.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.AdamW()
    AdamW(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.01)
    """

    _take = staticmethod(adamw_step)

    def __init__(
        self,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, beta1, beta2, eps, weight_decay)
