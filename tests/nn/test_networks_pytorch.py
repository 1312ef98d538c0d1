"""Whole networks against PyTorch in float64: the state loads, results and all gradients are equal to rounding."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import nn

torch = pytest.importorskip("torch")
twin = torch.nn
F64 = {"dtype": np.float64}


class TwinResidual(twin.Module):
    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        if shortcut is not None:
            self.shortcut = shortcut

    def forward(self, x):
        return torch.relu(self.body(x) + (self.shortcut(x) if hasattr(self, "shortcut") else x))


class TwinParallel(twin.Sequential):
    def forward(self, x):
        return torch.cat([branch(x) for branch in self], 1)


class TwinLast(twin.Module):
    """A recurrent layer's result at the last step."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        _, last = self.layer(x)
        last = last[0] if isinstance(last, tuple) else last
        return torch.cat(list(last[-2:]), 1) if self.layer.bidirectional else last[-1]


def lenet(m, **k):
    return m.Sequential(
        m.Conv2d(1, 6, 5, padding=2, **k), m.Tanh(), m.AvgPool2d(2), m.Conv2d(6, 16, 5, **k), m.Tanh(), m.AvgPool2d(2),
        m.Flatten(), dense(m, 16 * 4, 20, k), m.Tanh(), dense(m, 20, 10, k),
    )  # fmt: skip


def dense(m, inputs, outputs, k):
    return nn.Dense(inputs, outputs, **k) if m is nn else twin.Linear(inputs, outputs, **k)


def norm(m, channels, k):
    return nn.BatchNorm(channels, **k) if m is nn else twin.BatchNorm2d(channels, **k)


def block(m, inputs, outputs, stride, k):
    body = m.Sequential(
        m.Conv2d(inputs, outputs, 3, stride, 1, bias=False, **k), norm(m, outputs, k), m.ReLU(),
        m.Conv2d(outputs, outputs, 3, 1, 1, bias=False, **k), norm(m, outputs, k),
    )  # fmt: skip
    short = None
    if stride != 1 or inputs != outputs:
        short = m.Sequential(m.Conv2d(inputs, outputs, 1, stride, bias=False, **k), norm(m, outputs, k))
    return nn.Residual(body, short, activation="relu") if m is nn else TwinResidual(body, short)


def pooled(m):
    return [nn.GlobalAvgPool2d()] if m is nn else [twin.AdaptiveAvgPool2d(1), twin.Flatten()]


def resnet(m, **k):
    stem = [m.Conv2d(3, 8, 3, 1, 1, bias=False, **k), norm(m, 8, k), m.ReLU()]
    blocks = [block(m, 8, 8, 1, k), block(m, 8, 12, 2, k), block(m, 12, 12, 1, k)]
    # the pooling is one layer here and two there: names of what follows must agree
    return m.Sequential(*stem, *blocks, m.Sequential(*pooled(m)), dense(m, 12, 5, k))


def inception(m, **k):
    parallel = nn.Parallel if m is nn else TwinParallel
    module = parallel(
        m.Sequential(m.Conv2d(3, 4, 1, **k), m.ReLU()),
        m.Sequential(m.Conv2d(3, 2, 1, **k), m.ReLU(), m.Conv2d(2, 5, 3, padding=1, **k), m.ReLU()),
        m.Sequential(m.Conv2d(3, 2, 1, **k), m.ReLU(), m.Conv2d(2, 3, 5, padding=2, **k), m.ReLU()),
        m.Sequential(m.MaxPool2d(3, 1, 1), m.Conv2d(3, 2, 1, **k), m.ReLU()),
    )
    return m.Sequential(module, m.Sequential(*pooled(m)), dense(m, 14, 5, k))


def unet(m, **k):
    parallel = nn.Parallel if m is nn else TwinParallel
    down = m.Sequential(
        m.MaxPool2d(2), m.Conv2d(4, 8, 3, padding=1, **k), norm(m, 8, k), m.SiLU(), m.ConvTranspose2d(8, 4, 2, 2, **k)
    )
    skip = m.Sequential()
    return m.Sequential(
        m.Conv2d(3, 4, 3, padding=1, **k), m.ReLU(), parallel(skip, down), m.Conv2d(8, 4, 3, padding=1, **k), m.GELU(),
        m.Conv2d(4, 2, 1, **k),
    )  # fmt: skip


def recurrent(m, kind, bidirectional, k):
    options = {"num_layers": 2, "bidirectional": bidirectional, **k}
    if m is nn:
        layer = getattr(nn, kind)(6, 5, return_sequences=False, **options)
    else:
        layer = TwinLast(getattr(twin, kind)(6, 5, batch_first=True, **options))
    return m.Sequential(m.Embedding(9, 6, **k), layer, dense(m, 10 if bidirectional else 5, 3, k))


def lstm_classifier(m, **k):
    return recurrent(m, "LSTM", False, k)


def gru_classifier(m, **k):
    return recurrent(m, "GRU", True, k)


