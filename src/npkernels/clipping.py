"""The clipping of gradients by their norm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from . import _arguments as check
from ._kernels import optim as _optim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._typing import FloatArray, Number


def clip_grad_norm(grads: Sequence[FloatArray], max_norm: Number) -> float:
    """Scales gradients in place so that the norm of them all together is at most `max_norm`.

    Parameters
    ----------
    grads : list of arrays of float32 or float64
        All of one dtype; writeable, any shapes and strides. Updated.
    max_norm : float
        Not negative.

    Returns
    -------
    norm : float
        The Euclidean norm of all elements before scaling, 0 for an empty list.

    Raises
    ------
    TypeError
        If `grads` is not a list or tuple, or one of them not an array of float32 or float64 of the dtype of the first.
    ValueError
        If an array is read-only, two of them overlap, or `max_norm` is negative or NaN. No gradient is changed then.

    Notes
    -----
    As `torch.nn.utils.clip_grad_norm_`: ``g *= min(1, max_norm / (norm + 1e-6))``; a NaN among the gradients makes them
    all NaN. Squares are summed in double precision, pairwise, and scaled where they would overflow or underflow.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> grads = [np.array([3.0]), np.array([[4.0]])]
    >>> nk.clip_grad_norm(grads, 1.0)
    5.0
    >>> [g.round(5) for g in grads]
    [array([0.6]), array([[0.8]])]
    """
    arrays = _gradients(grads)
    max_norm = check.number("max_norm", max_norm, 0)
    root, unit = _norm(arrays)
    norm = root / unit
    coefficient = max_norm / (norm + 1e-6)
    factors: tuple[float, ...]
    if not coefficient >= 1:
        if root < norm == math.inf:
            factors = unit, max_norm / root
        elif 0 < coefficient < (2.0**-100 if arrays[0].dtype == check.FLOAT32 else 2.0**-1000):
            # Rounded to the dtype it would lose digits, or be 0.
            step = 2.0**-90
            factors = step, max_norm / step / (norm + 1e-6)
        else:
            factors = (coefficient,)
        for g in arrays:
            for factor in factors:
                _optim.scale(g, factor)
    return norm


def _gradients(grads):
    if not isinstance(grads, (list, tuple)):
        raise TypeError(f"grads must be a list of arrays, got {type(grads).__name__}")
    arrays = []
    for i, g in enumerate(grads):
        arrays.append(check.in_place(f"grads[{i}]", g, arrays[0] if arrays else None, "grads[0]"))
    pair = check.overlapping(arrays)
    if pair is not None:
        raise ValueError(f"grads[{pair[1]}] must not overlap grads[{pair[0]}]")
    return arrays


def _norm(arrays):
    """The norm times a power of 2, and that power. Squares of float64 are summed as they are, and once more scaled by
    2^-1200 or 2^1200 if they left the range."""
    total = sum([_optim.squares(g, 1.0) for g in arrays])
    if 2.0**-900 < total < math.inf or math.isnan(total) or not arrays or arrays[0].dtype == check.FLOAT32:
        return math.sqrt(total), 1.0
    scale = 2.0**-600 if total > 1 else 2.0**600
    return math.sqrt(sum([_optim.squares(g, scale) for g in arrays])), scale
