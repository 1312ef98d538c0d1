"""Random weights w (oc, c, *kernel) of layers: fan_in = c * kernel inputs of an output, fan_out = oc * kernel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _arguments as check
from ._docs import documented

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ._typing import Int, NDArray

__all__ = ["he_normal", "he_uniform", "lecun_normal", "orthogonal", "xavier_normal", "xavier_uniform"]

ARGUMENTS = """
Parameters
----------
shape : tuple of int
    (out, in) of a dense layer, (oc, c, *kernel*) of a convolution: at least two axes.
rng : numpy.random.Generator
dtype : float32 or float64

Returns
-------
w : array of `shape` and `dtype`

Raises
------
TypeError
    If `rng` is no Generator, `shape` is no tuple of ints, or `dtype` is another one.
ValueError
    If `shape` has less than two axes or a negative size.
"""


def __dir__() -> list[str]:
    return __all__


def _checked(shape, rng, dtype):
    """Shape, dtype, and (fan_in, fan_out), none of which is 0 unless the weights are no numbers at all."""
    if not isinstance(shape, (tuple, list)):
        raise TypeError(f"shape must be a tuple of ints, got {type(shape).__name__}")
    shape = tuple(check.integer("shape", size, 0) for size in shape)
    if len(shape) < 2:
        raise ValueError(f"shape must have at least two axes, got {shape}")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
    try:
        kind = np.dtype(dtype)
    except Exception as error:  # whatever the conversion of a foreign object raises
        raise TypeError(f"dtype must be float32 or float64, got {dtype!r}") from error
    if kind not in (check.FLOAT32, check.FLOAT64) or not kind.isnative or dtype is None:
        raise TypeError(f"dtype must be float32 or float64, got {dtype if dtype is None else kind}")
    if math.prod(shape) * kind.itemsize > check.INT64_MAX:
        raise ValueError(f"shape must have a size that fits 64 bits, got {shape}")
    kernel = math.prod(shape[2:])
    return shape, kind.type, max(1, shape[1] * kernel), max(1, shape[0] * kernel)


def _uniform(shape, rng, dtype, bound):
    w = rng.random(shape, dtype)
    w *= 2 * bound
    w -= dtype(bound)
    return w


def _normal(shape, rng, dtype, deviation):
    w = rng.standard_normal(shape, dtype)
    w *= deviation
    return w


@documented(ARGUMENTS)
def he_uniform(
    shape: tuple[Int, ...] | list[int], rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Uniform in [-b, b), b = sqrt(6 / fan_in): keeps the variance of activations through layers with `relu`.

    References
    ----------
    .. [1] K. He et al., "Delving deep into rectifiers", ICCV 2015.

    >>> bool((abs(nk.init.he_uniform((4, 6), np.random.default_rng(0))) <= 1).all())
    True
    """
    shape, dtype, fan_in, _ = _checked(shape, rng, dtype)
    return _uniform(shape, rng, dtype, math.sqrt(6 / fan_in))


@documented(ARGUMENTS)
def he_normal(
    shape: tuple[Int, ...] | list[int], rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Normal with standard deviation sqrt(2 / fan_in): keeps the variance of activations through layers with `relu`.

    References
    ----------
    .. [1] K. He et al., "Delving deep into rectifiers", ICCV 2015.

    >>> nk.init.he_normal((64, 3, 7, 7), np.random.default_rng(0)).std().round(2)
    np.float32(0.12)
    """
    shape, dtype, fan_in, _ = _checked(shape, rng, dtype)
    return _normal(shape, rng, dtype, math.sqrt(2 / fan_in))


@documented(ARGUMENTS)
def xavier_uniform(
    shape: tuple[Int, ...] | list[int], rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Uniform in [-b, b), b = sqrt(6 / (fan_in + fan_out)): keeps the variance of linear layers both ways.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.

    >>> bool((abs(nk.init.xavier_uniform((2, 4), np.random.default_rng(0))) <= 1).all())
    True
    """
    shape, dtype, fan_in, fan_out = _checked(shape, rng, dtype)
    return _uniform(shape, rng, dtype, math.sqrt(6 / (fan_in + fan_out)))


@documented(ARGUMENTS)
def xavier_normal(
    shape: tuple[Int, ...] | list[int], rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Normal with standard deviation sqrt(2 / (fan_in + fan_out)): keeps the variance of linear layers both ways.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.

    >>> nk.init.xavier_normal((100, 100), np.random.default_rng(0)).std().round(2)
    np.float32(0.1)
    """
    shape, dtype, fan_in, fan_out = _checked(shape, rng, dtype)
    return _normal(shape, rng, dtype, math.sqrt(2 / (fan_in + fan_out)))


@documented(ARGUMENTS)
def lecun_normal(
    shape: tuple[Int, ...] | list[int], rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Normal with standard deviation sqrt(1 / fan_in), as `selu` wants it.

    References
    ----------
    .. [1] Y. LeCun et al., "Efficient backprop", Neural networks: tricks of the trade, 1998.

    >>> nk.init.lecun_normal((100, 100), np.random.default_rng(0)).std().round(2)
    np.float32(0.1)
    """
    shape, dtype, fan_in, _ = _checked(shape, rng, dtype)
    return _normal(shape, rng, dtype, math.sqrt(1 / fan_in))


@documented(ARGUMENTS)
def orthogonal(
    shape: tuple[Int, ...] | list[int], rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Uniform among the matrices (oc, c * kernel) whose rows, or columns if these are fewer, are orthonormal.

    References
    ----------
    .. [1] A. Saxe, J. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
       neural networks", ICLR 2014.
    .. [2] F. Mezzadri, "How to generate random matrices from the classical compact groups", Notices of the AMS 54,
       2007: the signs.

    >>> w = nk.init.orthogonal((2, 3), np.random.default_rng(0), np.float64)
    >>> bool(np.allclose(w @ w.T, np.eye(2)))
    True
    """
    sizes, real, *_ = _checked(shape, rng, dtype)
    rows, columns = sizes[0], math.prod(sizes[1:])
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns)), real))
    q *= np.where(np.diagonal(r) < 0, -1, 1).astype(real)
    return np.ascontiguousarray(q.T if rows < columns else q).reshape(sizes)