class Attention(nn.Layer):
    """Self-attention of several heads, as a user writes it on the kernels."""

    def __init__(self, width, heads):
        self.heads = heads
        self.inputs, self.outputs = nn.Dense(width, 3 * width, **F64), nn.Dense(width, width, **F64)

    def split(self, x):
        n, t, width = x.shape
        return x.reshape(n, t, -1, self.heads, width // 3 // self.heads).transpose(2, 0, 3, 1, 4)

    def forward(self, x, *, training=False):
        q, k, v = self.split(self.inputs(x, training=training))
        y, tape = nk.attention(q, k, v, causal=True, training=training)
        self.keep(tape)
        return self.outputs(y.transpose(0, 2, 1, 3).reshape(x.shape), training=training)

    def backward(self, dy, *, needs_dx=True):
        dy = self.outputs.backward(dy)
        n, t, width = dy.shape
        heads = dy.reshape(n, t, self.heads, -1).transpose(0, 2, 1, 3)
        gradients = np.stack(nk.attention_backward(heads, self.kept()))
        return self.inputs.backward(gradients.transpose(1, 3, 0, 2, 4).reshape(n, t, 3 * width), needs_dx=needs_dx)


class TwinAttention(twin.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.inputs, self.outputs = twin.Linear(width, 3 * width).double(), twin.Linear(width, width).double()

    def forward(self, x):
        q, k, v = self.inputs(x).reshape(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.outputs(y.transpose(1, 2).reshape(x.shape))


class TwinSum(TwinResidual):
    def forward(self, x):
        return self.body(x) + x


def transformer(m, **k):
    attention, residual = (Attention, nn.Residual) if m is nn else (TwinAttention, TwinSum)
    return m.Sequential(
        m.Embedding(9, 8, **k),
        residual(m.Sequential(m.LayerNorm(8, **k), attention(8, 2))),
        residual(m.Sequential(m.LayerNorm(8, **k), dense(m, 8, 16, k), m.GELU(), dense(m, 16, 8, k))),
        m.LayerNorm(8, **k),
        dense(m, 8, 9, k),
    )


IMAGES, TOKENS = (4, 3, 12, 12), (4, 7)
NETWORKS = {
    lenet: (4, 1, 16, 16), resnet: IMAGES, inception: IMAGES, unet: IMAGES,
    lstm_classifier: TOKENS, gru_classifier: TOKENS, transformer: TOKENS,
}  # fmt: skip


def drawn(rng, shape):
    return rng.integers(0, 9, shape) if len(shape) == 2 else rng.standard_normal(shape)


def like(a, b):
    b = b.detach().numpy()
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * (np.abs(b).max() + 1))


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_results_and_gradients(rng, network):
    torch.manual_seed(0)
    model, other = network(nn, dtype=np.float64), network(twin, dtype=torch.float64)
    # what wraps a recurrent layer there has a name of its own
    names = {name: name.replace(".layer.", ".") for name in other.state_dict()}
    model.load_state_dict({names[name]: value for name, value in other.state_dict().items()})
    x = drawn(rng, NETWORKS[network])
    for _ in range(2):  # nothing is left of the first step
        tx = torch.from_numpy(x)
        if x.dtype.kind == "f":
            tx.requires_grad_()
            tx.grad = None
        other.zero_grad()
        y, ty = model(x, training=True), other(tx)
        like(y, ty)
        dy = rng.standard_normal(y.shape)
        ty.backward(torch.from_numpy(dy))
        dx = model.backward(dy, needs_dx=x.dtype.kind == "f")
        if dx is not None:
            like(dx, tx.grad)
        inside = dict(model.everything())
        for name, parameter in other.named_parameters():
            path, _, key = names[name].rpartition(".")
            like(inside[path].gradients[key], parameter.grad)
    other.eval()
    like(model(x), other(torch.from_numpy(x)))
    assert model(x).tobytes() == model.predict(x, batch_size=len(x)).tobytes()


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_gradients_are_those_of_differences(rng, network):
    model = network(nn, dtype=np.float64)
    model.initialise(0)
    assert nn.check_gradients(model, drawn(rng, (2, *NETWORKS[network][1:]))) < 1


def test_truncated_backpropagation(rng):
    layer, other = nn.LSTM(3, 4, dtype=np.float64), twin.LSTM(3, 4, batch_first=True).double()
    layer.load_state_dict(other.state_dict())
    x, dy = rng.standard_normal((2, 9, 3)), rng.standard_normal((2, 9, 4))
    state, theirs = None, None
    for piece in (slice(0, 3), slice(3, 6), slice(6, 9)):
        other.zero_grad()
        y, theirs = other(torch.from_numpy(x[:, piece]), theirs)
        y.backward(torch.from_numpy(dy[:, piece]))
        theirs = tuple(each.detach() for each in theirs)
        like(layer.forward(x[:, piece], state, training=True), y)
        layer.backward(dy[:, piece])
        state = layer.last_state
        for name, parameter in other.named_parameters():
            like(layer.gradients[name], parameter.grad)
