"""Calls with one argument replaced by what it is not: they return, or raise TypeError, ValueError or MemoryError with a
message that names the argument. Nothing else may come of them."""

import importlib.util
import inspect
import re
import warnings

import numpy as np

import npkernels as nk

from .calls import CALLS
from .draw import Call
from .run import draw

BEYOND = 1 << 63  # no int64 holds it
ESTIMATORS = {"KMeans": nk.KMeans, "MiniBatchKMeans": nk.MiniBatchKMeans, "PCA": nk.PCA}
SIZES = {
    "conv_output_size": Call(nk.conv_output_size, ((7, 9), 3), {"stride": 2, "padding": 1, "dilation": 1}),
    "receptive_field": Call(nk.receptive_field, ([(3, 1, 1), (2, 2, 0)],), {}),
    "threads": Call(nk.threads, (2,), {}),
    "use_isa": Call(nk.use_isa, (nk.isa(),), {}),
}
NAMES = (*CALLS, *SIZES)
# What scikit-learn's messages, which the estimators have, call X; and what may be wrong between two arguments.
WORDS = {
    "X": re.compile("array|[Ss]ample|feature|[Cc]omplex|cluster"),
    "sample_weight": re.compile("Sample weights|[Cc]omplex"),
}
RELATIONS = re.compile(
    "shape| like |must fit|must leave|broadcast|must divide|overlap|must be in|smaller than|the number of samples"
    "|rng must"
)


class Refuses:
    """An object whose conversion to an array fails in a way of its own."""

    def __array__(self, *arguments, **options):
        raise RuntimeError("this is no array")


def foreign():
    """Arrays of other libraries, where these are installed."""
    if importlib.util.find_spec("torch"):
        import torch

        yield torch.ones((2, 3), dtype=torch.float64, requires_grad=True)
        yield torch.ones((2, 3), dtype=torch.bfloat16)
    if importlib.util.find_spec("scipy"):
        from scipy import sparse

        yield sparse.csr_matrix(np.eye(3))


def replacements(value):
    """What is tried in place of a valid value."""
    yield from (None, True, "x", b"x", "", object(), Refuses(), 1 + 2j, 1.5, np.float32(2), np.int8(-1), np.bool_(True))
    yield from (np.nan, np.inf, -np.inf, -1, 0, 7, BEYOND, -BEYOND, 2 * BEYOND, 10**400, np.uint64(2 * BEYOND - 1))
    yield from ((), [], {}, set(), (1,), (1, 2, 3), [1.5, "x"], [[1, 2], [3]], [None, None], range(3))
    yield from (memoryview(b"abcd"), (i for i in range(3)), np.random.default_rng(0), np.random.RandomState(0))
    yield from (np.array(1.5), np.zeros(0), np.zeros((0, 3)), np.ones(5), np.ones((2, 3)), np.ones((1, 2, 3, 4, 5)))
    yield from (np.array([None]), np.array(["a"]), np.array([1], "M8[s]"), np.zeros(2, "f4,f4"), np.ma.ones((2, 3)))
    yield from foreign()
    if isinstance(value, np.ndarray):
        yield from (value[..., None], value[None], value.tolist(), value[:-1] if value.ndim else [value, value])
        kinds = "?", "i4", "u8", "f2", "c16", "g", "f4", "f8", "O", ">f8", ">i8"
        with np.errstate(all="ignore"):
            cast = [value.astype(kind) for kind in kinds]
        yield from cast
        yield from (np.full(value.shape, end, value.dtype) for end in ends(value.dtype))
    if isinstance(value, (tuple, list)):
        yield from (value[:-1], [*value, *value], [value], {*map(repr, value)})
        yield from ([one for _ in value] for one in (None, "x", True, 0.5, -1, BEYOND))


def ends(dtype):
    if dtype.kind in "iu":
        return np.iinfo(dtype).min, np.iinfo(dtype).max
    return (np.nan, np.inf) if dtype.kind == "f" else ()


def spoiled(function, args, kwargs):
    """(name, value, the call with it) for each argument and each replacement."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    for name, before in list(bound.arguments.items()):
        for value in replacements(before):
            bound.arguments[name] = value
            yield name, value, bound
        bound.arguments[name] = before


def complaint(name, names, function, *args, **kwargs):
    """What is wrong with the end of a call whose argument `name` of `names` is spoiled; None if nothing is."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            function(*args, **kwargs)
        except MemoryError:
            return None
        except (TypeError, ValueError) as error:
            text = str(error)
            others = "|".join(map(re.escape, names)) if RELATIONS.search(text) else name
            if re.search(rf"\b({name}|{others})\b", text) or (name in WORDS and WORDS[name].search(text)):
                return None
            return f"no argument is named: {type(error).__name__}: {text}"
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
    return None


def fits(estimator):
    """(name, value, the fit with it) for the parameters of an estimator, and each of its methods with the samples."""
    x = np.random.default_rng(0).standard_normal((12, 3))
    parameters = {name: p.default for name, p in inspect.signature(estimator).parameters.items()}
    least = {"n_clusters": 2, "n_components": 2} if "n_clusters" in parameters else {"n_components": 2}
    least = {name: value for name, value in least.items() if name in parameters}
    for name in parameters.keys() - {"verbose"}:  # which prints
        for value in replacements(parameters[name]):
            if not (
                name == "n_init" and isinstance(value, (int, np.integer)) and value > 10
            ):  # so many fits it would be
                yield name, value, lambda name=name, value=value: estimator(**least | {name: value}).fit(x)
    model = estimator(**least).fit(x)
    for method in "fit", "partial_fit", "predict", "transform", "inverse_transform", "score", "score_samples":
        bare = getattr(model, method, None)
        if bare is not None:
            given = x[:, :2] if method == "inverse_transform" else x
            for value in replacements(given):
                yield "X", value, lambda bare=bare, value=value: bare(value)
            if "sample_weight" in inspect.signature(bare).parameters:
                for value in replacements(np.ones(12)):
                    yield "sample_weight", value, lambda bare=bare, value=value: bare(x, sample_weight=value)


def complaints(name, seed):
    """(calls, lines): what is wrong with the calls of this name and seed, one argument spoiled in each."""
    calls, lines = 0, []
    if name in ESTIMATORS:
        cases = ((argument, value, (), {}, call) for argument, value, call in fits(ESTIMATORS[name]))
    else:
        call = SIZES[name] if name in SIZES else draw(name, seed)
        cases = ((a, v, bound.args, bound.kwargs, call.function) for a, v, bound in spoiled(*call[:3]))
    names = [] if name in ESTIMATORS else list(inspect.signature(call.function).parameters)
    for argument, value, args, kwargs, function in cases:
        calls += 1
        text = complaint(argument, names, function, *args, **kwargs)
        if text is not None:
            lines.append(f"{name}, seed {seed}, {argument} = {str(value)[:60]!r} ({type(value).__name__}): {text}")
    return calls, lines
