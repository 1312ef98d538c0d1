"""Fixtures that run a test for every instruction set, dtype and number of threads."""

import os

import numpy as np
import pytest
from fuzz.sharing import shared_by

import npkernels as nk
from npkernels._kernels import costs as _costs
from npkernels.conv import forward as conv

# All that this machine runs; with NPKERNELS_ISA set that one, so that .ci/run does no test twice.
ISAS = [nk.isa()] if os.environ.get("NPKERNELS_ISA") else nk.available_isas()


# What also runs as Clang builds the package and under sanitizers (.ci/clang, .ci/sanitize): all kernels, but no test
# that starts processes or compares with other libraries.
TOPICS = """
    activation attention attention_gradient calls channelwise clip conv conv_forms conv_transpose corners cross_entropy
    depthwise distance embedding grid image_gradient interpolate layout_fuzz linear loss nearest norm optim padding
    pairwise pool recurrent regularisation silhouette softmax winograd winograd_gradient
"""
CORE = {f"test_{topic}" for topic in TOPICS.split()}


@pytest.hookimpl(tryfirst=True)  # before pytest looks at -m
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in CORE:
            item.add_marker(pytest.mark.core)


@pytest.fixture(params=ISAS)
def isa(request):
    before = nk.isa()
    nk.use_isa(request.param)
    yield request.param
    nk.use_isa(before)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def eps(dtype):
    return float(np.finfo(dtype).eps)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def same_for_any_threads():
    """Calls a function with 1, 2, 3 and 7 threads and asserts that every array it returns has the same bits."""

    def check(function):
        results = []
        for n in (1, 2, 3, 7):
            with shared_by(n):
                results.append(function())
        first = results[0] if isinstance(results[0], tuple) else (results[0],)
        for other in results[1:]:
            other = other if isinstance(other, tuple) else (other,)
            for a, b in zip(first, other, strict=True):
                if a is not None:
                    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
        return results[0]

    return check


@pytest.fixture
def take(monkeypatch):
    """take(form): convolutions and their gradients take it (a name of `FORMS` in costs.pyx) where it applies."""

    def choose(form):
        monkeypatch.setitem(conv.FORMS, "auto", _costs.FORMS[form])
        monkeypatch.setattr(conv._conv, "conv2d_plain", lambda *_: None)

    return choose


@pytest.fixture
def direct(take):
    """Convolutions and gradients never take Winograd's form, whose points are no integers."""
    take("direct")


def strided_copies(array):
    """The same values in layouts that are not C-contiguous: reversed axes, gaps, transposed memory, unaligned."""
    yield np.asfortranarray(array)
    gaps = np.zeros([2 * size for size in array.shape], array.dtype)[tuple(slice(None, None, 2) for _ in array.shape)]
    gaps[...] = array
    yield gaps
    flip = tuple(slice(None, None, -1) for _ in array.shape)
    yield array[flip].copy()[flip]
    raw = np.zeros(array.nbytes + 1, np.uint8)
    unaligned = np.ndarray(array.shape, array.dtype, raw.data, offset=1)
    unaligned[...] = array
    yield unaligned
    read_only = array.copy()
    read_only.flags.writeable = False
    yield read_only


@pytest.fixture
def layouts():
    return strided_copies
