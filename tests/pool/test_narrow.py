"""Planes with short rows, pooled one plane, or one band of rows, to a lane: the bits of every other form."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

SHAPES = [(200, 1, 2, 2), (3, 70, 3, 3), (1, 500, 1, 8), (40, 2, 8, 7), (1, 64, 5, 1), (70, 1, 1, 1)]
SHAPES += [(1, 2, 300, 5), (1, 1, 700, 2), (1, 20, 90, 3), (17, 1, 40, 8)]  # bands of rows
WINDOWS = [  # kernel, stride, padding
    (1, 1, 0),
    (2, 2, 0),
    (2, 1, 1),
    (3, 2, 1),
    ((3, 2), (1, 3), (1, 1)),
    ((1, 5), (2, 3), (0, 2)),
    ((3, 3), (4, 3), (1, 1)),
    ((2, 1), (5, 4), (1, 0)),
    ((4, 2), (3, 3), (2, 1)),
]


def in_wider_rows(x):
    """The same numbers with gaps behind rows, so that planes are not one run."""
    wide = np.zeros((*x.shape[:3], x.shape[3] + 1), x.dtype)
    wide[..., :-1] = x
    return wide[..., :-1]


def windows_of(shape):
    for kernel, stride, padding in WINDOWS:
        (kh, kw), (ph, pw) = np.broadcast_to(kernel, 2), np.broadcast_to(padding, 2)
        if kh <= shape[2] + 2 * ph and kw <= shape[3] + 2 * pw:
            yield kernel, {"stride": stride, "padding": padding}


@pytest.mark.parametrize("shape", SHAPES)
def test_maxima(isa, dtype, rng, same_for_any_threads, shape):
    x = rng.integers(-2, 3, shape).astype(dtype)  # equal maxima
    x[rng.random(shape) < 0.05] = np.nan
    x[rng.random(shape) < 0.05] = -np.inf
    for kernel, options in windows_of(shape):
        wanted, places = reference.max_pool2d(x, kernel, return_indices=True, **options)
        y, indices = nk.max_pool2d(x, kernel, return_indices=True, **options)
        np.testing.assert_array_equal(y, wanted)
        np.testing.assert_array_equal(indices, places)
        other, others = nk.max_pool2d(in_wider_rows(x), kernel, return_indices=True, **options)
        assert y.tobytes() == other.tobytes() == nk.max_pool2d(x, kernel, **options).tobytes()
        assert indices.tobytes() == others.tobytes()
        dy = rng.integers(-9, 10, y.shape).astype(dtype)
        dx = nk.max_pool2d_backward(dy, indices, shape[2:])
        np.testing.assert_array_equal(dx, reference.max_pool2d_backward(dy, places, shape[2:]))
        assert dx.tobytes() == nk.max_pool2d_backward(in_wider_rows(dy), in_wider_rows(indices), shape[2:]).tobytes()
    same_for_any_threads(lambda: nk.max_pool2d(x, shape[2:], return_indices=True))


@pytest.mark.parametrize("include_pad", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_averages(isa, dtype, eps, rng, same_for_any_threads, shape, include_pad):
    x = rng.standard_normal(shape).astype(dtype)
    x[rng.random(shape) < 0.2] = -0.0
    for kernel, options in windows_of(shape):
        options["count_include_pad"] = include_pad
        y = nk.avg_pool2d(x, kernel, **options)
        wanted = reference.avg_pool2d(x.astype(np.longdouble), kernel, **options)
        assert (abs(y - wanted) <= 16 * eps * reference.avg_pool2d(abs(x), kernel, **options)).all()
        assert y.tobytes() == nk.avg_pool2d(in_wider_rows(x), kernel, **options).tobytes()
        dy = rng.standard_normal(y.shape).astype(dtype)
        dy[rng.random(y.shape) < 0.3] = -0.0
        dx = nk.avg_pool2d_backward(dy, shape[2:], kernel, **options)
        wanted = reference.avg_pool2d_backward(dy.astype(np.longdouble), shape[2:], kernel, **options)
        assert (
            abs(dx - wanted) <= 16 * eps * reference.avg_pool2d_backward(abs(dy), shape[2:], kernel, **options)
        ).all()
        assert dx.tobytes() == nk.avg_pool2d_backward(in_wider_rows(dy), shape[2:], kernel, **options).tobytes()
    same_for_any_threads(
        lambda: (nk.avg_pool2d(x, shape[2:]), nk.avg_pool2d_backward(dy, shape[2:], kernel, **options))
    )


def test_an_index_outside_is_found_wherever_it_lies(dtype):
    dy, indices = np.ones((300, 1, 1, 2), dtype), np.zeros((300, 1, 1, 2), np.int32)
    for plane in 0, 17, 299:
        indices[plane, 0, 0, 1] = 4
        with pytest.raises(ValueError, match="indices"):
            nk.max_pool2d_backward(dy, indices, (2, 2))
        indices[plane, 0, 0, 1] = 0


@pytest.mark.parametrize("pixels", [(1, 1), (2, 2), (3, 5), (4, 4), (7, 7)])
def test_whole_planes(isa, dtype, eps, rng, pixels):
    x = rng.standard_normal((37, 5, *pixels)).astype(dtype)
    y = nk.global_avg_pool2d(x)
    limit = 4 * eps * abs(x).mean((2, 3)) * (1 + x[0, 0].size / 8)
    assert (abs(y - x.astype(np.longdouble).mean((2, 3))) <= limit).all()
    assert y.tobytes() == nk.global_avg_pool2d(in_wider_rows(x)).tobytes()
    for dy in y, np.asfortranarray(y), y[:, ::-1], np.broadcast_to(y[:1], y.shape):
        dx = nk.global_avg_pool2d_backward(dy, pixels)
        np.testing.assert_array_equal(dx, np.broadcast_to((dy / dtype.type(x[0, 0].size))[..., None, None], x.shape))
