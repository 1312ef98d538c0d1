"""nll_loss and one_hot: against the definition, PyTorch, central differences; layouts; errors."""

import functools

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

SHAPES = [(0, 3), (1, 1), (7, 5), (200, 33), (3, 4, 5), (2, 3, 4, 5), (4, 3, 0), (40, 700)]


def problem(rng, shape, dtype, kind="i8"):
    x = -rng.random(shape).astype(dtype)
    targets = rng.integers(shape[1], size=shape[:1] + shape[2:]).astype(kind)
    return x, targets, (rng.random(shape[1]) + 0.5).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [None, 0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_are_those_of_the_definition(isa, dtype, rng, eps, shape, weighted, ignored, reduction):
    x, targets, weight = problem(rng, shape, dtype, "u1" if shape[1] < 256 else "i2")
    options = {"weight": weight if weighted else None, "ignore_index": ignored, "reduction": reduction}
    wide = options | ({"weight": weight.astype("f8")} if weighted else {})
    wanted = reference.nll_loss_with_grad(x.astype("f8"), targets, **wide)
    loss, dx = nk.nll_loss_with_grad(x, targets, **options)
    assert dx.dtype == dtype
    if reduction == "none":
        assert loss.dtype == dtype
    else:
        assert type(loss) is dtype.type
    # each loss is rounded once, the sum and the quotient in float64 and once to the end; all terms are positive
    bound = 2 * eps + 2 * targets.size * np.finfo("f8").eps
    np.testing.assert_allclose(loss, wanted[0], rtol=bound)
    np.testing.assert_allclose(dx, wanted[1], rtol=bound)
    np.testing.assert_array_equal(nk.nll_loss(x, targets, **options), loss)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 5, 2)])
def test_losses_equal_those_of_pytorch(rng, shape, reduction):
    torch = pytest.importorskip("torch")
    x, targets, weight = problem(rng, shape, np.float64)
    for options in {}, {"weight": weight}, {"weight": weight, "ignore_index": 1}:
        leaf = torch.from_numpy(x.copy()).requires_grad_()
        given = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        wanted = torch.nn.functional.nll_loss(leaf, torch.from_numpy(targets), reduction=reduction, **given)
        wanted.sum().backward()
        loss, dx = nk.nll_loss_with_grad(x, targets, reduction=reduction, **options)
        np.testing.assert_allclose(loss, wanted.detach().numpy(), rtol=1e-14)
        np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=1e-14)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients_equal_central_differences(rng, reduction):
    x, targets, weight = problem(rng, (4, 3, 2), np.float64)
    loss = functools.partial(nk.nll_loss, targets=targets, weight=weight, reduction=reduction)
    dx = nk.nll_loss_with_grad(x, targets, weight=weight, reduction=reduction)[1]
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-5
        assert abs((loss(x + step) - loss(x - step)) / 2e-5 - dx[place]) < 1e-9


def test_it_is_cross_entropy_after_log_softmax(rng):
    logits, targets, weight = problem(rng, (50, 9), np.float64)
    loss = nk.nll_loss(nk.log_softmax(logits), targets, weight=weight)
    np.testing.assert_allclose(loss, nk.softmax_cross_entropy(logits, targets, weight=weight), rtol=1e-14)


def test_layouts_and_threads_give_the_same_bits(isa, dtype, rng, layouts, same_for_any_threads):
    for shape in (300, 70), (9, 7, 40):
        x, targets, weight = problem(rng, shape, dtype)
        loss, dx = same_for_any_threads(lambda x=x, t=targets, w=weight: nk.nll_loss_with_grad(x, t, weight=w))
        for a, b, w in zip(layouts(x), layouts(targets), layouts(weight), strict=True):
            for got in nk.nll_loss_with_grad(a, targets), nk.nll_loss_with_grad(x, b):
                assert got[0] == nk.nll_loss(x, targets)
            got = nk.nll_loss_with_grad(a, b, weight=w)
            assert (got[0], got[1].tobytes()) == (loss, dx.tobytes())


def test_nothing_counted_has_the_mean_nan_and_no_gradient(dtype):
    loss, dx = nk.nll_loss_with_grad(np.full((3, 2), -1, dtype), np.full(3, 7), ignore_index=7)
    assert np.isnan(loss)
    assert not dx.any()
    assert np.isnan(nk.nll_loss(np.zeros((0, 2), dtype), np.zeros(0, int)))
    assert nk.nll_loss(np.zeros((0, 2), dtype), np.zeros(0, int), reduction="sum") == 0
    assert np.isnan(nk.nll_loss(np.full((2, 2), np.nan, dtype), [0, 1]))


