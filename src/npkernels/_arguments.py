"""Every argument check of the package, and its message: which argument, what was wanted, what was given."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from ._kernels.strided import extent_of, extents_meet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import DTypeLike, NDArray

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def as_array(name: str, value: object) -> NDArray[Any]:
    """`value` as a plain ndarray, without a copy where it is one already."""
    if type(value) is np.ndarray:
        return value
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(value, masked.MaskedArray):
        raise TypeError(f"{name} must be a plain array, got a masked array")
    try:
        return np.asarray(value)
    except (MemoryError, ValueError) as error:
        raise type(error)(f"{name} must be an array: {error}") from error
    except Exception as error:  # whatever the conversion of a foreign object raises: a tensor that requires grad
        raise TypeError(f"{name} must be an array, got {type(value).__name__}: {error}") from error


def kind_of(value: object, array: NDArray[Any]) -> str:
    """What was given, for a message: its dtype, or its type where NumPy sees but an object."""
    if array.dtype.kind != "O" or isinstance(value, (np.ndarray, list, tuple)):
        return str(array.dtype)
    sparse = ", which is sparse: .toarray() makes it dense" if hasattr(value, "toarray") else ""
    return f"{type(value).__name__}{sparse}"


def real(name: str, value: object, like: NDArray[Any] | None = None, like_name: str = "x") -> NDArray[Any]:
    """An array of float32 or float64; of the dtype of the array `like` if given."""
    array = value if type(value) is np.ndarray else as_array(name, value)
    dtype = array.dtype
    if dtype is not FLOAT32 and dtype is not FLOAT64 and (dtype not in (FLOAT32, FLOAT64) or not dtype.isnative):
        raise TypeError(f"{name} must be float32 or float64, got {kind_of(value, array)}")
    if like is not None and dtype is not like.dtype and dtype != like.dtype:
        raise TypeError(f"{name} must be {like.dtype} like {like_name}, got {dtype}")
    return array


def integers(name: str, value: object) -> NDArray[Any]:
    """An array of any integer dtype, in native byte order; bool is none."""
    array = as_array(name, value)
    if array.dtype.kind == "O" and array.size and all(isinstance(each, int) for each in array.flat):
        raise ValueError(f"{name} must fit 64 bits, got {max(array.flat, key=abs)}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {kind_of(value, array)}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def axis(axis: object, x: NDArray[Any]) -> int:
    """`axis` counted from the front."""
    if type(axis) is int and axis == -1 and x.ndim:
        return x.ndim - 1
    axis = integer("axis", axis)
    if x.ndim == 0:
        raise ValueError("x must have at least one axis, got a 0-d array")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be in [{-x.ndim}, {x.ndim}), got {axis}")
    return axis % x.ndim


def shape(name: str, array: NDArray[Any], wanted: tuple[int, ...], text: str | None = None) -> None:
    """The shape must equal `wanted`; `text` is the symbolic form for the message."""
    if array.shape != wanted:
        raise ValueError(f"{name} must have shape {text or wanted}, got {array.shape}")


def rank(name: str, array: NDArray[Any], ndim: int, text: str) -> None:
    if array.ndim != ndim:
        raise ValueError(f"{name} must have shape {text}, got {array.shape}")


def vector(name: str, value: object, size: int, like: NDArray[Any], like_name: str = "x") -> NDArray[Any]:
    """A contiguous 1-D array of `size`; a strided one is copied."""
    value = real(name, value, like, like_name)
    if value.shape != (size,):
        raise ValueError(f"{name} must have shape {(size,)}, got {value.shape}")
    return value if value.strides == (value.itemsize,) else value.copy()


def output(
    out: object,
    wanted: tuple[int, ...],
    dtype: DTypeLike,
    inputs: Mapping[str, NDArray[Any] | None],
    may_be: tuple[str, ...] = (),
) -> NDArray[Any]:
    """`out` checked against shape, dtype and overlap, or a new array. `inputs` maps names to arrays; those of `may_be`
    may be `out` itself."""
    if out is None:
        return empty(wanted, dtype)
    if type(out) is not np.ndarray:
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
        as_array("out", out)
    if out.dtype != dtype:
        raise TypeError(f"out must be {dtype} like the result, got {out.dtype}")
    if out.shape != wanted:
        raise ValueError(f"out must have shape {wanted}, got {out.shape}")
    flags = out.flags
    if not flags.writeable:
        raise ValueError("out must be writeable, got a read-only array")
    if not flags.c_contiguous:
        itself = ", which overlap" if overlaps_itself(out) else ""
        raise ValueError(f"out must be C-contiguous, got strides {out.strides}{itself}")
    for name, array in inputs.items():
        if array is None or not extents_meet(out, array):
            continue
        if not (name in may_be and (array is out or same_memory(out, array))) and overlap(out, array):
            raise ValueError(f"out must not overlap {name}")
    return out


def array_only(name: str, value: object) -> NDArray[Any]:
    """An array that the caller holds: what is made from a list would be written in vain."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {type(value).__name__}")
    return as_array(name, value)


