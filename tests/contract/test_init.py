"""Random weights: bounds and deviations of the definitions, seeds, dtypes, orthogonality, errors."""

import math

import numpy as np
import pytest

import npkernels as nk

UNIFORM = {"he_uniform": lambda i, o: math.sqrt(6 / i), "xavier_uniform": lambda i, o: math.sqrt(6 / (i + o))}
NORMAL = {
    "he_normal": lambda i, o: math.sqrt(2 / i),
    "xavier_normal": lambda i, o: math.sqrt(2 / (i + o)),
    "lecun_normal": lambda i, o: math.sqrt(1 / i),
}
SHAPES = {(300, 200): (200, 300), (64, 32, 5, 5): (800, 1600), (128, 16, 9): (144, 1152)}
NAMES = [*UNIFORM, *NORMAL, "orthogonal"]


@pytest.mark.parametrize("name", UNIFORM)
@pytest.mark.parametrize("shape", SHAPES)
def test_uniform_weights_fill_their_interval(dtype, rng, name, shape):
    w, bound = getattr(nk.init, name)(shape, rng, dtype), UNIFORM[name](*SHAPES[shape])
    assert (w.shape, w.dtype) == (shape, dtype)
    assert 0.999 * bound < np.abs(w).max() <= bound * (1 + np.finfo(dtype).eps)
    # five standard deviations of the mean and of the mean square of so many numbers
    assert abs(w.mean()) < 5 * bound / math.sqrt(3 * w.size)
    assert abs(np.square(w / bound, dtype="f8").mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / w.size)


@pytest.mark.parametrize("name", NORMAL)
@pytest.mark.parametrize("shape", SHAPES)
def test_normal_weights_have_their_deviation(dtype, rng, name, shape):
    w, deviation = getattr(nk.init, name)(shape, rng, dtype), NORMAL[name](*SHAPES[shape])
    assert (w.shape, w.dtype) == (shape, dtype)
    assert abs(w.mean()) < 5 * deviation / math.sqrt(w.size)
    assert abs(np.square(w / deviation, dtype="f8").mean() - 1) < 5 * math.sqrt(2 / w.size)


@pytest.mark.parametrize("shape", [(3, 3), (5, 40), (40, 5), (6, 2, 3), (1, 7)])
def test_orthogonal_rows_or_columns(dtype, rng, eps, shape):
    w = nk.init.orthogonal(shape, rng, dtype)
    assert (w.shape, w.dtype) == (shape, dtype)
    assert w.flags.c_contiguous
    matrix = w.reshape(shape[0], -1)
    few = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(few @ few.T, np.eye(len(few)), atol=64 * eps)


def test_orthogonal_matrices_have_both_signs(rng):
    """Those of a decomposition alone have a diagonal of one sign."""
    diagonals = np.array([np.diagonal(nk.init.orthogonal((4, 4), rng)) for _ in range(200)])
    assert (abs(diagonals.mean(0)) < 5 * 0.5 / math.sqrt(200)).all()


@pytest.mark.parametrize("name", NAMES)
def test_seeds_repeat_and_float32_is_the_default(name):
    f = getattr(nk.init, name)
    a, b = (f((6, 4), np.random.default_rng(3)) for _ in range(2))
    assert a.dtype == np.float32
    assert a.tobytes() == b.tobytes()
    assert f((6, 0), np.random.default_rng(3)).shape == (6, 0)
    assert f([0, 4, 3], np.random.default_rng(3), "f8").dtype == np.float64


@pytest.mark.parametrize("name", ["he_uniform", "he_normal", "xavier_uniform", "xavier_normal"])
def test_fans_are_those_of_pytorch(rng, name):
    torch = pytest.importorskip("torch")
    tensor, family = torch.empty(64, 40, 3, 3), name.replace("he", "kaiming")
    torch.manual_seed(0)
    options = {"nonlinearity": "relu"} if "kaiming" in family else {}
    wanted = getattr(torch.nn.init, f"{family}_")(tensor, **options).std().item()
    assert getattr(nk.init, name)(tensor.shape, rng).std() == pytest.approx(wanted, rel=5 * 2 / math.sqrt(23040))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((3, 4), np.random.RandomState(0)), TypeError, "rng must be a numpy.random.Generator, got RandomState"),
        (((3, 4), None), TypeError, "rng must be a numpy.random.Generator, got NoneType"),
        (((3,), np.random.default_rng(0)), ValueError, r"shape must have at least two axes, got \(3,\)"),
        ((3, np.random.default_rng(0)), TypeError, "shape must be a tuple of ints, got int"),
        (((3, 4.0), np.random.default_rng(0)), TypeError, "shape must be an int, got float"),
        (((3, -1), np.random.default_rng(0)), ValueError, "shape must be at least 0, got -1"),
        (((2**40, 2**40), np.random.default_rng(0)), ValueError, "shape must have a size that fits 64 bits"),
        (((3, 4), np.random.default_rng(0), "f2"), TypeError, "dtype must be float32 or float64, got float16"),
        (((3, 4), np.random.default_rng(0), None), TypeError, "dtype must be float32 or float64, got None"),
    ],
)
def test_errors_name_the_argument(name, arguments, error, message):
    with pytest.raises(error, match=message):
        getattr(nk.init, name)(*arguments)
