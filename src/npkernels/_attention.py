"""Scaled dot-product attention and its gradients."""

import math
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import _arguments as check
from ._kernels import attention_backward as _backward, attention_forward as _forward

Real = TypeVar("Real", np.float32, np.float64)


class AttentionTape(NamedTuple):
    """What `attention_backward` needs: the arrays of a call of `attention` themselves, and a number for each query."""

    q: NDArray[Any]
    k: NDArray[Any]
    v: NDArray[Any]
    mask: NDArray[Any] | None
    causal: bool
    scale: float
    y: NDArray[Any]
    statistics: NDArray[Any]


def _operands(q: Any, k: Any, v: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], tuple[int, ...]]:
    """The three arrays, and the leading axes of the result."""
    q = check.real("q", q)
    k, v = check.real("k", k, q, "q"), check.real("v", v, q, "q")
    for name, array, text in ("q", q, "(..., lq, d)"), ("k", k, "(..., lk, d)"), ("v", v, "(..., lk, dv)"):
        if array.ndim < 2:
            raise ValueError(f"{name} must have shape {text}, got {array.shape}")
    if k.shape[-1] != q.shape[-1]:
        raise ValueError(f"k must have shape (..., lk, {q.shape[-1]}), got {k.shape}")
    if v.shape[-2] != k.shape[-2]:
        raise ValueError(f"v must have shape (..., {k.shape[-2]}, dv), got {v.shape}")
    if q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        return q, k, v, q.shape[:-2]
    leading = q.shape[:-2]
    for name, array in ("k", k), ("v", v):
        try:
            leading = np.broadcast_shapes(leading, array.shape[:-2])
        except ValueError:
            raise ValueError(
                f"the leading axes of {name} must broadcast with {leading}, got {array.shape[:-2]}"
            ) from None
    return q, k, v, leading


def _mask(mask: Any, q: NDArray[Any], wanted: tuple[int, ...]) -> NDArray[Any]:
    """The mask as an array, checked."""
    mask = check.as_array("mask", mask)
    if mask.dtype != np.bool_:
        if mask.dtype.kind != "f":
            raise TypeError(f"mask must be bool or {q.dtype}, got {mask.dtype}")
        mask = check.real("mask", mask, q, "q")
    try:
        fits = np.broadcast_shapes(mask.shape, wanted) == wanted
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"mask must broadcast to shape {wanted}, got {mask.shape}")
    return mask


def _rows(x: NDArray[Any], leading: tuple[int, ...]) -> NDArray[Any]:
    """`x` for every head, without a copy."""
    return x if x.shape[:-2] == leading else np.broadcast_to(x, (*leading, *x.shape[-2:]))


