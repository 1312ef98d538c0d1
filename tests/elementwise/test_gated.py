"""The gated linear unit: its definition, gradient, layouts, and arguments."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

SHAPES = [
    ((2, 6), 1),
    ((8,), 0),
    ((3, 4, 5), -2),
    ((2, 3, 34), -1),
    ((70, 3, 7), 0),
    ((2, 8, 33, 9), 1),
    ((5, 4096), 1),
]


def problem(rng, dtype, shape, axis):
    """x and dy; sizes from 1e-3 to 1e3."""
    half = list(shape)
    half[axis] //= 2
    x, dy = (rng.standard_normal(s) * 10 ** rng.uniform(-3, 3, s) for s in (shape, half))
    return x.astype(dtype), dy.astype(dtype)


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_glu_is_its_definition(isa, dtype, eps, rng, layouts, same_for_any_threads, shape, axis):
    x, dy = problem(rng, dtype, shape, axis)
    wide_x, wide_dy = x.astype(np.longdouble), dy.astype(np.longdouble)
    y, dx = nk.glu(x, axis), nk.glu_backward(dy, x, axis)
    tiny = 4 * np.finfo(dtype).smallest_subnormal
    for got, wanted, ulp in (
        (y, reference.glu(wide_x, axis), 5),
        (dx, reference.glu_backward(wide_dy, wide_x, axis), 8),
    ):
        assert got.dtype == dtype
        assert got.shape == wanted.shape
        # a share that underflows is multiplied by the other half
        assert (np.abs(got - wanted) <= ulp * eps * np.abs(wanted) + tiny * (1 + np.abs(x).max())).all()
    for one, other in zip(layouts(x), layouts(dy), strict=True):
        for a in same_for_any_threads(
            lambda one=one, other=other: (nk.glu(one, axis), nk.glu_backward(other, one, axis))
        ):
            assert a.tobytes() in (y.tobytes(), dx.tobytes())


@pytest.mark.parametrize(("shape", "axis"), SHAPES[:5])
def test_gradient_is_that_of_central_differences(rng, shape, axis):
    x, dy = (rng.standard_normal(a.shape) for a in problem(rng, np.float64, shape, axis))
    direction, step = rng.standard_normal(shape), 1e-6
    slope = (nk.glu(x + step * direction, axis) - nk.glu(x - step * direction, axis)) / (2 * step)
    np.testing.assert_allclose(
        (nk.glu_backward(dy, x, axis) * direction).sum(), (slope * dy).sum(), rtol=1e-7, atol=1e-8
    )


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_glu_is_that_of_pytorch(rng, shape, axis):
    torch = pytest.importorskip("torch")
    x, dy = (rng.standard_normal(a.shape) for a in problem(rng, np.float64, shape, axis))  # its 1 - sigmoid cancels
    leaf = torch.from_numpy(x.copy()).requires_grad_()
    y = torch.nn.functional.glu(leaf, axis)
    y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(nk.glu(x, axis), y.detach().numpy(), rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(nk.glu_backward(dy, x, axis), leaf.grad.numpy(), rtol=1e-11, atol=1e-14)


def test_infinite_and_nan_elements(isa, dtype):
    inf, nan = np.inf, np.nan
    x = np.array([[1, 2, nan, 3, inf, inf, inf, -inf, nan, 0]], dtype)  # halves 1 2 nan 3 inf and inf inf -inf nan 0
    np.testing.assert_array_equal(nk.glu(x), np.array([[1, 2, nan, nan, inf]], dtype))


def test_read_only_and_empty_arrays(dtype):
    x = np.ones((2, 4), dtype)
    x.flags.writeable = False
    assert nk.glu(x).shape == (2, 2)
    for shape, axis in [((0, 4), 1), ((3, 0), 1), ((2, 4, 0), 1), ((0,), 0)]:
        y = nk.glu(np.zeros(shape, dtype), axis)
        assert nk.glu_backward(y, np.zeros(shape, dtype), axis).shape == shape


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: nk.glu(x[:, :3]), ValueError, r"x must have an even size along axis 1, got shape \(2, 3\)"),
        (lambda x: nk.glu(x, 2), ValueError, r"axis must be in \[-2, 2\), got 2"),
        (lambda x: nk.glu(x[0]), ValueError, r"axis must be in \[-1, 1\), got 1"),
        (lambda x: nk.glu(x, 1.0), TypeError, "axis must be an int, got float"),
        (lambda x: nk.glu(x.astype(int)), TypeError, "x must be float32 or float64"),
        (lambda x: nk.glu_backward(x, x), ValueError, r"dy must have shape \(2, 2\), got \(2, 4\)"),
        (lambda x: nk.glu_backward(x[:, :2].astype("f4"), x), TypeError, "dy"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 4)))
