"""Normalisation of groups of channels, and by the root of the mean square; and the gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _arguments as check
from ._kernels import group_norm as _group_norm, layer_gradient as _layer_gradient, layer_norm as _layer_norm
from .norm import channels, features, moments, upstream

if TYPE_CHECKING:
    from ._typing import F, FloatLike, Int, NDArray, Number

SMALL = 16  # elements of a plane: smaller ones leave lanes empty, and rows with a gamma for each element do not


def _divisor(groups: object, c: int) -> int:
    groups = check.integer("groups", groups, 1)
    if c % groups:
        raise ValueError(f"groups must divide the {c} channels of x, got {groups}")
    return groups


def _elements(values: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """Values of channels for each element of the planes."""
    return values if x.ndim == 2 else np.repeat(values, x[0, 0].size)


def group_norm(
    x: FloatLike[F], groups: Int, gamma: FloatLike[F], beta: FloatLike[F], *, eps: Number = 1e-5
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]:
    """Normalises every group of channels of every sample to mean 0 and variance 1, then scales and shifts each channel.

    Parameters
    ----------
    x : (n, c) or (n, c, *spatial) array of float32 or float64
        Any strides; copied where planes are not contiguous.
    groups : int
        A divisor of c: 1 takes all channels together, c each for itself (instance normalisation).
    gamma, beta : (c,) arrays, dtype of `x`
        Scale and shift of each channel.
    eps : float
        Added to the variance, not negative.

    Returns
    -------
    y : array, shape and dtype of `x`
        ``(x - mean) / sqrt(var + eps) * gamma + beta``, with mean and variance before they were rounded to the dtype.
    mean, var : (n, groups) arrays, dtype of `x`
        Of each group of neighbouring channels, NaN where it has no values; the variance is biased.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if `groups` is no integer.
    ValueError
        If a shape does not match, `groups` does not divide c, or `eps` is negative.

    Notes
    -----
    Accuracy and range are those of `batch_norm`, whose channels are groups of a sample here. The result of a sample
    does not depend on the batch.

    References
    ----------
    .. [1] Y. Wu and K. He, "Group normalization", ECCV 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x = np.array([[1.0, 3.0, 4.0, 8.0]])
    >>> y, mean, var = nk.group_norm(x, 2, np.ones(4), np.zeros(4), eps=0.0)
    >>> y
    array([[-1.,  1., -1.,  1.]])
    >>> mean, var
    (array([[2., 6.]]), array([[1., 4.]]))
    """
    x = check.real("x", x)
    c = channels(x)
    groups = _divisor(groups, c)
    gamma, beta = check.vector("gamma", gamma, c, x), check.vector("beta", beta, c, x)
    eps = check.number("eps", eps, 0)
    sizes = x.shape[0], groups
    y, mean, var = check.empty(x.shape, x.dtype), check.empty(sizes, x.dtype), check.empty(sizes, x.dtype)
    if x.size == 0:
        mean.fill(np.nan)
        var.fill(np.nan)
    elif x[0, 0].size < SMALL:
        _layer_norm.forward(x, _elements(gamma, x), _elements(beta, x), groups, eps, y, mean, var)
    else:
        _group_norm.forward(_planes(x), gamma, beta, eps, y, mean, var)
    return y, mean, var


def _planes(x):
    """x with contiguous planes, copied where they are not: all passes but the first would read it in steps."""
    return x if x[0, 0].flags.c_contiguous else np.ascontiguousarray(x)


def group_norm_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    groups: Int,
    gamma: FloatLike[F],
    mean: FloatLike[F],
    var: FloatLike[F],
    *,
    eps: Number = 1e-5,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]:
    """Gradients of `group_norm`.

    Parameters
    ----------
    dy : array, shape and dtype of `x`
        Gradient of the loss with respect to `y`; any strides.
    x : (n, c) or (n, c, *spatial) array of float32 or float64
        Any strides.
    groups : int
        As in `group_norm`.
    gamma : (c,) array, dtype of `x`
    mean, var : (n, groups) arrays, dtype of `x`
        What `group_norm` returned.
    eps : float
        As in `group_norm`.

    Returns
    -------
    dx : array, shape and dtype of `x`
    dgamma, dbeta : (c,) arrays, dtype of `x`

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if `groups` is no integer.
    ValueError
        If a shape does not match, `groups` does not divide c, or `eps` is negative.

    Notes
    -----
    With ``t = (x - mean) / sqrt(var + eps)`` and ``g = dy gamma``: ``dbeta = sum(dy)`` and ``dgamma = sum(dy t)`` over
    samples and places, ``dx = (g - mean(g) - t mean(g t)) / sqrt(var + eps)``, means over a group. Sums of at most 4096
    values are put together in double precision: their errors are at most ``4102 eps`` times the sums of absolute
    values. Where `var` is infinite, because it is beyond the dtype, it is taken anew from `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x, gamma = np.array([[1.0, 3.0, 4.0, 8.0]]), np.ones(4)
    >>> y, mean, var = nk.group_norm(x, 2, gamma, np.zeros(4), eps=0.0)
    >>> nk.group_norm_backward(np.array([[1.0, 2.0, 3.0, 5.0]]), x, 2, gamma, mean, var, eps=0.0)[1:]
    (array([-1.,  2., -3.,  5.]), array([1., 2., 3., 5.]))
    """
    x = check.real("x", x)
    c = channels(x)
    groups = _divisor(groups, c)
    dy = upstream(dy, x)
    gamma, eps = check.vector("gamma", gamma, c, x), check.number("eps", eps, 0)
    sizes = x.shape[0], groups
    mean, var = moments("mean", mean, sizes, x), moments("var", var, sizes, x)
    dx, dgamma, dbeta = check.empty(x.shape, x.dtype), np.zeros(c, x.dtype), np.zeros(c, x.dtype)
    if x.size == 0:
        return dx, dgamma, dbeta
    if x[0, 0].size >= SMALL:
        _group_norm.backward(_planes(dy), _planes(x), gamma, mean, var, eps, dx, dgamma, dbeta)
        return dx, dgamma, dbeta
    gamma = _elements(gamma, x)
    dgamma, dbeta = np.empty_like(gamma), np.empty_like(gamma)
    _layer_gradient.backward(dy, x, gamma, groups, mean, var, eps, dx, dgamma, dbeta)
    return dx, dgamma.reshape(c, -1).sum(1), dbeta.reshape(c, -1).sum(1)


def _epsilon(eps: Number | None, x: NDArray[Any]) -> float:
    return float(np.finfo(x.dtype).eps) if eps is None else check.number("eps", eps, 0)


def rms_norm(x: FloatLike[F], gamma: FloatLike[F], *, eps: Number | None = None) -> tuple[NDArray[F], NDArray[F] | F]:
    """Divides every row of the last axis by the root of its mean square, then scales each column.

    Parameters
    ----------
    x : (..., d) array of float32 or float64
        Any strides.
    gamma : (d,) array, dtype of `x`
        Scale of each column.
    eps : float, optional
        Added to the mean square, not negative; unless given, that of the dtype: ``np.finfo(x.dtype).eps``.

    Returns
    -------
    y : array, shape and dtype of `x`
        ``x / sqrt(mean_sq + eps) * gamma``, with the mean square before it was rounded to the dtype.
    mean_sq : (...) array, dtype of `x`
        The mean of the squares of each row, NaN for d = 0. A NumPy scalar for 1-D `x`.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`.
    ValueError
        If a shape does not match, `x` is 0-d, or `eps` is negative.

    Notes
    -----
    Squares are added in double precision, so that `mean_sq` is within 1 eps for float32 and ``(d / 8 + 4) eps`` for
    float64, and `y` within 4 more. Where squares of the dtype would overflow or vanish, numbers are scaled by a power
    of 2: every finite `x` gives the right `y`.

    References
    ----------
    .. [1] B. Zhang and R. Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.rms_norm(np.array([[1.0, 7.0], [3.0, 3.0]]), np.array([1.0, 2.0]), eps=0.0)
    (array([[0.2, 2.8],
           [1. , 2. ]]), array([25.,  9.]))
    """
    x = check.real("x", x)
    gamma, eps = check.vector("gamma", gamma, features(x), x), _epsilon(eps, x)
    y, mean_sq = check.empty(x.shape, x.dtype), check.empty(x.shape[:-1], x.dtype)
    if x.shape[-1] == 0:
        mean_sq.fill(np.nan)
    _layer_norm.forward(x, gamma, None, 1, eps, y, None, mean_sq)
    return y, mean_sq if x.ndim > 1 else mean_sq[()]


def rms_norm_backward(
    dy: FloatLike[F], x: FloatLike[F], gamma: FloatLike[F], mean_sq: FloatLike[F], *, eps: Number | None = None
) -> tuple[NDArray[F], NDArray[F]]:
    """Gradients of `rms_norm`.

    Parameters
    ----------
    dy : array, shape and dtype of `x`
        Gradient of the loss with respect to `y`; any strides.
    x : (..., d) array of float32 or float64
        Any strides.
    gamma : (d,) array, dtype of `x`
    mean_sq : (...) array, dtype of `x`
        What `rms_norm` returned.
    eps : float, optional
        As in `rms_norm`.

    Returns
    -------
    dx : array, shape and dtype of `x`
    dgamma : (d,) array, dtype of `x`

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`.
    ValueError
        If a shape does not match, `x` is 0-d, or `eps` is negative.

    Notes
    -----
    With ``t = x / sqrt(mean_sq + eps)`` and ``g = dy gamma``: ``dgamma = sum(dy t)`` over the rows, and
    ``dx = (g - t mean(g t)) / sqrt(mean_sq + eps)``. Errors of sums are those of `layer_norm_backward`. Where `mean_sq`
    is infinite, because it is beyond the dtype, it is taken anew from `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x, gamma = np.array([[1.0, 7.0], [3.0, 3.0]]), np.ones(2)
    >>> y, mean_sq = nk.rms_norm(x, gamma, eps=0.0)
    >>> nk.rms_norm_backward(np.array([[5.0, 10.0], [1.0, 2.0]]), x, gamma, mean_sq, eps=0.0)[1]
    array([ 2., 16.])
    """
    x = check.real("x", x)
    d = features(x)
    dy = upstream(dy, x)
    gamma, eps = check.vector("gamma", gamma, d, x), _epsilon(eps, x)
    mean_sq = moments("mean_sq", mean_sq, x.shape[:-1], x)
    dx, dgamma = check.empty(x.shape, x.dtype), np.empty(d, x.dtype)
    _layer_gradient.backward(dy, x, gamma, 1, None, mean_sq, eps, dx, dgamma, None)
    return dx, dgamma
