"""Fitted estimators whose attributes have been changed: every attribute, every kind of change, every method.

A method may give the right value, which is that of a model with the same numbers in a clean array, or raise a
TypeError, ValueError or AttributeError that names the attribute. Calls run in a child process, for what is wrong is
often a crash.
"""

import copy
import itertools
import multiprocessing
import pickle
import time
import warnings

import numpy as np

import npkernels as nk

PATIENCE = 300  # seconds for a child
D, K = 3, 4


class Frame:
    """As much of a data frame as an estimator looks at."""

    columns = ("a", "b", "c")

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


class Sparse:
    nnz, shape = 1, (K, D)

    def toarray(self):
        return np.eye(K, D)


def samples(dtype):
    rng = np.random.default_rng(0)
    centres = 100.0 * np.arange(K)[:, None] * np.array([1.0, -2.0, 0.5])
    return (centres[np.arange(80) % K] + rng.standard_normal((80, D))).astype(dtype)


def models(dtype):
    x = Frame(samples(dtype))
    yield nk.KMeans(K, random_state=0).fit(x)
    yield nk.MiniBatchKMeans(K, random_state=0).fit(x).partial_fit(x)
    yield nk.PCA(2).fit(x)
    yield nk.PCA(2, whiten=True).fit(x)


def unaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)
    made = np.ndarray(array.shape, array.dtype, raw.data, offset=1)
    made[...] = array
    return made


def gapped(array):
    made = np.zeros([2 * size for size in array.shape], array.dtype)[tuple(slice(None, None, 2) for _ in array.shape)]
    made[...] = array
    return made


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def in_place(change):
    """A change of the array that the estimator holds."""

    def changed(array):
        change(array)
        return array

    return changed


def assign(key, value):
    def change(array):
        array[key] = value

    return in_place(change)


def reshape(array):
    array.shape = array.shape[::-1] if array.ndim > 1 else (*array.shape, 1)


# The same numbers in another shape, other numbers, and what can be no such attribute.
OF_ARRAYS = {
    "Fortran": np.asfortranarray,
    "reversed": lambda a: a[::-1],
    "mirrored": lambda a: a[..., ::-1],
    "unaligned": unaligned,
    "gapped": gapped,
    "read-only": read_only,
    "copy": np.copy,
    "equal rows": lambda a: np.broadcast_to(a[:1], a.shape),
    "longer": lambda a: np.concatenate([a, a]),
    "shorter": lambda a: a[:-1],
    "a row": lambda a: a[:1],
    "no rows": lambda a: a[:0],
    "list": np.ndarray.tolist,
    "tuple": lambda a: tuple(a.tolist()),
    "matrix": np.asmatrix,
    "masked": np.ma.masked_array,
    "objects": lambda a: a.astype(object),
    "names": lambda a: a.astype(str),
    "complex": lambda a: a.astype(complex),
    "more axes": lambda a: a[None],
    "an axis more": lambda a: a[..., None],
    "flat": np.ravel,
    "transposed": lambda a: np.ascontiguousarray(a.T),
    "wider": lambda a: np.concatenate([a, a], axis=-1),
    "narrower": lambda a: a[..., :-1],
    "no columns": lambda a: a[..., :0],
    "sparse": lambda a: Sparse(),
    "NaN": lambda a: np.full(a.shape, np.nan, a.dtype),
    "negative": lambda a: -1 - abs(a),
    "a NaN": assign((-1, ...), np.nan),
    "an inf": assign((0, ...), np.inf),
    "in place": assign((0, ...), 7),
    "new shape": in_place(reshape),
    "huge": lambda a: np.full(a.shape, 1e300),
    **{
        dtype: (lambda a, dtype=dtype: a.astype(dtype))
        for dtype in ("e", "f", "d", "g", ">f4", ">f8", "i8", ">i4", "u1", "?", "S8")
    },
}
OF_ANYTHING = {
    "deleted": None,
    **{
        repr(value)[:20]: (lambda _, value=value: value)
        for value in (None, 0, -1, 1, 5, 2**70, 3.0, np.nan, np.inf, -1e300, True, "3", b"3", {}, [], (), [[]], object)
    },
    "int32": lambda a: np.int32(3),
    "strings": lambda a: ["a", "b", "c"],
    "fewer strings": lambda a: ["a", "b"],
    "strings in rows": lambda a: np.array([["a", "b", "c"]]),
}
ON_DISK = {
    "pickled": lambda m: pickle.loads(pickle.dumps(m)),
    "copied": copy.deepcopy,
    "set_params": lambda m: m.set_params(
        **({"n_clusters": 7} if "n_clusters" in m.get_params() else {"n_components": 1})
    ),
}

METHODS = {
    "predict": lambda m, x: m.predict(x),
    "transform": lambda m, x: m.transform(x),
    "score": lambda m, x: m.score(x),
    "partial_fit": lambda m, x: (m.partial_fit(x).cluster_centers_, m.labels_, m.inertia_, m.n_steps_),
    "inverse_transform": lambda m, x: m.inverse_transform(np.asarray(x)[:, :2]),
    "score_samples": lambda m, x: m.score_samples(x),
    "get_covariance": lambda m, x: m.get_covariance(),
    "get_precision": lambda m, x: m.get_precision(),
    "get_feature_names_out": lambda m, x: m.get_feature_names_out(),
    "fit": lambda m, x: m.fit(x).transform(x),
}


def attributes(model):
    return [name for name in vars(model) if name not in model.get_params()]


def changes(model, name):
    """{kind: function}"""
    kinds = dict(OF_ANYTHING)
    if isinstance(getattr(model, name), np.ndarray):
        kinds |= OF_ARRAYS
    return kinds


