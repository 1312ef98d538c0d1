"""The definitions against PyTorch, for many combinations of options; skipped where PyTorch is not installed."""

import itertools

import numpy as np
import pytest

from npkernels import reference

torch = pytest.importorskip("torch")
F = torch.nn.functional


def close(actual, expected, tolerance=1e-12):
    np.testing.assert_allclose(actual, expected.detach().numpy(), rtol=tolerance, atol=tolerance)


def leaf(array):
    return torch.from_numpy(array.copy()).requires_grad_(True)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolution(rng, groups):
    for stride, padding, dilation in itertools.product((1, (2, 3)), (0, (2, 1)), (1, (1, 2))):
        x, w, b = rng.normal(size=(2, 4, 6, 7)), rng.normal(size=(8, 4 // groups, 3, 2)), rng.normal(size=8)
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        tensors = [leaf(a) for a in (x, w, b)]
        expected = F.conv2d(*tensors, **options, groups=groups)
        dy = rng.normal(size=expected.shape)
        expected.backward(torch.from_numpy(dy))
        close(reference.conv2d(x, w, b, **options, groups=groups), expected)
        for d, tensor in zip(reference.conv2d_backward(dy, x, w, **options, groups=groups), tensors, strict=True):
            close(d, tensor.grad)
        cols = reference.im2col(x, (3, 2), **options)
        close(cols, F.unfold(tensors[0], (3, 2), **options), 0)
        close(reference.col2im(cols, (6, 7), (3, 2), **options), F.fold(leaf(cols), (6, 7), (3, 2), **options))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_padding(rng):
    x, w = rng.normal(size=(2, 3, 6, 7)), rng.normal(size=(4, 3, 2, 4))
    for dilation in (1, (1, 2), 3):
        expected = F.conv2d(leaf(x), leaf(w), padding="same", dilation=dilation)
        close(reference.conv2d(x, w, padding="same", dilation=dilation), expected)


POOLING = list(itertools.product((2, 3, (2, 4)), (None, 1, 2, (4, 3)), (0, 1, (0, 1)), (False, True)))


def test_max_pooling(rng):
    x = np.round(rng.normal(size=(2, 3, 9, 10)), 1)  # many ties
    x[0, 0, 2, 3] = np.nan  # one a plane: of two in a window PyTorch takes the last, the definition the first
    x[1, 1, :5, :5] = -np.inf
    for (kernel, stride, padding, ceil_mode), dilation in itertools.product(POOLING, (1, 2, (1, 3))):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
        tensor = leaf(x)
        expected, places = F.max_pool2d(tensor, kernel, **options, return_indices=True)
        dy = rng.normal(size=expected.shape)
        expected.backward(torch.from_numpy(dy))
        y, indices = reference.max_pool2d(x, kernel, **options, return_indices=True)
        close(y, expected, 0)
        close(indices, places, 0)
        close(reference.max_pool2d(x, kernel, **options), expected, 0)
        close(reference.max_pool2d_backward(dy, indices, (9, 10)), tensor.grad)


def test_average_pooling(rng):
    x = rng.normal(size=(2, 3, 9, 10))
    for (kernel, stride, padding, ceil_mode), count in itertools.product(POOLING, (True, False)):
        options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode, "count_include_pad": count}
        tensor = leaf(x)
        expected = F.avg_pool2d(tensor, kernel, **options)
        dy = rng.normal(size=expected.shape)
        expected.backward(torch.from_numpy(dy))
        close(reference.avg_pool2d(x, kernel, **options), expected)
        close(reference.avg_pool2d_backward(dy, (9, 10), kernel, **options), tensor.grad)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("spatial", [(), (3, 2)])
def test_cross_entropy(rng, spatial, reduction):
    compared = 0
    for soft, weighted, ignore, smoothing in itertools.product(*[(False, True)] * 3, (0.0, 0.1, 1.0)):
        if soft and ignore:
            continue
        logits = 3 * rng.normal(size=(5, 4, *spatial))
        targets = reference.softmax(rng.normal(size=logits.shape), 1) if soft else rng.integers(0, 4, (5, *spatial))
        weight = rng.uniform(0, 2, 4) if weighted else None
        options = {"reduction": reduction, "label_smoothing": smoothing}
        if ignore:
            targets[:2] = options["ignore_index"] = ignore * 255
        tensor = leaf(logits)
        tensor_weight = None if weight is None else torch.from_numpy(weight)
        expected = F.cross_entropy(tensor, torch.from_numpy(targets), weight=tensor_weight, **options)
        expected.sum().backward()
        loss, dlogits = reference.softmax_cross_entropy_with_grad(logits, targets, weight=weight, **options)
        close(loss, expected)
        close(dlogits, tensor.grad)
        compared += 1
    assert compared == 18


def test_cross_entropy_of_infinite_logits():
    logits = np.array([[-np.inf, 1, 2], [0, 1, 2]])
    for targets in ([0, 1], [1, 1], [[0.0, 1, 0], [0, 1, 0]]):  # inf, finite, and NaN from 0 times -inf
        for smoothing in (0.0, 0.1):
            expected = F.cross_entropy(
                leaf(logits),
                torch.tensor(targets, dtype=None if isinstance(targets[0], int) else torch.float64),
                label_smoothing=smoothing,
            )
            loss = reference.softmax_cross_entropy(logits, np.array(targets), label_smoothing=smoothing)
            close(loss, expected)


def test_softmax_of_infinite_rows(rng):
    x = rng.normal(size=(4, 5)) * 1e4
    x[1, 2], x[2], x[3, :3] = np.inf, -np.inf, -np.inf
    close(reference.softmax(x), torch.softmax(leaf(x), 1))
    close(reference.log_softmax(x), torch.log_softmax(leaf(x), 1))


ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "rrelu": F.rrelu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": lambda x: F.softplus(x, threshold=1000),
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "mish": F.mish,
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
    "relu6": F.relu6,
    "softsign": F.softsign,
    "arctan": torch.arctan,
    "arsinh": torch.arcsinh,
    "sinusoid": torch.sin,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(rng, name):
    # PyTorch is the less accurate one, by 1e-12: it adds 1 to erf near -1
    x = np.concatenate([4 * rng.normal(size=100), [-20, 20, -700, 700]])
    close(getattr(reference, name)(x), ACTIVATIONS[name](leaf(x)))
    edges = np.array([0, np.inf, np.nan])
    if name != "softsign":  # inf / inf there
        close(getattr(reference, name)(edges), ACTIVATIONS[name](leaf(edges)))
    tensor, dy = leaf(x), rng.normal(size=x.shape)
    ACTIVATIONS[name](tensor).backward(torch.from_numpy(dy))
    # its gradient of hard_sigmoid multiplies by 1/6 rounded to float32
    close(getattr(reference, f"{name}_backward")(dy, x), tensor.grad, 3e-8 if name == "hard_sigmoid" else 1e-12)


def test_activations_with_parameters(rng):
    x = 4 * rng.normal(size=(5, 3, 4))
    slope = rng.normal(size=3)
    close(reference.gelu(x, approximate="tanh"), F.gelu(leaf(x), approximate="tanh"))
    close(reference.clip(x, low=-1, high=2), F.hardtanh(leaf(x), -1, 2))
    close(reference.celu(x, alpha=0.3), F.celu(leaf(x), 0.3))
    close(reference.softplus(x, beta=2), F.softplus(leaf(x), 2, 1000))
    tensors, dy = [leaf(x), leaf(slope)], rng.normal(size=x.shape)
    y = F.prelu(*tensors)
    y.backward(torch.from_numpy(dy))
    close(reference.prelu(x, slope=slope), y)
    for d, tensor in zip(reference.prelu_backward(dy, x, slope=slope), tensors, strict=True):
        close(d, tensor.grad)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_step(rng, nesterov):
    p = rng.normal(size=(3, 4))
    velocity, tensor = np.zeros_like(p), leaf(p)
    options = {"lr": 0.1, "momentum": 0.8, "nesterov": nesterov, "weight_decay": 0.01}
    optimiser = torch.optim.SGD([tensor], **options)
    for step in range(4):
        g = rng.normal(size=p.shape)
        tensor.grad = torch.from_numpy(g.copy())
        optimiser.step()
        first, kept = g + 0.01 * p, g.copy()
        assert reference.momentum_step(p, g, velocity, **options) is None
        close(p, tensor)
        np.testing.assert_array_equal(g, kept)
        if step == 0:
            np.testing.assert_array_equal(velocity, first)
