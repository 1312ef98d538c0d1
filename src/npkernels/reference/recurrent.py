"""Recurrent layers and their gradients: every sequence by itself, step by step."""

import numpy as np

from ._common import quiet
from .activation_exp import sigmoid

NEEDS = ("x", "state", "w_ih", "w_hh", "b")


def _lstm_step(a, _, h, c):
    # gates i f g o:  c' = f c + i g, h' = o tanh c'
    i, f, g, o = a
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c_next = f * c + i * g
    return (o * np.tanh(c_next), c_next), (i, f, g, o, c, c_next)


def _lstm_step_backward(saved, dh, dc):
    i, f, g, o, c, c_next = saved
    out = np.tanh(c_next)
    dc = dc + dh * o * (1 - out**2)
    sums = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * out * o * (1 - o)
    return sums, sums, 0 * dh, dc * f


def _gru_step(a, b_n, h, _):
    # gates r z n:  n = tanh(a_n + r b_n), h' = (1 - z) n + z h, b_n the part of the state
    r, z = sigmoid(a[0]), sigmoid(a[1])
    n = np.tanh(a[2] + r * b_n)
    return ((1 - z) * n + z * h, None), (r, z, n, b_n, h)


def _gru_step_backward(saved, dh, _):
    r, z, n, b_n, h = saved
    dn = dh * (1 - z) * (1 - n**2)
    dr, dz = dn * b_n * r * (1 - r), dh * (h - n) * z * (1 - z)
    return (dr, dz, dn), (dr, dz, dn * r), dh * z, None


def _tanh_step(a, _, *__):
    out = np.tanh(a[0])
    return (out, None), (out,)


def _tanh_step_backward(saved, dh, _):
    sums = (dh * (1 - saved[0] ** 2),)
    return sums, sums, 0 * dh, None


def _relu_step(a, _, *__):
    out = np.maximum(a[0], 0)
    return (out, None), (out,)


def _relu_step_backward(saved, dh, _):
    sums = (np.where(saved[0] <= 0, 0, dh),)
    return sums, sums, 0 * dh, None


STEPS = {
    "lstm": (4, _lstm_step, _lstm_step_backward),
    "gru": (3, _gru_step, _gru_step_backward),
    "tanh": (1, _tanh_step, _tanh_step_backward),
    "relu": (1, _relu_step, _relu_step_backward),
}


def _order(i, t, lengths, reverse):
    """The steps of sequence i, in the order in which they are taken."""
    steps = range(t if lengths is None else int(lengths[i]))
    return steps[::-1] if reverse else steps


@quiet
def _forward(kind, x, w_ih, w_hh, b_ih, b_hh, state, lengths, reverse):
    gates, step, _ = STEPS[kind]
    (n, t, _), h = x.shape, w_hh.shape[1]
    zeros = np.zeros((n, h), x.dtype)
    first = (zeros, zeros) if state is None else (state if kind == "lstm" else (state, zeros))
    y, last, tape = np.zeros((n, t, h), x.dtype), [s.copy() for s in first], {}
    for i in range(n):
        hidden, cell = (s[i] for s in first)
        for s in _order(i, t, lengths, reverse):
            a, b = w_ih @ x[i, s], w_hh @ hidden
            a, b = a if b_ih is None else a + b_ih, b if b_hh is None else b + b_hh
            inside = 2 * h if kind == "gru" else gates * h  # of the new gate of a GRU, b goes through the reset gate
            sums = np.concatenate([a[:inside] + b[:inside], a[inside:]]).reshape(gates, h)
            before = hidden
            (hidden, cell), saved = step(sums, b[inside:], hidden, cell)
            y[i, s], tape[i, s] = hidden, (before, saved)
        last[0][i] = hidden
        if kind == "lstm":
            last[1][i] = cell
    kept = kind, x, w_ih, w_hh, b_ih is not None, b_hh is not None, lengths, reverse, tape
    return y, tuple(last) if kind == "lstm" else last[0], kept


