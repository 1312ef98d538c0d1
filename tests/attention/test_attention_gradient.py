"""The gradients of attention: their definition, differences, masks, layouts, threads, and arguments."""

import numpy as np
import pytest
from attention.test_attention import EMPTY, MASKS, SIZES, problem
from bounds import doubles

import npkernels as nk
from npkernels import reference


def gradients(operands, dy, **options):
    return nk.attention_backward(dy, nk.attention(*operands, **options, training=True)[1])


def truth(operands, dy, mask=None, **options):
    if mask is not None and mask.dtype != bool:
        mask = mask.astype(np.float64)
    *operands, dy = doubles(*operands, dy)
    return reference.attention_backward(dy, reference.attention(*operands, mask=mask, **options, training=True)[1])


def gradient_problem(rng, dtype, sizes, kind=None):
    operands, mask = problem(rng, dtype, sizes, kind)
    return operands, mask, rng.standard_normal((*sizes[0], sizes[1], sizes[4])).astype(dtype)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_are_their_definition(isa, dtype, eps, rng, sizes, kind, causal):
    operands, mask, dy = gradient_problem(rng, dtype, sizes, kind)
    found = gradients(operands, dy, mask=mask, causal=causal)
    for got, x, wanted in zip(found, operands, truth(operands, dy, mask, causal=causal), strict=True):
        assert got.dtype == dtype
        assert got.shape == x.shape
        assert (abs(got - wanted) <= 100 * eps * (1 + abs(wanted).max())).all()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", MASKS)
def test_gradients_are_those_of_central_differences(rng, kind, causal):
    operands, mask, dy = gradient_problem(rng, np.dtype(np.float64), ((2,), 9, 11, 4, 5), kind)
    step = 1e-6
    for i, gradient in enumerate(gradients(operands, dy, mask=mask, causal=causal)):
        direction = rng.standard_normal(gradient.shape)
        ends = []
        for sign in (1, -1):
            moved = [a + sign * step * direction if i == j else a for j, a in enumerate(operands)]
            ends.append(nk.attention(*moved, mask=mask, causal=causal)[0])
        slope = ((ends[0] - ends[1]) * dy).sum() / (2 * step)
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_are_those_of_pytorch(rng, sizes, kind):
    torch = pytest.importorskip("torch")
    operands, mask, dy = gradient_problem(rng, np.dtype(np.float64), sizes, kind)
    masked = None if mask is None else torch.from_numpy(mask)
    for options in {}, {"scale": 0.7}, *([{"is_causal": True}] if mask is None else []):
        leaves = [torch.from_numpy(a.copy()).requires_grad_() for a in operands]
        y = torch.nn.functional.scaled_dot_product_attention(*leaves, attn_mask=masked, **options)
        y.backward(torch.from_numpy(dy))
        ours = {"causal" if key == "is_causal" else key: value for key, value in options.items()}
        for got, leaf in zip(gradients(operands, dy, mask=mask, **ours), leaves, strict=True):
            np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("sizes", SIZES)
def test_layouts_and_threads_change_no_bit(isa, dtype, rng, layouts, same_for_any_threads, sizes, kind):
    operands, mask, dy = gradient_problem(rng, dtype, sizes, kind)
    wanted = [a.tobytes() for a in gradients(operands, dy, mask=mask)]
    for q, k, v, other in zip(*(layouts(a) for a in (*operands, dy)), strict=True):
        for arrays, z in (
            ((q, *operands[1:]), dy),
            ((operands[0], k, operands[2]), dy),
            ((*operands[:2], v), dy),
            (operands, other),
        ):
            assert [a.tobytes() for a in gradients(arrays, z, mask=mask)] == wanted
    for causal in (False, True):
        same_for_any_threads(lambda causal=causal: gradients(operands, dy, mask=mask, causal=causal))


def test_a_head_does_not_depend_on_the_others(isa, dtype, rng):
    (q, k, v), _, dy = gradient_problem(rng, dtype, ((2, 3), 20, 2100, 6, 5))
    dq, dk, dv = gradients((q, k, v), dy)
    for i in np.ndindex(2, 3):
        alone = gradients((q[i], k[i], v[i]), dy[i])
        assert [a.tobytes() for a in alone] == [a[i].tobytes() for a in (dq, dk, dv)]


def test_many_queries_are_summed_in_chains(dtype, eps, rng, same_for_any_threads):
    operands, _, dy = gradient_problem(rng, dtype, ((), 9000, 30, 2, 3))
    found = same_for_any_threads(lambda: gradients(operands, dy))
    for got, wanted in zip(found, truth(operands, dy), strict=True):
        assert (abs(got - wanted) <= 300 * eps * (1 + abs(wanted).max())).all()


