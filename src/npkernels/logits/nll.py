"""Negative log-likelihood of classes, and its gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from .. import _arguments as check
from .._kernels import nll as _nll
from .cross_entropy import REDUCTIONS, classes_of

if TYPE_CHECKING:
    from .._typing import ArrayLike, F, FloatLike, Int, NDArray, Reduced


@overload
def nll_loss(
    log_probs: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = None,
    ignore_index: Int | None = None,
    reduction: Reduced = ...,
) -> F: ...
@overload
def nll_loss(
    log_probs: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = None,
    ignore_index: Int | None = None,
    reduction: Literal["none"],
) -> NDArray[F]: ...
def nll_loss(
    log_probs: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = None,
    ignore_index: Int | None = None,
    reduction: Reduced | Literal["none"] = "mean",
) -> F | NDArray[F]:
    """Negative log-likelihood of target classes: what `softmax_cross_entropy` computes from logits in one step.

    Parameters
    ----------
    log_probs : (n, c) or (n, c, *spatial*) array of float32 or float64
        Logarithms of probabilities, as `log_softmax` gives them; any strides. Copied only where the axes after the
        second do not fold into one.
    targets : (n, *spatial*) array of integers
        Classes in [0, c).
    weight : (c,) array, dtype of `log_probs`, optional
        Of each class.
    ignore_index : int, optional
        Samples of this class have loss, weight and gradient 0. None ignores nothing.
    reduction : {"mean", "sum", "none"}
        The mean divides by the sum of the weights of the target classes, as PyTorch's ``nll_loss``.

    Returns
    -------
    loss : NumPy scalar, or (n, *spatial*) array for "none"; dtype of `log_probs`
        ``-weight_t log_probs_t`` of each sample, t being its class; samples are added in double precision. The mean
        over no sample, or over ignored samples only, is NaN.

    Raises
    ------
    TypeError
        If `log_probs` are not float32 or float64, `weight` is not of their dtype, or `targets` are not integers.
    ValueError
        If a shape does not match, a class is out of range and not `ignore_index`, or `reduction` is none of the above.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.nll_loss(np.array([[-0.5, -1.0], [-2.0, -0.25]]), [1, 0], reduction="none")
    array([1., 2.])
    """
    return _nll_loss(log_probs, targets, weight, ignore_index, reduction, False)[0]


@overload
def nll_loss_with_grad(
    log_probs: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = None,
    ignore_index: Int | None = None,
    reduction: Reduced = ...,
) -> tuple[F, NDArray[F]]: ...
@overload
def nll_loss_with_grad(
    log_probs: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = None,
    ignore_index: Int | None = None,
    reduction: Literal["none"],
) -> tuple[NDArray[F], NDArray[F]]: ...
def nll_loss_with_grad(
    log_probs: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = None,
    ignore_index: Int | None = None,
    reduction: Reduced | Literal["none"] = "mean",
) -> tuple[F | NDArray[F], NDArray[F]]:
    """`nll_loss` and its gradient: ``-weight_t`` at the class t of each sample, else 0.

    Parameters
    ----------
    log_probs, targets, weight, ignore_index, reduction
        As `nll_loss`.

    Returns
    -------
    loss : NumPy scalar, or (n, *spatial*) array for "none"; dtype of `log_probs`
    dlog_probs : array, shape and dtype of `log_probs`
        Gradient of the reduced loss; of the sum for "none".

    Raises
    ------
    TypeError, ValueError
        As `nll_loss`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.nll_loss_with_grad(np.array([[-0.5, -1.0], [-2.0, -0.25]]), [1, 0])[1]
    array([[ 0. , -0.5],
           [-0.5,  0. ]])
    """
    return _nll_loss(log_probs, targets, weight, ignore_index, reduction, True)


def _nll_loss(log_probs, targets, weight, ignore_index, reduction, gradient):
    x = check.real("log_probs", log_probs)
    if x.ndim < 2:
        raise ValueError(f"log_probs must have shape (n, c, ...), got {x.shape}")
    check.choice("reduction", reduction, REDUCTIONS)
    n, c, *spatial = x.shape
    classes = classes_of(check.integers("targets", targets), c, (n, *spatial))
    if weight is not None:
        weight = check.vector("weight", weight, c, x, "log_probs")
    if ignore_index is not None:
        ignore_index = check.integer("ignore_index", ignore_index)
    folded = n, c, math.prod(spatial)
    losses = np.empty((n, *spatial), x.dtype)
    dx = check.empty(x.shape, x.dtype) if gradient else None
    slopes = dx.reshape(folded) if gradient else None
    total, divisor, wrong = _nll.nll_loss(
        x.reshape(folded), classes, weight, ignore_index, reduction == "mean", slopes, losses
    )
    if wrong >= 0:
        raise ValueError(f"targets must be classes in [0, {c}), got {classes[wrong]}")
    if reduction == "none":
        return losses, dx
    if reduction == "mean":
        total = total / divisor if divisor else math.nan
    return x.dtype.type(total), dx
