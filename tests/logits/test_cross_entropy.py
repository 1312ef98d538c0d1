import itertools

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

# n, c and spatial axes: few classes, one vector and more, classes that are not the last axis
SHAPES = [(1, 3), (37, 10), (20, 32), (20, 33), (5, 1000), (3, 10, 5), (2, 40, 4, 7), (2, 3, 17)]
OPTIONS = [
    dict(zip(("weighted", "ignore", "label_smoothing", "reduction"), values, strict=True))
    for values in itertools.product([False, True], [None, 1, -100], [0.0, 0.1], ["mean", "sum", "none"])
]


def problem(rng, shape, dtype, weighted=False, ignore=None, **options):
    """Logits, classes and the options of a call; some samples ignored where that is asked."""
    logits = (3 * rng.standard_normal(shape)).astype(dtype)
    targets = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    if ignore is not None:
        targets[rng.random(targets.shape) < 0.3] = ignore
        options["ignore_index"] = ignore
    if weighted:
        options["weight"] = (rng.random(shape[1]) + 0.5).astype(dtype)
    return logits, targets, options


def widen(options):
    return {k: v.astype(np.float64) if isinstance(v, np.ndarray) else v for k, v in options.items()}


def assert_loss(got, logits, targets, options, eps):
    """Against float64. A probability p has the error of `assert_softmax`, log p its rounding and as much besides; the
    gradient is weight (p - q), the loss weight log p, q being the target distribution. Measured: 0.4 of it."""
    loss, dlogits = got
    classes, c = targets.dtype.kind == "i", logits.shape[1]
    targets64 = targets if classes else targets.astype(np.float64)
    wide, options = logits.astype(np.float64), widen(options)
    wanted, gradient = reference.softmax_cross_entropy_with_grad(wide, targets64, **options)
    rounding = ((wide.max(1) - wide.min(1)).max(initial=0) + np.sqrt(c) + 4) * eps
    weight, reduction = options.get("weight", np.ones(c)), options.get("reduction", "mean")
    counted = np.ones(targets.shape, bool) if classes else np.ones(wide[:, 0].shape, bool)
    q = targets64
    if classes:
        counted &= targets != options.get("ignore_index")
        q = np.moveaxis(np.eye(c)[np.where(counted, targets, 0)] * counted[..., None], -1, 1)
    divisor = 1.0
    if reduction == "mean":
        divisor = weight[targets[counted]].sum() if classes else counted.size
    assert loss.dtype == dlogits.dtype == logits.dtype
    assert np.shape(loss) == np.shape(wanted)
    assert dlogits.shape == logits.shape
    assert np.array_equal(np.isnan(loss), np.isnan(wanted))
    if not counted.any():
        assert np.isnan(loss).all() if reduction == "mean" else not np.any(loss)
        assert not dlogits.any()
        return
    most = weight.max() / divisor
    many = 1 if reduction == "none" else np.sqrt(counted.sum())  # sums in float64 of errors of random signs
    assert (abs(loss - wanted) <= rounding * (most * many + abs(wanted))).all()
    smoothing = options.get("label_smoothing", 0.0)
    size = most * (reference.softmax(wide, 1) + q + smoothing / c)
    assert (abs(dlogits - gradient) <= rounding * size + np.finfo(logits.dtype).tiny).all()


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_classes_are_within_the_bound_of_the_definition(dtype, eps, rng, shape, options):
    logits, targets, options = problem(rng, shape, dtype, **options)
    got = nk.softmax_cross_entropy_with_grad(logits, targets, **options)
    assert_loss(got, logits, targets, options, eps)
    alone = nk.softmax_cross_entropy(logits, targets, **options)
    assert np.array_equal(alone, got[0], equal_nan=True)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", SHAPES)
