"""Dropout and its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _arguments as check
from ._kernels import dropout as _dropout

if TYPE_CHECKING:
    from ._typing import ArrayLike, F, FloatLike, NDArray, Number

HALF = 0xFFFFFFFF  # 32 bits, which every bit generator gives


def dropout(x: FloatLike[F], p: Number, rng: np.random.Generator) -> tuple[NDArray[F], NDArray[np.bool_]]:
    """Sets elements to 0 at random, each with probability `p`, and scales the others by 1 / (1 - p).

    Parameters
    ----------
    x : array of float32 or float64
        Any rank, any strides.
    p : float
        In [0, 1].
    rng : numpy.random.Generator
        Gives the key of the random numbers, 64 bits a call.

    Returns
    -------
    y : array of the shape and dtype of `x`
    mask : array of bool, shape of `x`
        True where the element was kept. The same for the same state of `rng`, whatever the dtype, the strides and the
        number of threads.

    Raises
    ------
    TypeError
        If the dtype is not float32 or float64, or `rng` is not a generator.
    ValueError
        If `p` is not in [0, 1].

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a simple way to prevent
       neural networks from overfitting", JMLR 15, 2014.
    .. [2] J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
       2011: Philox4x32-10, counted by the place of an element.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> y, mask = nk.dropout(np.ones(1000), 0.75, np.random.default_rng(0))
    >>> np.unique(y)
    array([0., 4.])
    >>> bool((mask == (y > 0)).all())
    True
    """
    x = check.real("x", x)
    p = check.fraction("p", p)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
    draw = rng.bit_generator.random_raw
    y, mask = check.empty(x.shape, x.dtype), check.empty(x.shape, np.bool_)
    _dropout.forward(x, p, (draw() & HALF) | (draw() & HALF) << 32, y, mask)
    return (y, mask) if y.ndim else (y[()], mask[()])


def dropout_backward(dy: FloatLike[F], mask: ArrayLike, p: Number) -> NDArray[F]:
    """Gradient of `dropout`: dy / (1 - p) where the element was kept, else 0.

    Parameters
    ----------
    dy : array of float32 or float64
        Gradient of the loss with respect to the result; any rank, any strides.
    mask : array of bool, shape of `dy`
        What `dropout` returned; any strides.
    p : float
        As in `dropout`.

    Returns
    -------
    dx : array of the shape and dtype of `dy`

    Raises
    ------
    TypeError
        If the dtype of `dy` is not float32 or float64, or `mask` is not bool.
    ValueError
        If the shapes differ, or `p` is not in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.dropout_backward(np.array([1.0, 2.0]), np.array([True, False]), 0.5)
    array([2., 0.])
    """
    dy = check.real("dy", dy)
    mask = check.as_array("mask", mask)
    if mask.dtype != np.bool_:
        raise TypeError(f"mask must be bool, got {mask.dtype}")
    check.shape("mask", mask, dy.shape)
    p = check.fraction("p", p)
    dx = check.empty(dy.shape, dy.dtype)
    _dropout.backward(dy, mask, p, dx)
    return dx if dx.ndim else dx[()]
