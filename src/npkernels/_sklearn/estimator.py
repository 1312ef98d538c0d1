"""What the estimators share: scikit-learn's contract for parameters, input and errors, in its own words."""

from __future__ import annotations

import inspect
import math
import numbers
import sys
import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import _arguments as check
from .containers import SetOutput
from .representation import representation

if TYPE_CHECKING:
    from .._typing import ArrayLike, NDArray


class InvalidParameterError(ValueError, TypeError):
    """A parameter of an estimator has a value or a type that it cannot have."""


class NotFittedError(ValueError, AttributeError):
    """An estimator is used before it is fitted. Where scikit-learn is installed its own exception is raised."""


class ConvergenceWarning(UserWarning):
    """A fit did not reach what was asked for. Where scikit-learn is installed its own warning is given."""


def _counterpart(kind):
    """scikit-learn's class of the same name, so that code that expects it catches ours, else `kind` itself."""
    try:
        from sklearn import exceptions
    except ImportError:
        return kind
    return getattr(exceptions, kind.__name__)


def warn_of_convergence(message):
    warnings.warn(message, _counterpart(ConvergenceWarning), stacklevel=3)


# ---- Parameters: a constraint is its description and a test ----------------------------------------------------------


def _is(value, kind):
    return isinstance(value, kind) and not isinstance(value, (bool, np.bool_))


def integer_from(low, high=None):
    end = "inf)" if high is None else f"{high}]"
    return (
        f"an int in the range [{low}, {end}",
        lambda v: _is(v, numbers.Integral) and low <= v and (high is None or v <= high),
    )


def real_from(low):
    return f"a float in the range [{float(low)}, inf)", lambda v: _is(v, numbers.Real) and low <= v and _is_finite(v)


def _is_finite(number):
    try:
        return math.isfinite(number)
    except OverflowError:  # an int beyond the floats
        return False


def one_of(*choices):
    return f"a str among {{{', '.join(map(repr, choices))}}}", lambda v: isinstance(v, str) and v in choices


def is_array(value):
    """Whether it can be taken as an array with axes, as scikit-learn sees it."""
    return (
        not isinstance(value, (str, bytes))
        and any(hasattr(value, a) for a in ("__len__", "shape", "__array__"))
        and (getattr(value, "shape", None) != ())
    )


POSITIVE = integer_from(1)
NONE = "None", lambda v: v is None
CALLABLE = "a callable", callable
ARRAY = "an array-like", is_array
BOOL = "an instance of 'bool'", lambda v: isinstance(v, (bool, np.bool_))
FRACTION = (
    "a float in the range (0.0, 1.0)",
    lambda v: _is(v, numbers.Real) and not isinstance(v, numbers.Integral) and 0 < v < 1,
)
VERBOSE = integer_from(0), BOOL
RANDOM_STATE = (
    integer_from(0, 2**32 - 1),
    (
        "an instance of 'numpy.random.mtrand.RandomState' or 'numpy.random.Generator'",
        lambda v: isinstance(v, (np.random.RandomState, np.random.Generator)),
    ),
    NONE,
)


def legacy_random_state(random_state):
    """The RandomState, or the Generator, that a parameter `random_state` stands for; None is NumPy's global one."""
    if random_state is None:
        return np.random.mtrand._rand
    if isinstance(random_state, numbers.Integral):
        return np.random.RandomState(int(random_state))
    return random_state