def test_sums_of_many_samples_are_accurate(dtype, eps):
    x = np.full((200_000, 2), -0.1, dtype)
    loss = nk.nll_loss(x, np.zeros(len(x), int), reduction="sum")
    assert abs(loss - len(x) * np.float64(-x[0, 0])) <= (eps + len(x) * np.finfo("f8").eps) * loss


X, T = np.zeros((3, 2)), np.zeros(3, int)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f(X[0], T), ValueError, r"log_probs must have shape \(n, c, ...\), got \(2,\)"),
        (lambda f: f(X, T + 2), ValueError, r"targets must be classes in \[0, 2\), got 2"),
        (lambda f: f(X, T - 1), ValueError, r"targets must be classes in \[0, 2\), got -1"),
        (lambda f: f(X, X), TypeError, "targets must be integers, got float64"),
        (lambda f: f(X, T.astype(bool)), TypeError, "targets must be integers, got bool"),
        (lambda f: f(X, T[:2]), ValueError, r"targets must have shape \(3,\), got \(2,\)"),
        (lambda f: f(X, np.full(3, 2**64 - 1, "u8")), ValueError, r"targets must be classes in \[0, 2\), got 18446744"),
        (lambda f: f(X, T, weight=np.ones(3)), ValueError, r"weight must have shape \(2,\), got \(3,\)"),
        (lambda f: f(X, T, weight=np.ones(2, "f4")), TypeError, "weight must be float64 like log_probs, got float32"),
        (lambda f: f(X, T, reduction="batchmean"), ValueError, "reduction must be one of 'mean', 'sum', 'none'"),
        (lambda f: f(X, T, ignore_index=1.0), TypeError, "ignore_index must be an int"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    for function in nk.nll_loss, nk.nll_loss_with_grad:
        with pytest.raises(error, match=message):
            call(function)


@pytest.mark.parametrize("kind", ["f4", "f8", "i8", "u1", "?"])
def test_one_hot_is_the_definition(rng, kind):
    for shape in [(), (0,), (5,), (3, 4), (2, 0, 3)]:
        indices = rng.integers(7, size=shape)
        y = nk.one_hot(indices, 7, dtype=kind)
        assert y.dtype == kind
        np.testing.assert_array_equal(y, reference.one_hot(indices, 7, dtype=kind))
        np.testing.assert_array_equal(nk.one_hot(indices.copy("F").astype("u1"), 7, dtype=kind), y)


def test_one_hot_equals_that_of_pytorch(rng):
    torch = pytest.importorskip("torch")
    indices = rng.integers(9, size=(4, 5))
    wanted = torch.nn.functional.one_hot(torch.from_numpy(indices), 9).numpy()
    np.testing.assert_array_equal(nk.one_hot(indices, 9, dtype=np.int64), wanted)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nk.one_hot([0, 3], 3, dtype="f4"), ValueError, r"indices must be in \[0, 3\), got 0 to 3"),
        (lambda: nk.one_hot([-1], 3, dtype="f4"), ValueError, r"indices must be in \[0, 3\), got -1 to -1"),
        (lambda: nk.one_hot([0.5], 3, dtype="f4"), TypeError, "indices must be integers, got float64"),
        (lambda: nk.one_hot([0], 0, dtype="f4"), ValueError, "num_classes must be at least 1, got 0"),
        (lambda: nk.one_hot([0], 2.0, dtype="f4"), TypeError, "num_classes must be an int, got float"),
        (lambda: nk.one_hot([0], 2**62, dtype="f4"), ValueError, "num_classes must leave a size that fits 64 bits"),
        (lambda: nk.one_hot([0], 2, dtype="U3"), TypeError, "dtype must be floating, integer or bool, got <U3"),
        (lambda: nk.one_hot([0], 2, dtype=None), TypeError, "dtype must be floating, integer or bool, got None"),
        (lambda: nk.one_hot([0], 2, dtype="x"), TypeError, "dtype must be a NumPy dtype, got 'x'"),
    ],
)
def test_errors_of_one_hot_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
