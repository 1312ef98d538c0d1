"""The two passes that all recurrent layers share: checks, and what is allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as check
from .._kernels import recurrent as _forward, recurrent_backward as _backward, recurrent_products as _products

if TYPE_CHECKING:
    from .._typing import RecurrentNeeds

Array = NDArray[Any]
NEEDS: tuple[RecurrentNeeds, ...] = ("x", "state", "w_ih", "w_hh", "b")


class Cell(NamedTuple):
    """What a step is made of; `number` is that of recurrent_layer.pxd."""

    name: str
    number: int
    gates: int
    kept: int  # arrays of h numbers that the gates of a step leave behind


LSTM, GRU = Cell("lstm", 0, 4, 4), Cell("gru", 1, 3, 4)
RNN = {"tanh": Cell("rnn", 2, 1, 1), "relu": Cell("rnn", 3, 1, 1)}


class Sequences(NamedTuple):
    """Rows sorted by length, the longest first; `starts[s]` rows belong to the steps before s."""

    order: Array
    lengths: Array
    starts: Array
    reverse: bool


class Tape:
    """What a recurrent layer keeps for its gradient. It refers to the weights, which must stay as they were."""

    __slots__ = ("biases", "cell", "cells", "gates", "inputs", "sequences", "shape", "w_hh", "w_ih")

    def __init__(self, cell: Cell, shape: tuple[int, ...], sequences: Sequences, w_ih: Array, w_hh: Array):
        self.cell, self.shape, self.sequences, self.w_ih, self.w_hh = cell, shape, sequences, w_ih, w_hh
        self.biases = (False, False)
        rows, h = int(sequences.starts[-1]), w_hh.shape[1]
        self.gates = check.empty((rows, _pitch(cell.kept * h)), w_hh.dtype)
        self.inputs = check.empty((rows, _pitch(shape[2] + h)), w_hh.dtype)  # x, and the state before the step
        self.cells = check.empty((rows, h if cell == LSTM else 0), w_hh.dtype)

    def __repr__(self) -> str:
        return f"<tape of npkernels.{self.cell.name}, x of shape {self.shape}, {self.nbytes} bytes>"

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the tape holds, without the weights."""
        return self.gates.nbytes + self.inputs.nbytes + self.cells.nbytes

    @property
    def arrays(self) -> tuple[Array, Array, Array, int]:
        return self.gates, self.inputs, self.cells, self.shape[2]