@quiet
def _backward(dy, tape, dstate, needs):
    kind, x, w_ih, w_hh, has_b_ih, has_b_hh, lengths, reverse, steps = tape
    gates, _, step_backward = STEPS[kind]
    (n, t, _), h = x.shape, w_hh.shape[1]
    zeros = np.zeros((n, h), x.dtype)
    pair = dstate if kind == "lstm" and dstate is not None else (dstate, None)
    last = [zeros if d is None else d for d in pair]
    first = [d.copy() for d in last]
    dx, dw_ih, dw_hh = np.zeros_like(x), np.zeros_like(w_ih), np.zeros_like(w_hh)
    db_ih, db_hh = np.zeros(gates * h, x.dtype), np.zeros(gates * h, x.dtype)
    for i in range(n):
        dh, dc = (d[i] for d in last)
        for s in reversed(_order(i, t, lengths, reverse)):
            before, saved = steps[i, s]
            if dy is not None:
                dh = dh + dy[i, s]
            da, db, dh, dc = step_backward(saved, dh, dc)
            da, db = np.concatenate(da), np.concatenate(db)
            # forward: a = w_ih x + b_ih and b = w_hh h + b_hh;  so:
            dx[i, s], dh = da @ w_ih, dh + db @ w_hh
            dw_ih += np.outer(da, x[i, s])
            dw_hh += np.outer(db, before)
            db_ih += da
            db_hh += db
        first[0][i] = dh
        if kind == "lstm":
            first[1][i] = dc
    found = dx, tuple(first) if kind == "lstm" else first[0], dw_ih, dw_hh
    found = tuple(d if name in needs else None for name, d in zip(NEEDS, found, strict=False))
    return *found, db_ih if "b" in needs and has_b_ih else None, db_hh if "b" in needs and has_b_hh else None


def lstm(x, w_ih, w_hh, b_ih=None, b_hh=None, *, state=None, lengths=None, reverse=False, training=False):
    """x (n, t, d), w_ih (4h, d), w_hh (4h, h) -> y (n, t, h), (h, c), tape; c' = f c + i g, h' = o tanh c'."""
    y, last, tape = _forward("lstm", x, w_ih, w_hh, b_ih, b_hh, state, lengths, reverse)
    return y, last, tape if training else None


def gru(x, w_ih, w_hh, b_ih=None, b_hh=None, *, state=None, lengths=None, reverse=False, training=False):
    """x (n, t, d), w_ih (3h, d), w_hh (3h, h) -> y (n, t, h), h, tape; h' = (1 - z) n + z h."""
    y, last, tape = _forward("gru", x, w_ih, w_hh, b_ih, b_hh, state, lengths, reverse)
    return y, last, tape if training else None


def rnn(
    x, w_ih, w_hh, b_ih=None, b_hh=None, *, activation="tanh", state=None, lengths=None, reverse=False, training=False
):
    """x (n, t, d), w_ih (h, d), w_hh (h, h) -> y (n, t, h), h, tape; h' = tanh(w_ih x + b_ih + w_hh h + b_hh)."""
    y, last, tape = _forward(activation, x, w_ih, w_hh, b_ih, b_hh, state, lengths, reverse)
    return y, last, tape if training else None


def lstm_backward(dy, tape, *, dstate=None, needs=NEEDS):
    """(dx, dstate, dw_ih, dw_hh, db_ih, db_hh), None in place of what `needs` leaves out and of biases not given."""
    return _backward(dy, tape, dstate, needs)


def gru_backward(dy, tape, *, dstate=None, needs=NEEDS):
    """As `lstm_backward`."""
    return _backward(dy, tape, dstate, needs)


def rnn_backward(dy, tape, *, dstate=None, needs=NEEDS):
    """As `lstm_backward`."""
    return _backward(dy, tape, dstate, needs)
