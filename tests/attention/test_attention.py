"""Attention: its definition, masks, layouts, threads, and arguments."""

import tracemalloc

import numpy as np
import pytest
from bounds import doubles

import npkernels as nk
from npkernels import reference

# leading axes, lq, lk, d, dv: edges of tiles, panels, blocks and parts
SIZES = [
    ((), 1, 1, 1, 1),
    ((2,), 3, 5, 7, 2),
    ((2, 3), 1, 70, 64, 64),
    ((3,), 4, 300, 33, 20),
    ((2,), 5, 17, 3, 8),
    ((2,), 16, 16, 16, 16),
    ((2,), 7, 65, 80, 3),
    ((1,), 50, 64, 64, 64),
    ((1,), 97, 129, 5, 130),
    ((1,), 33, 2100, 9, 4),
    ((), 2, 4500, 2, 3),
]
EMPTY = [  # leading axes, lq, lk, d, dv
    ((0,), 2, 3, 4, 5),
    ((2, 0), 2, 3, 4, 5),
    ((2,), 0, 3, 4, 5),
    ((2,), 2, 0, 4, 5),
    ((2,), 2, 3, 0, 5),
    ((2,), 2, 3, 4, 0),
]
MASKS = [None, "bool", "numbers"]


def problem(rng, dtype, sizes, kind=None):
    leading, lq, lk, d, dv = sizes
    q, k, v = (rng.standard_normal((*leading, *s)).astype(dtype) for s in ((lq, d), (lk, d), (lk, dv)))
    mask = None
    if kind == "bool":
        mask = rng.random((*leading, lq, lk)) < 0.6
    elif kind == "numbers":
        mask = rng.standard_normal((*leading, lq, lk)).astype(dtype)
    return (q, k, v), mask


def truth(operands, mask, **options):
    if mask is not None and mask.dtype != bool:
        mask = mask.astype(np.float64)
    return reference.attention(*doubles(*operands), mask=mask, **options)


def tolerance(operands, eps, lk):
    """A score of d terms is off by about eps sqrt(d) |q| |k| scale, and moves a mean of values by as much."""
    q, k, v = (np.abs(a).max(initial=0) for a in operands)
    scale = 1 / np.sqrt(operands[0].shape[-1])
    return 2 * eps * v * (4 + np.sqrt(lk) + q * k * np.sqrt(operands[0].shape[-1]) * scale * 4)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("sizes", SIZES)
def test_attention_is_its_definition(isa, dtype, eps, rng, sizes, kind, causal):
    operands, mask = problem(rng, dtype, sizes, kind)
    y, tape = nk.attention(*operands, mask=mask, causal=causal)
    wanted, _ = truth(operands, mask, causal=causal)
    assert tape is None
    assert y.dtype == dtype
    assert y.shape == wanted.shape
    assert (abs(y - wanted) <= tolerance(operands, eps, sizes[2])).all()


@pytest.mark.parametrize("lq", [1, 3, 20])
def test_means_of_whole_numbers_are_exact(isa, dtype, rng, lq):
    k, v = rng.standard_normal((2, 64, 5)).astype(dtype), rng.integers(-3, 4, (2, 64, 9)).astype(dtype)
    y, _ = nk.attention(np.zeros((2, lq, 5), dtype), k, v)  # every weight is 1 / 64
    np.testing.assert_array_equal(y, np.broadcast_to(v.mean(1, keepdims=True), y.shape))
    alone = np.eye(lq, 64, dtype=bool)
    y, _ = nk.attention(rng.standard_normal((2, lq, 5)).astype(dtype), k, v, mask=alone)
    np.testing.assert_array_equal(y, v[:, :lq])


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("sizes", SIZES)
def test_layouts_and_threads_change_no_bit(isa, dtype, rng, layouts, same_for_any_threads, sizes, kind):
    operands, mask = problem(rng, dtype, sizes, kind)
    wanted = nk.attention(*operands, mask=mask)[0].tobytes()
    for q, k, v in zip(*(layouts(a) for a in operands), strict=True):
        for arrays in (q, *operands[1:]), (operands[0], k, operands[2]), (*operands[:2], v):
            assert nk.attention(*arrays, mask=mask)[0].tobytes() == wanted
    for other in layouts(mask) if mask is not None else ():
        assert nk.attention(*operands, mask=other)[0].tobytes() == wanted
    for causal in (False, True):
        same_for_any_threads(lambda causal=causal: nk.attention(*operands, mask=mask, causal=causal)[0])