def _pitch(count: int) -> int:
    """Numbers of a row: an odd number of cache lines, since rows a power of 2 apart share a set of a cache."""
    return count if count < 64 else (count // 16 + 1 | 1) * 16


def _sequences(n: int, t: int, lengths: Any, reverse: bool) -> Sequences:
    if lengths is None:
        sizes = np.full(n, t, np.int64)
        return Sequences(np.arange(n), sizes, np.arange(t + 1) * n, reverse)
    sizes = check.integers("lengths", lengths)
    check.shape("lengths", sizes, (n,))
    if n and (int(sizes.min()) < 0 or int(sizes.max()) > t):
        wrong = next(int(size) for size in sizes if not 0 <= size <= t)
        raise ValueError(f"lengths must be in [0, {t}], got {wrong}")
    sizes = sizes.astype(np.int64)
    order = np.argsort(-sizes, kind="stable")
    sizes = sizes[order]
    steps = np.arange(sizes[0] if n else 0)
    active = n - np.searchsorted(sizes[::-1], steps, side="right")
    return Sequences(order.astype(np.int64), sizes, np.concatenate([[0], np.cumsum(active)]).astype(np.int64), reverse)


def _state(name: str, state: Any, shape: tuple[int, int], x: Array) -> Array:
    """A contiguous copy of the first states."""
    if state is None:
        zeros = check.empty(shape, x.dtype)
        zeros[...] = 0
        return zeros
    state = check.real(name, state, x)
    check.shape(name, state, shape)
    return np.array(state, order="C")


def _pair(name: str, pair: Any, text: str) -> tuple[Any, Any]:
    if pair is None:
        return None, None
    if not isinstance(pair, (tuple, list)):
        raise TypeError(f"{name} must be a pair {text}, got {type(pair).__name__}")
    if len(pair) != 2:
        raise ValueError(f"{name} must be a pair {text}, got {len(pair)} values")
    return pair[0], pair[1]


def _weights(cell: Cell, x: Array, w_ih: Any, w_hh: Any) -> tuple[Array, Array]:
    w_ih, w_hh = check.real("w_ih", w_ih, x), check.real("w_hh", w_hh, x)
    times = f"{cell.gates}h" if cell.gates > 1 else "h"
    check.rank("w_hh", w_hh, 2, f"({times}, h)")
    rows, h = w_hh.shape
    if rows != cell.gates * h:
        raise ValueError(f"w_hh must have shape ({times}, h), got {w_hh.shape}")
    check.shape("w_ih", w_ih, (rows, x.shape[2]))
    return w_ih, w_hh


def _biases(cell: Cell, x: Array, h: int, b_ih: Any, b_hh: Any) -> tuple[Array | None, Array | None]:
    """Where the sums of the gates begin, and that of the state in the new gate of a GRU."""
    b_ih = None if b_ih is None else check.vector("b_ih", b_ih, cell.gates * h, x)
    b_hh = None if b_hh is None else check.vector("b_hh", b_hh, cell.gates * h, x)
    if b_hh is None:
        return b_ih, None
    bias = np.zeros_like(b_hh) if b_ih is None else b_ih.copy()
    with np.errstate(all="ignore"):
        if cell != GRU:
            return bias + b_hh, None
        bias[: 2 * h] += b_hh[: 2 * h]
    return bias, b_hh[2 * h :]


def forward(
    cell: Cell,
    x: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any,
    b_hh: Any,
    state: Any,
    lengths: Any,
    reverse: Any,
    training: Any,
) -> tuple[Array, Any, Tape | None]:
    x = check.real("x", x)
    check.rank("x", x, 3, "(n, t, d)")
    w_ih, w_hh = _weights(cell, x, w_ih, w_hh)
    (n, t, _), h = x.shape, w_hh.shape[1]
    bias, bias_n = _biases(cell, x, h, b_ih, b_hh)
    reverse, training = check.flag("reverse", reverse), check.flag("training", training)
    y = check.empty((n, t, h), x.dtype)
    if cell == LSTM:
        first = _pair("state", state, "(h0, c0)")
        names = ("state", "state") if state is None else ("h0 of state", "c0 of state")
        for name, one in zip(names, first, strict=True):
            if state is not None and one is None:
                raise TypeError(f"{name} must be an array, got None")
        hidden, cells = (_state(name, one, (n, h), x) for name, one in zip(names, first, strict=True))
    else:
        hidden, cells = _state("state", state, (n, h), x), None
    sequences = _sequences(n, t, lengths, reverse)
    if lengths is not None and n and sequences.lengths[-1] < t:
        y[...] = 0
    tape = None
    if training:
        tape = Tape(cell, x.shape, sequences, w_ih, w_hh)
        tape.biases = (b_ih is not None, b_hh is not None)
    if len(sequences.starts) > 1 and h and n:
        kept = None if tape is None else tape.arrays
        _forward.forward(cell.number, x, w_ih, w_hh, bias, bias_n, tuple(sequences), y, hidden, cells, kept)
    return y, (hidden, cells) if cell == LSTM else hidden, tape


def _state_gradient(name: str, dstate: Any, tape: Tape) -> Array:
    """(n, h) in the order of rows."""
    n, h = tape.shape[0], tape.w_hh.shape[1]
    if dstate is None:
        return np.zeros((n, h), tape.w_hh.dtype)
    dstate = check.real(name, dstate, tape.w_hh, "w_hh")
    check.shape(name, dstate, (n, h))
    return np.ascontiguousarray(dstate[tape.sequences.order])


def _in_place(rows: Array, order: Array) -> Array:
    result = np.empty_like(rows)
    result[order] = rows
    return result


def backward(names: tuple[Cell, ...], dy: Any, tape: Any, dstate: Any, needs: Any) -> tuple[Any, ...]:
    if not isinstance(tape, Tape) or tape.cell not in names:
        given = f"that of {tape.cell.name}" if isinstance(tape, Tape) else type(tape).__name__
        raise TypeError(f"tape must be what {names[0].name}(..., training=True) returned, got {given}")
    cell, w_hh, sequences = tape.cell, tape.w_hh, tape.sequences
    h = w_hh.shape[1]
    if dy is not None:
        dy = check.real("dy", dy, w_hh, "w_hh")
        check.shape("dy", dy, (*tape.shape[:2], h))
    wanted = check.needs(needs, NEEDS)
    if cell == LSTM:
        of_hidden, of_cells = _pair("dstate", dstate, "(dh, dc)")
        dh = _state_gradient("dh of dstate", of_hidden, tape)
        dc = _state_gradient("dc of dstate", of_cells, tape)
    else:
        dh, dc = _state_gradient("dstate", dstate, tape), None
    da = check.empty((int(sequences.starts[-1]), _pitch(cell.kept * h)), w_hh.dtype)
    if da.size and any(wanted):
        _backward.through_time(cell.number, w_hh, tuple(sequences), dy, tape.arrays, da, dh, dc, wanted[1])
    return _gradients(tape, da, dh, dc, wanted)


def _gradients(tape: Tape, da: Array, dh: Array, dc: Array | None, wanted: tuple[bool, ...]) -> tuple[Any, ...]:
    """Everything but the gradients of the gates, from these."""
    need_x, need_state, need_w_ih, need_w_hh, need_b = wanted
    sequences, h, d = tape.sequences, tape.w_hh.shape[1], tape.shape[2]
    dx = db_ih = db_hh = None
    dstate: Any = None
    if need_x:
        dx = check.empty(tape.shape, da.dtype)
        if not h or (len(sequences.lengths) and sequences.lengths[-1] < tape.shape[1]):
            dx[...] = 0
        if da.size:
            _products.input_gradient(da, tape.w_ih, tuple(sequences), dx)
    if need_state:
        dstate = _in_place(dh, sequences.order)
        if dc is not None:
            dstate = dstate, _in_place(dc, sequences.order)
    dw_ih = np.zeros((tape.cell.gates * h, d), da.dtype) if need_w_ih else None
    dw_hh = np.zeros(tape.w_hh.shape, da.dtype) if need_w_hh else None
    if da.size and (need_w_ih or need_w_hh):
        _weight_gradients(tape, da, dw_ih, dw_hh)
    if need_b and any(tape.biases):
        db_ih, db_hh = _bias_gradients(tape, da)
    return dx, dstate, dw_ih, dw_hh, db_ih, db_hh


def _weight_gradients(tape: Tape, da: Array, dw_ih: Array | None, dw_hh: Array | None) -> None:
    h, d = tape.w_hh.shape[1], tape.shape[2]
    if tape.cell != GRU:
        _products.weight_gradients(da, 0, tape.inputs, dw_ih, dw_hh, d)
        return
    halves = [None if dw is None else (dw[: 2 * h], dw[2 * h :]) for dw in (dw_ih, dw_hh)]
    first = [None if half is None else half[0] for half in halves]
    _products.weight_gradients(da, 0, tape.inputs, first[0], first[1], d)
    if halves[0]:
        _products.weight_gradients(da, 2 * h, tape.inputs, halves[0][1], None, d)
    if halves[1]:  # of the new gate, the state is inside the reset product
        _products.weight_gradients(da, 3 * h, tape.inputs, None, halves[1][1], d)


def _bias_gradients(tape: Tape, da: Array) -> tuple[Array | None, Array | None]:
    h = tape.w_hh.shape[1]
    sums = np.zeros(tape.cell.kept * h, da.dtype)
    if da.size:
        _products.bias_gradient(da, 0, np.ones(len(da), da.dtype), sums)
    of_inputs = sums[: tape.cell.gates * h]
    of_states = np.concatenate([sums[: 2 * h], sums[3 * h :]]) if tape.cell == GRU else sums.copy()
    return of_inputs.copy() if tape.biases[0] else None, of_states if tape.biases[1] else None
