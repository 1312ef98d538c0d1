"""Cross-entropy with the softmax of logits, and its gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from .. import _arguments as check
from .._kernels import softmax as _softmax

if TYPE_CHECKING:
    from .._typing import ArrayLike, F, FloatLike, Int, NDArray, Number, Reduced, Reduction

REDUCTIONS = ("mean", "sum", "none")
FLOATING = (np.dtype(np.float32), np.dtype(np.float64))


@overload
def softmax_cross_entropy(
    logits: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = ...,
    ignore_index: Int | None = ...,
    label_smoothing: Number = ...,
    reduction: Reduced = ...,
) -> F: ...
@overload
def softmax_cross_entropy(
    logits: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = ...,
    ignore_index: Int | None = ...,
    label_smoothing: Number = ...,
    reduction: Literal["none"],
) -> NDArray[F]: ...
def softmax_cross_entropy(
    logits: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = None,
    ignore_index: Int | None = None,
    label_smoothing: Number = 0.0,
    reduction: Reduction = "mean",
) -> F | NDArray[F]:
    """Cross-entropy between the softmax of logits and target classes or probabilities.

    Parameters
    ----------
    logits : (n, c) or (n, c, *spatial*) array of float32 or float64
        Any finite size; any strides. Copied only where the axes after the second do not fold into one.
    targets : (n, *spatial*) array of integers, or array of the shape and dtype of `logits`
        Classes in [0, c), or probabilities.
    weight : (c,) array, dtype of `logits`, optional
        Of each class.
    ignore_index : int, optional
        Samples of this class have loss, weight and gradient 0. None ignores nothing.
    label_smoothing : float
        In [0, 1]: the part of each target distribution that is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}
        The mean divides by the sum of the weights of the target classes, or by the number of samples if the targets are
        probabilities; as PyTorch's ``cross_entropy``.

    Returns
    -------
    loss : NumPy scalar, or (n, *spatial*) array for "none"; dtype of `logits`
        ``-sum_j weight_j q_j log(softmax(logits)_j)`` of each sample, q being its smoothed target distribution.
        The mean over no sample, or over ignored samples only, is NaN.

    Raises
    ------
    TypeError
        If `logits` are not float32 or float64, another array is not of their dtype, or classes are not integers.
    ValueError
        If a shape does not match, a class is out of range and not `ignore_index`, or an option is out of range.

    Notes
    -----
    The error of a sample's loss is at most ``(min(c, 8192) + c / 8192 + 12) eps`` times
    ``sum_j weight_j q_j (|log(softmax(logits)_j)| + |m - logits_j| + 1)``, m being its largest logit: sums of more than
    8192 terms are those of pieces, added in double precision. Samples are added in double precision.

    References
    ----------
    .. [1] C. Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016 (label smoothing).

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> float(nk.softmax_cross_entropy(np.log([[1.0, 3.0], [2.0, 2.0]]), [1, 0]).round(4))
    0.4904
    """
    return _cross_entropy(logits, targets, weight, ignore_index, label_smoothing, reduction, False)[0]


@overload
def softmax_cross_entropy_with_grad(
    logits: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = ...,
    ignore_index: Int | None = ...,
    label_smoothing: Number = ...,
    reduction: Reduced = ...,
) -> tuple[F, NDArray[F]]: ...
@overload
def softmax_cross_entropy_with_grad(
    logits: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = ...,
    ignore_index: Int | None = ...,
    label_smoothing: Number = ...,
    reduction: Literal["none"],
) -> tuple[NDArray[F], NDArray[F]]: ...
def softmax_cross_entropy_with_grad(
    logits: FloatLike[F],
    targets: ArrayLike,
    *,
    weight: FloatLike[F] | None = None,
    ignore_index: Int | None = None,
    label_smoothing: Number = 0.0,
    reduction: Reduction = "mean",
) -> tuple[F | NDArray[F], NDArray[F]]:
    """`softmax_cross_entropy` and its gradient in one pass over the logits.

    Parameters
    ----------
    logits, targets, weight, ignore_index, label_smoothing, reduction
        As `softmax_cross_entropy`.

    Returns
    -------
    loss : NumPy scalar, or (n, *spatial*) array for "none"; dtype of `logits`
    dlogits : array, shape and dtype of `logits`
        Gradient of the reduced loss; of the sum for "none". Of ignored samples it is 0.

    Raises
    ------
    TypeError, ValueError
        As `softmax_cross_entropy`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> loss, dlogits = nk.softmax_cross_entropy_with_grad(np.log([[1.0, 3.0]]), np.array([1]))
    >>> dlogits
    array([[ 0.25, -0.25]])
    """
    return _cross_entropy(logits, targets, weight, ignore_index, label_smoothing, reduction, True)


def _cross_entropy(logits, targets, weight, ignore_index, label_smoothing, reduction, gradient):
    logits = check.real("logits", logits)
    if logits.ndim < 2:
        raise ValueError(f"logits must have shape (n, c, ...), got {logits.shape}")
    if type(reduction) is not str or reduction not in REDUCTIONS:
        check.choice("reduction", reduction, REDUCTIONS)
    n, c, *spatial = logits.shape
    samples = (n, *spatial)
    inner = math.prod(spatial) if spatial else 1
    classes, target = _targets(targets, logits, samples, inner, ignore_index)
    if weight is not None:
        weight = check.vector("weight", weight, c, logits, "logits")
    if ignore_index is not None:
        ignore_index = check.integer("ignore_index", ignore_index)
    smoothing = check.fraction("label_smoothing", label_smoothing)
    base = None
    if smoothing and target is None:
        base = np.full(c, smoothing / max(c, 1), logits.dtype) * (1 if weight is None else weight)
    losses = np.empty(samples, logits.dtype)
    dlogits = folded = check.empty(logits.shape, logits.dtype) if gradient else None
    if spatial:
        folded = dlogits.reshape(n, c, inner) if gradient else None
    total, divisor, wrong = _softmax.cross_entropy(
        logits.reshape(n, c, inner) if spatial else logits,
        classes,
        target,
        weight,
        base,
        smoothing,
        ignore_index,
        reduction == "mean",
        folded,
        losses,
    )
    if wrong >= 0:
        raise ValueError(f"targets must be classes in [0, {c}), got {classes[wrong]}")
    if reduction == "none":
        return losses, dlogits
    if reduction == "mean":
        total = total / divisor if divisor else math.nan
    return logits.dtype.type(total), dlogits


def _targets(targets, logits, samples, inner, ignore_index):
    """(classes as int64, None) or (None, probabilities as (n, c, inner))."""
    given = targets
    if type(targets) is not np.ndarray:
        targets = check.as_array("targets", targets)
    if targets.dtype.kind in "iu":
        return classes_of(targets, logits.shape[1], samples), None
    if targets.dtype not in FLOATING:
        kind = check.kind_of(given, targets)
        raise TypeError(f"targets must be integers or of the dtype of logits, got {kind}")
    if targets.shape == samples:
        raise TypeError(f"targets must be integers to be classes of shape {samples}, got {targets.dtype}")
    targets = check.real("targets", targets, logits, "logits")
    check.shape("targets", targets, logits.shape)
    if ignore_index is not None:
        raise ValueError("ignore_index must go with classes, got targets that are probabilities")
    return None, targets.reshape(samples[0], logits.shape[1], inner)


def classes_of(targets, c, samples):
    """Targets of any integer dtype as a row of int64."""
    check.shape("targets", targets, samples)
    if targets.dtype.kind == "u" and targets.dtype.itemsize == 8 and targets.size:
        most = int(targets.max())
        if most > check.INT64_MAX:  # as int64 it would be another class
            raise ValueError(f"targets must be classes in [0, {c}), got {most}")
    if targets.dtype != np.int64 or not (targets.flags.c_contiguous and targets.flags.aligned):
        targets = targets.astype(np.int64, order="C")
    return targets if targets.ndim == 1 else targets.reshape(-1)
