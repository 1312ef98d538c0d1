"""Losses of elements: against the definition, central differences and PyTorch; sums; layouts; errors."""

import functools

import numpy as np
import pytest
from bounds import doubles, integers

import npkernels as nk
from npkernels import reference

LOSSES = {
    "binary_cross_entropy_with_logits": ({}, {"pos_weight": True}),
    "mse_loss": ({},),
    "l1_loss": ({},),
    "huber_loss": ({}, {"delta": 0.25}, {"delta": np.inf}),
    "kl_div": ({},),
}
CASES = [(name, options) for name, every in LOSSES.items() for options in every]
SHAPES = [(), (0,), (1,), (7,), (15,), (16,), (17,), (32,), (33,), (3, 0), (5, 7), (2, 3, 4), (47, 101)]
REDUCTIONS = ["mean", "sum", "none"]


def problem(rng, name, shape, dtype, options):
    """Prediction, target and the options of a call; pos_weight has one value for each place of the last axis."""
    x, y = (3 * rng.standard_normal(shape)).astype(dtype), rng.random(shape).astype(dtype)
    if name == "kl_div":
        x, y = np.log(rng.random(shape) + 1e-3).astype(dtype), (y * (rng.random(shape) > 0.2)).astype(dtype)
    elif name == "binary_cross_entropy_with_logits":
        y = np.where(rng.random(shape) < 0.5, np.round(y), y).astype(dtype)
        if "pos_weight" in options:
            options = {"pos_weight": (rng.random(shape[-1:]) * 3).astype(dtype)}
    return np.asarray(x), np.asarray(y), options


def sizes(name, x, y, options):
    """The sums of the absolute terms of every loss and of every slope; errors are relative to them."""
    d = np.abs(x - y)
    if name == "mse_loss":
        return d * d, 2 * d
    if name == "l1_loss":
        return d, np.ones_like(d)
    if name == "huber_loss":
        delta = options.get("delta", 1.0)
        return np.minimum(d, delta) * d, np.minimum(d, delta)
    if name == "kl_div":
        return np.where(y == 0, 0, y * (np.abs(np.log(np.where(y == 0, 1, y))) + np.abs(x))), y
    s, on, off = reference.sigmoid(x), np.abs(options.get("pos_weight", 1) * y), np.abs(1 - y)
    rest = reference.sigmoid(-x)
    return np.abs(x) * (on + off) + (1 + 2 * on + y) * np.log1p(np.exp(-np.abs(x))), off * s + on * rest


def widened(options):
    return {name: np.asarray(value, np.longdouble) for name, value in options.items()}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "options"), CASES)
def test_losses_are_within_the_bound_of_their_definition(isa, dtype, eps, rng, name, options, shape):
    x, y, options = problem(rng, name, shape, dtype, options)
    wide, tiny = [np.asarray(a, np.longdouble) for a in (x, y)], float(np.finfo(dtype).tiny)
    losses, slopes = getattr(reference, name + "_with_grad")(*wide, **widened(options), reduction="none")
    loss_size, slope_size = sizes(name, *wide, widened(options))
    got, slope = getattr(nk, name + "_with_grad")(x, y, **options, reduction="none")
    assert got.dtype == slope.dtype == dtype
    assert got.shape == slope.shape == shape
    # exp, log and log1p are within 2 ULP, the quotient and each of at most six roundings within half of one
    assert (np.abs(got - losses) <= 6 * eps * loss_size + tiny).all()
    assert (np.abs(slope - slopes) <= 6 * eps * slope_size + tiny).all()
    assert getattr(nk, name)(x, y, **options, reduction="none").tobytes() == got.tobytes()
    for reduction in ("mean", "sum", "batchmean") if name == "kl_div" and shape else ("mean", "sum"):
        divisor = {"mean": x.size, "sum": 1, "batchmean": shape[0] if shape else 1}[reduction]
        loss, dx = getattr(nk, name + "_with_grad")(x, y, **options, reduction=reduction)
        assert type(loss) is dtype.type
        assert getattr(nk, name)(x, y, **options, reduction=reduction).tobytes() == loss.tobytes()
        if divisor == 0:
            assert np.isnan(loss)
            continue
        # chains of at most 512 in float64, then a tree
        bound = 6 * eps * loss_size.sum() + 32 * np.finfo(np.float64).eps * np.abs(losses).sum() + tiny * x.size
        assert abs(loss - losses.sum() / divisor) <= (bound + eps * abs(losses.sum())) / divisor
        assert (np.abs(dx - slopes / divisor) <= (8 * eps * slope_size + tiny) / divisor + tiny).all()


