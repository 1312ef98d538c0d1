"""Norms of numbers whose squares overflow or vanish: as the definition has them in numbers without such limits."""

import numpy as np
import pytest

import npkernels as nk

# Of float32; float64 gets the same power of its own largest number. Zeros, and a large mean of small deviations, too.
SIZES = [1e19, 1e25, 3.3e38, 1.0, 1e-19, 1e-22, 1e-30, 1e-41]
SHAPES = [(50, 10), (3000, 10), (5, 10, 3), (40, 10, 4, 5), (3, 10, 17, 16), (70, 10, 30, 31), (2, 10, 100, 100)]


def sizes(dtype):
    scale = 1 if dtype == np.float32 else 8
    return [np.longdouble(size) ** scale for size in SIZES]


def problem(rng, dtype, shape, axis):
    """Numbers of a size of their own at each place of `axis`, zeros, and numbers at both ends of the dtype."""
    wide = [1] * len(shape)
    wide[axis] = -1
    all_sizes = sizes(dtype) + [0, 0]
    repeated = np.resize(np.array(all_sizes, np.longdouble), shape[axis])
    x = rng.uniform(-1, 1, shape).astype(np.longdouble) * repeated.reshape(wide)
    where = [slice(None)] * len(shape)
    where[axis] = slice(9, None, 10)
    largest = np.finfo(dtype).max / 4
    x[tuple(where)] = largest * (1 + 2 * (rng.uniform(size=x[tuple(where)].shape) - 0.9 > 0))
    return x.astype(dtype)


