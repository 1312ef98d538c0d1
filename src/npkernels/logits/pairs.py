"""Losses of rows and of pairs of rows with their gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from .. import _arguments as check
from .._kernels import pairs as _pairs
from .cross_entropy import REDUCTIONS, classes_of

if TYPE_CHECKING:
    from .._typing import ArrayLike, F, FloatLike, KlReduced, NDArray, Number, Reduced

KL_REDUCTIONS = ("batchmean", "mean", "sum", "none")


def _rows_of(names, *arrays):
    """Arrays of one shape (..., d) and dtype."""
    first = check.real(names[0], arrays[0])
    if first.ndim == 0:
        raise ValueError(f"{names[0]} must have shape (..., d), got ()")
    others = [check.real(name, x, first, names[0]) for name, x in zip(names[1:], arrays[1:], strict=True)]
    for name, x in zip(names[1:], others, strict=True):
        check.shape(name, x, first.shape)
    return first, *others


def _loss(kind, arrays, reduction, gradient, *, parameter=0.0, classes=None, terms=1):
    """(loss, *gradients), the gradients of what the reduction gives; each row's are over `terms`."""
    shape, dtype = arrays[0].shape, arrays[0].dtype
    losses = np.empty(shape[:-1], dtype)
    divisor = {"mean": losses.size, "batchmean": shape[0]}.get(reduction, 1)
    results = tuple(check.empty(shape, dtype) for _ in arrays) if gradient else None
    scale = 1 / (divisor * terms) if divisor and terms else math.nan
    total = _pairs.rows(kind, arrays, parameter, scale, classes, None, losses, results)
    if reduction == "none":
        loss = losses if losses.ndim else losses[()]
    else:
        loss = dtype.type(total / divisor if divisor else math.nan)
    return (loss, *(results or ()))


@overload
def multi_margin_loss(
    scores: FloatLike[F], targets: ArrayLike, *, margin: Number = 1.0, reduction: Reduced = ...
) -> F: ...
@overload
def multi_margin_loss(
    scores: FloatLike[F], targets: ArrayLike, *, margin: Number = 1.0, reduction: Literal["none"]
) -> NDArray[F]: ...
def multi_margin_loss(
    scores: FloatLike[F], targets: ArrayLike, *, margin: Number = 1.0, reduction: Reduced | Literal["none"] = "mean"
) -> F | NDArray[F]:
    """Hinge loss of classes: the mean over all other classes j of ``max(0, margin - scores_t + scores_j)``.

    Parameters
    ----------
    scores : (n, c) array of float32 or float64
        Any strides.
    targets : (n,) array of integers
        The class t of each sample, in [0, c).
    margin : float
    reduction : {"mean", "sum", "none"}
        The mean over the samples, the sum, or the loss of each sample.

    Returns
    -------
    loss : NumPy scalar, or (n,) array for "none"; dtype of `scores`
        Divided by c, the target included, as PyTorch's ``multi_margin_loss``; sums are taken in double precision.
        The mean of no sample is NaN.

    Raises
    ------
    TypeError
        If `scores` are not float32 or float64, `targets` are not integers, or `margin` is no number.
    ValueError
        If a shape does not match, a class is out of range, or `reduction` is none of the above.

    References
    ----------
    .. [1] K. Crammer and Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector machines",
       JMLR 2, 2001.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.multi_margin_loss(np.array([[1.0, 0.5, 3.0, -2.0]]), [0], reduction="none")
    array([0.875])
    """
    return _multi_margin(scores, targets, margin, reduction, False)[0]


@overload
def multi_margin_loss_with_grad(
    scores: FloatLike[F], targets: ArrayLike, *, margin: Number = 1.0, reduction: Reduced = ...
) -> tuple[F, NDArray[F]]: ...
@overload
def multi_margin_loss_with_grad(
    scores: FloatLike[F], targets: ArrayLike, *, margin: Number = 1.0, reduction: Literal["none"]
) -> tuple[NDArray[F], NDArray[F]]: ...
def multi_margin_loss_with_grad(
    scores: FloatLike[F], targets: ArrayLike, *, margin: Number = 1.0, reduction: Reduced | Literal["none"] = "mean"
) -> tuple[F | NDArray[F], NDArray[F]]:
    """`multi_margin_loss` and its gradient in one pass.

    Parameters
    ----------
    scores, targets, margin, reduction
        As `multi_margin_loss`.

    Returns
    -------
    loss : NumPy scalar, or (n,) array for "none"; dtype of `scores`
    dscores : (n, c) array, dtype of `scores`
        Gradient of the reduced loss, of the sum for "none": 1/c at each class whose term is above 0, and less their
        number over c at the target.

    Raises
    ------
    TypeError, ValueError
        As `multi_margin_loss`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.multi_margin_loss_with_grad(np.array([[1.0, 0.5, 3.0, -2.0]]), [0])[1]
    array([[-0.5 ,  0.25,  0.25,  0.  ]])
    """
    return _multi_margin(scores, targets, margin, reduction, True)