@pytest.mark.parametrize("shape", [*SHAPES, (64, 128)])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_losses_of_integers_are_exact(isa, dtype, rng, name, shape):
    x, y = np.asarray(integers(rng, shape, dtype)), np.asarray(integers(rng, shape, dtype))
    for reduction in ("sum", "none", *(["mean"] if x.size & (x.size - 1) == 0 and x.size else [])):
        options = {"reduction": reduction, **({"delta": 2.0} if name == "huber_loss" else {})}
        wanted = getattr(reference, name + "_with_grad")(*doubles(x, y), **options)
        for one, each in zip(getattr(nk, name + "_with_grad")(x, y, **options), wanted, strict=True):
            np.testing.assert_array_equal(one, each)
        np.testing.assert_array_equal(getattr(nk, name)(x, y, **options), wanted[0])


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradients_equal_central_differences(isa, rng, name, options, reduction):
    x, y, options = problem(rng, name, (3, 7), np.float64, options)
    if name in ("l1_loss", "huber_loss"):
        x = y + np.linspace(-3, 3, 21).reshape(3, 7) + 0.01  # away from the kinks
    step, function = 1e-5, getattr(nk, name)
    dx = getattr(nk, name + "_with_grad")(x, y, **options, reduction=reduction)[1]
    for index in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * step
            ends.append(function(moved, y, **options, reduction=reduction).sum())
        # third derivatives are below 3, so the quotient is off by at most step^2 / 2, and by the rounding of the sum
        limit = step**2 / 2 + 8 * np.finfo(np.float64).eps * (abs(ends[0]) + 1) / step
        assert abs((ends[0] - ends[1]) / (2 * step) - dx[index]) < limit


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
def test_losses_equal_those_of_pytorch(isa, rng, name, options, reduction):
    torch = pytest.importorskip("torch")
    if reduction == "batchmean" and name != "kl_div":
        return
    if options == {"delta": np.inf}:
        options = {"delta": 3.0}
    x, y, options = problem(rng, name, (6, 11), np.float64, options)
    leaf = torch.from_numpy(x).clone().requires_grad_()
    given = {key: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for key, v in options.items()}
    expected = getattr(torch.nn.functional, name)(leaf, torch.from_numpy(y), reduction=reduction, **given)
    expected.sum().backward()
    loss, dx = getattr(nk, name + "_with_grad")(x, y, **options, reduction=reduction)
    # both round a few times an element; 1e-13 is 450 eps, and a part of a million of what an element adds
    np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_layouts_and_threads_give_the_same_bits(isa, dtype, rng, layouts, same_for_any_threads, name, options):
    for shape in ((9, 7, 5), (130, 171)):
        x, y, given = problem(rng, name, shape, dtype, options)
        function = functools.partial(getattr(nk, name + "_with_grad"), **given)
        expected = same_for_any_threads(functools.partial(function, x, y))
        same_for_any_threads(functools.partial(function, x.copy("F"), y[::-1].copy()[::-1]))
        for a, b in zip(layouts(x), layouts(y), strict=True):
            for got, wanted in zip(function(a, b), expected, strict=True):
                assert got.tobytes() == wanted.tobytes()


def test_sums_of_millions_are_accurate(isa, dtype, eps, same_for_any_threads):
    x, y = np.full((1500, 2001), 0.1, dtype), np.zeros((1500, 2001), dtype)
    wanted = np.longdouble(x[0, 0])
    for reduction, factor in (("mean", 1), ("sum", x.size)):
        loss = same_for_any_threads(functools.partial(nk.l1_loss, x, y, reduction=reduction))
        assert abs(loss - factor * wanted) <= (0.5 * eps + 64 * np.finfo(np.float64).eps) * factor * wanted


def test_logits_of_any_size(isa, dtype):
    big = float(np.finfo(dtype).max)
    x, y = np.array([big, -big, big, -big, 0], dtype), np.array([1, 0, 0, 1, 0.5], dtype)
    loss, slope = nk.binary_cross_entropy_with_logits_with_grad(x, y, reduction="none")
    np.testing.assert_array_equal(loss[:4], np.array([0, 0, big, big], dtype))
    np.testing.assert_array_equal(slope, np.array([0, 0, 1, -1, 0], dtype))
    # a small loss keeps its digits: e^-50 is far below eps
    tail = nk.binary_cross_entropy_with_logits(np.array([50], dtype), np.array([1], dtype), reduction="sum")
    assert float(tail) == pytest.approx(np.exp(-50), rel=4 * float(np.finfo(dtype).eps))


