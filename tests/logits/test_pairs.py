"""Losses of rows and the cosine of pairs: against the definition, PyTorch, central differences; layouts; errors."""

import functools

import numpy as np
import pytest
from bounds import integers

import npkernels as nk
from npkernels import reference

SHAPES = [(1, 1), (7, 5), (3, 16), (4, 33), (2, 3, 17), (5,), (40, 700), (3, 0), (0, 4)]
LOSSES = ["multi_margin_loss", "triplet_margin_loss", "gaussian_kl"]
REDUCTIONS = ["mean", "sum", "none"]


def problem(rng, name, shape, dtype):
    """The arguments of a loss, the floating ones first in the tuple that counts them."""
    if name == "multi_margin_loss":
        n, c = (shape[0], max(1, shape[-1]))
        return (rng.standard_normal((n, c)).astype(dtype), rng.integers(c, size=n)), 1
    count = 3 if name == "triplet_margin_loss" else 2
    return tuple(rng.standard_normal(shape).astype(dtype) for _ in range(count)), count


def widened(arguments):
    return [x.astype("f8") if x.dtype.kind == "f" else x for x in arguments]


CASES = [
    (name, shape, reduction)
    for name in LOSSES
    for shape in SHAPES
    for reduction in (*REDUCTIONS, "batchmean")
    if (name != "multi_margin_loss" or len(shape) == 2)
    and (reduction != "batchmean" or (name == "gaussian_kl" and len(shape) > 1))
]


@pytest.mark.parametrize(("name", "shape", "reduction"), CASES)
def test_losses_are_near_the_definition(isa, dtype, rng, eps, name, shape, reduction):
    arguments, count = problem(rng, name, shape, dtype)
    got = getattr(nk, f"{name}_with_grad")(*arguments, reduction=reduction)
    wanted = getattr(reference, f"{name}_with_grad")(*widened(arguments), reduction=reduction)
    assert len(got) == count + 1
    assert got[0].dtype == dtype
    # terms of the size of 1 are rounded a few times, sums are taken in double; losses of rows are rounded once more
    rows = 16 * eps * (8 + np.abs(wanted[0]).max(initial=0)) * max(1, shape[-1])
    np.testing.assert_allclose(got[0], wanted[0], rtol=32 * eps, atol=rows)
    for one, gradient, x in zip(got[1:], wanted[1:], arguments, strict=False):
        assert (one.dtype, one.shape) == (dtype, x.shape)
        scale = np.abs(gradient).max(initial=0)
        np.testing.assert_allclose(one, gradient, rtol=32 * eps, atol=32 * eps * scale)
    np.testing.assert_array_equal(getattr(nk, name)(*arguments, reduction=reduction), got[0])


def test_margins_of_integers_are_exact(isa, dtype, rng):
    for n, c in (5, 8), (3, 64), (9, 2):  # powers of 2 divide exactly
        x, targets = integers(rng, (n, c), dtype), rng.integers(c, size=n)
        got = nk.multi_margin_loss_with_grad(x, targets, reduction="sum")
        wanted = reference.multi_margin_loss_with_grad(x.astype("f8"), targets, reduction="sum")
        for one, exact in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, exact)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["multi_margin_loss", "triplet_margin_loss"])
def test_losses_equal_those_of_pytorch(rng, name, reduction):
    torch = pytest.importorskip("torch")
    for shape in (6, 5), (4, 30):
        arguments, count = problem(rng, name, shape, np.float64)
        leaves = [torch.from_numpy(x.copy()) for x in arguments]
        for leaf in leaves[:count]:
            leaf.requires_grad_()
        for margin in (1.0, 0.25):
            for leaf in leaves[:count]:
                leaf.grad = None
            wanted = getattr(torch.nn.functional, name)(*leaves, margin=margin, reduction=reduction)
            wanted.sum().backward()
            loss, *gradients = getattr(nk, f"{name}_with_grad")(*arguments, margin=margin, reduction=reduction)
            np.testing.assert_allclose(loss, wanted.detach().numpy(), rtol=1e-12, atol=1e-13)
            for gradient, leaf in zip(gradients, leaves, strict=False):
                np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=1e-11, atol=1e-14)


