"""Recurrent layers: values and gradients against the definition, bits against batches, threads, layouts and lengths."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

KINDS = "lstm", "gru", "tanh", "relu"
GATES = {"lstm": 4, "gru": 3}
# around the widths of vectors, blocks of units and tiles; few steps and many; one sequence, a tile of them and more
SIZES = [
    (1, 1, 1, 1),
    (2, 2, 3, 5),
    (1, 5, 2, 17),
    (3, 4, 5, 33),
    (9, 3, 1, 50),
    (20, 6, 4, 3),
    (8, 5, 3, 130),
    (1, 3, 7, 300),
]


def functions(kind, module=nk):
    name = "rnn" if kind in ("tanh", "relu") else kind
    options = {"activation": kind} if name == "rnn" else {}
    forward, backward = getattr(module, name), getattr(module, f"{name}_backward")
    return lambda *args, **more: forward(*args, **options, **more), backward


def arguments(rng, kind, sizes, dtype, biases=True):
    n, t, d, h = sizes
    rows = GATES.get(kind, 1) * h

    def draw(*shape):
        return (0.5 * rng.standard_normal(shape)).astype(dtype)

    weights = draw(n, t, d), draw(rows, d), draw(rows, h) / np.sqrt(h, dtype=dtype)
    return *weights, *((draw(rows), draw(rows)) if biases else (None, None))


def states(rng, kind, sizes, dtype):
    pair = tuple(rng.standard_normal((sizes[0], sizes[3])).astype(dtype) for _ in range(2))
    return pair if kind == "lstm" else pair[0]


def flat(value):
    if value is None:
        return []
    return [one for each in value for one in flat(each)] if isinstance(value, tuple) else [value]


def everything(kind, args, dy, dstate, module=nk, **options):
    """y, the last state and all gradients."""
    forward, backward = functions(kind, module)
    y, state, tape = forward(*args, training=True, **options)
    return flat((y, state, backward(dy, tape, dstate=dstate)))


def wide(value):
    return tuple(map(wide, value)) if isinstance(value, tuple) else None if value is None else value.astype(np.float64)


def close(found, expected, eps, factor):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max(initial=0) <= factor * eps * max(1, np.abs(b).max(initial=0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", SIZES)
def test_values_and_gradients_are_those_of_the_definition(isa, dtype, eps, rng, kind, sizes):
    for lengths, reverse in itertools.product((False, True), (False, True)):
        args = arguments(rng, kind, sizes, dtype)
        first, dstate = (states(rng, kind, sizes, dtype) for _ in range(2))
        dy = rng.standard_normal((*sizes[:2], sizes[3])).astype(dtype)
        options = {"lengths": rng.integers(0, sizes[1] + 1, sizes[0]) if lengths else None, "reverse": reverse}
        found = everything(kind, args, dy, dstate, state=first, **options)
        expected = everything(kind, wide(args), wide(dy), wide(dstate), reference, state=wide(first), **options)
        close(found, expected, eps, 8 * (sizes[2] + sizes[3] + 8))
        assert all(a.dtype == dtype for a in found)


def test_sums_of_integers_are_exact(isa, dtype, rng, layouts):
    # without a bound a relu layer of integers is sums of products, forward and backward
    x, w = rng.integers(-2, 3, (9, 3, 4)).astype(dtype), rng.integers(-2, 3, (51, 4)).astype(dtype)
    u, dy = rng.integers(-1, 2, (51, 51)).astype(dtype), rng.integers(-2, 3, (9, 3, 51)).astype(dtype)
    dh = rng.integers(-2, 3, (9, 51)).astype(dtype)
    expected = everything("relu", (x, w, u), dy, dh, reference)
    for place, operand in enumerate((x, w, u, dy, dh)):
        for view in layouts(operand):
            operands = [x, w, u, dy, dh]
            operands[place] = view
            found = everything("relu", operands[:3], *operands[3:])
            assert all(map(np.array_equal, found, expected))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_does_not_depend_on_its_batch(isa, dtype, rng, kind):
    for sizes in (23, 5, 6, 20), (9, 4, 3, 65), (30, 2, 3, 9):
        args, first = arguments(rng, kind, sizes, dtype), states(rng, kind, sizes, dtype)
        dy, lengths = rng.standard_normal((*sizes[:2], sizes[3])).astype(dtype), rng.integers(0, sizes[1] + 1, sizes[0])
        forward, backward = functions(kind)

        def results(rows):
            state = tuple(s[rows] for s in first) if kind == "lstm" else first[rows]  # noqa: B023
            y, last, tape = forward(args[0][rows], *args[1:], state=state, lengths=lengths[rows], training=True)  # noqa: B023
            return flat((y, last, backward(dy[rows], tape, needs=("x", "state"))))  # noqa: B023

        together = results(slice(None))
        for i in range(sizes[0]):
            for a, b in zip(results(slice(i, i + 1)), together, strict=True):
                assert a[0].tobytes() == b[i].tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(1, 6, 3, 200), (3, 5, 4, 150), (40, 4, 3, 40), (70, 2, 5, 20)])
def test_threads_change_no_bit(isa, dtype, rng, same_for_any_threads, kind, sizes):
    args, dstate = arguments(rng, kind, sizes, dtype), states(rng, kind, sizes, dtype)
    dy, lengths = rng.standard_normal((*sizes[:2], sizes[3])).astype(dtype), rng.integers(1, sizes[1] + 1, sizes[0])
    same_for_any_threads(lambda: tuple(everything(kind, args, dy, dstate, lengths=lengths, reverse=True)))
    forward, _ = functions(kind)
    same_for_any_threads(lambda: tuple(flat(forward(*args)[:2])))


@pytest.mark.parametrize("kind", KINDS)
def test_time_major_views_and_no_tape_give_the_same_bits(isa, dtype, rng, kind):
    for sizes, reverse in itertools.product([(7, 5, 3, 20), (1, 6, 4, 40), (6, 1, 3, 20)], (False, True)):
        x, *rest = arguments(rng, kind, sizes, dtype)
        forward, _ = functions(kind)
        expected = flat(forward(x, *rest, reverse=reverse, training=True)[:2])
        major = np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)
        for view in (x, major, major[::-1][::-1], np.asfortranarray(x)):
            y, state, tape = forward(view, *rest, reverse=reverse)
            assert tape is None
            assert all(a.tobytes() == b.tobytes() for a, b in zip(flat((y, state)), expected, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_of_a_sequence_are_the_whole(dtype, eps, rng, kind):
    sizes = 3, 9, 4, 18
    x, *rest = arguments(rng, kind, sizes, dtype)
    dy = rng.standard_normal((3, 9, 18)).astype(dtype)
    forward, backward = functions(kind)
    whole = everything(kind, (x, *rest), dy, None)
    y1, state, tape1 = forward(x[:, :4], *rest, training=True)
    y2, state, tape2 = forward(x[:, 4:], *rest, state=state, training=True)
    assert np.concatenate([y1, y2], 1).tobytes() == whole[0].tobytes()
    second = backward(dy[:, 4:], tape2)
    first = backward(dy[:, :4], tape1, dstate=second[1])
    found = flat(
        (
            np.concatenate([first[0], second[0]], 1),
            first[1],
            *(a + b for a, b in zip(first[2:], second[2:], strict=True)),
        )
    )
    close(found, whole[2 if kind != "lstm" else 3 :], eps, 100)


@pytest.mark.parametrize("kind", KINDS)
def test_needs_and_none(rng, kind):
    sizes = 4, 5, 3, 6
    args, (forward, backward) = arguments(rng, kind, sizes, float), functions(kind)
    dy = rng.standard_normal((4, 5, 6))
    tape = forward(*args, training=True)[2]
    names, everyone = ("x", "state", "w_ih", "w_hh", "b"), backward(dy, tape)
    for count in range(6):
        for needs in itertools.combinations(names, count):
            for name, found, expected in zip((*names, "b"), backward(dy, tape, needs=needs), everyone, strict=True):
                assert (found is not None) == (name in needs)
                assert all(map(np.array_equal, flat(found), flat(expected if name in needs else None)))
    assert not any(d.any() for d in flat(backward(None, tape)))
    *_, db_ih, db_hh = backward(dy, forward(*args[:4], training=True)[2])
    assert db_ih is not None
    assert db_hh is None
    if kind == "lstm":
        dh = rng.standard_normal((4, 6))
        pairs = [flat(backward(None, tape, dstate=pair)) for pair in ((dh, None), (dh, np.zeros((4, 6))))]
        assert all(map(np.array_equal, *pairs))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", list(itertools.product((0, 2), (0, 3), (0, 4), (0, 5))))
def test_empty_axes(dtype, rng, kind, sizes):
    n, t, d, h = sizes
    args, first = arguments(rng, kind, (n, t, d, max(h, 1)), dtype), states(rng, kind, sizes, dtype)
    if h == 0:
        args = args[0], args[1][:0], args[2][:0, :0], args[3][:0], args[4][:0]
    found = everything(kind, args, np.ones((n, t, h), dtype), first, state=first)
    expected = everything(kind, wide(args), np.ones((n, t, h)), wide(first), reference, state=wide(first))
    close(found, expected, np.finfo(dtype).eps, 50)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_inf_stay_in_their_sequence(isa, dtype, rng, kind):
    args = arguments(rng, kind, (3, 4, 2, 20), dtype)
    args[0][1, 2, 0] = np.nan
    forward, backward = functions(kind)
    y, _, tape = forward(*args, training=True)
    assert np.isnan(y[1, 2:]).all()
    assert not np.isnan(y[[0, 2]]).any()
    assert not np.isnan(y[1, :2]).any()
    dx = backward(np.ones_like(y), tape, needs=("x",))[0]
    assert not np.isnan(dx[[0, 2]]).any()
    args[0][1, 2, 0] = np.inf
    assert np.isfinite(forward(*args)[0]).all() == (kind != "relu" or not (args[1][:, 0] > 0).any())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_beyond_a_length_counts(dtype, rng, kind):
    args, lengths = arguments(rng, kind, (4, 5, 3, 6), dtype), np.array([5, 0, 2, 3], np.uint8)
    dy = rng.standard_normal((4, 5, 6)).astype(dtype)
    plain = everything(kind, args, dy, None, lengths=lengths)
    beyond = np.arange(5) >= lengths[:, None]
    args[0][beyond], dy[beyond] = np.nan, np.nan
    assert all(map(np.array_equal, plain, everything(kind, args, dy, None, lengths=list(map(int, lengths)))))
    assert not plain[0][beyond].any()
    first = states(rng, kind, (4, 5, 3, 6), dtype)
    last = functions(kind)[0](*args, lengths=lengths, state=first)[1]
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(flat(first), flat(last), strict=True))


def test_a_tape_keeps_inputs_and_serves_twice(rng):
    x, *rest = arguments(rng, "lstm", (3, 4, 5, 6), float)
    read_only = x.copy()
    read_only.flags.writeable = False
    y, _, tape = nk.lstm(read_only, *rest, training=True)
    first = flat(nk.lstm_backward(y, tape))
    dy = y.copy()
    y[...] = 0
    assert all(map(np.array_equal, first, flat(nk.lstm_backward(dy, tape))))
    assert tape.nbytes >= 8 * 3 * 4 * (6 * 6 + 5)
    assert repr(tape) == f"<tape of npkernels.lstm, x of shape (3, 4, 5), {tape.nbytes} bytes>"


def test_long_sums(isa):
    # of 20,000 equal terms: a chain in float32 would err by more
    n = 20_000
    x, w, u = np.full((n, 1, 1), 0.1, np.float32), np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    _, _, tape = nk.rnn(x, w, u, np.zeros(1, np.float32), activation="relu", training=True)
    _, _, dw, _, db, _ = nk.rnn_backward(np.full((n, 1, 1), 0.1, np.float32), tape)
    tenth = float(np.float32(0.1))
    assert abs(dw[0, 0] - n * tenth**2) <= 5e-4 * n * tenth**2
    assert abs(db[0] - n * tenth) <= 5e-4 * n * tenth
    h = 9000
    x, w, u = np.zeros((1, 1, 1), np.float32), np.zeros((h, 1), np.float32), np.broadcast_to(np.float32(0.1), (h, h))
    y = nk.rnn(x, w, u, state=np.full((1, h), 0.1, np.float32), activation="relu")[0]
    assert np.abs(y - h * tenth**2).max() <= 5e-4 * h * tenth**2


X, W, U = np.ones((2, 3, 4)), np.ones((20, 4)), np.ones((20, 5))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lengths": [1, 4]}, ValueError, r"lengths must be in \[0, 3\], got 4"),
        ({"lengths": [-1, 3]}, ValueError, r"lengths must be in \[0, 3\], got -1"),
        ({"lengths": [1.0, 2.0]}, TypeError, "lengths must be integers, got float64"),
        ({"lengths": [True, False]}, TypeError, "lengths must be integers, got bool"),
        ({"lengths": [1, 2, 3]}, ValueError, r"lengths must have shape \(2,\), got \(3,\)"),
        ({"lengths": np.array([2**64 - 1, 1], np.uint64)}, ValueError, r"lengths must be in \[0, 3\]"),
        ({"state": np.ones((2, 5))}, TypeError, r"state must be a pair \(h0, c0\), got ndarray"),
        ({"state": (np.ones((2, 5)),)}, ValueError, r"state must be a pair \(h0, c0\), got 1 values"),
        (
            {"state": (np.ones((2, 5)), np.ones((2, 4)))},
            ValueError,
            r"c0 of state must have shape \(2, 5\), got \(2, 4\)",
        ),
        ({"state": (np.ones((2, 5)), None)}, TypeError, "c0 of state must be an array, got None"),
        (
            {"state": (np.ones((2, 5), "f"), np.ones((2, 5)))},
            TypeError,
            "h0 of state must be float64 like x, got float32",
        ),
        ({"w_ih": np.ones((21, 4))}, ValueError, r"w_ih must have shape \(20, 4\), got \(21, 4\)"),
        ({"w_hh": np.ones((21, 5))}, ValueError, r"w_hh must have shape \(4h, h\), got \(21, 5\)"),
        ({"w_hh": np.ones(5)}, ValueError, r"w_hh must have shape \(4h, h\), got \(5,\)"),
        ({"w_hh": U.astype("f")}, TypeError, "w_hh must be float64 like x, got float32"),
        ({"x": np.ones((3, 4))}, ValueError, r"x must have shape \(n, t, d\), got \(3, 4\)"),
        ({"x": X.astype(int)}, TypeError, "x must be float32 or float64, got int64"),
        ({"b_ih": np.ones(5)}, ValueError, r"b_ih must have shape \(20,\), got \(5,\)"),
        ({"b_hh": np.ones(20, "f")}, TypeError, "b_hh must be float64 like x, got float32"),
        ({"reverse": 1}, TypeError, "reverse must be a bool, got int"),
        ({"training": None}, TypeError, "training must be a bool, got NoneType"),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        nk.lstm(**({"x": X, "w_ih": W, "w_hh": U} | options))


def test_bad_arguments_of_gradients_are_named():
    tape = nk.lstm(X, W, U, training=True)[2]
    dy, dh = np.ones((2, 3, 5)), np.ones((2, 5))
    for call, error, message in [
        (
            lambda: nk.gru_backward(dy, tape),
            TypeError,
            r"tape must be what gru\(..., training=True\) returned, got that of lstm",
        ),
        (lambda: nk.lstm_backward(dy, None), TypeError, "tape must be what lstm.* got NoneType"),
        (lambda: nk.lstm_backward(dy[:1], tape), ValueError, r"dy must have shape \(2, 3, 5\), got \(1, 3, 5\)"),
        (lambda: nk.lstm_backward(dy.astype("f"), tape), TypeError, "dy must be float64 like w_hh, got float32"),
        (lambda: nk.lstm_backward(dy, tape, dstate=dh), TypeError, r"dstate must be a pair \(dh, dc\), got ndarray"),
        (lambda: nk.lstm_backward(dy, tape, dstate=(dh, dh[:1])), ValueError, "dc of dstate must have shape"),
        (lambda: nk.lstm_backward(dy, tape, needs=["x"]), TypeError, "needs must be a tuple"),
        (lambda: nk.lstm_backward(dy, tape, needs=("w",)), ValueError, "needs may hold"),
        (lambda: nk.rnn(X, W[:5], U[:5], activation="gelu"), ValueError, "activation must be one of 'tanh', 'relu'"),
    ]:
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("kind", KINDS)
def test_tapes_can_be_copied(rng, kind):
    gates = GATES.get(kind, 1)
    x, w_ih, w_hh = (rng.standard_normal(shape) for shape in ((2, 3, 4), (gates * 5, 4), (gates * 5, 5)))
    forward = getattr(nk, kind if kind in GATES else "rnn")
    options = {} if kind in GATES else {"activation": kind}
    y, _, tape = forward(x, w_ih, w_hh, training=True, **options)
    backward = getattr(nk, f"{forward.__name__}_backward")
    wanted = backward(y, tape)[0].tobytes()
    for same in copy.copy(tape), copy.deepcopy(tape), pickle.loads(pickle.dumps(tape)):
        assert backward(y, same)[0].tobytes() == wanted
