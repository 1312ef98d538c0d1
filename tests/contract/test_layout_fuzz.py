"""Layouts of operands, each its own, change no bit; nothing depends on memory that nobody wrote (fuzz/)."""

import mmap

import numpy as np
import pytest
from fuzz import digest, layouts, poison
from fuzz.layouts import LAYOUTS, Plan
from fuzz.run import NAMES
from hypothesis import HealthCheck, given, settings, strategies as st
from numpy.lib.stride_tricks import as_strided

import npkernels as nk

PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**31),
    layouts=st.lists(st.sampled_from(sorted(LAYOUTS)), min_size=3, max_size=3).map(tuple),
    details=st.integers(0, 2**31),
    shared=st.booleans(),
    out=st.sampled_from(["", "plain", "unaligned", "x", "dy"]),
    threads=st.sampled_from([1, 3]),
)
FIXED = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", NAMES)
@settings(FIXED, max_examples=25)
@given(plan=PLANS)
def test_layouts_change_no_bit(isa, name, plan):
    layouts.check(name, plan)


@pytest.mark.parametrize("name", NAMES)
def test_memory_that_nobody_wrote_changes_no_bit(isa, name):
    for seed in range(10):
        poison.check(name, seed, 1 + seed % 3)


def test_poisoned_memory_holds_the_byte(rng):
    x = rng.standard_normal((3, 70_000))
    with poison.poisoned(0xFF):
        assert np.isnan(np.empty(5)).all()
        assert np.array_equal(nk.relu(x[:, ::2]), np.maximum(x[:, ::2], 0))
    assert digest.of_calls("dense", 3) == digest.of_calls("dense", 3)


# --- single cases of kinds that were wrong


def test_conv2d_takes_kernels_with_new_axes(isa, dtype):
    m = np.arange(6, dtype=dtype).reshape(2, 3)
    for w in m[..., None, None], as_strided(m, (2, 3, 1, 1), (*m.strides, 2**40, -(2**40))):
        assert nk.conv2d(np.ones((1, 3, 4, 4), dtype), w)[0, :, 0, 0].tolist() == [3, 12]


def test_gradients_of_kernels_where_columns_have_step_0(isa, dtype, rng):
    for c in 1, 3, 9, 20:
        signal = rng.integers(-3, 4, (2, c, 9)).astype(dtype)
        x, w = signal[..., None], rng.integers(-3, 4, (5, c, 3, 1)).astype(dtype)
        dy = rng.integers(-3, 4, (2, 5, 7, 1)).astype(dtype)
        wanted = np.einsum(
            "nohw,nchwab->ocab", dy, np.lib.stride_tricks.sliding_window_view(signal, 3, 2)[..., None, :, None]
        )
        assert np.array_equal(nk.conv2d_backward(dy, x, w)[1], wanted)
        ones = np.broadcast_to(dtype.type(1), (2, c, 9, 4))
        sums = nk.conv_transpose2d_backward(ones, dy, np.ones((5, c, 3, 4), dtype), needs=("w",))[1]
        assert np.array_equal(sums, np.broadcast_to(dy.sum((0, 2, 3))[:, None, None, None], sums.shape))


def test_windows_of_images_that_lie_inside_each_other(isa, dtype, rng):
    # rows and columns further apart than images are: nothing ascends from one window to the next
    x = np.asfortranarray(rng.integers(-3, 4, (5, 3, 1, 4)).astype(dtype))
    w = rng.integers(-3, 4, (40, 3, 1, 1)).astype(dtype)
    assert np.array_equal(nk.conv2d(x, w), np.einsum("nchw,ocij->nohw", x, w))


@pytest.mark.parametrize("step", [2**27, 2**31, 2**33 + 8])
def test_elements_gigabytes_apart(isa, dtype, rng, step):
    # Pages that nobody touches cost nothing. Address arithmetic in 32 bits would meet others.
    shape = (2, 2, 3, 3)
    memory = np.frombuffer(
        mmap.mmap(-1, 20 * step, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000),  # MAP_NORESERVE
        np.uint8,
    )
    values = rng.integers(-3, 4, shape).astype(dtype)
    for axis in range(4):
        strides = [64, 256, 1024, 4096]
        strides[axis] = step
        x = as_strided(memory[: values.itemsize].view(dtype), shape, strides)
        x[...] = values
        w, dy = np.ones((20, 2, 2, 2), dtype), np.ones((2, 20, 2, 2), dtype)
        assert np.array_equal(nk.conv2d(x, w), nk.conv2d(values, w))
        for got, wanted in zip(nk.conv2d_backward(dy, x, w), nk.conv2d_backward(dy, values, w), strict=True):
            assert np.array_equal(got, wanted)
        for f in nk.relu, nk.softmax, nk.global_avg_pool2d, nk.global_max_pool2d:
            assert np.array_equal(f(x), f(values))
        for f in nk.max_pool2d, nk.avg_pool2d:
            assert np.array_equal(f(x, 2, stride=1), f(values, 2, stride=1))
        assert np.array_equal(nk.im2col(x, 2), nk.im2col(values, 2))


def test_large_results_past_the_caches(isa, rng):
    # Above the sizes of the fuzzers: into memory that was touched, from where operands are gathered.
    plain = rng.standard_normal((1000, 4000), np.float32)
    wide = rng.standard_normal((1000, 8000), np.float32)[:, ::2]
    wide[...] = plain
    odd = np.ndarray(plain.shape, plain.dtype, np.empty(plain.nbytes + 3, np.uint8).data, 3)
    odd[...] = plain
    for f in nk.relu, nk.softmax, nk.log_softmax:
        expected, out = f(plain), np.ones_like(plain)
        for x in wide, odd, np.asfortranarray(plain):
            out[...] = 1
            assert np.array_equal(f(x, out=out), expected)