def test_divergence_is_that_of_pytorch(rng):
    torch = pytest.importorskip("torch")
    mean, log_var = rng.standard_normal((2, 5, 7))
    normal = torch.distributions.Normal
    q = normal(torch.from_numpy(mean), torch.exp(torch.from_numpy(log_var) / 2))
    wanted = torch.distributions.kl_divergence(q, normal(0.0, 1.0)).sum(-1).numpy()
    np.testing.assert_allclose(nk.gaussian_kl(mean, log_var, reduction="none"), wanted, rtol=1e-12)
    np.testing.assert_allclose(nk.gaussian_kl(mean, log_var), wanted.mean(), rtol=1e-12)


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("shape", [(7, 5), (3, 16, 40), (40, 33)])
def test_cosines_are_near_the_definition_and_pytorch(isa, dtype, rng, eps, shape, axis):
    a, b = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    c = nk.cosine_similarity(a, b, axis)
    wanted = reference.cosine_similarity(*widened((a, b)), axis)
    np.testing.assert_allclose(c, wanted, rtol=eps, atol=eps / 2 + 8 * np.finfo("f8").eps)
    dy = rng.standard_normal(c.shape).astype(dtype)
    got = nk.cosine_similarity_backward(dy, a, b, axis)
    for one, gradient in zip(got, reference.cosine_similarity_backward(*widened((dy, a, b)), axis), strict=True):
        np.testing.assert_allclose(one, gradient, rtol=8 * eps, atol=8 * eps * np.abs(gradient).max())
    if dtype == np.float64:
        torch = pytest.importorskip("torch")
        leaves = [torch.from_numpy(x.copy()).requires_grad_() for x in (a, b)]
        cosines = torch.nn.functional.cosine_similarity(*leaves, dim=axis)
        cosines.backward(torch.from_numpy(dy))
        np.testing.assert_allclose(c, cosines.detach().numpy(), rtol=1e-13, atol=1e-14)
        for one, leaf in zip(got, leaves, strict=True):
            np.testing.assert_allclose(one, leaf.grad.numpy(), rtol=1e-12, atol=1e-13)


def test_cosines_of_zeros_are_those_of_pytorch(isa, dtype):
    torch = pytest.importorskip("torch")
    a, b = np.array([[0, 0], [1, 0], [0, 0]], dtype), np.array([[1, 2], [0, 0], [0, 0]], dtype)
    leaves = [torch.from_numpy(x.copy()).requires_grad_() for x in (a, b)]
    torch.nn.functional.cosine_similarity(*leaves).sum().backward()
    np.testing.assert_array_equal(nk.cosine_similarity(a, b), 0)
    for one, leaf in zip(nk.cosine_similarity_backward(np.ones(3, dtype), a, b), leaves, strict=True):
        np.testing.assert_allclose(one, leaf.grad.numpy(), rtol=1e-6)


def calls(rng, dtype, shape):
    """(function, arguments) of all functions at once."""
    for name in LOSSES:
        yield functools.partial(getattr(nk, f"{name}_with_grad"), reduction="sum"), problem(rng, name, shape, dtype)[0]
    a, b = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    yield functools.partial(nk.cosine_similarity, axis=0), (a, b)
    yield functools.partial(nk.cosine_similarity_backward, axis=0), (rng.standard_normal(shape[1]).astype(dtype), a, b)


