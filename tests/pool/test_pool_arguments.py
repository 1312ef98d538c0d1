"""The arguments of pooling: out=, kinds of sizes, errors by type and message."""

import itertools

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference
from npkernels.conv.windows import pooled_size


def same(got, wanted):
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


def test_out_is_filled_and_returned(dtype, rng):
    x = rng.standard_normal((2, 3, 8, 8)).astype(dtype)
    for pool in (nk.max_pool2d, nk.avg_pool2d):
        out = np.empty((2, 3, 4, 4), dtype)
        assert pool(x, 2, out=out) is out
        same(out, pool(x, 2))
        raw = np.empty(out.nbytes + 1, np.uint8)
        unaligned = np.ndarray(out.shape, dtype, raw.data, offset=1)
        same(pool(x, 2, out=unaligned), out)
        with pytest.raises(ValueError, match=r"out must have shape \(2, 3, 4, 4\), got \(2, 3, 4, 5\)"):
            pool(x, 2, out=np.empty((2, 3, 4, 5), dtype))
        with pytest.raises(TypeError, match="out must be"):
            pool(x, 2, out=np.empty((2, 3, 4, 4), np.int64))
        with pytest.raises(ValueError, match="out must be C-contiguous"):
            pool(x, 2, out=np.empty((2, 3, 4, 4), dtype, order="F"))
        with pytest.raises(ValueError, match="out must be writeable"):
            pool(x, 2, out=np.broadcast_to(out[:1], out.shape))
        with pytest.raises(ValueError, match="out must not overlap x"):
            pool(x, 1, out=x)
        with pytest.raises(ValueError, match="out must not overlap x"):
            pool(x, 2, out=x.reshape(-1)[: out.size].reshape(out.shape))
    y, indices = nk.max_pool2d(x, 2, out=out, return_indices=True)
    assert y is out
    same(indices, reference.max_pool2d(x, 2, return_indices=True)[1])


@pytest.mark.parametrize("pool", [nk.max_pool2d, nk.avg_pool2d])
def test_errors_name_the_argument(pool):
    x = np.zeros((1, 2, 8, 8), np.float32)
    for bad, got in [(x.astype(np.float16), "float16"), (x.astype(int), "int64"), (x.astype(">f4"), ">f4")]:
        with pytest.raises(TypeError, match=f"x must be float32 or float64, got {got}"):
            pool(bad, 2)
    with pytest.raises(TypeError, match="x must be a plain array, got a masked array"):
        pool(np.ma.masked_array(x), 2)
    with pytest.raises(ValueError, match=r"x must have shape \(n, c, h, w\), got \(8, 8\)"):
        pool(x[0, 0], 2)
    for name in ("kernel_size", "stride"):
        for bad, error, text in [
            (0, ValueError, "at least 1, got 0"),
            ((2, -1), ValueError, "at least 1, got -1"),
            ((1, 2, 3), ValueError, "a pair of ints, got 3"),
            (2.0, TypeError, "float"),
            (True, TypeError, "bool"),
            ((2, True), TypeError, "bool"),
            ("2", TypeError, "str"),
            (2**63, ValueError, "64 bits"),
            ((1, 10**30), ValueError, "64 bits"),
        ]:
            with pytest.raises(error, match=f"{name} must.*{text}"):
                pool(x, **{"kernel_size": 2, name: bad})
    for bad in (-1, (0, -1), ((0, 0), (0, -1))):
        with pytest.raises(ValueError, match="padding must be at least 0, got -1"):
            pool(x, 2, padding=bad)
    with pytest.raises(TypeError, match="padding must"):
        pool(x, 2, padding="same")
    for bad in (2, (0, 2), ((0, 0), (3, 0)), 2**62):
        with pytest.raises(ValueError, match=r"padding must be smaller than the .* window of 2"):
            pool(x, 2, padding=bad)
    with pytest.raises(ValueError, match="kernel must fit into the padded image, got kernel size 9"):
        pool(x, (2, 9))
    with pytest.raises(ValueError, match="kernel must fit"):
        pool(x[:, :, :0], 2)
    with pytest.raises(ValueError, match="padding"):
        pool(x[:, :, :0], 2, padding=1)
    with pytest.raises(ValueError, match="padding must leave a size that fits 64 bits"):
        pool(x, 2**63 - 1, padding=2**63 - 2)
    with pytest.raises(TypeError):
        pool(x, 2, 2)


def test_numpy_integers_and_lists_are_sizes(rng):
    x = rng.standard_normal((1, 2, 8, 9), np.float32)
    wanted = nk.max_pool2d(x, (3, 2), stride=(2, 1), padding=((1, 0), (0, 1)))
    same(nk.max_pool2d(x, [np.int8(3), 2], stride=[2, np.uint64(1)], padding=[[1, 0], (0, 1)]), wanted)
    same(nk.max_pool2d(x, np.int64(2)), nk.max_pool2d(x, 2))
    same(nk.max_pool2d(x.tolist(), 2), nk.max_pool2d(x.astype(np.float64), 2))


