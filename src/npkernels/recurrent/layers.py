"""Recurrent layers, batch first, with the gates, names and shapes of `torch.nn`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .. import _arguments as check
from .._docs import documented
from .passes import GRU, LSTM, NEEDS, RNN, Tape, backward, forward

if TYPE_CHECKING:
    from .._typing import F, Flag, FloatLike, Lengths, LstmGradients, NDArray, RecurrentGradients, RecurrentNeeds

FORWARD = """
Parameters
----------
x : (n, t, d) array of float32 or float64
    n sequences of t steps; any strides, also a view of a time-major array.
w_ih : ({rows}, d) array, dtype of `x`
w_hh : ({rows}, h) array, dtype of `x`
b_ih, b_hh : ({rows},) arrays, dtype of `x`, optional{options}
state : {state}, dtype of `x`, optional
    {names} before the first step; zeros if None.
lengths : (n,) integers in [0, t], optional
    Steps of each sequence; beyond, y is 0 and the state stays.
reverse : bool
    From the last step of each sequence to its first, as the second direction of a bidirectional layer.
training : bool
    Whether to return a tape for the gradient.

Returns
-------
y : (n, t, h) array, dtype of `x`
    h of every step, at the place of the step in `x`.
state : {state}
    {names} after the last step of each sequence.
tape : Tape or None
    {numbers} + d numbers for each step of each sequence (of its own length), rows rounded up to cache lines: the gates,
    x and the states before the steps; `tape.nbytes`. It refers to `w_ih` and `w_hh`, which must not change until the
    gradient is taken.

Raises
------
TypeError
    If a dtype is not float32 or float64, or differs from that of `x`; if `lengths` are
    no integers{errors}.
ValueError
    If a shape does not match or a length is out of range; the message names argument, wanted and given value.

