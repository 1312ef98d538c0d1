"""What results are held against: equality on integers, and for rounding a bound near the truth."""

import numpy as np


def doubles(*arrays):
    return [np.asarray(a, np.float64) for a in arrays]


def integers(rng, shape, dtype):
    """Numbers of -3 to 3: in float32 sums of up to 2^24 / 9 of their products are exact, in whatever order."""
    return rng.integers(-3, 4, shape).astype(dtype)


def each(results):
    return results if isinstance(results, tuple) else (results,)


def assert_exact(got, definition, arguments, **options):
    """What was got are the numbers of the definition, which sees float64."""
    for one, wanted in zip(each(got), each(definition(*doubles(*arguments), **options)), strict=True):
        assert one.dtype == arguments[0].dtype
        np.testing.assert_array_equal(one, wanted)


def assert_near(got, definition, arguments, terms, eps, **options):
    """|error| <= 3 eps sqrt(count) |t|, where `count` products t of normal numbers are added up one after the other.

    The partial sum of i terms is about |t| sqrt(i / count), rounded by eps / sqrt(12) of itself on average: together
    0.2 eps sqrt(count) |t|. The largest error of some 10,000 sums was 1.8 eps sqrt(count) |t|, on any instruction set.
    `definition` is linear in every argument, so that it gives the sum of t^2 for the squares of its arguments."""
    wanted = each(definition(*doubles(*arguments), **options))
    squares = each(definition(*[a * a for a in doubles(*arguments)], **options))
    for one, value, square, count in zip(each(got), wanted, squares, each(terms), strict=True):
        assert one.shape == value.shape
        assert (abs(one - value) <= 3 * eps * np.sqrt(count * square)).all()


def wide(*arrays):
    """In the widest type."""
    return [a.astype(np.longdouble) for a in arrays]


def same_as_differences(loss, *pairs):
    """Central differences of a loss by arrays that it reads, at up to 40 places of each."""
    step = 1e-5
    for array, gradient in pairs:
        flat = array.reshape(-1)
        for i in range(0, flat.size, 1 + flat.size // 40):
            before = flat[i]
            flat[i] = before + step
            above = loss()
            flat[i] = before - step
            below = loss()
            flat[i] = before
            # the third derivatives are moderate: off by some step^2, and by the rounding of the losses
            assert abs((above - below) / (2 * step) - gradient.reshape(-1)[i]) < 1e-7
