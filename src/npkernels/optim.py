"""Steps of the optimisers, in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _arguments as check, _docs
from ._kernels import optim as _optim

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._typing import F, Flag, Function, Int, NDArray, Number

SGD, MOMENTUM, ADAGRAD = _optim.SGD, _optim.MOMENTUM, _optim.ADAGRAD
RMSPROP, ADAM, ADAMW = _optim.RMSPROP, _optim.ADAM, _optim.ADAMW
plain, take_step = _optim.plain, _optim.step

# What the documentation of every step shares.
ARGUMENTS = """
Parameters
----------
p : array of float32 or float64
    The values to improve; writeable, any strides. Updated.
g : array of the shape and dtype of `p`
    Gradient of the loss with respect to `p`.
{parameters}
weight_decay : float
    {decay}, not negative.

Raises
------
TypeError
    If an argument is not an array of float32 or float64, or differs in dtype from `p`.
ValueError
    If a shape differs from that of `p`, an array to be updated is read-only, two arrays overlap, or a number is out
    of range.
"""
LR = "lr : float\n    Length of the step, not negative."
PENALTY = "Factor of the penalty ``weight_decay |p|^2 / 2``"


def documented(*parameters: str, decay: str = PENALTY) -> Callable[[Function], Function]:
    """Completes a docstring with the sections that all steps share."""
    return _docs.documented(ARGUMENTS, parameters="\n".join(parameters), decay=decay)


def state(name, text):
    """The lines of a docstring on an array of state."""
    return f"{name} : array of the shape and dtype of `p`\n    {text} Zeros before the first step. Updated."


def factor(name, text):
    """The lines of a docstring on a number."""
    return f"{name} : float\n    {text}"


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
    order = sorted(range(p.ndim), key=lambda axis: -abs(p.strides[axis]))  # as p lies in memory: axes do not matter
    return [array.transpose(order) for _, array in named]


@documented(LR)
def sgd_step(p: NDArray[F], g: NDArray[F], *, lr: Number, weight_decay: Number = 0.0) -> None:
    """One step of stochastic gradient descent; changes `p` in place.

    Notes
    -----
    As `torch.optim.SGD` without momentum: ``p -= lr (g + weight_decay p)``.

    >>> p = np.array([1.0, 2.0])
    >>> nk.sgd_step(p, np.array([1.0, -1.0]), lr=0.5)
    >>> p
    array([0.5, 2.5])
    """
    if not plain(p, g):
        p, g = _arrays(p, g)
    lr = check.number("lr", lr, 0)
    weight_decay = check.number("weight_decay", weight_decay, 0)
    take_step(SGD, p, g, None, None, lr, weight_decay)


@documented(
    state("velocity", "Running sum of the gradients."),
    LR,
    factor("momentum", "The part of the velocity that survives a step, not negative."),
    "nesterov : bool\n    Take the gradient one step ahead.",
)
def momentum_step(
    p: NDArray[F],
    g: NDArray[F],
    velocity: NDArray[F],
    *,
    lr: Number,
    momentum: Number = 0.9,
    nesterov: Flag = False,
    weight_decay: Number = 0.0,
) -> None:
    """One step of stochastic gradient descent with momentum; changes `p` and `velocity` in place.

    Notes
    -----
    As `torch.optim.SGD` with dampening 0: ``g' = g + weight_decay p``, ``velocity = momentum velocity + g'``, then
    ``p -= lr velocity``, or ``p -= lr (g' + momentum velocity)`` if `nesterov`.

    References
    ----------
    .. [1] I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization and momentum in deep
       learning", ICML 2013.

    >>> p, velocity = np.array([1.0, 2.0]), np.zeros(2)
    >>> nk.momentum_step(p, np.array([1.0, -1.0]), velocity, lr=0.5)
    >>> p
    array([0.5, 2.5])
    """
    if not plain(p, g, velocity):
        p, g, velocity = _arrays(p, g, velocity=velocity)
    lr = check.number("lr", lr, 0)
    momentum = check.number("momentum", momentum, 0)
    nesterov = check.flag("nesterov", nesterov)
    weight_decay = check.number("weight_decay", weight_decay, 0)
    take_step(MOMENTUM, p, g, velocity, None, lr, weight_decay, 0.0, momentum, 0.0, 0.0, nesterov)


EPS = factor("eps", "Added to the root, not negative.")


@documented(state("sum_sq", "Sum of the squared gradients."), LR, EPS)
def adagrad_step(
    p: NDArray[F], g: NDArray[F], sum_sq: NDArray[F], *, lr: Number, eps: Number = 1e-10, weight_decay: Number = 0.0
) -> None:
    """One step of Adagrad; changes `p` and `sum_sq` in place.

    Notes
    -----
    As `torch.optim.Adagrad` with lr_decay 0: ``g' = g + weight_decay p``, ``sum_sq += g'^2``, then
    ``p -= lr g' / (sqrt(sum_sq) + eps)``.

    References
    ----------
    .. [1] J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and stochastic
       optimization", JMLR 12, 2011.

    >>> p, sum_sq = np.array([1.0, 2.0]), np.zeros(2)
    >>> nk.adagrad_step(p, np.array([4.0, -0.5]), sum_sq, lr=0.5)
    >>> p
    array([0.5, 2.5])
    """
    if not plain(p, g, sum_sq):
        p, g, sum_sq = _arrays(p, g, sum_sq=sum_sq)
    lr = check.number("lr", lr, 0)
    eps = check.number("eps", eps, 0)
    weight_decay = check.number("weight_decay", weight_decay, 0)
    take_step(ADAGRAD, p, g, sum_sq, None, lr, weight_decay, eps)


@documented(
    state("mean_sq", "Running mean of the squared gradients."),
    LR,
    factor("alpha", "The part of the mean that survives a step, in [0, 1]."),
    EPS,
)
def rmsprop_step(
    p: NDArray[F],
    g: NDArray[F],
    mean_sq: NDArray[F],
    *,
    lr: Number,
    alpha: Number = 0.99,
    eps: Number = 1e-8,
    weight_decay: Number = 0.0,
) -> None:
    """One step of RMSProp; changes `p` and `mean_sq` in place.

    Notes
    -----
    As `torch.optim.RMSprop`: ``g' = g + weight_decay p``, ``mean_sq = alpha mean_sq + (1 - alpha) g'^2``, then
    ``p -= lr g' / (sqrt(mean_sq) + eps)``.

    References
    ----------
    .. [1] T. Tieleman and G. Hinton, "Divide the gradient by a running average of its recent magnitude", Neural
       Networks for Machine Learning, lecture 6.5, 2012.

    >>> p, mean_sq = np.array([1.0, 2.0]), np.zeros(2)
    >>> nk.rmsprop_step(p, np.array([4.0, -0.5]), mean_sq, lr=0.5, alpha=0.75)
    >>> p.round(6)
    array([0., 3.])
    """
    if not plain(p, g, mean_sq):
        p, g, mean_sq = _arrays(p, g, mean_sq=mean_sq)
    lr = check.number("lr", lr, 0)
    alpha = check.fraction("alpha", alpha)
    eps = check.number("eps", eps, 0)
    weight_decay = check.number("weight_decay", weight_decay, 0)
    take_step(RMSPROP, p, g, mean_sq, None, lr, weight_decay, eps, alpha)


ADAM_ARGUMENTS = (
    state("m", "Running mean of the gradients."),
    state("v", "Running mean of the squared gradients."),
    "step : int\n    The number of this step, from 1 on.",
    LR,
    factor("beta1", "The part of `m` that survives a step, in [0, 1)."),
    factor("beta2", "The part of `v` that survives a step, in [0, 1)."),
    EPS,
)


@documented(*ADAM_ARGUMENTS)
def adam_step(
    p: NDArray[F],
    g: NDArray[F],
    m: NDArray[F],
    v: NDArray[F],
    *,
    step: Int,
    lr: Number = 1e-3,
    beta1: Number = 0.9,
    beta2: Number = 0.999,
    eps: Number = 1e-8,
    weight_decay: Number = 0.0,
) -> None:
    """One step of Adam; changes `p`, `m` and `v` in place.

    Notes
    -----
    As `torch.optim.Adam`: ``g' = g + weight_decay p``, ``m = beta1 m + (1 - beta1) g'``,
    ``v = beta2 v + (1 - beta2) g'^2``, then ``p -= lr m' / (sqrt(v') + eps)`` with ``m' = m / (1 - beta1^step)`` and
    ``v' = v / (1 - beta2^step)``.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    >>> p, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    >>> nk.adam_step(p, np.array([4.0, -0.5]), m, v, step=1, lr=0.5)
    >>> p.round(6)
    array([0.5, 2.5])
    """
    _adam(ADAM, p, g, m, v, step, lr, beta1, beta2, eps, weight_decay)


@documented(*ADAM_ARGUMENTS, decay="The part ``lr weight_decay`` of `p` is taken away before the step")
def adamw_step(
    p: NDArray[F],
    g: NDArray[F],
    m: NDArray[F],
    v: NDArray[F],
    *,
    step: Int,
    lr: Number = 1e-3,
    beta1: Number = 0.9,
    beta2: Number = 0.999,
    eps: Number = 1e-8,
    weight_decay: Number = 0.01,
) -> None:
    """One step of Adam with decoupled weight decay; changes `p`, `m` and `v` in place.

    Notes
    -----
    As `torch.optim.AdamW`: ``p -= lr weight_decay p``, then `adam_step` without weight decay.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    >>> p, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    >>> nk.adamw_step(p, np.array([4.0, -0.5]), m, v, step=1, lr=0.5, weight_decay=0.5)
    >>> p.round(6)
    array([0.25, 2.  ])
    """
    _adam(ADAMW, p, g, m, v, step, lr, beta1, beta2, eps, weight_decay)


def _adam(kind, p, g, m, v, step, lr, beta1, beta2, eps, weight_decay):
    if not plain(p, g, m, v):
        p, g, m, v = _arrays(p, g, m=m, v=v)
    step = check.integer("step", step, 1)
    lr = check.number("lr", lr, 0)
    beta1 = check.fraction("beta1", beta1, below=True)
    beta2 = check.fraction("beta2", beta2, below=True)
    eps = check.number("eps", eps, 0)
    weight_decay = check.number("weight_decay", weight_decay, 0)
    take_step(kind, p, g, m, v, lr, weight_decay, eps, beta1, beta2, step)