def _multi_margin(scores, targets, margin, reduction, gradient):
    scores = check.real("scores", scores)
    check.rank("scores", scores, 2, "(n, c)")
    margin = check.number("margin", margin)
    check.choice("reduction", reduction, REDUCTIONS)
    n, c = scores.shape
    classes = classes_of(check.integers("targets", targets), c, (n,))
    wrong = _pairs.first_beyond(classes, c)
    if wrong >= 0:
        raise ValueError(f"targets must be classes in [0, {c}), got {classes[wrong]}")
    return _loss(_pairs.MULTI_MARGIN, (scores,), reduction, gradient, parameter=margin, classes=classes, terms=c)


@overload
def triplet_margin_loss(
    anchor: FloatLike[F],
    positive: FloatLike[F],
    negative: FloatLike[F],
    *,
    margin: Number = 1.0,
    reduction: Reduced = ...,
) -> F: ...
@overload
def triplet_margin_loss(
    anchor: FloatLike[F],
    positive: FloatLike[F],
    negative: FloatLike[F],
    *,
    margin: Number = 1.0,
    reduction: Literal["none"],
) -> NDArray[F]: ...
def triplet_margin_loss(
    anchor: FloatLike[F],
    positive: FloatLike[F],
    negative: FloatLike[F],
    *,
    margin: Number = 1.0,
    reduction: Reduced | Literal["none"] = "mean",
) -> F | NDArray[F]:
    """``max(0, |anchor - positive| - |anchor - negative| + margin)`` of each row.

    Parameters
    ----------
    anchor : (..., d) array of float32 or float64
        Any strides.
    positive, negative : arrays of the shape and dtype of `anchor`
    margin : float
    reduction : {"mean", "sum", "none"}
        The mean over the rows, the sum, or the loss of each row.

    Returns
    -------
    loss : NumPy scalar, or (...,) array for "none"; dtype of `anchor`
        Norms are Euclidean, of differences to which 1e-6 has been added, as in PyTorch's ``triplet_margin_loss``; sums
        are taken in double precision. The mean of no row is NaN.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or differs in dtype from `anchor`; if `margin` is no number.
    ValueError
        If a shape differs from that of `anchor`, which has no axis, or `reduction` is none of the above.

    References
    ----------
    .. [1] V. Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional neural
       networks", BMVC 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> float(nk.triplet_margin_loss(np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([[0.0, 5.5]])).round(4))
    0.5
    """
    return _triplet(anchor, positive, negative, margin, reduction, False)[0]


