import itertools

import numpy as np
import pytest
from bounds import assert_exact, assert_near, integers

import npkernels as nk
from npkernels import reference

# n, c, h, w, oc, kh, kw
SHAPES = [(2, 4, 5, 6, 6, 3, 3), (1, 2, 2, 9, 4, 1, 2), (2, 6, 7, 20, 2, 4, 5), (1, 40, 9, 8, 36, 3, 3)]


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def operands(rng, shape, groups, dtype, values=normal):
    n, c, h, w, oc, kh, kw = shape
    return [values(rng, s, dtype) for s in ((n, c, h, w), (c, oc // groups, kh, kw), (oc,))]


@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
@pytest.mark.parametrize("shape", SHAPES)
def test_result_and_gradients_of_integers_are_exact(isa, dtype, rng, direct, shape, stride):
    choices = itertools.product([0, ((1, 0), (0, 1))], [0, 1], [1, (2, 3)], [1, 2])
    for padding, output_padding, dilation, groups in choices:
        x, w, b = operands(rng, shape, groups, dtype, integers)
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        options["output_padding"] = output_padding if stride == 2 or dilation != 1 else 0
        y = nk.conv_transpose2d(x, w, b, **options)
        assert_exact(y, reference.conv_transpose2d, (x, w, b), **options)
        dy = integers(rng, y.shape, dtype)
        got = nk.conv_transpose2d_backward(dy, x, w, **options)
        assert_exact(got, reference.conv_transpose2d_backward, (dy, x, w), **options)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", SHAPES[2:])
def test_rounding_is_near_that_of_sums_of_random_signs(isa, dtype, eps, rng, direct, shape, stride):
    x, w, b = operands(rng, shape, 1, dtype)
    y = nk.conv_transpose2d(x, w, b, stride=stride)
    assert_near(y, reference.conv_transpose2d, (x, w, b), w[:, 0].size + 1, eps, stride=stride)
    dy = normal(rng, y.shape, dtype)
    terms = (w[0].size, x[:, 0].size, y[:, 0].size)
    got = nk.conv_transpose2d_backward(dy, x, w, stride=stride)
    assert_near(got, reference.conv_transpose2d_backward, (dy, x, w), terms, eps, stride=stride)


@pytest.mark.parametrize("multiplier", [1, 3])
def test_groups_of_one_channel(isa, dtype, rng, multiplier):
    x, w = integers(rng, (2, 6, 9, 10), dtype), integers(rng, (6, multiplier, 3, 4), dtype)
    options = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 6}
    y = nk.conv_transpose2d(x, w, **options)
    assert_exact(y, reference.conv_transpose2d, (x, w), **options)
    dy = integers(rng, y.shape, dtype)
    got = nk.conv_transpose2d_backward(dy, x, w, **options)
    assert_exact(got, reference.conv_transpose2d_backward, (dy, x, w), **options)


def test_it_is_the_adjoint_of_convolution(isa, rng):
    w = integers(rng, (5, 3, 3, 2), np.float64)  # from 3 channels to 5, as conv2d takes it
    options = {"stride": (2, 3), "padding": (1, 0)}
    x, y = integers(rng, (2, 3, 9, 11), np.float64), integers(rng, (2, 5, 5, 4), np.float64)
    forward = nk.conv2d(x, w, **options)
    back = nk.conv_transpose2d(y, w, **options)
    assert forward.shape == y.shape
    assert back.shape == x.shape
    assert np.vdot(forward, y) == np.vdot(x, back)


def test_same_bits_for_any_threads_and_layout(isa, dtype, rng, layouts, same_for_any_threads):
    x, w, b = operands(rng, (3, 24, 12, 13, 20, 3, 3), 2, dtype)
    dy = rng.standard_normal((3, 20, 24, 26)).astype(dtype)

    def run(x=x, w=w, dy=dy):
        options = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
        return nk.conv_transpose2d(x, w, b, **options), *nk.conv_transpose2d_backward(dy, x, w, **options)

    first = same_for_any_threads(run)
    changed = [*({"x": a} for a in layouts(x)), *({"w": a} for a in layouts(w)), *({"dy": a} for a in layouts(dy))]
    for arguments in changed:
        for got, wanted in zip(run(**arguments), first, strict=True):
            assert np.array_equal(got, wanted)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (3, 2), "padding": (0, 2), "output_padding": (2, 0), "dilation": 2},
        {"dilation": 3, "output_padding": 2, "groups": 2},
    ],
)
def test_it_agrees_with_pytorch(rng, options):
    torch = pytest.importorskip("torch")
    groups = options.get("groups", 1)
    x, w, b = operands(rng, (2, 4, 6, 5, 6, 3, 4), groups, np.float64)
    tx, tw, tb = (torch.from_numpy(a).requires_grad_() for a in (x, w, b))
    wanted = torch.nn.functional.conv_transpose2d(tx, tw, tb, **options)
    y = nk.conv_transpose2d(x, w, b, **options)
    np.testing.assert_allclose(y, wanted.detach().numpy(), rtol=1e-12, atol=1e-12)
    dy = rng.standard_normal(y.shape)
    wanted.backward(torch.from_numpy(dy))
    for got, t in zip(nk.conv_transpose2d_backward(dy, x, w, **options), (tx, tw, tb), strict=True):
        np.testing.assert_allclose(got, t.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_empty_axes_out_and_needs(isa, dtype, rng):
    x, w, b = operands(rng, (2, 3, 4, 4, 2, 3, 3), 1, dtype)
    out = np.empty((2, 2, 6, 6), dtype)
    assert nk.conv_transpose2d(x, w, b, out=out) is out
    assert np.array_equal(out, nk.conv_transpose2d(x, w, b))
    assert nk.conv_transpose2d(x[:0], w, b).shape == (0, 2, 6, 6)
    y = nk.conv_transpose2d(x[:, :0], w[:0], b)
    assert np.array_equal(y, np.broadcast_to(b[:, None, None], (2, 2, 6, 6)))
    assert nk.conv_transpose2d(x, w[:, :0]).shape == (2, 0, 6, 6)
    dx, dw, db = nk.conv_transpose2d_backward(out, x, w, needs=("w",))
    assert dx is None
    assert db is None
    assert dw.shape == w.shape
    # strides beyond the kernel leave pixels that no element of x reaches
    y = nk.conv_transpose2d(x, w[:, :, :1, :1], b, stride=3)
    assert np.array_equal(y[:, :, 1], np.broadcast_to(b[:, None], (2, 2, 10)))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.ones((2, 3, 4))}, ValueError, r"x must have shape \(n, c, h, w\)"),
        ({"w": np.ones((4, 2, 3, 3))}, ValueError, r"w must have shape \(3, oc/groups, kh, kw\), got \(4, 2, 3, 3\)"),
        ({"w": np.ones((3, 2, 0, 3))}, ValueError, "w must have a kernel of at least 1 x 1"),
        ({"w": np.ones((3, 2, 3, 3), np.float32)}, TypeError, "w must"),
        ({"b": np.ones(3)}, ValueError, r"b must have shape \(2,\)"),
        ({"groups": 2}, ValueError, "groups must divide the channels of x"),
        ({"stride": 0}, ValueError, "stride must"),
        ({"output_padding": 1}, ValueError, "output_padding must be smaller than stride or dilation"),
        ({"output_padding": -1}, ValueError, "output_padding must"),
        ({"padding": 3}, ValueError, "the result must have at least 1 x 1 pixels"),
        ({"padding": "same"}, TypeError, "padding must"),
        ({"out": np.ones((2, 2, 6, 5))}, ValueError, "out must have shape"),
    ],
)
def test_errors_name_the_argument(change, error, message):
    arguments = {"x": np.ones((2, 3, 4, 4)), "w": np.ones((3, 2, 3, 3))} | change
    with pytest.raises(error, match=message):
        nk.conv_transpose2d(arguments.pop("x"), arguments.pop("w"), arguments.pop("b", None), **arguments)


def test_receptive_field():
    assert nk.receptive_field([]) == (1, 1, 0.5)
    assert nk.receptive_field([(7, 2, 3), (3, 2, 1)]) == nk.ReceptiveField(size=11, jump=4, start=0.5)
    assert nk.receptive_field([(2, 2, 0)] * 3) == (8, 8, 4.0)
    with pytest.raises(ValueError, match=r"layers\[1\] must be \(kernel, stride, padding\)"):
        nk.receptive_field([(3, 1, 1), (3, 1)])
    with pytest.raises(ValueError, match=r"stride of layers\[0\] must"):
        nk.receptive_field([(3, 0, 1)])
    with pytest.raises(TypeError, match=r"kernel of layers"):
        nk.receptive_field([(3.0, 1, 1)])
