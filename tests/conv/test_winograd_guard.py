"""Which images and kernels the Winograd forms leave to the direct form, and that those they keep lose no digits."""

import functools

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

MOST = 16  # times the error of the direct form
WIDER = np.finfo(np.longdouble).nmant >= 63
N, C, OC, SIZE = 2, 18, 33, 13
IMAGES = (N, C, SIZE, SIZE)


def outliers(rng):
    """Few or many, anywhere, of one size."""
    x, count = rng.standard_normal(IMAGES), int(10 ** rng.uniform(0, 1.5))
    places = tuple(rng.integers(0, n, count) for n in IMAGES)
    x[places] = rng.choice([-1, 1], count) * 10.0 ** rng.uniform(1, 12)
    return x


def sentinels(rng):
    """All channels of some pixels, or of a rectangle, are no data."""
    x, (i, j) = rng.standard_normal(IMAGES), rng.integers(0, SIZE, 2)
    h, w = rng.integers(1, 5, 2)
    x[rng.integers(N), :, i : i + h, j : j + w] = rng.choice([-9999, 1e6, -99, 3e38 / 2**90, 50])
    return x


def sparse(rng):
    return rng.standard_normal(IMAGES) * (rng.random(IMAGES) < 10 ** rng.uniform(-3.3, 0))


def border(rng):
    x = rng.standard_normal(IMAGES) * 10.0 ** rng.uniform(1, 6)
    x[:, :, 2:-1, 1:-2] = rng.standard_normal(x[:, :, 2:-1, 1:-2].shape)
    return x


def rectified(rng):
    return np.maximum(rng.standard_normal(IMAGES) + rng.uniform(-1, 1), 0)


def constant(rng):
    return np.broadcast_to(rng.uniform(-9, 9, (1, C, 1, 1)) * 10.0 ** rng.uniform(-20, 20), IMAGES)


def ramp(rng):
    row, column = np.arange(SIZE)[:, None] * rng.uniform(-1, 1), np.arange(SIZE) * rng.uniform(-1, 1)
    return (row + column + rng.uniform(-1, 1)) * rng.uniform(0.5, 1, (N, C, 1, 1)) * 10.0 ** rng.uniform(-12, 12)


def slopes(rng):
    """Spread over many powers of two along an axis."""
    return rng.standard_normal(IMAGES) * 10.0 ** (np.arange(SIZE) * rng.uniform(-3, 3))


def tiny(rng):
    return rng.standard_normal(IMAGES) * 10.0 ** rng.uniform(-45, -25)


def huge(rng):
    return rng.standard_normal(IMAGES) * 10.0 ** rng.uniform(15, 30)


def impulse(rng):
    x = np.zeros(IMAGES)
    x[(..., *rng.integers(0, SIZE, 2))] = rng.choice([0, 1, 0, 0, 7.3], IMAGES[:2])
    return x


FAMILIES = [outliers, sentinels, sparse, border, rectified, constant, ramp, slopes, tiny, huge, impulse]


def kernels(rng, taps):
    w = rng.standard_normal((OC, C, taps, taps))
    if rng.random() < 0.3:  # outliers
        count = rng.integers(1, 4)
        w[tuple(rng.integers(0, n, count) for n in w.shape)] = 10.0 ** rng.uniform(0.5, 30)
    elif rng.random() < 0.2:
        w *= rng.random(w.shape) < 0.1
    elif rng.random() < 0.2:
        w *= 10.0 ** rng.uniform(-40, 20)
    return w


def wide(a):
    return a.astype(np.float64 if a.dtype == np.float32 else np.longdouble)


