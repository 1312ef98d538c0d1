"""Losses of elements and their gradients: one fused pass over prediction and target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from . import _arguments as check, _docs
from ._kernels import loss as _loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._typing import F, FloatLike, Function, KlReduced, NDArray, Number, Reduced, Reduction

REDUCTIONS = ("mean", "sum", "none")
KL_REDUCTIONS = ("mean", "batchmean", "sum", "none")
kernel = _loss.loss

# What the documentation of every function below shares.
ARGUMENTS = """
Parameters
----------
{x} : array of float32 or float64
    Any rank, any strides.
{y} : array of the shape and dtype of `{x}`
    Any strides.{parameters}
reduction : {choices}
    The mean over all elements{batchmean}, the sum, or the loss of each element.

Returns
-------
loss : NumPy scalar, or array of the shape of `{x}` for "none"; dtype of `{x}`
    Sums are taken in double precision: their error is that of the losses of the elements, however many. The mean of
    no element is NaN.{gradient}

Raises
------
TypeError
    If an array is not float32 or float64, or differs in dtype from `{x}`.
ValueError
    If a shape does not match, or an option is not one of those above.
"""
GRADIENT = """
d{x} : array of the shape and dtype of `{x}`
    Gradient of the reduced loss; of the sum for "none"."""


def documented(
    *parameters: str,
    names: tuple[str, str] = ("prediction", "target"),
    reductions: tuple[str, ...] = REDUCTIONS,
    gradient: bool = False,
) -> Callable[[Function], Function]:
    """Completes a docstring with the sections that all losses share."""
    return _docs.documented(
        ARGUMENTS,
        gradient=GRADIENT if gradient else "",
        batchmean=", the sum over the length of the first axis" if "batchmean" in reductions else "",
        parameters="".join(f"\n{line}" for line in parameters),
        choices="{" + ", ".join(f'"{name}"' for name in reductions) + "}",
        x=names[0],
        y=names[1],
    )


def loss_of(
    kind,
    x,
    y,
    reduction,
    gradient,
    *,
    weight=None,
    parameters=(0.0, 0.0),
    names=("prediction", "target"),
    choices=REDUCTIONS,
):
    """(loss, gradient or None)."""
    x = check.real(names[0], x)
    y = check.real(names[1], y, x, names[0])
    shape = x.shape
    if y.shape != shape:
        check.shape(names[1], y, shape)
    if weight is not None:
        weight = _pos_weight(weight, x)
    if type(reduction) is not str or reduction not in choices:
        check.choice("reduction", reduction, choices)
    divisor, losses = 1.0, None
    if reduction == "mean":
        divisor = float(x.size)
    elif reduction == "none":
        losses = check.empty(shape, x.dtype)
    elif reduction == "batchmean":
        if not shape:
            raise ValueError(f"{names[0]} must have a first axis for the reduction 'batchmean', got a 0-d array")
        divisor = float(shape[0])
    dx = check.empty(shape, x.dtype) if gradient else None
    loss = kernel(kind, x, y, weight, parameters, divisor, losses, dx)
    if not shape:
        return loss, dx[()] if gradient else None
    return loss if losses is None else losses, dx


def _pos_weight(weight, x):
    """`weight` as an array of the shape of `x`, a view."""
    if isinstance(weight, (int, float)) and not isinstance(weight, bool):
        weight = np.asarray(check.number("pos_weight", weight), x.dtype)
    weight = check.real("pos_weight", weight, x, "prediction")
    if weight.shape == x.shape:
        return weight
    try:
        return np.broadcast_to(weight, x.shape)
    except ValueError:
        raise ValueError(f"pos_weight must broadcast to shape {x.shape}, got {weight.shape}") from None


def _delta(value):
    value = check.number("delta", value)
    if not value > 0:
        raise ValueError(f"delta must be above 0, got {value}")
    return value


BINARY = _loss.BINARY_CROSS_ENTROPY_WITH_LOGITS
POS_WEIGHT = (
    "pos_weight : array, dtype of `prediction`, or float, optional",
    "    Weight of the positive class; broadcast to the shape of `target`.",
)


@overload
def binary_cross_entropy_with_logits(
    prediction: FloatLike[F], target: FloatLike[F], *, pos_weight: FloatLike[F] | None = ..., reduction: Reduced = ...
) -> F: ...
@overload
def binary_cross_entropy_with_logits(
    prediction: FloatLike[F], target: FloatLike[F], *, pos_weight: FloatLike[F] | None = ..., reduction: Literal["none"]
) -> NDArray[F]: ...
@documented(*POS_WEIGHT)
def binary_cross_entropy_with_logits(
    prediction: FloatLike[F],
    target: FloatLike[F],
    *,
    pos_weight: FloatLike[F] | None = None,
    reduction: Reduction = "mean",
) -> F | NDArray[F]:
    """Cross-entropy between the logistic function of logits and targets in [0, 1].

    Notes
    -----
    ``-pos_weight y ln(s) - (1 - y) ln(1 - s)`` with ``s = 1 / (1 + e^-x)``, computed without a difference of large
    numbers: finite for all finite logits.

    >>> nk.binary_cross_entropy_with_logits(np.array([0.0, 1e4, -1e4]), np.array([1.0, 1.0, 1.0]), reduction="none")
    array([6.93147181e-01, 0.00000000e+00, 1.00000000e+04])
    """
    return loss_of(BINARY, prediction, target, reduction, False, weight=pos_weight)[0]


@overload
def binary_cross_entropy_with_logits_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, pos_weight: FloatLike[F] | None = ..., reduction: Reduced = ...
) -> tuple[F, NDArray[F]]: ...
@overload
def binary_cross_entropy_with_logits_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, pos_weight: FloatLike[F] | None = ..., reduction: Literal["none"]
) -> tuple[NDArray[F], NDArray[F]]: ...
@documented(*POS_WEIGHT, gradient=True)
def binary_cross_entropy_with_logits_with_grad(
    prediction: FloatLike[F],
    target: FloatLike[F],
    *,
    pos_weight: FloatLike[F] | None = None,
    reduction: Reduction = "mean",
) -> tuple[F | NDArray[F], NDArray[F]]:
    """`binary_cross_entropy_with_logits` and its gradient, without pos_weight ``s - y``, in one pass.

    >>> nk.binary_cross_entropy_with_logits_with_grad(np.zeros(2), np.array([1.0, 0.0]))[1]
    array([-0.25,  0.25])
    """
    return loss_of(BINARY, prediction, target, reduction, True, weight=pos_weight)


@overload
def mse_loss(prediction: FloatLike[F], target: FloatLike[F], *, reduction: Reduced = ...) -> F: ...
@overload
def mse_loss(prediction: FloatLike[F], target: FloatLike[F], *, reduction: Literal["none"]) -> NDArray[F]: ...
@documented()
def mse_loss(prediction: FloatLike[F], target: FloatLike[F], *, reduction: Reduction = "mean") -> F | NDArray[F]:
    """Squared difference.

    >>> float(nk.mse_loss(np.array([1.0, 2.0]), np.array([1.0, 5.0])))
    4.5
    """
    return loss_of(_loss.MSE_LOSS, prediction, target, reduction, False)[0]


@overload
def mse_loss_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, reduction: Reduced = ...
) -> tuple[F, NDArray[F]]: ...
@overload
def mse_loss_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, reduction: Literal["none"]
) -> tuple[NDArray[F], NDArray[F]]: ...
@documented(gradient=True)
def mse_loss_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, reduction: Reduction = "mean"
) -> tuple[F | NDArray[F], NDArray[F]]:
    """`mse_loss` and its gradient, twice the difference, in one pass.

    >>> nk.mse_loss_with_grad(np.array([1.0, 2.0]), np.array([1.0, 5.0]))[1]
    array([ 0., -3.])
    """
    return loss_of(_loss.MSE_LOSS, prediction, target, reduction, True)


@overload
def l1_loss(prediction: FloatLike[F], target: FloatLike[F], *, reduction: Reduced = ...) -> F: ...
@overload
def l1_loss(prediction: FloatLike[F], target: FloatLike[F], *, reduction: Literal["none"]) -> NDArray[F]: ...
@documented()
def l1_loss(prediction: FloatLike[F], target: FloatLike[F], *, reduction: Reduction = "mean") -> F | NDArray[F]:
    """Absolute difference.

    >>> float(nk.l1_loss(np.array([1.0, 2.0]), np.array([1.0, 5.0])))
    1.5
    """
    return loss_of(_loss.L1_LOSS, prediction, target, reduction, False)[0]


@overload
def l1_loss_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, reduction: Reduced = ...
) -> tuple[F, NDArray[F]]: ...
@overload
def l1_loss_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, reduction: Literal["none"]
) -> tuple[NDArray[F], NDArray[F]]: ...
@documented(gradient=True)
def l1_loss_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, reduction: Reduction = "mean"
) -> tuple[F | NDArray[F], NDArray[F]]:
    """`l1_loss` and its gradient, the sign of the difference, in one pass.

    >>> nk.l1_loss_with_grad(np.array([1.0, 2.0]), np.array([1.0, 5.0]))[1]
    array([ 0. , -0.5])
    """
    return loss_of(_loss.L1_LOSS, prediction, target, reduction, True)


DELTA = ("delta : float", "    Where the square becomes linear, above 0.")


@overload
def huber_loss(
    prediction: FloatLike[F], target: FloatLike[F], *, delta: Number = ..., reduction: Reduced = ...
) -> F: ...
@overload
def huber_loss(
    prediction: FloatLike[F], target: FloatLike[F], *, delta: Number = ..., reduction: Literal["none"]
) -> NDArray[F]: ...
@documented(*DELTA)
def huber_loss(
    prediction: FloatLike[F], target: FloatLike[F], *, delta: Number = 1.0, reduction: Reduction = "mean"
) -> F | NDArray[F]:
    """Half the squared difference d up to `delta`, beyond it ``delta (|d| - delta / 2)``.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35(1), 1964.

    >>> nk.huber_loss(np.array([1.0, 2.0]), np.array([0.5, 5.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    return loss_of(_loss.HUBER_LOSS, prediction, target, reduction, False, parameters=(_delta(delta), 0.0))[0]


@overload
def huber_loss_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, delta: Number = ..., reduction: Reduced = ...
) -> tuple[F, NDArray[F]]: ...
@overload
def huber_loss_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, delta: Number = ..., reduction: Literal["none"]
) -> tuple[NDArray[F], NDArray[F]]: ...
@documented(*DELTA, gradient=True)
def huber_loss_with_grad(
    prediction: FloatLike[F], target: FloatLike[F], *, delta: Number = 1.0, reduction: Reduction = "mean"
) -> tuple[F | NDArray[F], NDArray[F]]:
    """`huber_loss` and its gradient, the difference limited to [-delta, delta], in one pass.

    >>> nk.huber_loss_with_grad(np.array([1.0, 2.0]), np.array([0.5, 5.0]), reduction="sum")[1]
    array([ 0.5, -1. ])
    """
    return loss_of(_loss.HUBER_LOSS, prediction, target, reduction, True, parameters=(_delta(delta), 0.0))


KL = {"names": ("log_q", "p"), "choices": KL_REDUCTIONS}


@overload
def kl_div(log_q: FloatLike[F], p: FloatLike[F], *, reduction: KlReduced = ...) -> F: ...
@overload
def kl_div(log_q: FloatLike[F], p: FloatLike[F], *, reduction: Literal["none"]) -> NDArray[F]: ...
@documented(names=("log_q", "p"), reductions=KL_REDUCTIONS)
def kl_div(log_q: FloatLike[F], p: FloatLike[F], *, reduction: KlReduced | Literal["none"] = "mean") -> F | NDArray[F]:
    """Kullback-Leibler divergence ``p (ln(p) - log_q)`` of the distribution q from p; where p is 0 it is 0.

    Notes
    -----
    As PyTorch's ``kl_div(input=log_q, target=p)``: the divergence of whole distributions is the "sum", or "batchmean",
    while the "mean" divides by the number of elements.

    >>> float(nk.kl_div(np.log([0.25, 0.75]), np.array([0.0, 1.0]), reduction="sum").round(6))
    0.287682
    """
    return loss_of(_loss.KL_DIV, log_q, p, reduction, False, **KL)[0]


@overload
def kl_div_with_grad(log_q: FloatLike[F], p: FloatLike[F], *, reduction: KlReduced = ...) -> tuple[F, NDArray[F]]: ...
@overload
def kl_div_with_grad(
    log_q: FloatLike[F], p: FloatLike[F], *, reduction: Literal["none"]
) -> tuple[NDArray[F], NDArray[F]]: ...
@documented(names=("log_q", "p"), reductions=KL_REDUCTIONS, gradient=True)
def kl_div_with_grad(
    log_q: FloatLike[F], p: FloatLike[F], *, reduction: KlReduced | Literal["none"] = "mean"
) -> tuple[F | NDArray[F], NDArray[F]]:
    """`kl_div` and its gradient by `log_q`, -p, in one pass.

    >>> nk.kl_div_with_grad(np.log([0.25, 0.75]), np.array([0.5, 0.5]), reduction="sum")[1]
    array([-0.5, -0.5])
    """
    return loss_of(_loss.KL_DIV, log_q, p, reduction, True, **KL)