@pytest.mark.parametrize("shape", [(30, 33), (400, 17)])
def test_layouts_and_threads_give_the_same_bits(isa, dtype, rng, layouts, same_for_any_threads, shape):
    for f, arguments in calls(rng, dtype, shape):
        wanted = same_for_any_threads(lambda f=f, arguments=arguments: f(*arguments))
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for i in range(len(arguments)):
            for layout in layouts(arguments[i]):
                got = f(*arguments[:i], layout, *arguments[i + 1 :])
                for one, exact in zip(got if isinstance(got, tuple) else (got,), wanted, strict=True):
                    assert np.asarray(one).tobytes() == np.asarray(exact).tobytes()


def test_gradients_equal_central_differences(rng):
    for name in LOSSES:
        arguments, count = problem(rng, name, (4, 6), np.float64)
        gradients = getattr(nk, f"{name}_with_grad")(*arguments)[1:]
        for array, gradient in zip(arguments[:count], gradients, strict=True):
            for place in np.ndindex(array.shape):
                before, ends = array[place], []
                for step in (1e-6, -1e-6):
                    array[place] = before + step
                    ends.append(getattr(nk, name)(*arguments))
                array[place] = before
                assert abs((ends[0] - ends[1]) / 2e-6 - gradient[place]) < 1e-6


def test_nan_travels_and_empty_means_are_nan(dtype):
    nan = np.full((2, 3), np.nan, dtype)
    assert np.isnan(nk.multi_margin_loss(nan, [0, 1]))
    assert np.isnan(nk.triplet_margin_loss(nan, nan, nan))
    assert np.isnan(nk.gaussian_kl(nan, nan))
    assert np.isnan(nk.cosine_similarity(nan, nan)).all()
    assert np.isnan(nk.multi_margin_loss(np.zeros((0, 3), dtype), np.zeros(0, int)))
    assert nk.triplet_margin_loss(*(np.zeros((0, 3), dtype),) * 3, reduction="sum") == 0


def test_sums_of_long_rows_are_accurate(isa, dtype, eps):
    a = np.full((1, 1_000_001), 0.1, dtype)
    exact = np.float64(a[0, 0]) ** 2 * a.size / 2
    bound = 2 * eps + a.size * np.finfo("f8").eps  # a few chains in double
    assert abs(nk.gaussian_kl(a, np.zeros_like(a)) - exact) <= bound * exact
    assert abs(nk.cosine_similarity(a, a)[0] - 1) <= bound


X, T = np.ones((3, 2)), np.zeros(3, int)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nk.multi_margin_loss(X[0], T), ValueError, r"scores must have shape \(n, c\), got \(2,\)"),
        (lambda: nk.multi_margin_loss(X, T + 2), ValueError, r"targets must be classes in \[0, 2\), got 2"),
        (lambda: nk.multi_margin_loss(X, X), TypeError, "targets must be integers, got float64"),
        (lambda: nk.multi_margin_loss(X, T, margin="1"), TypeError, "margin must be a number, got str"),
        (lambda: nk.multi_margin_loss(X, T, reduction="x"), ValueError, "reduction must be one of"),
        (lambda: nk.triplet_margin_loss(X, X[:2], X), ValueError, r"positive must have shape \(3, 2\), got \(2, 2\)"),
        (lambda: nk.triplet_margin_loss(X, X, X.astype("f4")), TypeError, "negative must be float64 like anchor"),
        (lambda: nk.triplet_margin_loss(X[0, 0], X, X), ValueError, r"anchor must have shape \(..., d\), got \(\)"),
        (lambda: nk.gaussian_kl(X, X[0]), ValueError, r"log_var must have shape \(3, 2\), got \(2,\)"),
        (lambda: nk.gaussian_kl(X[0], X[0]), ValueError, "mean must have shape .* for the reduction 'batchmean'"),
        (lambda: nk.cosine_similarity(X, X[0]), ValueError, r"b must have shape \(3, 2\), got \(2,\)"),
        (lambda: nk.cosine_similarity(X, X, 2), ValueError, r"axis must be in \[-2, 2\), got 2"),
        (lambda: nk.cosine_similarity_backward(X, X, X), ValueError, r"dy must have shape \(3,\), got \(3, 2\)"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