@functools.cache
def case(family, taps, dtype, seed):
    """x, w, dy of the dtype; y, dx and dw in a wider type."""
    rng = np.random.default_rng([FAMILIES.index(family), taps, seed])
    x, w = family(rng).astype(dtype), kernels(rng, taps).astype(dtype)
    dy = FAMILIES[rng.integers(len(FAMILIES))](rng) if rng.random() < 0.5 else rng.standard_normal(IMAGES)
    dy = np.resize(dy, (N, OC, SIZE, SIZE)).astype(dtype)
    options = {"padding": taps // 2}
    with np.errstate(all="ignore"):
        y = reference.conv2d(wide(x), wide(w), **options)
        dx, dw, _ = reference.conv2d_backward(wide(dy), wide(x), wide(w), **options, needs=("x", "w"))
    return x, w, dy, (y, dx, dw)


def results(x, w, dy, algorithm):
    options = {"padding": w.shape[2] // 2, "algorithm": algorithm}
    with np.errstate(all="ignore"):
        return nk.conv2d(x, w, **options), *nk.conv2d_backward(dy, x, w, needs=("x", "w"), **options)[:2]


def errors(results, truth):
    with np.errstate(all="ignore"):
        return [abs(wide(a) - t) for a, t in zip(results, truth, strict=True)]


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_no_result_errs_much_more_than_the_direct_form(isa, dtype, family, taps):
    if dtype == np.float64 and not WIDER:
        pytest.skip("needs a type wider than float64")
    for seed in range(6):
        x, w, dy, truth = case(family, taps, dtype, seed)
        direct = results(x, w, dy, "direct")
        most = errors(direct, truth)
        for algorithm in ("winograd", "auto"):
            for got, plain, error, limit in zip(
                results(x, w, dy, algorithm), direct, errors(results(x, w, dy, algorithm), truth), most, strict=True
            ):
                if got.tobytes() == plain.tobytes():
                    continue
                assert np.isfinite(got).all()
                parts = zip(error, limit, strict=True) if len(got) == N else [(error, limit)]  # images, or dw
                assert all(e.max() <= MOST * d.max() for e, d in parts)


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("size", [100, 300, 1e4, -9999, 1e6, 1e10, 1e14, 1e20])
@pytest.mark.parametrize("channels", [1, C])
def test_pixels_that_do_not_see_an_outlier_do_not_suffer_from_it(isa, rng, taps, size, channels):
    x, w = rng.standard_normal((2, C, 12, 12)).astype("f4"), rng.standard_normal((OC, C, taps, taps)).astype("f4")
    pad = taps // 2
    for i, j in rng.integers(0, 12, (4, 2)):
        x[1] = x[0]
        x[1, :channels, i, j] = size
        rows, columns = (abs(np.arange(12) - k) <= pad for k in (i, j))
        clean = ~(rows[:, None] & columns)
        truth = reference.conv2d(*map(wide, (x, w)), padding=pad)
        direct, winograd = (nk.conv2d(x, w, padding=pad, algorithm=a) for a in ("direct", "winograd"))
        assert abs(winograd - truth)[1, :, clean].max() <= MOST * abs(direct - truth)[1, :, clean].max()
        assert not np.array_equal(winograd[0], direct[0])  # one image does not decide for another
        assert winograd[1].tobytes() == nk.conv2d(x[1:], w, padding=pad, algorithm="winograd")[0].tobytes()


def test_sentinels_of_issue_size_leave_other_pixels_alone(isa, rng):
    x, w = rng.standard_normal((1, 32, 16, 16)).astype("f4"), rng.standard_normal((32, 32, 3, 3)).astype("f4")
    for size in (1e6, 1e10):
        x[0, 3, 8, 8] = size
        assert np.array_equal(nk.conv2d(x, w), nk.conv2d(x, w, algorithm="direct"))
    x[0, 3, 8, 8] = 9
    assert not np.array_equal(nk.conv2d(x, w), nk.conv2d(x, w, algorithm="direct"))


def test_taps_that_do_not_see_an_outlier_do_not_suffer_from_it(isa, rng):
    # of the pixel in a corner of x or dy, which most taps of a padded kernel cannot reach
    for size in (30.0, 100.0, 1e3, 1e6, 1e10):
        for n in (4, 32):
            x, dy = rng.standard_normal((n, C, 8, 8)).astype("f4"), rng.standard_normal((n, OC, 8, 8)).astype("f4")
            for a, seen in ((x, (slice(None, 2), slice(None, 2))), (dy, (slice(1, None), slice(1, None)))):
                before = a[0, 0, 0, 0]
                a[0, 0, 0, 0] = size
                w = np.zeros((OC, C, 3, 3), "f4")
                truth = reference.conv2d_backward(*map(wide, (dy, x, w)), padding=1, needs=("w",))[1]
                error = {}
                for algorithm in ("direct", "winograd"):
                    dw = nk.conv2d_backward(dy, x, w, padding=1, algorithm=algorithm, needs=("w",))[1]
                    e = abs(dw - truth)
                    e[(..., *seen)] = 0
                    error[algorithm] = e.max()
                assert error["winograd"] <= MOST * error["direct"]
                a[0, 0, 0, 0] = before


def test_a_weight_that_outweighs_all_others_leaves_the_form(isa, dtype, rng):
    x, w = rng.standard_normal((1, C, 9, 9)).astype(dtype), rng.standard_normal((OC, C, 3, 3)).astype(dtype)
    others = abs(w[7]).sum() - abs(w[7, 4, 1, 1])
    for factor, direct in ((0.9, False), (1.1, True), (1e9, True)):
        w[7, 4, 1, 1] = factor * others
        same = np.array_equal(*(nk.conv2d(x, w, algorithm=a) for a in ("direct", "winograd")))
        assert same == direct
    w[...] = 0  # a kernel of zeros is even
    w[:5] = 1
    assert not np.array_equal(*(nk.conv2d(x, w, algorithm=a)[:, :5] for a in ("direct", "winograd")))


@pytest.mark.parametrize(("taps", "most"), [(3, 21), (5, 55)])
def test_a_tile_has_at_most_128_times_the_energy_of_a_part(isa, dtype, rng, taps, most):
    # of ones but for a corner: 35 + most^2 <= 128 * 2^2, and of four windows together 99 + most^2 <= 128 * 5^2
    x, w = np.ones((1, C, 6, 6), dtype), rng.standard_normal((OC, C, taps, taps)).astype(dtype)
    for corner, direct in ((most, False), (most + 1, True)):
        x[..., 0, 0] = corner
        same = np.array_equal(*(nk.conv2d(x, w, algorithm=a) for a in ("direct", "winograd")))
        assert same == direct


def test_windows_in_the_padding_do_not_count(isa, dtype, rng):
    x, w = rng.standard_normal((2, C, 9, 9)).astype(dtype), rng.standard_normal((OC, C, 3, 3)).astype(dtype)
    for padding in (0, 1, 2, ((2, 0), (0, 2))):
        direct, winograd = (nk.conv2d(x, w, padding=padding, algorithm=a) for a in ("direct", "winograd"))
        assert not any(np.array_equal(*pair) for pair in zip(direct, winograd, strict=True))


@pytest.mark.parametrize("taps", [3, 5])
def test_windows_that_see_a_single_line_of_pixels_count(isa, dtype, rng, taps):
    # the first or the last, beside one that all other windows of its tile see
    x, w = rng.standard_normal((1, C, 6, 6)).astype(dtype), rng.standard_normal((OC, C, taps, taps)).astype(dtype)
    for line in (np.s_[..., 1, :], np.s_[..., 4, :], np.s_[..., 1], np.s_[..., 4]):
        uneven = x.copy()
        uneven[line] *= 1e4
        assert np.array_equal(*(nk.conv2d(uneven, w, padding=taps - 1, algorithm=a) for a in ("direct", "winograd")))


def test_decisions_do_not_depend_on_threads_batch_or_blocks_of_channels(isa, rng, same_for_any_threads):
    # kernels that outweigh the tiles, whose outputs are tasks, and many tiles
    x, w = rng.standard_normal((40, 200, 7, 7)).astype("f4"), rng.standard_normal((150, 200, 3, 3)).astype("f4")
    others = np.float64(abs(w[3]).sum()) - abs(w[3, 9, 0, 0])
    for factor in 1 + np.arange(-3, 4) * 3e-7:
        w[3, 9, 0, 0] = factor * others
        y = same_for_any_threads(lambda: nk.conv2d(x, w, padding=1))
        for n in (1, 3):
            assert nk.conv2d(x[:n], w, padding=1).tobytes() == y[:n].tobytes()