def test_gradients_are_summed_over_axes_that_were_broadcast(dtype, eps, rng):
    (q, k, v), mask, dy = gradient_problem(rng, dtype, ((2, 3), 6, 7, 4, 5), "bool")
    for arrays in (q, k[:1], v[0]), (q[0, 0], k, v[:, :1]), (q, k[0, 0], v[0, 0]), (q[:, :1], k[:1], v):
        found = gradients(arrays, dy, mask=mask[:, :, :1])
        for got, x, wanted in zip(found, arrays, truth(arrays, dy, mask[:, :, :1]), strict=True):
            assert got.shape == x.shape
            assert (abs(got - wanted) <= 100 * eps * (1 + abs(wanted).max())).all()


def test_what_is_hidden_has_no_influence(isa, dtype, rng):
    (q, k, v), _, dy = gradient_problem(rng, dtype, ((2,), 20, 90, 6, 5))
    seen = np.ones((20, 90), bool)
    seen[:, 3::7] = False
    seen[4] = False
    wanted = gradients((q, k, v), dy, mask=seen)
    k[:, 3::7], v[:, 3::7] = np.nan, np.inf
    q[:, 4], dy[:, 4] = np.inf, np.nan
    found = gradients((q, k, v), dy, mask=seen)
    for got, before in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, before, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-6)
    np.testing.assert_array_equal(found[0][:, 4], 0)
    np.testing.assert_array_equal(found[1][:, 3::7], 0)
    np.testing.assert_array_equal(found[2][:, 3::7], 0)
    dy[0, 0] = np.nan  # what is seen has
    found = gradients((q, k, v), dy, mask=seen)
    assert np.isnan(found[0][0, 0]).all()
    assert np.isnan(found[1][0, 0]).all()
    assert np.isfinite(found[2][1]).all()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [1, 3])
def test_what_is_hidden_in_one_part_of_the_keys(dtype, rng, same_for_any_threads, heads, causal):
    operands, _, dy = gradient_problem(rng, dtype, ((heads,), 130, 2200, 3, 2))
    seen = np.ones((130, 2200), bool)
    seen[:, 2100:] = seen[:, 50:70] = False
    wanted = gradients(operands, dy, mask=seen, causal=causal)
    for at in (60, 2150):
        arrays = [a.copy() for a in operands]
        arrays[1][-1, at], arrays[2][-1, at] = np.nan, np.inf
        found = same_for_any_threads(lambda a=arrays: gradients(a, dy, mask=seen, causal=causal))
        for got, before in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(got, before)


def test_a_tape_may_be_used_again_and_refers_to_the_operands(rng):
    operands, mask, dy = gradient_problem(rng, np.dtype(np.float32), ((2,), 9, 11, 4, 5), "numbers")
    y, tape = nk.attention(*operands, mask=mask, training=True)
    assert all(a is b for a, b in zip(tape, (*operands, mask), strict=False))
    assert tape.y is y
    first, again = nk.attention_backward(dy, tape), nk.attention_backward(dy, tape)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True))


def test_read_only_and_empty_arrays(dtype):
    for leading, lq, lk, d, dv in EMPTY:
        q, k, v = (np.ones((*leading, *s), dtype) for s in ((lq, d), (lk, d), (lk, dv)))
        dy = np.ones((*leading, lq, dv), dtype)
        for a in q, k, v, dy:
            a.flags.writeable = False
        dq, dk, dv_ = gradients((q, k, v), dy)
        assert (dq.shape, dk.shape, dv_.shape) == (q.shape, k.shape, v.shape)
        np.testing.assert_array_equal(dq, 0)
        np.testing.assert_array_equal(dk, 0)
        np.testing.assert_allclose(dv_, lq / max(lk, 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda dy, t: nk.attention_backward(dy, None),
            TypeError,
            "tape must be what attention returns .*, got NoneType",
        ),
        (lambda dy, t: nk.attention_backward(dy, tuple(t)), TypeError, "tape must be what attention returns"),
        (lambda dy, t: nk.attention_backward(dy[1:], t), ValueError, r"dy must have shape \(4, 3\), got \(3, 3\)"),
        (lambda dy, t: nk.attention_backward(dy.astype("f4"), t), TypeError, "dy must be float64 like y, got float32"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    x = np.ones((4, 3))
    with pytest.raises(error, match=message):
        call(x, nk.attention(x, x, x, training=True)[1])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"statistics": None}, TypeError),
        ({"statistics": np.zeros(3)}, ValueError),
        ({"k": np.zeros((2, 8))}, ValueError),
        ({"v": np.zeros((50, 4))}, ValueError),
        ({"y": np.zeros((50, 8), "f")}, TypeError),
        ({"q": np.zeros((3, 8))}, ValueError),
    ],
)
def test_tapes_whose_arrays_do_not_fit(change, error):
    q = np.ones((50, 8))
    y, tape = nk.attention(q, q, q, training=True)
    with pytest.raises(error, match=r"of tape must|v must"):
        nk.attention_backward(y, tape._replace(**change))
