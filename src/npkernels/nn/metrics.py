"""What is counted beside the loss, and the parts into which samples are split."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import _arguments as check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array: TypeAlias = NDArray[Any]


def accuracy(prediction: ArrayLike, y: ArrayLike) -> float:
    """The part of the samples whose class is predicted.

    Parameters
    ----------
    prediction : (n, c) or (n, c, *spatial*) array
        A score for each class, logits or probabilities; or, for two classes, logits of the second one, (n,) or (n, 1).
    y : (n, *spatial*) array of int, or array shaped like `prediction`
        Classes, or probabilities of the classes. For two classes 0 and 1, shaped like `prediction` or (n,).

    Returns
    -------
    accuracy : float
        In [0, 1]; nan without samples.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    >>> nn.accuracy([-1.5, 0.3, 2.0], [0, 1, 0])
    0.6666666666666666
    """
    scores, wanted = check.as_array("prediction", prediction), check.as_array("y", y)
    if scores.ndim == 1 or (scores.ndim == 2 and scores.shape[1] == 1):
        if wanted.shape not in (scores.shape, scores.shape[:1]):
            raise ValueError(f"y must have shape {scores.shape} like the prediction, got {wanted.shape}")
        hits = (scores.ravel() > 0) == (wanted.ravel() > 0.5)
    else:
        classes = wanted.argmax(1) if wanted.shape == scores.shape and wanted.ndim > 1 else wanted
        without = scores.shape[:1] + scores.shape[2:]
        if scores.ndim < 2 or classes.shape != without:
            raise ValueError(f"y must have shape {without}, or {scores.shape} like the prediction, got {wanted.shape}")
        hits = scores.argmax(1) == classes
    return float(hits.mean()) if hits.size else float("nan")


def train_test_split(
    *arrays: ArrayLike,
    fractions: Sequence[float] = (0.8, 0.2),
    stratify: ArrayLike | None = None,
    rng: int | np.random.Generator | None = None,
) -> list[Array]:
    """Splits samples at random into parts: to train, to test, perhaps to validate.

    Parameters
    ----------
    *arrays : array
        With equally many samples each, along the first axis.
    fractions : sequence of float
        The share of each part, positive, together at most 1; samples beyond are left out.
    stratify : (n,) array, optional
        Classes: each part gets its share of every class, but for less than one sample at each end of the part.
    rng : int, numpy.random.Generator or None
        The same gives the same parts.

    Returns
    -------
    parts : list of array
        Copies, in the order of scikit-learn: all parts of the first array, then those of the second.

    Raises
    ------
    TypeError
        If `rng` is of another kind.
    ValueError
        If lengths differ, a fraction is out of range, a part would be empty, or a class has fewer samples than there
        are parts.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> x, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    >>> x_train, x_test, y_train, y_test = nn.train_test_split(x, y, stratify=y, rng=0)
    >>> x_train.shape, sorted(y_test)
    ((8, 2), [np.int64(0), np.int64(1)])
    """
    values = [check.as_array(f"arrays[{i}]", array) for i, array in enumerate(arrays)]
    if not values or any(not array.ndim for array in values):
        raise ValueError(f"arrays must have an axis of samples, got {[array.shape for array in values] or 'none'}")
    n = len(values[0])
    if any(len(array) != n for array in values):
        raise ValueError(f"arrays must have equally many samples, got {', '.join(str(len(a)) for a in values)}")
    edges = _edges(n, fractions)
    generator = generator_of(rng)
    order = generator.permutation(n)
    if stratify is not None:
        order = order[_by_quantile(check.as_array("stratify", stratify), order, len(edges) - 1)]
    parts = [order[low:high] for low, high in itertools.pairwise(edges)]
    if stratify is not None:
        parts = [generator.permutation(part) for part in parts]
    return [array[part] for array in values for part in parts]


def _edges(n: int, fractions: Sequence[float]) -> list[int]:
    """Where parts begin and end."""
    shares = [check.number("fractions", share, 0) for share in fractions]
    if not shares or sum(shares) > 1 + 1e-9:
        raise ValueError(f"fractions must be positive and together at most 1, got {tuple(fractions)}")
    edges = [0, *(min(n, round(n * total)) for total in np.cumsum(shares).tolist())]
    if any(low >= high for low, high in itertools.pairwise(edges)):
        raise ValueError(f"fractions must leave a sample for each part, got {tuple(fractions)} of {n} samples")
    return edges


def _by_quantile(labels: Array, order: Array, parts: int) -> Array:
    """An order of `order` that spreads the classes evenly: the i-th of the m samples of a class comes where
    (i + 1/2) / m of all samples have come, so that a run of samples has its share of every class."""
    check.shape("stratify", labels, (len(order),))
    classes, which = np.unique(labels[order], return_inverse=True)
    counts = np.bincount(which, minlength=len(classes))
    if len(counts) and counts.min() < parts:
        rare = classes[counts.argmin()]
        raise ValueError(f"stratify must have at least {parts} samples of each class, got {counts.min()} of {rare!r}")
    place = np.empty(len(order))
    for label, total in enumerate(counts):
        place[which == label] = (np.arange(total) + 0.5) / total
    return np.argsort(place, kind="stable")


def generator_of(rng: object) -> np.random.Generator:
    """The generator itself, or one that starts from an int or, for None, anywhere."""
    if rng is None or isinstance(rng, np.random.Generator):
        return np.random.default_rng(rng)
    return np.random.default_rng(check.integer("rng", rng, 0))