def test_probabilities_are_within_the_bound_of_the_definition(
    isa, dtype, eps, rng, shape, weighted, smoothing, reduction
):
    logits, _, options = problem(rng, shape, dtype, weighted, label_smoothing=smoothing, reduction=reduction)
    targets = reference.softmax(rng.standard_normal(shape), 1).astype(dtype)
    got = nk.softmax_cross_entropy_with_grad(logits, targets, **options)
    assert_loss(got, logits, targets, options, eps)
    assert np.array_equal(nk.softmax_cross_entropy(logits, targets, **options), got[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_every_isa_is_within_the_bound(isa, dtype, eps, rng, shape):
    logits, targets, options = problem(rng, shape, dtype, True, 1, label_smoothing=0.1)
    assert_loss(nk.softmax_cross_entropy_with_grad(logits, targets, **options), logits, targets, options, eps)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", [(12, 10), (4, 5, 3), (7, 40)])
def test_equal_to_pytorch(rng, shape, options):
    torch = pytest.importorskip("torch")
    logits, targets, options = problem(rng, shape, np.float64, **options)
    loss, dlogits = nk.softmax_cross_entropy_with_grad(logits, targets, **options)
    theirs = torch.from_numpy(logits).requires_grad_(True)
    torch_options = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    wanted = torch.nn.functional.cross_entropy(theirs, torch.from_numpy(targets), **torch_options)
    wanted.sum().backward()
    eps = np.finfo(float).eps  # both round a few times a class, of up to 40
    assert np.allclose(loss, wanted.detach().numpy(), rtol=32 * eps, atol=32 * eps)
    assert np.allclose(
        dlogits, theirs.grad.numpy(), rtol=0, atol=32 * eps * abs(dlogits).max(initial=0), equal_nan=True
    )


@pytest.mark.parametrize("shape", [(6, 10), (3, 40), (2, 5, 3)])
@pytest.mark.parametrize("soft", [False, True])
def test_gradient_equals_central_differences(isa, rng, shape, soft):
    logits, targets, options = problem(rng, shape, np.float64, True, label_smoothing=0.1)
    if soft:
        targets = reference.softmax(rng.standard_normal(shape), 1)
    _, dlogits = nk.softmax_cross_entropy_with_grad(logits, targets, **options)
    step = 1e-5
    for index in itertools.islice(np.ndindex(shape), 0, None, 5):
        before = logits[index]
        logits[index] = before + step
        above = nk.softmax_cross_entropy(logits, targets, **options)
        logits[index] = before - step
        below = nk.softmax_cross_entropy(logits, targets, **options)
        logits[index] = before
        assert abs((above - below) / (2 * step) - dlogits[index]) < 1e-8


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("c", [10, 40])
def test_all_ignored(isa, dtype, c, reduction):
    logits, targets = np.full((4, c), np.nan, dtype), np.full(4, -1)
    loss, dlogits = nk.softmax_cross_entropy_with_grad(logits, targets, ignore_index=-1, reduction=reduction)
    assert not dlogits.any()
    if reduction == "mean":
        assert np.isnan(loss)
    else:
        assert not np.any(loss)


@pytest.mark.parametrize("c", [10, 40])
def test_logits_of_any_size(isa, dtype, c):
    logits = np.zeros((4, c), dtype)
    logits[0] = 1e4
    logits[1, 3] = 1e4
    logits[2, 5] = -np.inf
    logits[3, 0] = np.inf
    targets = np.array([0, 3, 5, 1])
    loss, dlogits = nk.softmax_cross_entropy_with_grad(logits, targets, reduction="none")
    eps = np.finfo(dtype).eps
    assert np.allclose(loss[:2], [np.log(c), 0], rtol=4 * eps, atol=0)
    assert loss[2] == np.inf
    assert np.isnan(loss[3])
    wanted = reference.softmax_cross_entropy_with_grad(logits.astype(np.float64), targets, reduction="none")[1]
    assert np.allclose(dlogits, wanted, rtol=8 * eps, atol=0, equal_nan=True)


@pytest.mark.parametrize("shape", [(37, 10), (21, 50), (3, 12, 20)])
@pytest.mark.parametrize("soft", [False, True])
def test_strides_and_kinds_of_labels_change_no_bit(isa, dtype, rng, layouts, shape, soft):
    logits, targets, options = problem(rng, shape, dtype, True, label_smoothing=0.1)
    if soft:
        targets = reference.softmax(rng.standard_normal(shape), 1).astype(dtype)
    loss, dlogits = nk.softmax_cross_entropy_with_grad(logits, targets, **options)
    for logits_, targets_ in zip(layouts(logits), layouts(targets), strict=True):
        one, gradient = nk.softmax_cross_entropy_with_grad(logits_, targets_, **options)
        assert one == loss
        assert np.array_equal(gradient, dlogits)
    if not soft:
        for kind in ("u1", "i2", ">i4", "u8"):
            assert nk.softmax_cross_entropy(logits, targets.astype(kind), **options) == loss
        assert nk.softmax_cross_entropy(logits, targets.tolist(), **options) == loss


@pytest.mark.parametrize("shape", [(6000, 10), (900, 50), (30, 10, 100)])
def test_threads_change_no_bit(isa, dtype, rng, same_for_any_threads, shape):
    logits, targets, _ = problem(rng, shape, dtype)
    same_for_any_threads(lambda: nk.softmax_cross_entropy_with_grad(logits, targets))


def test_no_samples(dtype):
    logits, targets = np.empty((0, 5), dtype), np.empty(0, int)
    assert np.isnan(nk.softmax_cross_entropy(logits, targets))
    assert nk.softmax_cross_entropy(logits, targets, reduction="sum") == 0
    assert nk.softmax_cross_entropy_with_grad(logits, targets)[1].shape == (0, 5)


x32, t = np.ones((2, 3), np.float32), np.array([0, 2])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda f: f(x32.astype(int), t), TypeError, "logits must be float32 or float64, got int64"),
        (lambda f: f(x32[0], t), ValueError, "logits must have shape (n, c, ...), got (3,)"),
        (lambda f: f(x32, t[:1]), ValueError, "targets must have shape (2,), got (1,)"),
        (lambda f: f(x32, np.array([0, 3])), ValueError, "targets must be classes in [0, 3), got 3"),
        (lambda f: f(x32, np.array([-1, 0])), ValueError, "targets must be classes in [0, 3), got -1"),
        (lambda f: f(x32, np.array([0, 2**64 - 1], "u8")), ValueError, "targets must be classes in [0, 3)"),
        (lambda f: f(x32, np.array([-100, 0])), ValueError, "targets must be classes in [0, 3), got -100"),
        (lambda f: f(x32, t == 0), TypeError, "targets must be integers or of the dtype of logits, got bool"),
        (lambda f: f(x32, x32.astype(float)), TypeError, "targets must be float32 like logits, got float64"),
        (lambda f: f(x32, x32[:1]), ValueError, "targets must have shape (2, 3), got (1, 3)"),
        (lambda f: f(x32, x32, ignore_index=0), ValueError, "ignore_index must go with classes"),
        (lambda f: f(x32, t, ignore_index=1.0), TypeError, "ignore_index must be an int, got float"),
        (lambda f: f(x32, t, weight=np.ones(3)), TypeError, "weight must be float32 like logits, got float64"),
        (lambda f: f(x32, t, weight=np.ones(2, "f4")), ValueError, "weight must have shape (3,), got (2,)"),
        (lambda f: f(x32, t, label_smoothing=1.5), ValueError, "label_smoothing must be in [0, 1], got 1.5"),
        (lambda f: f(x32, t, label_smoothing="a"), TypeError, "label_smoothing must be a number, got str"),
        (lambda f: f(x32, t, label_smoothing=np.nan), ValueError, "label_smoothing must be in [0, 1], got nan"),
        (lambda f: f(x32, t, reduction="all"), ValueError, "reduction must be one of 'mean', 'sum', 'none', got 'all'"),
        (lambda f: f(x32, t, reduction=None), TypeError, "reduction must be a string, got NoneType"),
    ],
)
def test_bad_input_is_named(call, error, text):
    for function in (nk.softmax_cross_entropy, nk.softmax_cross_entropy_with_grad):
        with pytest.raises(error) as caught:
            call(function)
        assert text in str(caught.value)