def test_a_head_does_not_depend_on_the_others(isa, dtype, rng):
    (q, k, v), _ = problem(rng, dtype, ((3, 4), 20, 2100, 6, 5))
    y, _ = nk.attention(q, k, v)
    for i, j in np.ndindex(3, 4):
        assert nk.attention(q[i, j], k[i, j], v[i, j])[0].tobytes() == y[i, j].tobytes()


def test_axes_are_broadcast(dtype, rng):
    (q, k, v), mask = problem(rng, dtype, ((2, 3), 6, 7, 4, 5), "bool")
    for arrays, m in (
        ((q, k[:1], v[0]), mask),
        ((q[0, 0], k, v[:, :1]), mask[0]),
        ((q, k[0, 0], v[0, 0]), mask[:, :1, :1]),
        ((q, k, v), mask[0, 0, 0]),
        ((q, k, v), np.ones((), bool)),
    ):
        whole = [np.ascontiguousarray(np.broadcast_to(a, (2, 3, *a.shape[-2:]))) for a in arrays]
        wanted, _ = nk.attention(*whole, mask=np.ascontiguousarray(np.broadcast_to(m, mask.shape)))
        assert nk.attention(*arrays, mask=m)[0].tobytes() == wanted.tobytes()


@pytest.mark.parametrize("lq", [2, 40])
def test_what_is_hidden_has_no_influence(isa, dtype, rng, lq):
    (q, k, v), _ = problem(rng, dtype, ((2,), lq, 90, 6, 5))
    seen = np.ones((lq, 90), bool)
    seen[:, 3::7] = False
    wanted, _ = nk.attention(q, k, v, mask=seen)
    for bad in np.nan, np.inf, -np.inf:
        k[:, 3::7], v[:, 3::7] = bad, bad
        np.testing.assert_array_equal(nk.attention(q, k, v, mask=seen)[0], wanted)
        k[:, 3::7] = 1  # a score of -inf hides as well
        np.testing.assert_array_equal(nk.attention(q, k, v, mask=np.where(seen, 0, -np.inf).astype(dtype))[0], wanted)
    (q, k, v), _ = problem(rng, dtype, ((2,), lq, 90, 6, 5))
    wanted, _ = nk.attention(q, k, v, causal=True)
    for i in range(1, lq):
        k[:, i], v[:, i] = np.nan, np.inf
        y, _ = nk.attention(q, k, v, causal=True)
        np.testing.assert_array_equal(y[:, :i], wanted[:, :i])
        assert np.isnan(y[:, i:]).all()
        break


def test_a_query_that_sees_nothing_gives_0(isa, dtype, rng):
    for lq in (3, 20):
        (q, k, v), _ = problem(rng, dtype, ((2,), lq, 30, 6, 5))
        seen = np.ones((lq, 30), bool)
        seen[1] = False
        added = np.where(seen, 0, -np.inf).astype(dtype)
        v[0, 4] = np.nan
        for mask in (seen, added):
            y, _ = nk.attention(q, k, v, mask=mask)
            np.testing.assert_array_equal(y[:, 1], 0)
            assert np.isnan(y[0, 0]).all()
            assert np.isfinite(y[1]).all()


def test_scores_of_any_size(isa, dtype, eps, rng):
    (q, k, v), _ = problem(rng, dtype, ((2,), 20, 200, 6, 5))
    for factor in (1e-30, 1e3, 1e15):
        y, _ = nk.attention(q * dtype.type(factor), k, v)
        assert np.isfinite(y).all()
    wanted = v[np.arange(2)[:, None], (q @ np.swapaxes(k, 1, 2)).argmax(2)]
    np.testing.assert_array_equal(y, wanted)  # the largest score alone counts
    for scale in (0, -0.5, 2):
        y, _ = nk.attention(q, k, v, scale=scale)
        assert (abs(y - truth((q, k, v), None, scale=scale)[0]) <= 3 * tolerance((q, k, v), eps, 200)).all()


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("sizes", SIZES)
def test_attention_is_that_of_pytorch(rng, sizes, kind):
    torch = pytest.importorskip("torch")
    operands, mask = problem(rng, np.dtype(np.float64), sizes, kind)
    attention = torch.nn.functional.scaled_dot_product_attention
    tensors, masked = [torch.from_numpy(a) for a in operands], None if mask is None else torch.from_numpy(mask)
    for options in {}, {"scale": 0.7}, *([{"is_causal": True}] if mask is None else []):
        wanted = attention(*tensors, attn_mask=masked, **options).numpy()
        ours = {"causal" if key == "is_causal" else key: value for key, value in options.items()}
        np.testing.assert_allclose(nk.attention(*operands, mask=mask, **ours)[0], wanted, rtol=1e-11, atol=1e-13)


