"""What a call gives, as arrays whose bits can be compared."""

import copy
import hashlib
import warnings

import numpy as np

from .calls import CALLS
from .form_calls import FORMS

DRAWS = CALLS | FORMS
NAMES = tuple(DRAWS)  # of all draws, those of the public kernels first


def draw(name, seed):
    """The call of this name and seed; an even seed draws float32, an odd one float64."""
    rng = np.random.default_rng([seed, NAMES.index(name)])
    return DRAWS[name](rng, np.dtype(np.float64 if seed % 2 else np.float32))


def flat(value):
    """The arrays and numbers in what a kernel returned."""
    if value is None:
        return []
    if isinstance(value, (tuple, list)):
        return [one for each in value for one in flat(each)]
    return [np.asarray(value)]


def results(call):
    """Everything that a call returned and wrote. Its generators stay as they are, its written arguments do not."""
    args, kwargs = ([copy.deepcopy(a) if isinstance(a, np.random.Generator) else a for a in values]
                    for values in (call.args, call.kwargs.values()))  # fmt: skip
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        returned = call.function(*args, **dict(zip(call.kwargs, kwargs, strict=True)))
    return flat(returned) + flat([call.args[i] for i in call.writes])


def bits(array):
    """Shape, dtype and bytes; all NaN are one."""
    array = np.array(array)
    if array.dtype.kind == "f":
        array[np.isnan(array)] = np.nan
    return array.shape, array.dtype.str, array.tobytes()


def same(a, b):
    return len(a) == len(b) and all(map(lambda x, y: bits(x) == bits(y), a, b))


def digest(call):
    found = hashlib.sha256()
    for array in results(call):
        found.update(repr(bits(array)).encode())
    return found.hexdigest()