def in_place(name: str, value: object, like: NDArray[Any] | None = None, like_name: str = "x") -> NDArray[Any]:
    """A writeable array of float32 or float64, of any strides, each of whose elements has its own memory."""
    value = real(name, array_only(name, value), like, like_name)
    flags = value.flags
    if not flags.writeable:
        raise ValueError(f"{name} must be writeable, got a read-only array")
    if not flags.c_contiguous and value.size and overlaps_itself(value):
        raise ValueError(f"{name} must not overlap itself, got strides {value.strides}")
    return value


def overlaps_itself(array: NDArray[Any]) -> bool:
    """Whether two elements share memory. Axes that each step over all that the finer axes span cannot make them."""
    span = array.itemsize
    axes = sorted((abs(step), size) for step, size in zip(array.strides, array.shape, strict=True) if size > 1)
    for step, size in axes:
        if step < span:
            break
        span += step * (size - 1)
    else:
        return False
    offsets = np.zeros(1, np.int64)
    for step, size in axes:
        offsets = np.add.outer(offsets, step * np.arange(size)).ravel()
    offsets.sort()
    return bool((np.diff(offsets) < array.itemsize).any())


def same_memory(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return (
        a.__array_interface__["data"][0] == b.__array_interface__["data"][0]
        and a.shape == b.shape
        and (a.strides == b.strides or b.flags.c_contiguous)
    )


def overlap(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if not extents_meet(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=10000)  # type: ignore[arg-type]  # its stub knows 0 and -1 only
    except np.exceptions.TooHardError:
        return True


def overlapping(arrays: Sequence[NDArray[Any]]) -> tuple[int, int] | None:
    """The places of two arrays that overlap, the first one first; None if all are apart."""
    ordered = sorted((*extent_of(array), i) for i, array in enumerate(arrays) if array.size)
    for k, (_, high, i) in enumerate(ordered):
        for low, _, j in itertools.islice(ordered, k + 1, None):
            if low >= high:
                break
            if overlap(arrays[i], arrays[j]):
                return min(i, j), max(i, j)
    return None


def finite_rows(name: str, x: NDArray[Any]) -> None:
    """Raises where a value of x (n, d) is NaN or inf."""
    for first in range(0, len(x), 4096):
        finite = np.isfinite(x[first : first + 4096]).all(1)
        if not finite.all():
            raise ValueError(f"{name} must be finite, got NaN or inf in row {first + int(finite.argmin())}")


def weights(sample_weight: object, n: int, x: NDArray[Any]) -> NDArray[np.float64]:
    """Weights of n samples x in float64."""
    weights = vector("sample_weight", sample_weight, n, x)
    if not np.isfinite(weights).all():
        raise ValueError("sample_weight must be finite, got NaN or inf")
    if n and weights.min() < 0:
        raise ValueError(f"sample_weight must not be negative, got {weights.min()}")
    if n and weights.max() == 0:
        raise ValueError("sample_weight must not be zero for all samples")
    return weights.astype(np.float64)


# What results get their memory from, if not numpy.empty: nn/arena.py, which uses that of the step before again.
allocate: Callable[[tuple[int, ...], DTypeLike], NDArray[Any]] | None = None


def empty(wanted: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """A new array; sizes whose product overflows are an error of the caller's values, not of memory."""
    try:
        return np.empty(wanted, dtype) if allocate is None else allocate(wanted, dtype)
    except ValueError:
        raise ValueError(f"the result would have shape {tuple(wanted)}, whose size overflows") from None


def integer(name: str, value: object, low: int | None = None, high: int | None = None) -> int:
    """A Python int from an int or a NumPy integer; bool and float are refused."""
    if type(value) is not int:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} must be an int, got {type(value).__name__}")
        value = int(value)
    if not INT64_MIN <= value <= INT64_MAX:
        raise ValueError(f"{name} must fit 64 bits, got {value}")
    if low is not None and value < low:
        raise ValueError(f"{name} must be at least {low}, got {value}")
    if high is not None and value > high:
        raise ValueError(f"{name} must be at most {high}, got {value}")
    return value


def number(name: str, value: object, low: float | None = None) -> float:
    """A Python float from a real number; bool is refused."""
    if type(value) is not float:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"{name} must be a number, got {type(value).__name__}")
        try:
            value = float(value)
        except OverflowError:
            raise ValueError(f"{name} must fit a float, got an int of {int(value).bit_length()} bits") from None
    if low is not None and not value >= low:
        raise ValueError(f"{name} must be at least {low}, got {value}")
    return value


def flag(name: str, value: object) -> bool:
    """A Python bool from a bool or a NumPy one: of other kinds the truth may not be what was meant."""
    if type(value) is not bool:
        if not isinstance(value, np.bool_):
            raise TypeError(f"{name} must be a bool, got {type(value).__name__}")
        value = bool(value)
    return value


def fraction(name: str, value: object, below: bool = False) -> float:
    """A Python float in [0, 1], or in [0, 1) if `below`."""
    value = number(name, value)
    if not 0 <= value <= 1 or (below and value == 1):
        raise ValueError(f"{name} must be in [0, {'1)' if below else '1]'}, got {value}")
    return value


def nonzero(name: str, value: object) -> float:
    """A Python float that is not 0."""
    value = number(name, value)
    if value == 0:
        raise ValueError(f"{name} must not be 0, got 0")
    return value


def pair(name: str, value: object, low: int | None = None, wanted: str = "an int or a pair of ints") -> tuple[int, int]:
    """An int2: an int, or a pair of ints as tuple or list."""
    if type(value) is int:
        value = integer(name, value, low)
        return value, value
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name} must be {wanted}, got {len(value)} values")
        return integer(name, value[0], low), integer(name, value[1], low)
    if isinstance(value, np.integer):
        return (integer(name, value, low),) * 2
    raise TypeError(f"{name} must be {wanted}, got {type(value).__name__}")


def pads(name: str, value: object) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding as ((top, bottom), (left, right)) from an int2 or from two pairs."""
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(side, (tuple, list)) for side in value):
        return pair(name, value[0], 0), pair(name, value[1], 0)
    vertical, horizontal = pair(name, value, 0, "an int, a pair of ints or ((top, bottom), (left, right))")
    return (vertical, vertical), (horizontal, horizontal)


def needs(value: object, names: tuple[str, ...] = ("x", "w", "b")) -> tuple[bool, ...]:
    """Which gradients are wanted, as one bool a name."""
    if not isinstance(value, tuple):
        raise TypeError(f"needs must be a tuple of names, got {type(value).__name__}")
    for name in value:
        if name not in names:
            raise ValueError(f"needs may hold {', '.join(map(repr, names))}, got {name!r}")
    return tuple(name in value for name in names)


def choice(name: str, value: object, choices: Iterable[str]) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value