@overload
def triplet_margin_loss_with_grad(
    anchor: FloatLike[F],
    positive: FloatLike[F],
    negative: FloatLike[F],
    *,
    margin: Number = 1.0,
    reduction: Reduced = ...,
) -> tuple[F, NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def triplet_margin_loss_with_grad(
    anchor: FloatLike[F],
    positive: FloatLike[F],
    negative: FloatLike[F],
    *,
    margin: Number = 1.0,
    reduction: Literal["none"],
) -> tuple[NDArray[F], NDArray[F], NDArray[F], NDArray[F]]: ...
def triplet_margin_loss_with_grad(
    anchor: FloatLike[F],
    positive: FloatLike[F],
    negative: FloatLike[F],
    *,
    margin: Number = 1.0,
    reduction: Reduced | Literal["none"] = "mean",
) -> tuple[F | NDArray[F], NDArray[F], NDArray[F], NDArray[F]]:
    """`triplet_margin_loss` and its gradients.

    Parameters
    ----------
    anchor, positive, negative, margin, reduction
        As `triplet_margin_loss`.

    Returns
    -------
    loss : NumPy scalar, or (...,) array for "none"; dtype of `anchor`
    danchor, dpositive, dnegative : (..., d) arrays, dtype of `anchor`
        Gradients of the reduced loss, of the sum for "none".

    Raises
    ------
    TypeError, ValueError
        As `triplet_margin_loss`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> arrays = np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([[0.0, 5.0]])
    >>> nk.triplet_margin_loss_with_grad(*arrays)[2].round(4)
    array([[0.6, 0.8]])
    """
    return _triplet(anchor, positive, negative, margin, reduction, True)


def _triplet(anchor, positive, negative, margin, reduction, gradient):
    arrays = _rows_of(("anchor", "positive", "negative"), anchor, positive, negative)
    margin = check.number("margin", margin)
    check.choice("reduction", reduction, REDUCTIONS)
    return _loss(_pairs.TRIPLET_MARGIN, arrays, reduction, gradient, parameter=margin)


@overload
def gaussian_kl(mean: FloatLike[F], log_var: FloatLike[F], *, reduction: KlReduced = ...) -> F: ...
@overload
def gaussian_kl(mean: FloatLike[F], log_var: FloatLike[F], *, reduction: Literal["none"]) -> NDArray[F]: ...
def gaussian_kl(
    mean: FloatLike[F], log_var: FloatLike[F], *, reduction: KlReduced | Literal["none"] = "batchmean"
) -> F | NDArray[F]:
    """Kullback-Leibler divergence of N(mean, e^log_var) from N(0, 1), summed over the last axis.

    Parameters
    ----------
    mean : (..., d) array of float32 or float64
        Any strides.
    log_var : array of the shape and dtype of `mean`
        Logarithms of the variances.
    reduction : {"batchmean", "mean", "sum", "none"}
        The sum over the length of the first axis, the mean over the rows, the sum, or the divergence of each row.

    Returns
    -------
    loss : NumPy scalar, or (...,) array for "none"; dtype of `mean`
        ``sum (e^log_var + mean^2 - 1 - log_var) / 2``; sums are taken in double precision. The mean of no row is NaN.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ, `mean` has no axis, or one for "batchmean", or `reduction` is none of the above.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> float(nk.gaussian_kl(np.array([[1.0, 2.0], [0.0, 1.0]]), np.zeros((2, 2))))
    1.5
    """
    return _gaussian_kl(mean, log_var, reduction, False)[0]


@overload
def gaussian_kl_with_grad(
    mean: FloatLike[F], log_var: FloatLike[F], *, reduction: KlReduced = ...
) -> tuple[F, NDArray[F], NDArray[F]]: ...
@overload
def gaussian_kl_with_grad(
    mean: FloatLike[F], log_var: FloatLike[F], *, reduction: Literal["none"]
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
def gaussian_kl_with_grad(
    mean: FloatLike[F], log_var: FloatLike[F], *, reduction: KlReduced | Literal["none"] = "batchmean"
) -> tuple[F | NDArray[F], NDArray[F], NDArray[F]]:
    """`gaussian_kl` and its gradients in one pass: ``mean`` and ``(e^log_var - 1) / 2``.

    Parameters
    ----------
    mean, log_var, reduction
        As `gaussian_kl`.

    Returns
    -------
    loss : NumPy scalar, or (...,) array for "none"; dtype of `mean`
    dmean, dlog_var : (..., d) arrays, dtype of `mean`
        Gradients of the reduced loss, of the sum for "none".

    Raises
    ------
    TypeError, ValueError
        As `gaussian_kl`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.gaussian_kl_with_grad(np.array([[1.0, 2.0]]), np.log([[1.0, 3.0]]))[1:]
    (array([[1., 2.]]), array([[0., 1.]]))
    """
    return _gaussian_kl(mean, log_var, reduction, True)


def _gaussian_kl(mean, log_var, reduction, gradient):
    arrays = _rows_of(("mean", "log_var"), mean, log_var)
    check.choice("reduction", reduction, KL_REDUCTIONS)
    if reduction == "batchmean" and arrays[0].ndim < 2:
        raise ValueError(f"mean must have shape (n, ..., d) for the reduction 'batchmean', got {arrays[0].shape}")
    return _loss(_pairs.GAUSSIAN_KL, arrays, reduction, gradient)