def test_memory_is_linear_in_the_length(rng):
    q = rng.standard_normal((6000, 4)).astype(np.float32)
    mask = np.broadcast_to(rng.random(6000) < 0.5, (6000, 6000))
    tracemalloc.start()
    nk.attention(q, q, q, mask=mask)
    nk.attention(q[::-1].T.copy().T, q, q, causal=True)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * q.nbytes


def test_read_only_and_empty_arrays(dtype):
    for leading, lq, lk, d, dv in EMPTY:
        q, k, v = (np.ones((*leading, *s), dtype) for s in ((lq, d), (lk, d), (lk, dv)))
        for a in q, k, v:
            a.flags.writeable = False
        y, _ = nk.attention(q, k, v, mask=np.ones((lq, lk), bool))
        assert y.shape == (*leading, lq, dv)
        np.testing.assert_array_equal(y, 1 if lk else 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: nk.attention(x[0], x, x), ValueError, r"q must have shape \(\.\.\., lq, d\), got \(3,\)"),
        (lambda x: nk.attention(x, x[:, :2], x), ValueError, r"k must have shape \(\.\.\., lk, 3\), got \(4, 2\)"),
        (lambda x: nk.attention(x, x, x[:3]), ValueError, r"v must have shape \(\.\.\., 4, dv\), got \(3, 3\)"),
        (lambda x: nk.attention(x[None], x, np.ones((2, 2, 4, 3))), ValueError, None),
        (
            lambda x: nk.attention(np.stack([x, x]), np.stack([x, x, x]), x),
            ValueError,
            r"the leading axes of k must broadcast with \(2,\), got \(3,\)",
        ),
        (lambda x: nk.attention(x.astype(int), x, x), TypeError, "q must be float32 or float64, got int64"),
        (lambda x: nk.attention(x, x.astype("f4"), x), TypeError, "k must be float64 like q, got float32"),
        (
            lambda x: nk.attention(x, x, x, mask=np.ones((4, 4), int)),
            TypeError,
            "mask must be bool or float64, got int64",
        ),
        (lambda x: nk.attention(x, x, x, mask=np.ones((4, 4), "f4")), TypeError, "mask must be float64 like q"),
        (
            lambda x: nk.attention(x, x, x, mask=np.ones((2, 4), bool)),
            ValueError,
            r"mask must broadcast to shape \(4, 4\), got \(2, 4\)",
        ),
        (
            lambda x: nk.attention(x, x, x, mask=np.ones((2, 4, 4), bool)),
            ValueError,
            r"mask must broadcast to shape \(4, 4\), got \(2, 4, 4\)",
        ),
        (lambda x: nk.attention(x, x, x, causal=1), TypeError, "causal must be a bool, got int"),
        (lambda x: nk.attention(x, x, x, scale="1"), TypeError, "scale must be a number, got str"),
        (lambda x: nk.attention(x, x, x, training=None), TypeError, "training must be a bool"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    if message is None:  # what broadcasts is no error
        assert call(np.ones((4, 3)))[0].shape == (2, 2, 4, 3)
        return
    with pytest.raises(error, match=message):
        call(np.ones((4, 3)))


@pytest.mark.parametrize("lq", [1, 3, 20])
@pytest.mark.parametrize("sign", [-1, 1])
def test_masks_of_the_largest_numbers(isa, dtype, rng, lq, sign):
    """A row that is hidden by the least finite number sees all keys alike, as in PyTorch; one by -inf sees none."""
    q, k, v = (rng.standard_normal((2, n, 5)).astype(dtype) for n in (lq, 37, 37))
    mask = np.zeros((lq, 37), dtype)
    mask[0] = sign * np.finfo(dtype).max
    y, tape = nk.attention(q, k, v, mask=mask, training=True)
    dq, _, dv = nk.attention_backward(np.ones_like(y), tape)
    np.testing.assert_allclose(y[:, 0], v.mean(1), rtol=0, atol=40 * np.finfo(dtype).eps)
    assert np.isfinite(dq).all()
    assert np.isfinite(dv).all()
    wanted, _ = reference.attention(q[:, 1:], k, v)
    np.testing.assert_allclose(y[:, 1:], wanted, rtol=0, atol=100 * np.finfo(dtype).eps)