def definition(x, gamma, beta, eps, axes):
    wide = x.astype(np.longdouble)
    mean = wide.mean(axes, keepdims=True)
    var = ((wide - mean) ** 2).mean(axes, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(wide == mean, 0, (wide - mean) / np.sqrt(var + np.longdouble(eps)))
    return t, t * gamma + beta, mean, var


def assert_near(got, wanted, dtype, size=0.0):
    """Within 200 eps of the numbers and of `size`, and of the smallest numbers of the dtype."""
    finfo = np.finfo(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        same = got == np.asarray(wanted).astype(dtype)
        error = abs(got.astype(np.longdouble) - wanted)
    bound = 200 * np.longdouble(finfo.eps) * (abs(wanted) + size) + 4 * np.longdouble(finfo.smallest_subnormal)
    assert (same | (error <= bound)).all()


def along(vector, x, axis):
    shape = [1] * x.ndim
    shape[axis] = -1
    return vector.reshape(shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("eps", [0.0, 1e-5])
@pytest.mark.parametrize("channels_last", [False, True])
def test_batch_norm(isa, dtype, rng, shape, eps, channels_last):
    x = problem(rng, dtype, shape, 1)
    if channels_last:
        x = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    gamma, beta = rng.uniform(1, 2, shape[1]).astype(dtype), rng.uniform(1, 2, shape[1]).astype(dtype)
    axes = (0, *range(2, x.ndim))
    t, y_wanted, mean_wanted, var_wanted = definition(x, along(gamma, x, 1), along(beta, x, 1), eps, axes)
    y, mean, var = nk.batch_norm(x, gamma, beta, eps=eps)
    constant = var_wanted.ravel() == 0
    finite = ~constant if eps == 0 else np.ones_like(constant)  # 0 / 0
    assert_near(y[:, finite], y_wanted[:, finite], dtype, 1)
    assert_near(mean, mean_wanted.ravel(), dtype, abs(x).max(axes).astype(np.longdouble) / 50)
    assert_near(var, var_wanted.ravel(), dtype)

    dy = rng.standard_normal(shape).astype(dtype)
    if channels_last:
        dy = np.moveaxis(np.moveaxis(dy, 1, -1).copy(), -1, 1)
    grads = nk.batch_norm_backward(dy, x, gamma, mean, var, eps=eps)
    known = finite & ((eps > 0) | (var > np.finfo(dtype).tiny * 1e8))
    g = dy.astype(np.longdouble)
    dgamma, dbeta = (g * t).sum(axes), g.sum(axes)
    count = x.size // shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(var_wanted + np.longdouble(eps))
        dx = along(gamma, x, 1) / root * (g - along(dbeta, x, 1) / count - t * along(dgamma, x, 1) / count)
    limit = along(gamma, x, 1).astype(np.longdouble) / np.where(root == 0, 1, root) * 20
    assert_near(grads[0][:, known], dx[:, known], dtype, limit[:, known] if limit.ndim == dx.ndim else limit)
    assert_near(grads[1][known], dgamma[known], dtype, np.longdouble(count))
    assert_near(grads[2][known], dbeta[known], dtype, np.longdouble(count))


@pytest.mark.parametrize("shape", [(10, 1), (20, 7), (10, 64), (30, 1000), (10, 9001)])
@pytest.mark.parametrize("eps", [0.0, 1e-5])
@pytest.mark.parametrize("strided", [False, True])
def test_layer_norm(isa, dtype, rng, shape, eps, strided):
    x = problem(rng, dtype, shape, 0)
    if strided:
        x = np.asfortranarray(x)
    d = shape[1]
    gamma, beta = rng.uniform(1, 2, d).astype(dtype), rng.uniform(1, 2, d).astype(dtype)
    t, y_wanted, mean_wanted, var_wanted = definition(x, gamma, beta, eps, (1,))
    y, mean, var = nk.layer_norm(x, gamma, beta, eps=eps)
    finite = (var_wanted[:, 0] > 0) | (eps > 0)
    assert_near(y[finite], y_wanted[finite], dtype, 1)
    assert_near(mean, mean_wanted[:, 0], dtype, abs(x).max(1).astype(np.longdouble) / 50)
    assert_near(var, var_wanted[:, 0], dtype)

    dy = rng.standard_normal(shape).astype(dtype)
    known = finite & ((eps > 0) | (var > np.finfo(dtype).tiny * 1e8))
    dx, dgamma, dbeta = nk.layer_norm_backward(dy[known], x[known], gamma, mean[known], var[known], eps=eps)
    t, g = t[known], dy[known].astype(np.longdouble)
    scaled = g * gamma
    root = np.sqrt(var_wanted[known] + np.longdouble(eps))
    wanted = (scaled - scaled.mean(1, keepdims=True) - t * (scaled * t).mean(1, keepdims=True)) / root
    assert_near(dx, wanted, dtype, 20 / root)
    assert_near(dgamma, (g * t).sum(0), dtype, 30)
    assert_near(dbeta, g.sum(0), dtype, 30)


def test_inference_beyond_the_difference_of_two_numbers(isa, dtype):
    largest = np.finfo(dtype).max
    mean, var = np.array([largest, -largest, largest / 2], dtype), np.array([1e30, np.inf, 1e38], dtype)
    x = np.array([[-largest, largest, -largest], [largest, -largest, largest]], dtype)
    one, zero = np.ones(3, dtype), np.zeros(3, dtype)
    wide = [a.astype(np.longdouble) for a in (x, mean, var)]
    wanted = (wide[0] - wide[1]) / np.sqrt(wide[2])
    for shaped in (x, np.repeat(x[:, :, None], 40, 2)):
        back = shaped.reshape(2, 3, -1)
        for out in (None, shaped.copy()):
            y = nk.batch_norm_inference(shaped if out is None else out, one, zero, mean, var, eps=0.0, out=out)
            assert_near(y.reshape(back.shape), wanted[:, :, None] + 0 * back, dtype)


@pytest.mark.parametrize("max_norm", [1.0, 1e-20, 1e20])
def test_clip_grad_norm(isa, dtype, rng, max_norm):
    for size in sizes(dtype):
        wide = (rng.uniform(-1, 1, 1000) * size).astype(dtype)
        norm_wanted = np.sqrt((wide.astype(np.longdouble) ** 2).sum())
        factor = min(1, max_norm / (norm_wanted + np.longdouble(1e-6)))
        grads = [wide[:300].copy(), wide[300:].copy()]
        norm = nk.clip_grad_norm(grads, max_norm)
        with np.errstate(over="ignore"):
            assert np.isclose(norm, np.float64(norm_wanted), rtol=1e-5, atol=0)
        assert_near(np.concatenate(grads), wide.astype(np.longdouble) * factor, dtype)
