"""The focal loss: against the definition, PyTorch, central differences; extremes; layouts; errors."""

import functools

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

CASES = [{}, {"alpha": -1}, {"gamma": 0}, {"gamma": 1, "alpha": 0.9}, {"gamma": 0.5}, {"gamma": 3.7}]


def problem(rng, shape, dtype):
    targets = rng.random(shape)
    targets = np.where(targets < 0.5, np.round(targets * 2), targets)
    return (4 * rng.standard_normal(shape)).astype(dtype), targets.astype(dtype)


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("shape", [(), (0,), (7,), (33,), (5, 7), (47, 101)])
def test_losses_are_near_the_definition(isa, dtype, rng, eps, shape, options):
    x, y = problem(rng, shape, dtype)
    wanted = reference.sigmoid_focal_loss_with_grad(x.astype("f8"), y.astype("f8"), **options)
    got = nk.sigmoid_focal_loss_with_grad(x, y, **options)
    # the power errs by gamma times the error of ln q, about 2 ULP of it and of q
    bound = 32 * eps * (1 + options.get("gamma", 2) * (1 + np.abs(x).max(initial=0)))
    for one, exact in zip(got, wanted, strict=True):
        assert one.dtype == dtype
        np.testing.assert_allclose(one, exact, rtol=bound, atol=bound * 0.01)
    np.testing.assert_array_equal(nk.sigmoid_focal_loss(x, y, **options), got[0])


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_losses_equal_the_formula_of_torchvision(isa, rng, options, reduction):
    torch = pytest.importorskip("torch")
    x, y = problem(rng, (6, 11), np.float64)
    leaf, target = torch.from_numpy(x.copy()).requires_grad_(), torch.from_numpy(y)
    p, alpha = torch.sigmoid(leaf), options.get("alpha", 0.25)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(leaf, target, reduction="none")
    loss = entropy * (1 - (p * target + (1 - p) * (1 - target))) ** options.get("gamma", 2)
    loss = loss * (alpha * target + (1 - alpha) * (1 - target)) if alpha >= 0 else loss
    loss = {"none": lambda: loss, "mean": loss.mean, "sum": loss.sum}[reduction]()
    loss.sum().backward()
    got, dx = nk.sigmoid_focal_loss_with_grad(x, y, **options, reduction=reduction)
    np.testing.assert_allclose(got, loss.detach().numpy(), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("options", CASES)
def test_gradients_equal_central_differences(isa, rng, options):
    x, y = problem(rng, (40,), np.float64)
    dx, h = nk.sigmoid_focal_loss_with_grad(x, y, **options)[1], 1e-5
    slope = (nk.sigmoid_focal_loss(x + h, y, **options) - nk.sigmoid_focal_loss(x - h, y, **options)) / (2 * h)
    np.testing.assert_allclose(dx, slope, atol=1e-8)


@pytest.mark.parametrize("options", CASES)
def test_logits_of_any_finite_size(isa, dtype, options):
    big = float(np.finfo(dtype).max) / 8
    x, y = np.array([big, -big, 1000, -1000], dtype), np.array([1, 0, 1, 0], dtype)
    loss, dx = nk.sigmoid_focal_loss_with_grad(x, y, **options)
    np.testing.assert_array_equal(loss, 0)
    np.testing.assert_array_equal(dx, 0)
    alpha = options.get("alpha", 0.25)
    loss, dx = nk.sigmoid_focal_loss_with_grad(np.array([1000, -1000], dtype), np.array([0, 1], dtype), **options)
    weights = np.array([1 - alpha, alpha] if alpha >= 0 else [1, 1])
    np.testing.assert_allclose(loss, 1000 * weights, rtol=1e-6)
    np.testing.assert_allclose(dx, [weights[0], -weights[1]], rtol=1e-6)


def test_layouts_and_threads_give_the_same_bits(isa, dtype, rng, layouts, same_for_any_threads):
    x, y = problem(rng, (130, 171), dtype)
    function = functools.partial(nk.sigmoid_focal_loss_with_grad, gamma=1.5, reduction="mean")
    wanted = same_for_any_threads(lambda: function(x, y))
    for a, b in zip(layouts(x), layouts(y), strict=True):
        for got in function(a, y), function(x, b):
            assert [np.asarray(g).tobytes() for g in got] == [np.asarray(w).tobytes() for w in wanted]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gamma": -1}, ValueError, "gamma must be at least 0, got -1"),
        ({"gamma": "2"}, TypeError, "gamma must be a number, got str"),
        ({"alpha": 1.5}, ValueError, "alpha must be at most 1, got 1.5"),
        ({"reduction": "batchmean"}, ValueError, "reduction must be one of"),
        ({"targets": np.ones(2)}, ValueError, r"targets must have shape \(3,\), got \(2,\)"),
        ({"targets": np.ones(3, "f4")}, TypeError, "targets must be float64 like logits"),
    ],
)
def test_errors_name_the_argument(options, error, message):
    for function in nk.sigmoid_focal_loss, nk.sigmoid_focal_loss_with_grad:
        with pytest.raises(error, match=message):
            function(np.ones(3), **({"targets": np.ones(3)} | options))
