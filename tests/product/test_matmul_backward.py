"""Gradients of matmul: on integers against the definition, PyTorch, central differences; layouts; errors."""

import numpy as np
import pytest
from bounds import assert_exact, integers

import npkernels as nk
from npkernels import reference

SHAPES = [
    ((3, 4), (4, 5)),
    ((130, 70), (70, 33)),
    ((7,), (7,)),
    ((7,), (7, 3)),
    ((2, 3, 7), (7,)),
    ((6, 3, 4), (6, 4, 5)),
    ((6, 3, 4), (4, 5)),
    ((3, 4), (6, 4, 5)),
    ((2, 1, 3, 4), (1, 5, 4, 6)),
    ((2, 5, 3, 4), (5, 4, 6)),
    ((1, 5, 3, 4), (2, 1, 1, 4, 6)),
    ((3, 0, 4), (4, 5)),
    ((0, 3, 4), (4, 5)),
    ((3, 0), (0, 2)),
]


def problem(rng, shapes, dtype):
    a, b = (integers(rng, shape, dtype) for shape in shapes)
    return integers(rng, np.matmul(a, b).shape, dtype), a, b


@pytest.mark.parametrize("shapes", SHAPES)
def test_gradients_of_integers_are_exact(isa, dtype, rng, shapes):
    operands = problem(rng, shapes, dtype)
    got = nk.matmul_backward(*operands)
    assert [g.shape for g in got] == list(shapes)
    assert_exact(got, reference.matmul_backward, operands)
    for needs, place in (("a",), 1), (("b",), 0):
        only = nk.matmul_backward(*operands, needs)
        assert only[place] is None
        np.testing.assert_array_equal(only[1 - place], got[1 - place])


@pytest.mark.parametrize("shapes", SHAPES)
def test_gradients_equal_those_of_pytorch(rng, shapes):
    torch = pytest.importorskip("torch")
    dc, a, b = (rng.standard_normal(x.shape) for x in problem(rng, shapes, np.float64))
    leaves = [torch.from_numpy(x.copy()).requires_grad_() for x in (a, b)]
    torch.matmul(*leaves).backward(torch.from_numpy(np.asarray(dc)))
    for got, leaf in zip(nk.matmul_backward(dc, a, b), leaves, strict=True):
        np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_gradients_equal_central_differences(rng):
    dc, a, b = (rng.standard_normal(shape) for shape in [(2, 3, 5), (3, 4), (2, 4, 5)])
    for array, gradient in zip((a, b), nk.matmul_backward(dc, a, b), strict=True):
        for place in np.ndindex(array.shape):
            before, ends = array[place], []
            for step in (1e-6, -1e-6):
                array[place] = before + step
                ends.append((dc * nk.matmul(a, b)).sum())
            array[place] = before
            assert abs((ends[0] - ends[1]) / 2e-6 - gradient[place]) < 1e-7


@pytest.mark.parametrize("shapes", [((40, 30), (30, 50)), ((4, 20, 30), (30, 20)), ((2, 1, 9, 8), (3, 8, 7))])
def test_layouts_and_threads_give_the_same_bits(isa, dtype, rng, layouts, same_for_any_threads, shapes):
    arrays = [rng.standard_normal(x.shape).astype(dtype) for x in problem(rng, shapes, dtype)]
    wanted = same_for_any_threads(lambda: nk.matmul_backward(*arrays))
    for i in range(3):
        for layout in layouts(arrays[i]):
            got = nk.matmul_backward(*arrays[:i], layout, *arrays[i + 1 :])
            assert [g.tobytes() for g in got] == [w.tobytes() for w in wanted]


def test_sums_over_broadcast_axes_are_long_sums(dtype, eps):
    a, b = np.full((1_000_000, 1, 1), 0.1, dtype), np.ones((1, 1), dtype)
    db = nk.matmul_backward(np.ones_like(a), a, b)[1]
    # equal terms are rounded alike: a single chain of them is off by 60,000 eps
    assert abs(db[0, 0] - len(a) * np.float64(a[0, 0, 0])) <= 8192 * eps * db[0, 0]


A = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nk.matmul_backward(A, A, A), ValueError, r"b must have shape \(..., 3, n\), got \(2, 3\)"),
        (lambda: nk.matmul_backward(A, A, A.T), ValueError, r"dc must have shape \(2, 2\), got \(2, 3\)"),
        (lambda: nk.matmul_backward(A, A, A.T.astype("f4")), TypeError, "b must be float64 like a, got float32"),
        (lambda: nk.matmul_backward(np.ones((2, 2)), A, A.T, ["a"]), TypeError, "needs must be a tuple"),
        (lambda: nk.matmul_backward(np.ones((2, 2)), A, A.T, ("x",)), ValueError, "needs may hold 'a', 'b', got 'x'"),
        (lambda: nk.matmul_backward(A, np.float64(1), A), ValueError, "a must have at least one axis"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