Notes
-----
The sum of a gate is one chain of multiply-adds, first over d, then over h, which begins with the bias; a longer one
than 8192 is blocks that are added in order. Its error is at most ``(min(d + h, 8192) + (d + h) / 4096 + 4) eps
(|x| @ |w_ih|.T + |h'| @ |w_hh|.T + |b|)``; s and tanh are within 2 ULP. A sequence's result does not depend on the
others, to the last bit.
"""
BACKWARD = """
Parameters
----------
dy : (n, t, h) array of the dtype of the weights, or None
    Gradient of the loss with respect to y, any strides; what lies beyond a length has no part. None: zeros.
tape : Tape
    What ``{name}(..., training=True)`` returned; it may be used again.
dstate : {state}, optional
    Gradient with respect to the state returned{halves}. Where a long sequence goes through several calls, it
    is what the next call's gradient gives as `dstate`; None cuts the gradient there.
needs : tuple of "x", "state", "w_ih", "w_hh", "b"
    Which gradients to compute.

Returns
-------
dx : (n, t, d) array or None
    0 beyond a length.
dstate : {state} or None
    Gradient with respect to the first state, also where that was None.
dw_ih, dw_hh : ({rows}, d) and ({rows}, h) arrays or None
db_ih, db_hh : ({rows},) arrays or None
    None for a bias that was not given. None in place of all that `needs` leaves out.

Raises
------
TypeError
    If the tape is not that of `{name}`, a dtype differs from that of the weights, `needs` is no tuple.
ValueError
    If a shape does not match, or `needs` holds an unknown name.

Notes
-----
Sums over all steps of all sequences are in a fixed order; more than 8192 terms are blocks, added in double
precision. The bits of dx and dstate of a sequence do not depend on the others.

References
----------
.. [1] P. J. Werbos, "Backpropagation through time: what it does and how to do it", Proc. IEEE 78(10), 1990.
"""
ACTIVATION = '\nactivation : {"tanh", "relu"}'
LSTM_PARTS = {"rows": "4h", "state": "pair of (n, h) arrays"}
GRU_PARTS = {"rows": "3h", "state": "(n, h) array"}
RNN_PARTS = {"rows": "h", "state": "(n, h) array"}


@documented(FORWARD, **LSTM_PARTS, names="(h, c)", options="", numbers="6h", errors=" or `state` is no pair")
def lstm(
    x: FloatLike[F],
    w_ih: FloatLike[F],
    w_hh: FloatLike[F],
    b_ih: FloatLike[F] | None = None,
    b_hh: FloatLike[F] | None = None,
    *,
    state: tuple[FloatLike[F], FloatLike[F]] | None = None,
    lengths: Lengths | None = None,
    reverse: Flag = False,
    training: Flag = False,
) -> tuple[NDArray[F], tuple[NDArray[F], NDArray[F]], Tape | None]:
    """Long short-term memory over whole sequences.

    With s the logistic function, and gates of h rows each in the order i, f, g, o:
    ``i, f, o = s(W x + U h' + b)``, ``g = tanh(W x + U h' + b)``, ``c = f c' + i g``, ``h = o tanh(c)``.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997.

    >>> y, (h, c), _ = nk.lstm(np.ones((2, 3, 1)), np.ones((4, 1)), np.ones((4, 1)), lengths=[3, 1])
    >>> y.round(3)[:, :, 0]
    array([[0.37 , 0.651, 0.789],
           [0.37 , 0.   , 0.   ]])
    >>> h.round(3)[:, 0]
    array([0.789, 0.37 ])
    """
    return forward(LSTM, x, w_ih, w_hh, b_ih, b_hh, state, lengths, reverse, training)


@documented(FORWARD, **GRU_PARTS, names="h", options="", numbers="5h", errors="")
def gru(
    x: FloatLike[F],
    w_ih: FloatLike[F],
    w_hh: FloatLike[F],
    b_ih: FloatLike[F] | None = None,
    b_hh: FloatLike[F] | None = None,
    *,
    state: FloatLike[F] | None = None,
    lengths: Lengths | None = None,
    reverse: Flag = False,
    training: Flag = False,
) -> tuple[NDArray[F], NDArray[F], Tape | None]:
    """Gated recurrent units over whole sequences.

    With s the logistic function, and gates of h rows each in the order r, z, n:
    ``r, z = s(W x + b_ih + U h' + b_hh)``, ``n = tanh(W x + b_ih + r (U h' + b_hh))``, ``h = n + z (h' - n)``.

    References
    ----------
    .. [1] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
       translation", EMNLP 2014; the reset gate as in `torch.nn.GRU`.

    >>> y, h, _ = nk.gru(np.ones((1, 3, 1)), np.ones((3, 1)), np.ones((3, 1)))
    >>> y.round(3)[0, :, 0]
    array([0.205, 0.347, 0.452])
    """
    return forward(GRU, x, w_ih, w_hh, b_ih, b_hh, state, lengths, reverse, training)


@documented(FORWARD, **RNN_PARTS, names="h", options=ACTIVATION, numbers="2h", errors="")
def rnn(
    x: FloatLike[F],
    w_ih: FloatLike[F],
    w_hh: FloatLike[F],
    b_ih: FloatLike[F] | None = None,
    b_hh: FloatLike[F] | None = None,
    *,
    activation: Literal["tanh", "relu"] = "tanh",
    state: FloatLike[F] | None = None,
    lengths: Lengths | None = None,
    reverse: Flag = False,
    training: Flag = False,
) -> tuple[NDArray[F], NDArray[F], Tape | None]:
    """A layer whose state goes back into it: ``h = tanh(x W' + b_ih + h' U' + b_hh)`` at every step.

    References
    ----------
    .. [1] J. L. Elman, "Finding structure in time", Cognitive Science 14(2), 1990.

    >>> y, h, _ = nk.rnn(np.ones((1, 3, 1)), np.ones((1, 1)), np.ones((1, 1)), activation="relu")
    >>> y[0, :, 0], h[0]
    (array([1., 2., 3.]), array([3.]))
    """
    cell = RNN[check.choice("activation", activation, tuple(RNN))]
    return forward(cell, x, w_ih, w_hh, b_ih, b_hh, state, lengths, reverse, training)


@documented(BACKWARD, **LSTM_PARTS, name="lstm", halves=", (dh, dc); either may be None")
def lstm_backward(
    dy: FloatLike[F] | None,
    tape: Tape,
    *,
    dstate: tuple[FloatLike[F] | None, FloatLike[F] | None] | None = None,
    needs: tuple[RecurrentNeeds, ...] = NEEDS,
) -> LstmGradients[F]:
    """Gradients of `lstm`, through all steps of its call.

    >>> y, _, tape = nk.lstm(np.ones((1, 2, 1)), np.ones((4, 1)), np.ones((4, 1)), training=True)
    >>> dx, *_ = nk.lstm_backward(np.ones_like(y), tape)
    >>> dx.round(3)[0, :, 0]
    array([0.529, 0.242])
    """
    return backward((LSTM,), dy, tape, dstate, needs)


@documented(BACKWARD, **GRU_PARTS, name="gru", halves="")
def gru_backward(
    dy: FloatLike[F] | None,
    tape: Tape,
    *,
    dstate: FloatLike[F] | None = None,
    needs: tuple[RecurrentNeeds, ...] = NEEDS,
) -> RecurrentGradients[F]:
    """Gradients of `gru`, through all steps of its call.

    >>> y, _, tape = nk.gru(np.ones((1, 2, 1)), np.ones((3, 1)), np.ones((3, 1)), training=True)
    >>> dx, *_ = nk.gru_backward(np.ones_like(y), tape)
    >>> dx.round(3)[0, :, 0]
    array([-0.063, -0.031])
    """
    return backward((GRU,), dy, tape, dstate, needs)


@documented(BACKWARD, **RNN_PARTS, name="rnn", halves="")
def rnn_backward(
    dy: FloatLike[F] | None,
    tape: Tape,
    *,
    dstate: FloatLike[F] | None = None,
    needs: tuple[RecurrentNeeds, ...] = NEEDS,
) -> RecurrentGradients[F]:
    """Gradients of `rnn`, through all steps of its call.

    >>> y, _, tape = nk.rnn(np.ones((1, 2, 1)), np.ones((1, 1)), np.ones((1, 1)), activation="relu", training=True)
    >>> dx, *_ = nk.rnn_backward(np.ones_like(y), tape)
    >>> dx[0, :, 0]
    array([2., 1.])
    """
    return backward(tuple(RNN.values()), dy, tape, dstate, needs)