def generator(random_state):
    """A Generator that continues with the numbers of a RandomState; a Generator is itself."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng(random_state.randint(0, 2**32, size=4, dtype=np.uint32))


# ---- Input -----------------------------------------------------------------------------------------------------------


def _feature_names(X):
    """The names of the columns of a data frame, None if they are no strings."""
    columns = getattr(X, "columns", None)
    if columns is None or callable(columns):
        return None
    names = np.asarray(list(columns), dtype=object)
    kinds = sorted({type(name).__qualname__ for name in names})
    if len(kinds) > 1 and "str" in kinds:
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your input has "
            f"{kinds} as feature name / column name types. If you want feature names to be stored and validated, you "
            "must convert them all to strings, by using X.columns = X.columns.astype(str) for example. Otherwise you "
            "can remove feature / column names from your input data, or convert them all to a non-string data type."
        )
    return names if kinds == ["str"] else None


def is_dask_array(value):
    """Where dask has not been imported nothing is one, and it stays so."""
    module = sys.modules.get("dask.array")
    return module is not None and isinstance(value, module.Array)


def as_real(name, value):
    """float32 and float64 as they are, other kinds of numbers as float64."""
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required. Use '.toarray()' to convert to a dense "
            "numpy array."
        )
    array = check.as_array(name, value)
    if array.dtype in (check.FLOAT32, check.FLOAT64) and array.dtype.isnative:
        return array
    if array.dtype.kind == "c":
        where = "" if name == "X" else f"in {name}"
        raise ValueError(f"Complex data not supported\n{array}\n{where}")
    if array.dtype.kind in "mMV":
        raise TypeError(f"{name} must be numbers, got {array.dtype}")
    try:
        return array.astype(np.float64)
    except OverflowError as error:
        raise ValueError(f"{name} must be numbers that fit a float: {error}") from error
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be numbers: {error}") from error


def _two_axes(array, name):
    if array.ndim == 2:
        return
    if array.ndim > 2:
        raise ValueError(f"Found array with dim {array.ndim}, while dim <= 2 is required by {name}.")
    kind = "scalar" if array.ndim == 0 else "1D"
    raise ValueError(
        f"Expected 2D array, got {kind} array instead:\narray={array}.\nReshape your data either using "
        "array.reshape(-1, 1) if your data has a single feature or array.reshape(1, -1) if it contains a single sample."
    )


def require_finite(array, name, estimator):
    """Raises where there is NaN or inf; rows are looked at a block at a time."""
    for first in range(0, len(array), 4096):
        block = array[first : first + 4096]
        if not np.isfinite(block).all():
            if np.isnan(block).any():
                raise ValueError(f"Input {name} contains NaN.\n{estimator} does not accept missing values.")
            raise ValueError(f"Input {name} contains infinity or a value too large for {array.dtype!r}.")


def require_one_each(weights, n):
    """Raises where weights are not those of n samples."""
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. Expected either a scalar value "
            f"or a 1D array of length {n}."
        )
    if weights.shape != (n,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n,)}!")


def require_weights(weights, name):
    """Raises where weights are not finite, negative or all zero."""
    require_finite(weights, "sample_weight", name)
    if (weights < 0).any():
        raise ValueError("Negative values in data passed to `sample_weight`.")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")


class Estimator(SetOutput):
    """Parameters, representation and checked input of an estimator. A subclass has `_constraints`, {name: the
    alternatives of a parameter}, for every parameter of its `__init__`, which only stores them, and `_fitted`, the name
    of an array that a fit sets: a row for each column of `transform`, as many columns as there are features."""

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    _constraints: dict = {}  # noqa: RUF012
    _estimator_type: str | None = None
    _fitted: str

    @classmethod
    def _parameter_names(cls):
        return sorted(name for name in inspect.signature(cls.__init__).parameters if name != "self")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """{name: value} of the parameters."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Sets parameters by name and returns the estimator."""
        names = self._parameter_names()
        for name in params:
            if name not in names:
                raise ValueError(f"Invalid parameter {name!r} for estimator {self}. Valid parameters are: {names!r}.")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return representation(self)

    def _check_parameters(self):
        for name, alternatives in self._constraints.items():
            value = getattr(self, name)
            if not any(test(value) for _, test in alternatives):
                *most, last = [text for text, _ in alternatives]
                wanted = f"{', '.join(most)} or {last}" if most else last
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must be {wanted}. Got {value!r} instead."
                )

    def _check_fitted(self):
        if not hasattr(self, self._fitted):
            name = type(self).__name__
            raise _counterpart(NotFittedError)(
                f"This {name} instance is not fitted yet. Call 'fit' with appropriate arguments before using this "
                "estimator."
            )

    # ---- What a fit found. Others may have changed it since: it is checked where it is used. ----

    def _attribute(self, name, shape):
        """The attribute `name` as a contiguous array of finite float32 or float64. `shape` maps what is along an axis
        to its size, None for any."""
        array = as_real(name, getattr(self, name))
        sizes = list(shape.values())
        if array.ndim != len(sizes) or any(b not in (None, a) for a, b in zip(array.shape, sizes, strict=True)):
            wanted = ", ".join(what if size is None else f"{what}={size}" for what, size in shape.items())
            raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}")
        array = np.ascontiguousarray(array)
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite, got NaN or inf")
        return array

    def _main_attribute(self):
        """The array named by `_fitted`: rows of as many features as a fit has seen."""
        self._check_fitted()
        features = getattr(self, "n_features_in_", None)
        if features is not None:
            features = check.integer("n_features_in_", features, 1)
        return self._attribute(self._fitted, {"rows": None, "n_features_in_": features})

    def _become(self, X, **found):
        """Takes over what a fit of X has found. All at once: a fit that fails or is interrupted leaves the estimator as
        it was."""
        names = _feature_names(X)
        if names is not None:
            found["feature_names_in_"] = names
        found["n_features_in_"] = found[self._fitted].shape[1]
        self.__dict__ = {name: value for name, value in vars(self).items() if name != "feature_names_in_"} | found

    def _fitted_names(self):
        """feature_names_in_, None where X had none."""
        fitted = getattr(self, "feature_names_in_", None)
        if fitted is None:
            return None
        fitted = np.asarray(fitted, dtype=object)
        if fitted.ndim != 1:
            raise ValueError(f"feature_names_in_ must have shape (n_features_in_,), got {fitted.shape}")
        return fitted

    def _names_differ(self, names, fitted):
        unexpected, missing = sorted(set(names) - set(fitted)), sorted(set(fitted) - set(names))
        message = "The feature names should match those that were passed during fit.\n"
        if unexpected:
            message += "Feature names unseen at fit time:\n" + "".join(f"- {name}\n" for name in unexpected[:5])
        if missing:
            message += "Feature names seen at fit time, yet now missing:\n"
            message += "".join(f"- {name}\n" for name in missing[:5])
        if not unexpected and not missing:
            message += "Feature names must be in the same order as they were in fit.\n"
        return message

    def _check_names(self, X):
        names, fitted, own = _feature_names(X), self._fitted_names(), type(self).__name__
        if names is None and fitted is not None:
            warnings.warn(f"X does not have valid feature names, but {own} was fitted with feature names", stacklevel=4)
        elif names is not None and fitted is None:
            warnings.warn(f"X has feature names, but {own} was fitted without feature names", stacklevel=4)
        elif names is not None and not np.array_equal(names, fitted):
            raise ValueError(self._names_differ(names, fitted))

    def _samples(self, X, like=None, blocks=False, wider=False):
        """X as an array (n, d) of float32 or float64. NaN and inf are for the caller to find. Where a fitted array is
        given as `like`, X must have its number of features and their names, and gets its dtype; float64 stays if
        `wider` says so. A dask array stays one if `blocks` says so."""
        name = type(self).__name__
        if like is None:
            _feature_names(X)  # raises where there are some that are no strings
        else:
            self._check_names(X)
        if blocks and is_dask_array(X):
            x = X.astype(as_real("X", X._meta).dtype)  # without a copy where it has this dtype
        else:
            x = as_real("X", X)
        _two_axes(x, name)
        for axis, what in enumerate(("sample", "feature")):
            if x.shape[axis] == 0:
                raise ValueError(
                    f"Found array with 0 {what}(s) (shape={x.shape}) while a minimum of 1 is required by {name}."
                )
        if like is not None and x.shape[1] != like.shape[1]:
            raise ValueError(f"X has {x.shape[1]} features, but {name} is expecting {like.shape[1]} features as input.")
        if like is None or x.dtype == like.dtype:
            return x
        return x.astype(np.result_type(x, like) if wider else like.dtype, copy=False)

    def _weights(self, sample_weight, x):
        """Weights as contiguous float64, None where all are 1."""
        if sample_weight is None:
            return None
        if isinstance(sample_weight, numbers.Number):
            weights = np.full(len(x), as_real("sample_weight", sample_weight), np.float64)
        else:
            weights = np.require(as_real("sample_weight", sample_weight), np.float64, "CA")
        require_one_each(weights, len(x))
        require_weights(weights, type(self).__name__)
        return weights

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """The names of the columns of `transform`: the lower-case name of the class and a number."""
        rows, features = self._main_attribute().shape
        if input_features is not None:
            given = np.asarray(input_features, dtype=object)
            own = self._fitted_names()
            if own is not None and not np.array_equal(own, given):
                raise ValueError("input_features is not equal to feature_names_in_")
            if len(given) != features:
                raise ValueError(
                    f"input_features should have length equal to number of features ({features}), got {len(given)}"
                )
        prefix = type(self).__name__.lower()
        return np.asarray([f"{prefix}{i}" for i in range(rows)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import (
            InputTags,
            Tags,
            TargetTags,
            TransformerTags,
        )

        return Tags(
            estimator_type=self._estimator_type,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(),
        )
