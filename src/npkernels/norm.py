"""Normalisation of batches and of layers, and the gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _arguments as check
from ._kernels import batch_norm as _batch_norm, layer_gradient as _layer_gradient, layer_norm as _layer_norm

if TYPE_CHECKING:
    from ._typing import F, FloatLike, NDArray, Number


def channels(x: NDArray[Any]) -> int:
    """The number of channels of (n, c, *spatial)."""
    if x.ndim < 2:
        raise ValueError(f"x must have shape (n, c, ...), got {x.shape}")
    return x.shape[1]


def features(x: NDArray[Any]) -> int:
    """The length of the last axis."""
    if x.ndim == 0:
        raise ValueError("x must have at least one axis, got a 0-d array")
    return x.shape[-1]


def upstream(dy: object, x: NDArray[Any]) -> NDArray[Any]:
    """The gradient of the result, which has the shape of x."""
    dy = check.real("dy", dy, x)
    if dy.shape != x.shape:
        check.shape("dy", dy, x.shape)
    return dy


def moments(name: str, value: object, shape: tuple[int, ...], x: NDArray[Any]) -> NDArray[Any]:
    """What a forward pass returned, C-contiguous."""
    value = check.real(name, value, x)
    check.shape(name, value, shape)
    return value if value.flags.c_contiguous else value.copy()


def batch_norm(
    x: FloatLike[F], gamma: FloatLike[F], beta: FloatLike[F], *, eps: Number = 1e-5
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]:
    """Normalises every channel to mean 0 and variance 1 over the batch, then scales and shifts it.

    Parameters
    ----------
    x : (n, c) or (n, c, *spatial) array of float32 or float64
        Any strides; at least one value a channel.
    gamma, beta : (c,) arrays, dtype of `x`
        Scale and shift of each channel.
    eps : float
        Added to the variance, not negative.

    Returns
    -------
    y : array, shape and dtype of `x`
        ``(x - mean) / sqrt(var + eps) * gamma + beta``, with mean and variance before they were rounded to the dtype.
    mean, var : (c,) arrays, dtype of `x`
        Over the batch and the spatial axes; the variance is biased: it divides by the number of values.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`.
    ValueError
        If a shape does not match, the batch is empty, or `eps` is negative.

    Notes
    -----
    The variance is the mean square of differences from the mean: it keeps its digits where the mean is large. Sums are
    taken in blocks of at most 4096 values that depend on the shape alone, and put together in double precision. With
    ``k = min(n, 4096)``, n the values of a channel, the error of the mean is at most
    ``(k + 4) eps mean(|x - mean|) + eps |mean|``, that of the variance ``(k + 16) eps var``. Where squares of the dtype
    would overflow or vanish, numbers are scaled by a power of 2: every finite `x` gives the right `y`, also where the
    variance is beyond the dtype.

    References
    ----------
    .. [1] S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal
       covariate shift", ICML 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> y, mean, var = nk.batch_norm(np.array([[1.0, 5.0], [3.0, 5.0]]), np.ones(2), np.zeros(2), eps=0.0625)
    >>> mean, var
    (array([2., 5.]), array([1., 0.]))
    >>> y.round(4)
    array([[-0.9701,  0.    ],
           [ 0.9701,  0.    ]])
    """
    x = check.real("x", x)
    c = channels(x)
    gamma, beta = check.vector("gamma", gamma, c, x), check.vector("beta", beta, c, x)
    eps = check.number("eps", eps, 0)
    if not x.size and 0 in x.shape[:1] + x.shape[2:]:
        raise ValueError(f"x must hold at least one value a channel, got shape {x.shape}")
    y, mean, var = check.empty(x.shape, x.dtype), np.empty(c, x.dtype), np.empty(c, x.dtype)
    _batch_norm.forward(x, gamma, beta, eps, y, mean, var)
    return y, mean, var


def batch_norm_inference(
    x: FloatLike[F],
    gamma: FloatLike[F],
    beta: FloatLike[F],
    mean: FloatLike[F],
    var: FloatLike[F],
    *,
    eps: Number = 1e-5,
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """Normalises every channel by a given mean and variance, then scales and shifts it.

    Parameters
    ----------
    x : (n, c) or (n, c, *spatial) array of float32 or float64
        Any strides.
    gamma, beta, mean, var : (c,) arrays, dtype of `x`
        Scale, shift, mean and variance of each channel.
    eps : float
        Added to the variance, not negative.
    out : array of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself, and must not overlap an input otherwise.

    Returns
    -------
    y : array, shape and dtype of `x`
        ``(x - mean) / sqrt(var + eps) * gamma + beta``.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`.
    ValueError
        If a shape does not match, `eps` is negative, or `out` is read-only, not C-contiguous or overlaps an input.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.batch_norm_inference(np.array([[3.0], [5.0]]), np.ones(1), np.zeros(1), np.ones(1), np.array([3.0]), eps=1.0)
    array([[1.],
           [2.]])
    """
    x = check.real("x", x)
    c = channels(x)
    gamma, beta = check.vector("gamma", gamma, c, x), check.vector("beta", beta, c, x)
    mean, var = check.vector("mean", mean, c, x), check.vector("var", var, c, x)
    eps = check.number("eps", eps, 0)
    inputs = {"x": x, "gamma": gamma, "beta": beta, "mean": mean, "var": var}
    y = check.output(out, x.shape, x.dtype, inputs, may_be=("x",))
    _batch_norm.inference(x, gamma, beta, mean, var, eps, y)
    return y


def batch_norm_backward(
    dy: FloatLike[F], x: FloatLike[F], gamma: FloatLike[F], mean: FloatLike[F], var: FloatLike[F], *, eps: Number = 1e-5
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]:
    """Gradients of `batch_norm`.

    Parameters
    ----------
    dy : array, shape and dtype of `x`
        Gradient of the loss with respect to `y`; any strides.
    x : (n, c) or (n, c, *spatial) array of float32 or float64
        Any strides.
    gamma, mean, var : (c,) arrays, dtype of `x`
        The scale, and what `batch_norm` returned.
    eps : float
        As in `batch_norm`.

    Returns
    -------
    dx : array, shape and dtype of `x`
    dgamma, dbeta : (c,) arrays, dtype of `x`

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`.
    ValueError
        If a shape does not match, or `eps` is negative.

    Notes
    -----
    With ``t = (x - mean) / sqrt(var + eps)``: ``dbeta = sum(dy)``, ``dgamma = sum(dy t)``, and
    ``dx = gamma / sqrt(var + eps) (dy - mean(dy) - t mean(dy t))``. Sums of blocks of at most ``k = 4096`` values are
    put together in double precision: their errors are at most ``(k + 6) eps sum(|dy|)`` and
    ``(k + 6) eps sum(|dy t|)``. Where `var` is infinite, because it is beyond the dtype, it is taken anew from `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x, gamma = np.array([[1.0], [3.0]]), np.ones(1)
    >>> y, mean, var = nk.batch_norm(x, gamma, np.zeros(1), eps=0.0)
    >>> nk.batch_norm_backward(np.array([[2.0], [5.0]]), x, gamma, mean, var, eps=0.0)[1:]
    (array([3.]), array([7.]))
    """
    x = check.real("x", x)
    c = channels(x)
    dy = upstream(dy, x)
    gamma, mean, var = (check.vector(name, a, c, x) for name, a in (("gamma", gamma), ("mean", mean), ("var", var)))
    eps = check.number("eps", eps, 0)
    dx, dgamma, dbeta = check.empty(x.shape, x.dtype), np.empty(c, x.dtype), np.empty(c, x.dtype)
    _batch_norm.backward(dy, x, gamma, mean, var, eps, dx, dgamma, dbeta)
    return dx, dgamma, dbeta


def layer_norm(
    x: FloatLike[F], gamma: FloatLike[F], beta: FloatLike[F], *, eps: Number = 1e-5
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]:
    """Normalises every row of the last axis to mean 0 and variance 1, then scales and shifts each column.

    Parameters
    ----------
    x : (..., d) array of float32 or float64
        Any strides.
    gamma, beta : (d,) arrays, dtype of `x`
        Scale and shift of each column.
    eps : float
        Added to the variance, not negative.

    Returns
    -------
    y : array, shape and dtype of `x`
        ``(x - mean) / sqrt(var + eps) * gamma + beta``, with mean and variance before they were rounded to the dtype.
    mean, var : (...) arrays, dtype of `x`
        Of each row, NaN for d = 0; the variance is biased: it divides by d. NumPy scalars for 1-D `x`.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`.
    ValueError
        If a shape does not match, `x` is 0-d, or `eps` is negative.

    Notes
    -----
    Accuracy and range are those of `batch_norm`, whose channels are rows here.

    References
    ----------
    .. [1] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> y, mean, var = nk.layer_norm(np.array([[1.0, 3.0], [4.0, 8.0]]), np.ones(2), np.zeros(2), eps=0.0)
    >>> y
    array([[-1.,  1.],
           [-1.,  1.]])
    >>> mean, var
    (array([2., 6.]), array([1., 4.]))
    """
    x = check.real("x", x)
    d = features(x)
    gamma, beta = check.vector("gamma", gamma, d, x), check.vector("beta", beta, d, x)
    eps = check.number("eps", eps, 0)
    rows = x.shape[:-1]
    y, mean, var = check.empty(x.shape, x.dtype), check.empty(rows, x.dtype), check.empty(rows, x.dtype)
    if d == 0:
        mean.fill(np.nan)
        var.fill(np.nan)
    _layer_norm.forward(x, gamma, beta, 1, eps, y, mean, var)
    return y, mean if rows else mean[()], var if rows else var[()]


def layer_norm_backward(
    dy: FloatLike[F], x: FloatLike[F], gamma: FloatLike[F], mean: FloatLike[F], var: FloatLike[F], *, eps: Number = 1e-5
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]:
    """Gradients of `layer_norm`.

    Parameters
    ----------
    dy : array, shape and dtype of `x`
        Gradient of the loss with respect to `y`; any strides.
    x : (..., d) array of float32 or float64
        Any strides.
    gamma : (d,) array, dtype of `x`
    mean, var : (...) arrays, dtype of `x`
        What `layer_norm` returned.
    eps : float
        As in `layer_norm`.

    Returns
    -------
    dx : array, shape and dtype of `x`
    dgamma, dbeta : (d,) arrays, dtype of `x`

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`.
    ValueError
        If a shape does not match, `x` is 0-d, or `eps` is negative.

    Notes
    -----
    With ``t = (x - mean) / sqrt(var + eps)`` and ``g = dy gamma``: ``dbeta = sum(dy)`` and ``dgamma = sum(dy t)`` over
    the rows, ``dx = (g - mean(g) - t mean(g t)) / sqrt(var + eps)``. Sums of blocks of at most 4096 values of a row,
    and of 64 rows, are put together in double precision: their errors are at most ``k + 6`` eps times the sums of
    absolute values, k being 4096 and 64. Where `var` is infinite, because it is beyond the dtype, it is taken anew from
    `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x, gamma = np.array([[1.0, 3.0], [4.0, 8.0]]), np.ones(2)
    >>> y, mean, var = nk.layer_norm(x, gamma, np.zeros(2), eps=0.0)
    >>> nk.layer_norm_backward(np.array([[1.0, 2.0], [3.0, 5.0]]), x, gamma, mean, var, eps=0.0)[1:]
    (array([-4.,  7.]), array([4., 7.]))
    """
    x = check.real("x", x)
    d = features(x)
    dy = upstream(dy, x)
    gamma, eps = check.vector("gamma", gamma, d, x), check.number("eps", eps, 0)
    mean, var = moments("mean", mean, x.shape[:-1], x), moments("var", var, x.shape[:-1], x)
    dx, dgamma, dbeta = check.empty(x.shape, x.dtype), np.empty(d, x.dtype), np.empty(d, x.dtype)
    _layer_gradient.backward(dy, x, gamma, 1, mean, var, eps, dx, dgamma, dbeta)
    return dx, dgamma, dbeta