def test_dilation_errors():
    x = np.zeros((1, 1, 8, 8))
    for bad, error in [(0, ValueError), (1.0, TypeError), (True, TypeError), (2**63, ValueError)]:
        with pytest.raises(error, match="dilation must"):
            nk.max_pool2d(x, 2, dilation=bad)
    with pytest.raises(ValueError, match="kernel must fit"):
        nk.max_pool2d(x, 2, dilation=8)
    # The window strides over the image: its taps lie at -5 and 9, then at -4 and 10.
    with pytest.raises(ValueError, match="padding must leave an element of the image under every window"):
        nk.max_pool2d(x, 2, dilation=14, padding=5)
    same(nk.max_pool2d(x + 1, 2, dilation=8, padding=((1, 0), (0, 1))), np.ones((1, 1, 1, 1)))
    with pytest.raises(TypeError):
        nk.avg_pool2d(x, 2, dilation=1)


def test_windows_that_stride_over_the_image_are_found():
    for size, stride, begin, dilation in itertools.product(range(1, 5), range(1, 9), range(10), range(2, 14)):
        kernel = begin // dilation + 2
        count = (size + 2 * begin - dilation * (kernel - 1) - 1) // stride + 1
        starts = [i * stride - begin for i in range(count)]
        seen = all(any(0 <= start + t * dilation < size for t in range(kernel)) for start in starts)
        axis = size, kernel, stride, (begin, begin), dilation
        if count >= 1 and seen:
            assert pooled_size(*axis) == count
        else:
            with pytest.raises(ValueError, match=r"padding must leave an element|the kernel must fit"):
                pooled_size(*axis)


def test_gradient_errors():
    dy, indices = np.zeros((1, 2, 4, 4), np.float32), np.zeros((1, 2, 4, 4), np.int32)
    with pytest.raises(TypeError, match="dy must be float32 or float64, got int32"):
        nk.max_pool2d_backward(indices, indices, (8, 8))
    for bad in (indices.astype(float), indices.astype(bool)):
        with pytest.raises(TypeError, match=f"indices must be integers, got {bad.dtype}"):
            nk.max_pool2d_backward(dy, bad, (8, 8))
    with pytest.raises(ValueError, match=r"indices must have shape \(1, 2, 4, 4\), got \(1, 2, 4, 3\)"):
        nk.max_pool2d_backward(dy, indices[..., 1:], (8, 8))
    with pytest.raises(ValueError, match=r"dy must have shape \(n, c, oh, ow\), got \(4, 4\)"):
        nk.max_pool2d_backward(dy[0, 0], indices[0, 0], (8, 8))
    with pytest.raises(ValueError, match=r"indices must be in \[0, 0\), got 0 to 0"):
        nk.max_pool2d_backward(dy, indices, (0, 8))
    for backward in (
        lambda size: nk.max_pool2d_backward(dy, indices, size),
        lambda size: nk.avg_pool2d_backward(dy[:, :, :1, :1], size, 2, stride=2**62),
        lambda size: nk.global_avg_pool2d_backward(dy[0, 0], size),
    ):
        with pytest.raises(ValueError, match="input_size must be at least"):
            backward((8, -1))
        with pytest.raises(TypeError, match="input_size must be an int"):
            backward((8, 8.0))
        with pytest.raises(ValueError, match="overflows"):
            backward((2**40, 2**40))
    with pytest.raises(ValueError, match=r"dy must have shape \(1, 2, 4, 5\), got \(1, 2, 4, 4\)"):
        nk.avg_pool2d_backward(dy, (8, 10), 2)
    with pytest.raises(ValueError, match=r"dy must have shape \(n, c\), got \(1, 2, 4, 4\)"):
        nk.global_avg_pool2d_backward(dy, (8, 8))
    for pool in (nk.global_avg_pool2d, nk.global_max_pool2d):
        with pytest.raises(ValueError, match=r"x must have at least one row and one column, got \(1, 2, 0, 4\)"):
            pool(dy[:, :, :0])
        with pytest.raises(ValueError, match=r"x must have shape \(n, c, h, w\), got \(4, 4\)"):
            pool(dy[0, 0])
        with pytest.raises(TypeError, match="x must be float32 or float64, got int32"):
            pool(indices)


def test_planes_too_large_for_int32_have_no_indices():
    x = np.broadcast_to(np.float32(1), (1, 1, 2**16, 2**15))
    with pytest.raises(ValueError, match=r"return_indices .* 2147483647 elements, got 65536 x 32768"):
        nk.max_pool2d(x, 2**15, return_indices=True)


def test_results_that_cannot_be_held_are_errors():
    x = np.broadcast_to(np.float32(1), (2**20, 2**20, 1, 1))
    with pytest.raises(MemoryError):
        nk.max_pool2d(x, 1)
    assert nk.max_pool2d(x[:1, :1], 2**60, padding=2**60 - 1) == 1  # one window, of which all but one tap is padding
    with pytest.raises(ValueError, match="overflows"):
        nk.max_pool2d(x, 2**30, stride=1, padding=2**30 - 1)
