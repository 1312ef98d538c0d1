"""Every layer against its twin in PyTorch: arrays of its state load as they are, results and gradients are equal."""

import numpy as np
import pytest

from npkernels import nn

torch = pytest.importorskip("torch")
twin = torch.nn
F64 = {"dtype": np.float64}
IMAGE, SIGNAL, ROWS = (3, 4, 9, 8), (3, 4, 11), (5, 7, 6)
# (layer, its twin, shape of x)
CASES = {
    "dense": (nn.Dense(6, 5, **F64), twin.Linear(6, 5), ROWS),
    "dense without bias": (nn.Dense(6, 5, bias=False, **F64), twin.Linear(6, 5, bias=False), ROWS[1:]),
    "conv2d": (nn.Conv2d(4, 6, 3, 2, 1, **F64), twin.Conv2d(4, 6, 3, 2, 1), IMAGE),
    "conv2d grouped": (
        nn.Conv2d(4, 6, (3, 2), (1, 2), (2, 1), (2, 1), 2, False, **F64),
        twin.Conv2d(4, 6, (3, 2), (1, 2), (2, 1), (2, 1), 2, False),
        IMAGE,
    ),
    "conv2d same": (nn.Conv2d(4, 6, (4, 3), padding="same", **F64), twin.Conv2d(4, 6, (4, 3), padding="same"), IMAGE),
    "conv1d": (nn.Conv1d(4, 6, 3, 2, 1, 2, 2, **F64), twin.Conv1d(4, 6, 3, 2, 1, 2, 2), SIGNAL),
    "conv1d same": (nn.Conv1d(4, 6, 4, padding="same", **F64), twin.Conv1d(4, 6, 4, padding="same"), SIGNAL),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, **F64), twin.ConvTranspose2d(4, 6, 3, 2, 1, 1), IMAGE),
    "transposed grouped": (
        nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (0, 1), (1, 0), 2, False, (1, 2), **F64),
        twin.ConvTranspose2d(4, 6, (3, 2), (2, 3), (0, 1), (1, 0), 2, False, (1, 2)),
        IMAGE,
    ),
    "max pool": (nn.MaxPool2d(3, 2, 1, 2), twin.MaxPool2d(3, 2, 1, 2), IMAGE),
    "max pool up": (nn.MaxPool2d((3, 2), ceil_mode=True), twin.MaxPool2d((3, 2), ceil_mode=True), IMAGE),
    "avg pool": (nn.AvgPool2d(3, 2, 1), twin.AvgPool2d(3, 2, 1), IMAGE),
    "avg pool up": (nn.AvgPool2d(2, 3, 1, True, False), twin.AvgPool2d(2, 3, 1, True, False), IMAGE),
    "global pool": (nn.GlobalAvgPool2d(), twin.Sequential(twin.AdaptiveAvgPool2d(1), twin.Flatten()), IMAGE),
    "batch norm of rows": (nn.BatchNorm(6, 1e-3, 0.3, **F64), twin.BatchNorm1d(6, 1e-3, 0.3), ROWS[1:]),
    "batch norm": (nn.BatchNorm(4, **F64), twin.BatchNorm2d(4), IMAGE),
    "layer norm": (nn.LayerNorm(6, 1e-3, **F64), twin.LayerNorm(6, 1e-3), ROWS),
    "relu": (nn.ReLU(), twin.ReLU(), IMAGE),
    "sigmoid": (nn.Sigmoid(), twin.Sigmoid(), IMAGE),
    "tanh": (nn.Tanh(), twin.Tanh(), IMAGE),
    "gelu": (nn.GELU(), twin.GELU(), IMAGE),
    "gelu tanh": (nn.GELU("tanh"), twin.GELU("tanh"), IMAGE),
    "silu": (nn.SiLU(), twin.SiLU(), IMAGE),
    "elu": (nn.ELU(0.5), twin.ELU(0.5), IMAGE),
    "leaky relu": (nn.LeakyReLU(), twin.LeakyReLU(), IMAGE),
    "leaky relu below": (nn.LeakyReLU(-0.5), twin.LeakyReLU(-0.5), IMAGE),
    "softplus": (nn.Softplus(2.0), twin.Softplus(2.0), IMAGE),
    "hard swish": (nn.Activation("hard_swish"), twin.Hardswish(), IMAGE),
    "clip": (nn.Activation("clip", low=-0.5, high=1), twin.Hardtanh(-0.5, 1), IMAGE),
    "prelu": (nn.PReLU(**F64), twin.PReLU(), IMAGE),
    "prelu by channel": (nn.PReLU(4, 0.1, **F64), twin.PReLU(4, 0.1), IMAGE),
    "softmax": (nn.Softmax(), twin.Softmax(-1), ROWS),
    "softmax of channels": (nn.Softmax(axis=1), twin.Softmax(1), IMAGE),
    "flatten": (nn.Flatten(), twin.Flatten(), IMAGE),
    "reshape": (nn.Reshape(8, -1), twin.Unflatten(1, (8, -1)), (3, 24)),
    "dropout none": (nn.Dropout(0.0), twin.Dropout(0.0), IMAGE),
    "rnn": (nn.RNN(6, 5, 2, **F64), twin.RNN(6, 5, 2, batch_first=True), ROWS),
    "rnn relu": (nn.RNN(6, 5, nonlinearity="relu", **F64), twin.RNN(6, 5, nonlinearity="relu", batch_first=True), ROWS),
    "gru": (nn.GRU(6, 5, 2, False, True, **F64), twin.GRU(6, 5, 2, False, True, bidirectional=True), ROWS),
    "lstm": (nn.LSTM(6, 5, 3, True, True, **F64), twin.LSTM(6, 5, 3, True, True, bidirectional=True), ROWS),
    "group norm": (nn.GroupNorm(2, 4, 1e-3, **F64), twin.GroupNorm(2, 4, 1e-3), IMAGE),
    "adaptive pool": (nn.AdaptiveAvgPool2d((4, 3)), twin.AdaptiveAvgPool2d((4, 3)), IMAGE),
}


