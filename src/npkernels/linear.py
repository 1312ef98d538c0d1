"""Affine maps and matrix products."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from . import _arguments as check
from ._kernels.linear import dense_plain, product, products
from .activation.parameterless import fused

if TYPE_CHECKING:
    from ._typing import Activation, F, FloatLike, Gradients, NDArray, Needs


def _folds(x):
    """Whether the leading axes of `x` are one axis of one stride; to ask by `view.shape = ...` copies `x`."""
    step = None
    for size, stride in zip(x.shape[-2::-1], x.strides[-2::-1], strict=True):
        if size != 1:
            if step not in (None, stride):
                return False
            step = size * stride
    return True


def _matrices(x, *others):
    """The leading axes of `x` as one, without a copy: pairs of 2-D views of `x` and of each C-contiguous other."""
    if x.ndim <= 2:
        yield tuple(a.reshape(1, -1) if x.ndim == 1 else a for a in (x, *others))
    elif x.size == 0 or _folds(x):
        rows = math.prod(x.shape[:-1])
        yield tuple(a.reshape(rows, a.shape[-1]) for a in (x, *others))
    else:  # one product for each leading index
        for index in np.ndindex(x.shape[:-2]):
            yield tuple(a[index] for a in (x, *others))


def dense(
    x: FloatLike[F],
    w: FloatLike[F],
    b: FloatLike[F] | None = None,
    *,
    activation: Activation | None = None,
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """Affine map of every row of `x`, with an optional activation applied on the way out.

    Parameters
    ----------
    x : (..., k) array of float32 or float64
        One sample per row; any strides, read in place.
    w : (n, k) array, dtype of `x`
        One output unit per row.
    b : (n,) array, dtype of `x`, optional
    activation : None or {"relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu"}
        Applied with its default parameters while the result is still in cache.
    out : (..., n) array, dtype of `x`, optional
        C-contiguous; must not overlap an input.

    Returns
    -------
    y : (..., n) array, dtype of `x`
        ``activation(x @ w.T + b)``. A row depends on its own sample only, to the last bit.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`.
    ValueError
        If a shape does not match; the message names argument, wanted and given shape.

    Notes
    -----
    Each element is a chain of multiply-adds that starts from `b` and ascends in k, or, where k is long, a sum of such
    chains in an order that depends on k alone. More than 8192 products are summed in blocks of so many, which are added
    in double precision: the error is at most ``(min(k, 8192) + k / 8192 + 3) eps (|x| @ |w|.T + |b|)``.

    References
    ----------
    .. [1] K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34(3), 2008.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.dense(np.array([1.0, 2.0]), np.array([[3.0, 4.0], [-1.0, 0.0]]), np.array([0.5, 0.5]), activation="relu")
    array([11.5,  0. ])
    """
    function = -1 if activation is None else fused(activation)
    if out is None:
        y = dense_plain(x, w, b, function)
        if y is not None:
            return y
    x = check.real("x", x)
    w = check.real("w", w, x)
    if w.ndim != 2 or x.ndim == 0 or w.shape[1] != x.shape[-1]:
        _dense_shapes(x, w)
    n = w.shape[0]
    if b is not None:
        b = check.vector("b", b, n, x)
    wanted = (*x.shape[:-1], n)
    if out is None:
        y = check.empty(wanted, x.dtype)
    else:
        y = check.output(out, wanted, x.dtype, {"x": x, "w": w, "b": b})
    if x.ndim == 2:
        product(x, w, y, False, True, b, function, True)
    else:
        for rows, result in _matrices(x, y):
            product(rows, w, result, False, True, b, function, True)
    return y


def _dense_shapes(x, w):
    if x.ndim == 0:
        raise ValueError("x must have shape (..., k), got ()")
    check.rank("w", w, 2, "(n, k)")
    raise ValueError(f"w must have shape (n, {x.shape[-1]}), got {w.shape}")


@overload
def dense_backward(dy: FloatLike[F], x: FloatLike[F], w: FloatLike[F]) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def dense_backward(dy: FloatLike[F], x: FloatLike[F], w: FloatLike[F], *, needs: Needs) -> Gradients[F]: ...
def dense_backward(
    dy: FloatLike[F], x: FloatLike[F], w: FloatLike[F], *, needs: Needs = ("x", "w", "b")
) -> Gradients[F]:
    """Gradients of `dense` without activation.

    Parameters
    ----------
    dy : (..., n) array, dtype of `x`
        Gradient of the loss with respect to ``x @ w.T + b``, before any activation.
    x : (..., k) array of float32 or float64
        Any strides; for dw and db, `x` and `dy` are copied where their leading axes do not fold into one.
    w : (n, k) array, dtype of `x`
    needs : tuple of "x", "w", "b"
        Which gradients to compute.

    Returns
    -------
    dx : (..., k) array or None
        ``dy @ w``
    dw : (n, k) array or None
        ``dy.T @ x`` summed over all leading axes.
    db : (n,) array or None
        ``dy`` summed over all leading axes.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if `needs` is no tuple.
    ValueError
        If a shape does not match, or `needs` holds an unknown name.

    Notes
    -----
    Each gradient is a product, in which k, the number of its terms, is that of units for dx and of samples for dw and
    db. Its error is at most ``(min(k, 8192) + k / 8192 + 3) eps`` times the same product of absolute values.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> dx, dw, db = nk.dense_backward(np.array([[1.0]]), np.array([[2.0, 3.0]]), np.array([[4.0, 5.0]]))
    >>> dx, dw, db
    (array([[4., 5.]]), array([[2., 3.]]), array([1.]))
    """
    x = check.real("x", x)
    dy = check.real("dy", dy, x)
    w = check.real("w", w, x)
    if w.ndim != 2 or x.ndim == 0 or w.shape[1] != x.shape[-1]:
        _dense_shapes(x, w)
    n, k = w.shape
    check.shape("dy", dy, (*x.shape[:-1], n))
    need_x, need_w, need_b = check.needs(needs)
    dx = dw = db = None
    if need_x:
        dx = check.empty(x.shape, x.dtype)
        if dx.ndim == 2:
            product(dy, w, dx, False, False)
        else:
            for rows, result in _matrices(dy, dx):
                product(rows, w, result, False, False)
    if need_w or need_b:
        # The sum over samples needs one axis of samples; only leading axes that do not fold into one are copied.
        dy2, x2 = _samples(dy, n), _samples(x, k)
    if need_w:
        dw = check.empty((n, k), x.dtype)
        product(dy2, x2, dw, True, False)
    if need_b:
        db = check.empty((1, n), x.dtype)
        product(np.ones((1, len(dy2)), x.dtype), dy2, db, False, False)
        db = db[0]
    return dx, dw, db


def _samples(x, last):
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), last)


def matmul(a: FloatLike[F], b: FloatLike[F], *, out: NDArray[F] | None = None) -> NDArray[F]:
    """Matrix product over the last two axes, leading axes broadcast; the meaning of `numpy.matmul`.

    Parameters
    ----------
    a : (..., m, k) array of float32 or float64
        A 1-D array is one row, whose axis is removed from the result.
    b : (..., k, n) array, dtype of `a`
        A 1-D array is one column, whose axis is removed from the result.
    out : (..., m, n) array, dtype of `a`, optional
        C-contiguous; must not overlap an input.

    Returns
    -------
    c : (..., m, n) array, dtype of `a`

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or the two differ.
    ValueError
        If an operand is 0-d, the inner axes differ, or the leading axes do not broadcast.

    Notes
    -----
    Each element is a chain of multiply-adds that ascends in k; more than 8192 products are summed in blocks of so many,
    which are added in double precision. The error is at most ``(min(k, 8192) + k / 8192 + 3) eps (|a| @ |b|)``.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.matmul(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])
    """
    a = check.real("a", a)
    b = check.real("b", b, a, "a")
    left, right, leading = _operands(a, b)
    m, n = left.shape[-2], right.shape[-1]
    wanted = _product_shape(a, b, left, right, leading)
    c = check.output(out, wanted, a.dtype, {"a": a, "b": b})
    result = c.reshape((*leading, m, n))
    if right.ndim == 2:
        for rows, part in _matrices(left, result):
            product(rows, right, part, False, False)
    else:
        left, right = (np.broadcast_to(x, (*leading, *x.shape[-2:])) for x in (left, right))
        products(left, right, result)
    return c if out is None and c.ndim else (c if out is not None else c[()])


def _operands(a, b):
    """`a` and `b` with two axes at least, and the leading axes of their product."""
    for name, array in (("a", a), ("b", b)):
        if array.ndim == 0:
            raise ValueError(f"{name} must have at least one axis, got a 0-d array")
    left, right = a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"b must have shape (..., {left.shape[-1]}, n), got {b.shape}")
    try:
        leading = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise ValueError(f"the leading axes of b must broadcast with {a.shape[:-2]} of a, got {b.shape[:-2]}") from None
    return left, right, leading


def _product_shape(a, b, left, right, leading):
    rows, columns = (left.shape[-2],) if a.ndim > 1 else (), (right.shape[-1],) if b.ndim > 1 else ()
    return (*leading, *rows, *columns)


@overload
def matmul_backward(dc: FloatLike[F], a: FloatLike[F], b: FloatLike[F]) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def matmul_backward(
    dc: FloatLike[F], a: FloatLike[F], b: FloatLike[F], needs: tuple[Literal["a", "b"], ...]
) -> tuple[NDArray[F] | None, NDArray[F] | None]: ...
def matmul_backward(
    dc: FloatLike[F], a: FloatLike[F], b: FloatLike[F], needs: tuple[Literal["a", "b"], ...] = ("a", "b")
) -> tuple[NDArray[F] | None, NDArray[F] | None]:
    """Gradients of `matmul`.

    Parameters
    ----------
    dc : array, dtype of `a`
        Gradient of the loss with respect to the product, of its shape.
    a : (..., m, k) or (k,) array of float32 or float64
    b : (..., k, n) or (k,) array, dtype of `a`
        Operands of any strides. They, and `dc`, are copied where an operand has been broadcast along axes that do not
        fold into one with its rows.
    needs : tuple of "a", "b"
        Which gradients to compute.

    Returns
    -------
    da : array, shape and dtype of `a`, or None
        ``dc @ b.T`` over the last two axes, summed over the axes along which `a` has been broadcast.
    db : array, shape and dtype of `a`, or None
        ``a.T @ dc``, summed likewise.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `a`; if `needs` is no tuple.
    ValueError
        If a shape does not match, or `needs` holds an unknown name.

    Notes
    -----
    Each gradient is one product, the sums over broadcast axes being part of its inner axis: with k terms its error is
    at most ``(min(k, 8192) + k / 8192 + 3) eps`` times the same product of absolute values.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.matmul_backward(np.array([[1.0]]), np.array([[2.0, 3.0]]), np.array([[4.0], [5.0]]))
    (array([[4., 5.]]), array([[2.],
           [3.]]))
    """
    a = check.real("a", a)
    b = check.real("b", b, a, "a")
    dc = check.real("dc", dc, a, "a")
    left, right, leading = _operands(a, b)
    wanted = _product_shape(a, b, left, right, leading)
    check.shape("dc", dc, wanted)
    need_a, need_b = check.needs(needs, ("a", "b"))
    if a.ndim == b.ndim == 2:
        da, db = (check.empty(x.shape, a.dtype) if need else None for x, need in ((a, need_a), (b, need_b)))
        if da is not None:
            product(dc, b, da, False, True)
        if db is not None:
            product(a, dc, db, True, False)
        return da, db
    dc = dc.reshape(*leading, left.shape[-2], right.shape[-1])
    da = db = None
    if need_a:
        # da = dc b^T; sums over axes of b that a lacks are over b's columns
        da = _summed_product(dc, right.swapaxes(-1, -2), left.shape[:-2]).reshape(a.shape)
    if need_b:
        db = _summed_product(left.swapaxes(-1, -2), dc, right.shape[:-2]).reshape(b.shape)
    return da, db


def _summed_product(a, b, kept):
    """a (..., m, k) @ b (..., k, n), summed over the leading axes that are not in `kept`, as part of the inner axis."""
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    padded = (1,) * (len(leading) - len(kept)) + kept
    summed = [i for i, (size, full) in enumerate(zip(padded, leading, strict=True)) if size != full]
    if not summed:
        return matmul(a, b)
    a, b = (np.broadcast_to(x, (*leading, *x.shape[-2:])) for x in (a, b))
    rest, last = [i for i in range(len(leading)) if i not in summed], len(leading)
    shape = [leading[i] for i in rest]
    inner = math.prod(leading[i] for i in summed) * a.shape[-1]
    columns = a.transpose(*rest, last, *summed, last + 1).reshape(*shape, a.shape[-2], inner)
    rows = b.transpose(*rest, *summed, last, last + 1).reshape(*shape, inner, b.shape[-1])
    return matmul(columns, rows)
