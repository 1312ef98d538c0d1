"""Recurrent layers and their gradients against PyTorch, packed sequences and the second direction included."""

import numpy as np
import pytest
from recurrent.test_recurrent import flat, functions

import npkernels as nk

torch = pytest.importorskip("torch")
MODULES = {"lstm": "LSTM", "gru": "GRU", "tanh": "RNN", "relu": "RNN"}


def layer_of(kind, d, h, **options):
    if MODULES[kind] == "RNN":
        options["nonlinearity"] = kind
    return getattr(torch.nn, MODULES[kind])(d, h, batch_first=True, dtype=torch.float64, **options)


@pytest.mark.parametrize("kind", MODULES)
def test_values_and_gradients(rng, kind):
    n, t, d, h = 5, 7, 3, 9
    torch.manual_seed(0)
    layer = layer_of(kind, d, h, bidirectional=True)
    x = torch.from_numpy(rng.standard_normal((n, t, d))).requires_grad_()
    lengths = np.array([7, 2, 5, 1, 7])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.from_numpy(lengths), True, enforce_sorted=False)
    y, last = layer(packed)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, True)
    last = last if kind == "lstm" else (last,)
    dy, dlast = rng.standard_normal((n, t, 2 * h)), [rng.standard_normal((2, n, h)) for _ in last]
    loss = (y * torch.from_numpy(dy)).sum()
    (loss + sum((a * torch.from_numpy(b)).sum() for a, b in zip(last, dlast, strict=True))).backward()
    forward, backward = functions(kind)
    dx = 0
    for direction, suffix in enumerate(("", "_reverse")):
        names = [f"{name}_l0{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        parameters = [getattr(layer, name) for name in names]
        weights = [p.detach().numpy() for p in parameters]
        found, state, tape = forward(
            x.detach().numpy(), *weights, lengths=lengths, reverse=direction == 1, training=True
        )
        half = slice(direction * h, (direction + 1) * h)
        np.testing.assert_allclose(found, y.detach().numpy()[..., half], atol=1e-12)
        for a, b in zip(flat(state), last, strict=True):
            np.testing.assert_allclose(a, b.detach().numpy()[direction], atol=1e-12)
        dstate = tuple(d[direction] for d in dlast)
        part, _, *gradients = backward(dy[..., half], tape, dstate=dstate if kind == "lstm" else dstate[0])
        dx = dx + part
        for a, p in zip(gradients, parameters, strict=True):
            np.testing.assert_allclose(a, p.grad.numpy(), atol=1e-11)
    np.testing.assert_allclose(dx, x.grad.numpy(), atol=1e-11)


@pytest.mark.parametrize("kind", MODULES)
def test_first_state_without_biases(rng, kind):
    n, t, d, h = 3, 4, 2, 5
    torch.manual_seed(0)
    layer = layer_of(kind, d, h, bias=False)
    first = [rng.standard_normal((n, h)) for _ in range(2 if kind == "lstm" else 1)]
    leaves = [torch.from_numpy(s[None].copy()).requires_grad_() for s in first]
    x = rng.standard_normal((n, t, d))
    y, _ = layer(torch.from_numpy(x), tuple(leaves) if kind == "lstm" else leaves[0])
    dy = rng.standard_normal((n, t, h))
    y.backward(torch.from_numpy(dy))
    forward, backward = functions(kind)
    weights = [p.detach().numpy() for p in layer.parameters()]
    found, _, tape = forward(x, *weights, state=tuple(first) if kind == "lstm" else first[0], training=True)
    np.testing.assert_allclose(found, y.detach().numpy(), atol=1e-12)
    _, dstate, _, _, db_ih, db_hh = backward(dy, tape)
    for a, leaf in zip(flat(dstate), leaves, strict=True):
        np.testing.assert_allclose(a, leaf.grad.numpy()[0], atol=1e-12)
    assert (db_ih, db_hh) == (None, None)


def test_gradients_are_differences(rng):
    # central differences of a loss, for every argument
    x, w, u = rng.standard_normal((2, 3, 2)), rng.standard_normal((12, 2)), rng.standard_normal((12, 3))
    dy = rng.standard_normal((2, 3, 3))

    def loss():
        return (nk.lstm(x, w, u)[0] * dy).sum()

    dx, _, dw, du, *_ = nk.lstm_backward(dy, nk.lstm(x, w, u, training=True)[2])
    for array, gradient in ((x, dx), (w, dw), (u, du)):
        for i in range(array.size):
            before = array.flat[i]
            array.flat[i] = before + 1e-5
            above = loss()
            array.flat[i] = before - 1e-5
            below = loss()
            array.flat[i] = before
            assert abs((above - below) / 2e-5 - gradient.flat[i]) < 1e-7