def outcome(model, method, x):
    """(values, None) or (None, error)"""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = METHODS[method](model, x)
        return [np.asarray(one) for one in (found if isinstance(found, tuple) else (found,))], None
    except Exception as error:
        return None, error


def close(a, b):
    if a is None or b is None or len(a) != len(b):
        return False
    for one, other in zip(a, b, strict=True):
        if one.shape != other.shape:
            return False
        if one.dtype.kind in "iO" and not np.array_equal(one, other):
            return False
        scale = 1e-4 * abs(other[np.isfinite(other)]).max(initial=1e-3) if other.dtype.kind == "f" else 0
        if other.dtype.kind == "f" and not np.allclose(one, other, rtol=1e-4, atol=scale, equal_nan=True):
            return False
    return True


def changed(model, name, kind):
    """A copy whose attribute has been changed, and one that holds the same numbers in a clean array, or None."""
    model, clean = copy.deepcopy(model), copy.deepcopy(model)
    change = changes(model, name)[kind]
    if change is None:
        delattr(model, name)
        return model, None
    value = change(getattr(model, name))
    setattr(model, name, value)
    if not isinstance(value, (np.ndarray, list, tuple)) or isinstance(value, np.ma.MaskedArray):
        return model, None
    try:
        kept = np.asarray(value)
        if kept.dtype.kind not in "fiubOS":
            return model, None
        kept = kept if kept.dtype in (np.float32, np.float64) else kept.astype(float)
    except (TypeError, ValueError):
        return model, None
    setattr(clean, name, np.array(kept, kept.dtype.newbyteorder("="), order="C"))
    return model, clean


def wrong(model, name, kind, method, x):
    """What is wrong with a call, or None."""
    usual, _ = outcome(copy.deepcopy(model), method, x)
    try:
        tampered, clean = changed(model, name, kind)
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError):
        return None  # there is no such change of this array
    found, error = outcome(tampered, method, x)
    if error is not None:
        named = name in str(error) or SCIKIT_LEARNS.get(name, "?") in str(error)
        named |= kind == "deleted" and "is not fitted yet" in str(error)
        named |= clean is not None and str(error) == str(outcome(clean, method, x)[1])
        return None if isinstance(error, (TypeError, ValueError, AttributeError)) and named else repr(error)
    if close(found, usual) or (clean is not None and close(found, outcome(clean, method, x)[0])):
        return None
    if (name, kind, method) == ("cluster_centers_", "deleted", "partial_fit"):
        return None  # begins anew, as scikit-learn's does
    if name in SCALARS and np.ndim(getattr(tampered, name)) == 0:
        return None  # another number, which counts
    return f"gives {found}, usually {usual}"


# How scikit-learn's messages name an attribute.
SCIKIT_LEARNS = {"n_features_in_": "features, but", "feature_names_in_": "feature names"}
SCALARS = ("noise_variance_", "n_steps_", "_since_reassigned")


def cases():
    for dtype in ("float32", "float64"):
        for i, model in enumerate(models(dtype)):
            for name in attributes(model):
                for kind, method in itertools.product(changes(model, name), METHODS):
                    if hasattr(model, method):
                        yield dtype, i, name, kind, method


def whole(model, kind, method, x):
    """What is wrong with a call after a model went through a pickle or the like."""
    if kind == "set_params" and method == "fit":
        return None
    usual, found = outcome(copy.deepcopy(model), method, x)[0], outcome(ON_DISK[kind](copy.deepcopy(model)), method, x)
    return None if close(found[0], usual) else f"gives {found}, usually {usual}"


def child(first, last, pipe):
    """Goes through the cases, says how far it is, and what is wrong."""
    warnings.simplefilter("ignore")
    made = {dtype: list(models(dtype)) for dtype in ("float32", "float64")}
    frames = {dtype: Frame(samples(dtype)) for dtype in made}
    for dtype, i, name, kind, method in itertools.islice(cases(), first, last):
        case = f"{type(made[dtype][i]).__name__} {dtype} .{name} {kind}: {method}"
        pipe.send((case, None))
        pipe.send((case, wrong(made[dtype][i], name, kind, method, frames[dtype])))
    for dtype, kind, method in itertools.product(made, ON_DISK, METHODS):
        for model in made[dtype]:
            if hasattr(model, method):
                case = f"{type(model).__name__} {dtype} {kind}: {method}"
                pipe.send((case, whole(model, kind, method, frames[dtype])))
    pipe.send((None, None))


def batch(first=0, last=None):
    """(number of calls, what is wrong with some of them)"""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(False)
    process = context.Process(target=child, args=(first, last, theirs))
    process.start()
    theirs.close()
    calls, case, found, end = 0, "the start", [], time.monotonic() + PATIENCE
    while case is not None:
        try:
            if not ours.poll(max(0, end - time.monotonic())):
                found.append(f"{case} does not end")
                break
            case, what = ours.recv()
        except EOFError:
            process.join()
            found.append(f"{case} kills the process, exit code {process.exitcode}")
            break
        calls += 1
        if what is not None:
            found.append(f"{case} {what}")
    process.kill()
    process.join()
    return calls // 2, found


def run(seed, seconds):
    """Calls that were made: some of all there are, from a place that the seed chooses."""
    total = sum(1 for _ in cases())
    end, done = time.monotonic() + seconds, 0
    while done == 0 or time.monotonic() < end:
        first = (seed * 1009 + done) % total
        calls, found = batch(first, first + 500)
        assert not found, "\n".join(found[:20])
        done += calls
    return done
