"""The option `algorithm` of `conv2d_backward`: which form gives dx and dw."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference
from npkernels._kernels import conv as _conv, costs as _costs
from npkernels.conv.geometry import geometry_of

# channels and outputs of a group, size, groups, taps: where "auto" takes Winograd's form, and where it does not
CASES = [(33, 34, 14, 1, 3), (16, 16, 7, 2, 5), (3, 5, 9, 1, 3), (1, 2, 12, 6, 3), (1, 1, 14, 20, 5), (40, 7, 6, 1, 3)]


def operands(rng, case, dtype):
    c, oc, size, groups, taps = case
    shapes = (3, oc * groups, size, size), (3, c * groups, size, size), (oc * groups, c, taps, taps)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes], {"padding": taps // 2, "groups": groups}


def turned(w, groups):
    """The kernels of the convolution of dy that gives dx."""
    parts = w.reshape(groups, len(w) // groups, *w.shape[1:]).swapaxes(1, 2)[..., ::-1, ::-1]
    return np.ascontiguousarray(parts).reshape(-1, len(w) // groups, *w.shape[2:])


def gradient(form, x, dy, w, groups):
    dw = np.full(w.shape, np.nan, w.dtype)
    geometry = geometry_of(*x.shape[2:], *w.shape[2:], 1, w.shape[2] // 2, 1)
    _conv.weight_gradient(dy, x, dw, geometry, groups, _costs.FORMS[form])
    return dw


@pytest.mark.parametrize("case", CASES)
def test_winograd_is_taken_where_it_is_asked_for(isa, dtype, rng, case):
    (dy, x, w), options = operands(rng, case, dtype)
    groups = options["groups"]
    dx, dw, _ = nk.conv2d_backward(dy, x, w, algorithm="winograd", **options)
    assert dx.tobytes() == nk.conv2d(dy, turned(w, groups), algorithm="winograd", **options).tobytes()
    assert dw.tobytes() == gradient("winograd", x, dy, w, groups).tobytes()


@pytest.mark.parametrize("case", CASES)
def test_direct_is_taken_where_it_is_asked_for(isa, dtype, rng, eps, case):
    (dy, x, w), options = operands(rng, case, dtype)
    direct, auto = (nk.conv2d_backward(dy, x, w, algorithm=a, **options) for a in ("direct", "auto"))
    wanted = reference.conv2d_backward(*(a.astype(np.float64) for a in (dy, x, w)), **options)
    for got, want in zip(direct, wanted, strict=True):
        assert abs(got - want).max() <= 64 * eps * abs(want).max()
    chosen = case[0] >= 16 and case[1] >= 16
    assert (direct[1].tobytes() == auto[1].tobytes()) != chosen
    if chosen:
        assert direct[0].tobytes() == nk.conv2d(dy, turned(w, case[3]), algorithm="direct", **options).tobytes()
        assert direct[1].tobytes() == gradient("sums", x, dy, w, case[3]).tobytes()


@pytest.mark.parametrize("case", CASES)
def test_what_winograd_must_not_do_has_the_bits_of_the_direct_form(isa, dtype, rng, case):
    (dy, x, w), options = operands(rng, case, dtype)
    kept = nk.conv2d_backward(dy, x, w, algorithm="winograd", **options)[0]
    dy[1, :: case[1], 2, 1] = 1e9  # of every group, which is a convolution of its own
    direct, winograd = (nk.conv2d_backward(dy, x, w, algorithm=a, **options) for a in ("direct", "winograd"))
    assert winograd[0][1].tobytes() == direct[0][1].tobytes()
    assert winograd[0][::2].tobytes() == kept[::2].tobytes()
    assert winograd[1].tobytes() == direct[1].tobytes()


def test_phases_of_a_stride_follow_the_option(dtype, rng):
    # 5x5 kernels at stride 2 leave 3x3 kernels at stride 1 to a phase
    x, w = rng.standard_normal((2, 32, 30, 30)).astype(dtype), rng.standard_normal((32, 32, 5, 5)).astype(dtype)
    dy = rng.standard_normal((2, 32, 15, 15)).astype(dtype)
    direct, auto = (
        nk.conv2d_backward(dy, x, w, stride=2, padding=2, algorithm=a, needs=("x",))[0] for a in ("direct", "auto")
    )
    np.testing.assert_allclose(direct, auto, rtol=0, atol=1e-3 * abs(auto).max())
    dy[...] = 1e9 * (rng.random(dy.shape) < 1e-3)
    direct, auto = (
        nk.conv2d_backward(dy, x, w, stride=2, padding=2, algorithm=a, needs=("x",))[0] for a in ("direct", "auto")
    )
    assert direct.tobytes() == auto.tobytes()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"algorithm": "fft"}, ValueError, "algorithm must be one of 'auto', 'direct', 'winograd', got 'fft'"),
        ({"algorithm": 1}, TypeError, "algorithm must be a string, got int"),
        ({"algorithm": "winograd", "stride": 2}, ValueError, "algorithm='winograd' must have a 3x3 or 5x5 kernel"),
        ({"algorithm": "winograd", "dilation": 2}, ValueError, "algorithm='winograd' must have a 3x3 or 5x5 kernel"),
    ],
)
def test_errors(options, error, message):
    x, w = np.ones((1, 2, 9, 9)), np.ones((3, 2, 3, 3))
    plain = {k: v for k, v in options.items() if k != "algorithm"}
    with pytest.raises(error, match=message):
        nk.conv2d_backward(nk.conv2d(x, w, **plain), x, w, **options)
    with pytest.raises(ValueError, match="algorithm='winograd' must have a 3x3 or 5x5 kernel"):
        nk.conv2d_backward(np.ones((1, 3, 8, 8)), x, np.ones((3, 2, 2, 2)), algorithm="winograd", needs=("b",))


def test_nothing_to_do(dtype):
    w = np.ones((3, 2, 3, 3), dtype)
    for algorithm in ("direct", "winograd"):
        dx, dw, db = nk.conv2d_backward(
            np.ones((0, 3, 4, 4), dtype), np.ones((0, 2, 6, 6), dtype), w, algorithm=algorithm
        )
        assert dx.shape == (0, 2, 6, 6)
        assert not dw.any()
        assert not db.any()