def like(a, b):
    np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-11, atol=1e-12 * float(b.detach().abs().max() + 1))


def first(result):
    return result[0] if isinstance(result, tuple) else result


# of pads that are not the same on both sides
@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_results_and_gradients(rng, name):
    layer, other, shape = CASES[name]
    other = other.double()
    layer.load_state_dict(other.state_dict())
    x, tx = rng.standard_normal(shape), None
    tx = torch.from_numpy(x.copy()).requires_grad_()
    y, ty = layer(x, training=True), first(other(tx))
    like(y, ty)
    assert layer.output_shape(shape[1:]) == y.shape[1:]
    dy = rng.standard_normal(y.shape)
    ty.backward(torch.from_numpy(dy))
    like(layer.backward(dy), tx.grad)
    assert layer.gradients.keys() == layer.parameters.keys() == dict(other.named_parameters()).keys()
    for key, parameter in other.named_parameters():
        like(layer.gradients[key], parameter.grad)
    for key, buffer in other.named_buffers():
        if key != "num_batches_tracked":
            like(layer.buffers[key], buffer)
    other.eval()
    like(layer(x), first(other(torch.from_numpy(x))))


def test_embedding(rng):
    layer, other = nn.Embedding(9, 4, dtype=np.float64), twin.Embedding(9, 4).double()
    layer.load_state_dict(other.state_dict())
    x = rng.integers(0, 9, (3, 8))
    y, ty = layer(x, training=True), other(torch.from_numpy(x))
    like(y, ty)
    dy = rng.standard_normal(y.shape)
    ty.backward(torch.from_numpy(dy))
    assert layer.backward(dy) is None
    like(layer.gradients["weight"], other.weight.grad)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_states_of_recurrent_layers(rng, kind):
    layer = getattr(nn, kind)(4, 5, 2, bidirectional=True, return_sequences=False, dtype=np.float64)
    other = getattr(twin, kind)(4, 5, 2, bidirectional=True, batch_first=True).double()
    layer.load_state_dict(other.state_dict())
    x, state = rng.standard_normal((3, 6, 4)), tuple(rng.standard_normal((2, 4, 3, 5)))
    given = state if kind == "LSTM" else state[0]
    y = layer.forward(x, given, training=True)
    _, last = other(
        torch.from_numpy(x),
        torch.from_numpy(np.stack(state)).unbind() if kind == "LSTM" else torch.from_numpy(state[0]),
    )
    hidden = last[0] if kind == "LSTM" else last
    like(y, torch.cat([hidden[-2], hidden[-1]], 1))
    for mine, theirs in zip(layer.last_state, last, strict=True):
        like(mine, theirs)
    dy = rng.standard_normal(y.shape)
    torch.cat([hidden[-2], hidden[-1]], 1).backward(torch.from_numpy(dy))
    layer.backward(dy, needs_dx=False)
    for key, parameter in other.named_parameters():
        like(layer.gradients[key], parameter.grad)


def test_initial_parameters_are_drawn_as_in_pytorch():
    pairs = {
        "weight": [
            (nn.Dense(400, 300, rng=0), twin.Linear(400, 300)),
            (nn.Embedding(500, 40, rng=0), twin.Embedding(500, 40)),
        ],
        "bias": [(nn.Conv2d(8, 4000, 3, groups=2, rng=0), twin.Conv2d(8, 4000, 3, groups=2))],
        "weight_ih_l1": [(nn.LSTM(30, 50, 2, rng=0), twin.LSTM(30, 50, 2))],
    }
    pairs["weight"].append((nn.ConvTranspose2d(64, 32, 3, groups=4, rng=0), twin.ConvTranspose2d(64, 32, 3, groups=4)))
    for key, layers in pairs.items():
        for layer, other in layers:
            mine, theirs = np.sort(layer.parameters[key].ravel()), np.sort(getattr(other, key).detach().numpy().ravel())
            # quantiles of one distribution, but for the extremes: within a few standard errors
            places = slice(len(mine) // 50, None, len(mine) // 50)
            np.testing.assert_allclose(mine[places], theirs[places], atol=0.2 * theirs.std())
