"""Convolution and pooling of signals: against the definition, PyTorch, central differences; layouts; errors."""

import functools

import numpy as np
import pytest
from bounds import assert_exact, integers

import npkernels as nk
from npkernels import reference

# n, c, l, oc, k, options
LAYERS = [
    (2, 3, 17, 4, 3, {}),
    (1, 1, 5, 1, 5, {"padding": 2}),
    (3, 4, 40, 6, 4, {"stride": 3, "padding": (3, 1), "groups": 2}),
    (2, 17, 33, 20, 3, {"padding": "same", "dilation": 3}),
    (2, 8, 50, 8, 5, {"padding": (8, 0), "dilation": 2, "groups": 8}),
    (5, 40, 9, 33, 1, {"stride": 2, "padding": "valid"}),
    (2, 64, 130, 48, 9, {"padding": 4}),
    (0, 3, 7, 2, 2, {}),
]


def operands(rng, layer, dtype):
    n, c, length, oc, k, options = layer
    x = integers(rng, (n, c, length), dtype)
    return x, integers(rng, (oc, c // options.get("groups", 1), k), dtype), integers(rng, (oc,), dtype)


def torch_options(options):
    """PyTorch has one pad for both sides."""
    begin, end = options["padding"] if isinstance(options.get("padding"), tuple) else (0, 0)
    return (begin, end), {name: 0 if name == "padding" and begin + end else v for name, v in options.items()}


@pytest.mark.parametrize("layer", LAYERS)
def test_conv1d_of_integers_is_exact(isa, dtype, rng, layer):
    (x, w, b), options = operands(rng, layer, dtype), layer[-1]
    y = nk.conv1d(x, w, b, **options)
    assert_exact(y, reference.conv1d, (x, w, b), **options)
    dy = integers(rng, y.shape, dtype)
    assert_exact(nk.conv1d_backward(dy, x, w, **options), reference.conv1d_backward, (dy, x, w), **options)
    out = np.full_like(y, np.nan)
    assert nk.conv1d(x, w, b, **options, activation="relu", out=out) is out
    np.testing.assert_array_equal(out, np.maximum(y, 0))
    only = nk.conv1d_backward(dy, x, w, **options, needs=("b",))
    assert only[0] is only[1] is None


TRANSPOSED = [
    (2, 3, 8, 4, 3, {}),
    (1, 4, 9, 6, 5, {"stride": 3, "padding": (2, 0), "output_padding": 2, "groups": 2}),
    (3, 16, 20, 20, 4, {"stride": 2, "padding": 1, "dilation": 2}),
    (2, 5, 11, 5, 2, {"groups": 5, "dilation": 4, "output_padding": 3}),
]


@pytest.mark.parametrize("layer", TRANSPOSED)
def test_conv_transpose1d_of_integers_is_exact(isa, dtype, rng, layer):
    n, c, length, oc, k, options = layer
    groups = options.get("groups", 1)
    x, w = integers(rng, (n, c, length), dtype), integers(rng, (c, oc // groups, k), dtype)
    b = integers(rng, (oc,), dtype)
    y = nk.conv_transpose1d(x, w, b, **options)
    assert_exact(y, reference.conv_transpose1d, (x, w, b), **options)
    dy = integers(rng, y.shape, dtype)
    got = nk.conv_transpose1d_backward(dy, x, w, **options)
    assert_exact(got, reference.conv_transpose1d_backward, (dy, x, w), **options)


@pytest.mark.parametrize("layer", LAYERS[:-1])
def test_conv1d_equals_that_of_pytorch(rng, layer):
    torch = pytest.importorskip("torch")
    (x, w, b), options = operands(rng, layer, np.dtype("f8")), layer[-1]
    ends, given = torch_options(options)
    leaves = [torch.from_numpy(a.copy()).requires_grad_() for a in (x, w, b)]
    padded = torch.nn.functional.pad(leaves[0], ends)
    y = torch.nn.functional.conv1d(padded, *leaves[1:], **given)
    dy = integers(rng, y.shape, np.dtype("f8"))
    y.backward(torch.from_numpy(dy))
    np.testing.assert_array_equal(nk.conv1d(x, w, b, **options), y.detach().numpy())
    for got, leaf in zip(nk.conv1d_backward(dy, x, w, **options), leaves, strict=True):
        np.testing.assert_array_equal(got, leaf.grad.numpy())


@pytest.mark.parametrize("layer", [TRANSPOSED[0], TRANSPOSED[2], TRANSPOSED[3]])
def test_conv_transpose1d_equals_that_of_pytorch(rng, layer):
    torch = pytest.importorskip("torch")
    n, c, length, oc, k, options = layer
    x, w = rng.standard_normal((n, c, length)), rng.standard_normal((c, oc // options.get("groups", 1), k))
    y = torch.nn.functional.conv_transpose1d(torch.from_numpy(x), torch.from_numpy(w), **options)
    np.testing.assert_allclose(nk.conv_transpose1d(x, w, **options), y.numpy(), rtol=1e-12, atol=1e-12)


def test_gradients_equal_central_differences(rng):
    x, w, c = rng.standard_normal((2, 3, 7)), rng.standard_normal((4, 3, 3)), rng.standard_normal((2, 4, 4))
    options = {"stride": 2, "padding": (1, 1)}
    dx, dw, _ = nk.conv1d_backward(c, x, w, **options)
    for array, gradient in (x, dx), (w, dw):
        for place in np.ndindex(array.shape):
            before, ends = array[place], []
            for step in (1e-6, -1e-6):
                array[place] = before + step
                ends.append((c * nk.conv1d(x, w, **options)).sum())
            array[place] = before
            assert abs((ends[0] - ends[1]) / 2e-6 - gradient[place]) < 1e-7


POOLS = [
    (2, 3, 17, 3, {}),
    (3, 5, 64, 2, {"stride": 1}),
    (2, 4, 11, 4, {"stride": 3, "padding": 2, "ceil_mode": True}),
    (1, 20, 9, 3, {"padding": (2, 0)}),
    (70, 9, 6, 2, {}),
    (2, 2, 5000, 7, {"stride": 2, "padding": 3}),
]


@pytest.mark.parametrize("case", POOLS)
def test_pooling_of_integers_is_exact(isa, dtype, rng, case):
    n, c, length, k, options = case
    x = integers(rng, (n, c, length), dtype)
    for dilation in (1, 2):
        given = options | {"dilation": dilation}
        y, indices = nk.max_pool1d(x, k, **given, return_indices=True)
        wanted, places = reference.max_pool1d(x, k, **given, return_indices=True)
        np.testing.assert_array_equal(y, wanted)
        np.testing.assert_array_equal(indices, places)
        assert indices.dtype == np.int32
        np.testing.assert_array_equal(nk.max_pool1d(x, k, **given), wanted)
        dy = integers(rng, y.shape, dtype)
        got = nk.max_pool1d_backward(dy, indices, length)
        np.testing.assert_array_equal(got, reference.max_pool1d_backward(dy, places, length))
    for count in (True, False):
        given = options | {"count_include_pad": count}
        x12 = 420 * x  # divides by every number of elements up to 7
        y = nk.avg_pool1d(x12, k, **given)
        np.testing.assert_array_equal(y, np.round(reference.avg_pool1d(x12.astype("f8"), k, **given)))
        dy = 420 * integers(rng, y.shape, dtype)
        got = nk.avg_pool1d_backward(dy, length, k, **given)
        np.testing.assert_array_equal(got, np.round(reference.avg_pool1d_backward(dy.astype("f8"), length, k, **given)))


@pytest.mark.parametrize("case", [case for case in POOLS if not isinstance(case[-1].get("padding"), tuple)])
def test_pooling_equals_that_of_pytorch(rng, case):
    torch = pytest.importorskip("torch")
    n, c, length, k, options = case
    options = options | {"padding": min(options.get("padding", 0), k // 2)}
    x = rng.standard_normal((n, c, length))
    functional = torch.nn.functional
    leaf = torch.from_numpy(x.copy()).requires_grad_()
    y, indices = functional.max_pool1d(leaf, k, return_indices=True, **options)
    got, places = nk.max_pool1d(x, k, return_indices=True, **options)
    np.testing.assert_array_equal(got, y.detach().numpy())
    np.testing.assert_array_equal(places, indices.numpy())
    dy = rng.standard_normal(y.shape)
    y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(nk.max_pool1d_backward(dy, places, length), leaf.grad.numpy(), rtol=1e-14, atol=1e-14)
    leaf.grad = None
    y = functional.avg_pool1d(leaf, k, **options)
    y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(nk.avg_pool1d(x, k, **options), y.detach().numpy(), rtol=1e-13, atol=1e-14)
    got = nk.avg_pool1d_backward(dy, length, k, **options)
    np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-13, atol=1e-14)


def test_layouts_and_threads_give_the_same_bits(isa, dtype, rng, layouts, same_for_any_threads):
    x, w = (rng.standard_normal(s).astype(dtype) for s in [(4, 9, 300), (20, 9, 3)])
    dy = rng.standard_normal((4, 20, 298)).astype(dtype)
    for f, arrays in (
        (nk.conv1d, (x, w)),
        (nk.conv1d_backward, (dy, x, w)),
        (functools.partial(nk.max_pool1d, kernel_size=3, return_indices=True), (x,)),
        (functools.partial(nk.avg_pool1d, kernel_size=3), (x,)),
    ):
        wanted = same_for_any_threads(lambda f=f, arrays=arrays: f(*arrays))
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for i in range(len(arrays)):
            for layout in layouts(arrays[i]):
                got = f(*arrays[:i], layout, *arrays[i + 1 :])
                for a, b in zip(got if isinstance(got, tuple) else (got,), wanted, strict=True):
                    assert a.tobytes() == b.tobytes()


X, W, DY = np.ones((2, 4, 9)), np.ones((6, 4, 3)), np.ones((2, 6, 7))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nk.conv1d(X[0], W), ValueError, r"x must have shape \(n, c, l\), got \(4, 9\)"),
        (lambda: nk.conv1d(X, W[0]), ValueError, r"w must have shape \(oc, c/groups, k\), got \(4, 3\)"),
        (lambda: nk.conv1d(X, W[:, :3]), ValueError, r"w must have shape \(oc, 4, k\), got \(6, 3, 3\)"),
        (lambda: nk.conv1d(X, W[:, :, :0]), ValueError, "w must have a kernel of at least 1 element"),
        (lambda: nk.conv1d(X, W, stride=(1, 2)), TypeError, "stride must be an int, got tuple"),
        (lambda: nk.conv1d(X, W, padding=[1, -1]), ValueError, "padding must be at least 0, got -1"),
        (
            lambda: nk.conv1d(X, W, padding=1.5),
            TypeError,
            r"padding must be an int or a pair \(begin, end\)",
        ),
        (
            lambda: nk.conv1d(X, W, padding="same", stride=2),
            ValueError,
            "padding='same' must go with stride 1",
        ),
        (lambda: nk.conv1d(X, W, dilation=5), ValueError, "w is too large: the kernel must fit into the padded image"),
        (lambda: nk.conv1d(X, W, groups=3), ValueError, "groups must divide the channels of x and w"),
        (lambda: nk.conv1d(X, W, out=np.ones((2, 6, 8))), ValueError, r"out must have shape \(2, 6, 7\), got"),
        (lambda: nk.conv1d(X, W, activation="x"), ValueError, "activation must be one of"),
        (lambda: nk.conv1d_backward(DY[..., 1:], X, W), ValueError, r"dy must have shape \(2, 6, 7\), got \(2, 6, 6\)"),
        (
            lambda: nk.conv_transpose1d(DY, W, output_padding=1),
            ValueError,
            "output_padding must be smaller",
        ),
        (lambda: nk.conv_transpose1d(X, W), ValueError, r"w must have shape \(4, oc/groups, k\), got \(6, 4, 3\)"),
        (
            lambda: nk.conv_transpose1d(DY, W, padding=5),
            ValueError,
            "at least 1 element after padding is removed",
        ),
        (lambda: nk.max_pool1d(X, (2, 2)), TypeError, "kernel_size must be an int, got tuple"),
        (lambda: nk.max_pool1d(X, 2, padding=2), ValueError, "padding must be smaller than the .* window of 2"),
        (lambda: nk.max_pool1d(X[None], 2), ValueError, r"x must have shape \(n, c, l\)"),
        (
            lambda: nk.max_pool1d_backward(X, np.full(X.shape, 5), 5),
            ValueError,
            r"indices must be in \[0, 5\), got 5",
        ),
        (lambda: nk.max_pool1d_backward(X, np.zeros((2, 4, 8), int), 5), ValueError, "indices must have shape"),
        (lambda: nk.max_pool1d_backward(X, np.zeros(X.shape, int), (1, 5)), TypeError, "input_size must be an int"),
        (lambda: nk.avg_pool1d_backward(X, 9, 2), ValueError, r"dy must have shape \(2, 4, 4\), got \(2, 4, 9\)"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