def _kernel_operands(
    q: NDArray[Any], k: NDArray[Any], v: NDArray[Any], mask: NDArray[Any] | None, leading: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    if mask is not None:
        mask = np.broadcast_to(mask, (*leading, q.shape[-2], k.shape[-2]))
    if q.shape[-1] == 0:  # every score is 0
        q, k = (np.zeros((*x.shape[:-1], 1), x.dtype) for x in (q, k))
    return _rows(q, leading), _rows(k, leading), _rows(v, leading), mask


def attention(
    q: NDArray[Real],
    k: NDArray[Real],
    v: NDArray[Real],
    *,
    mask: NDArray[np.bool_] | NDArray[Real] | None = None,
    causal: bool = False,
    scale: float | None = None,
    training: bool = False,
) -> tuple[NDArray[Real], AttentionTape | None]:
    """Scaled dot-product attention: every query takes the mean of the values, weighted by how its keys agree with it.

    Parameters
    ----------
    q : (..., lq, d) array of float32 or float64
        Queries; any strides. The leading axes, of heads and samples, are broadcast against those of `k` and `v`.
    k : (..., lk, d) array, dtype of `q`
        Keys. Read in place where the last axis is contiguous.
    v : (..., lk, dv) array, dtype of `q`
        Values, likewise.
    mask : bool array or array of the dtype of `q`, optional
        Broadcast to (..., lq, lk) without a copy. Bool: True where a query sees a key. Numbers are added to the scores.
    causal : bool
        Query i sees the keys up to i only, also where lq and lk differ; with a mask, a query sees what both let it see.
    scale : float, optional
        What scores are multiplied by; ``1 / sqrt(d)`` if None.
    training : bool
        Whether to return a tape.

    Returns
    -------
    y : (..., lq, dv) array, dtype of `q`
        ``softmax(q @ k.T * scale + mask) @ v`` over the keys that are seen; 0 for a query that sees none.
    tape : AttentionTape or None
        For `attention_backward`; None unless `training`. It refers to `q`, `k`, `v`, `mask` and `y` themselves: their
        numbers must not change before the gradient is taken, or it is that of no function.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `q`; if the mask is neither that nor bool.
    ValueError
        If a shape does not match, or does not broadcast.

    Notes
    -----
    No (lq, lk) array is stored: blocks of scores are turned into weights with a running maximum and sum [1]_ [2]_, and
    memory is O((lq + lk) (d + dv)). Blocks that `causal` hides are not computed.

    A weight of 0 does not count, even where the value is inf or NaN: what a mask hides, or a score of -inf, or a score
    so small that its weight is below 2^-125 (float32) or 2^-1021 (float64) of the largest, has no influence. A NaN in a
    key that is seen makes the result of its queries NaN.

    A head does not depend on the others, nor on the number of threads, to the last bit. A score is a chain of d
    products of ``q scale / log 2``, its error at most ``(d + 4) eps sum(|q k|) scale``, and that of y at most
    ``(2 e + min(lk, 8192) + 16) eps`` times the weighted mean of ``|v|``, with e the largest error of a score in eps.

    References
    ----------
    .. [1] M. Milakov and N. Gimelshein, "Online normalizer calculation for softmax", arXiv 1805.02867, 2018.
    .. [2] T. Dao, D. Fu, S. Ermon, A. Rudra and C. Re, "FlashAttention: fast and memory-efficient exact attention with
       IO-awareness", NeurIPS, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> q, k, v = np.zeros((1, 2)), np.ones((4, 2)), np.array([[1.0], [2.0], [3.0], [6.0]])
    >>> nk.attention(q, k, v)[0]
    array([[3.]])
    >>> nk.attention(q, k, v, mask=np.array([True, True, False, False]))[0]
    array([[1.5]])
    """
    leading: tuple[int, ...]
    queries, keys, values, leading = _operands(q, k, v)
    causal, training = check.flag("causal", causal), check.flag("training", training)
    factor = 1 / math.sqrt(queries.shape[-1] or 1) if scale is None else check.number("scale", scale)
    lq, (lk, dv) = queries.shape[-2], values.shape[-2:]
    seen = None if mask is None else _mask(mask, queries, (*leading, lq, lk))
    y = check.empty((*leading, lq, dv), queries.dtype)
    statistics = check.empty((*leading, lq), queries.dtype)
    if y.size and lk:
        rows = _kernel_operands(queries, keys, values, seen, leading)
        _forward.forward(rows[0], rows[1], rows[2], rows[3], causal, factor, y, statistics)
    else:
        y.fill(0)
    return y, AttentionTape(queries, keys, values, seen, causal, factor, y, statistics) if training else None


def attention_backward(
    dy: NDArray[Real], tape: AttentionTape | None
) -> tuple[NDArray[Real], NDArray[Real], NDArray[Real]]:
    """Gradients of `attention`.

    Parameters
    ----------
    dy : (..., lq, dv) array, shape and dtype of the result y
        Gradient of the loss with respect to y; any strides.
    tape : AttentionTape
        What `attention` returned with ``training=True``; may be used again.

    Returns
    -------
    dq, dk, dv : arrays, shapes and dtype of `q`, `k` and `v`
        With weights p and ``dp = dy @ v.T``, ``ds = p (dp - sum(p dp))``: ``ds @ k * scale``, ``ds.T @ q * scale`` and
        ``p.T @ dy``. Where leading axes were broadcast, the gradient is summed over them.

    Raises
    ------
    TypeError
        If `tape` is none, or the dtype of `dy` is not that of y.
    ValueError
        If the shape of `dy` is not that of y.

    Notes
    -----
    The weights are computed anew, block by block, from the sums that the tape holds: memory is O((lq + lk) (d + dv)),
    for few heads of more than 2048 keys on several threads with up to ``max(4, lk / 8192)`` arrays like dq. Terms with
    a weight of 0 do not count, even where the other factors are inf or NaN. The number of threads changes no bit.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> q, k, v = np.ones((1, 1)), np.zeros((2, 1)), np.array([[1.0], [3.0]])
    >>> y, tape = nk.attention(q, k, v, training=True)
    >>> for gradient in nk.attention_backward(np.ones((1, 1)), tape):
    ...     print(gradient.ravel())
    [0.]
    [-0.5  0.5]
    [0.5 0.5]
    """
    kept = _checked(tape)
    y = kept.y
    dy = check.real("dy", dy, y, "y")
    check.shape("dy", dy, y.shape)
    q, k, v, mask = _kernel_operands(kept.q, kept.k, kept.v, kept.mask, y.shape[:-2])
    dq, dk, dv = (check.empty(x.shape, x.dtype) for x in (q, k, v))
    if y.size and k.shape[-2]:
        _backward.backward(dy, q, k, v, mask, y, kept.statistics, kept.causal, kept.scale, dq, dk, dv)
    else:
        for gradient in dq, dk, dv:
            gradient.fill(0)
    return _sum_to(dq, kept.q), _sum_to(dk, kept.k), _sum_to(dv, kept.v)


def _checked(tape: object) -> AttentionTape:
    """The tape, whose arrays fit one another."""
    if type(tape) is not AttentionTape:
        raise TypeError(f"tape must be what attention returns with training=True, got {type(tape).__name__}")
    q, _, v, leading = _operands(tape.q, tape.k, tape.v)
    check.shape("y of tape", check.real("y of tape", tape.y, q, "q"), (*leading, q.shape[-2], v.shape[-1]))
    check.shape("statistics of tape", check.real("statistics of tape", tape.statistics, q, "q"), tape.y.shape[:-1])
    return tape


def _sum_to(gradient: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """The gradient summed over the leading axes that `x` has not, or of which it has one."""
    if x.shape[-1] == 0:
        return np.empty(x.shape, x.dtype)
    added = gradient.ndim - x.ndim
    axes = *range(added), *(added + i for i, size in enumerate(x.shape) if size == 1 != gradient.shape[added + i])
    return gradient.sum(axis=axes).reshape(x.shape) if axes else gradient