def test_nothing_is_contributed_where_p_is_zero(isa, dtype):
    log_q, p = np.array([-np.inf, -np.inf, -1], dtype), np.array([0, 1, 0], dtype)
    loss, slope = nk.kl_div_with_grad(log_q, p, reduction="none")
    np.testing.assert_array_equal(loss, np.array([0, np.inf, 0], dtype))
    np.testing.assert_array_equal(slope, -p)


@pytest.mark.parametrize("name", LOSSES)
def test_nan_travels_and_overflow_is_infinite(isa, dtype, name):
    for x, y in ((np.nan, 1), (0.5, np.nan)):
        loss, slope = getattr(nk, name + "_with_grad")(np.full(20, x, dtype), np.full(20, y, dtype))
        assert np.isnan(loss)
        assert np.isnan(slope).all() or (name == "kl_div" and (slope == -y / 20).all())
    if name == "l1_loss":
        big = np.full(3, np.finfo(dtype).max, dtype)
        assert nk.l1_loss(big, 0 * big, reduction="sum") == np.inf


def test_small_pos_weights_keep_their_digits(isa, dtype, eps):
    weights = np.array([1e-8, 1e-6, 1e-3, 1.0, 1e3], dtype)
    losses = nk.binary_cross_entropy_with_logits(
        np.zeros(5, dtype), np.ones(5, dtype), pos_weight=weights, reduction="none"
    )
    assert np.allclose(losses, weights * np.log(2), rtol=4 * eps, atol=0)


def test_pos_weight_is_broadcast(dtype, rng):
    x, y = rng.standard_normal((4, 5)).astype(dtype), rng.random((4, 5)).astype(dtype)
    function = nk.binary_cross_entropy_with_logits
    for weight in (np.array(2, dtype), np.full((4, 1), 2, dtype), 2.0, 2):
        assert function(x, y, pos_weight=weight) == function(x, y, pos_weight=np.full((4, 5), 2, dtype))


def test_lists_are_arrays_and_zero_dimensions_are_scalars():
    assert nk.mse_loss([1.0, 2.0], [1.0, 4.0]) == 2
    loss, dx = nk.mse_loss_with_grad(np.float64(3.0), np.float64(1.0), reduction="none")
    assert (type(loss), loss, type(dx), dx) == (np.float64, 4, np.float64, 4)


F4, F8 = np.zeros(3, "f4"), np.zeros(3)


@pytest.mark.parametrize("suffix", ["", "_with_grad"])
@pytest.mark.parametrize(
    ("name", "arguments", "options", "error", "message"),
    [
        ("mse_loss", (F8, F4), {}, TypeError, "target must be float64 like prediction, got float32"),
        ("l1_loss", (F8.astype(int), F8), {}, TypeError, "prediction must be float32 or float64, got int64"),
        ("mse_loss", (F8, np.zeros((3, 1))), {}, ValueError, r"target must have shape \(3,\), got \(3, 1\)"),
        ("kl_div", (F8, F4), {}, TypeError, "p must be float64 like log_q, got float32"),
        ("kl_div", (F8, np.zeros(4)), {}, ValueError, r"p must have shape \(3,\), got \(4,\)"),
        ("kl_div", (F8[0], F8[0]), {"reduction": "batchmean"}, ValueError, "log_q must have a first axis"),
        (
            "mse_loss",
            (F8, F8),
            {"reduction": "batchmean"},
            ValueError,
            "reduction must be one of 'mean', 'sum', 'none', got",
        ),
        ("kl_div", (F8, F8), {"reduction": None}, TypeError, "reduction must be a string, got NoneType"),
        ("huber_loss", (F8, F8), {"delta": 0}, ValueError, "delta must be above 0, got 0"),
        ("huber_loss", (F8, F8), {"delta": np.nan}, ValueError, "delta must be above 0, got nan"),
        ("huber_loss", (F8, F8), {"delta": "1"}, TypeError, "delta must be a number, got str"),
        (
            "binary_cross_entropy_with_logits",
            (F8, F8),
            {"pos_weight": F4},
            TypeError,
            "pos_weight must be float64 like",
        ),
        (
            "binary_cross_entropy_with_logits",
            (F8, F8),
            {"pos_weight": np.zeros((2, 3))},
            ValueError,
            r"pos_weight must broadcast to shape \(3,\), got \(2, 3\)",
        ),
        ("mse_loss", (np.ma.array(F8), F8), {}, TypeError, "prediction must be a plain array, got a masked array"),
    ],
)
def test_errors_name_argument_wish_and_value(name, arguments, options, error, message, suffix):
    with pytest.raises(error, match=message):
        getattr(nk, name + suffix)(*arguments, **options)
