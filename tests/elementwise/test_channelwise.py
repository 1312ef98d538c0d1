"""Activations by channel: values and gradients against the definitions, sums, layouts, threads, errors."""

import numpy as np
import pytest
from bounds import assert_exact, integers

import npkernels as nk
from npkernels import reference

# shapes of x: no axis, one axis, few and many neighbours of a channel, one channel, rows longer than a chunk, empty
SHAPES = [
    (),
    (7,),
    (1,),
    (40, 3),
    (3, 5, 4),
    (300, 3),
    (2, 6, 150),
    (2, 3, 17, 131),
    (5, 1, 4),
    (2, 2, 4500),
    (3, 2100),
]
EMPTY = [(0,), (0, 3), (2, 0), (2, 3, 0)]


def channels(shape):
    return 1 if not shape else shape[min(1, len(shape) - 1)]


def parameters(name, kind, shape, dtype, rng):
    """Random parameters of a function: one for all channels, one a channel, or mixed."""
    c = channels(shape)
    wide = {"prelu": ["slope"], "brelu": [], "srelu": ["t_left", "a_left", "t_right", "a_right"]}.get(name)
    if name == "apl":
        sizes = {"slopes": (3, c) if kind != "scalar" else (3,), "hinges": (3, c) if kind == "channels" else (3,)}
        return {key: rng.standard_normal(size).astype(dtype) for key, size in sizes.items()}
    values = {}
    for i, key in enumerate(wide):
        size = (c,) if kind == "channels" or (kind == "mixed" and i % 2) else ()
        values[key] = np.asarray(rng.standard_normal(size) + {"t_left": -2, "t_right": 2}.get(key, 0), dtype)
    return values


def call(library, name, arrays, values):
    return getattr(library, name)(*arrays, **values)


CASES = [
    (name, kind)
    for name in ("prelu", "srelu", "apl")
    for kind in ("scalar", "channels", "mixed")
    if (name, kind) != ("prelu", "mixed")
] + [("brelu", "none")]


@pytest.mark.parametrize("shape", SHAPES + EMPTY, ids=str)
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_value_is_within_the_bound_of_its_definition(isa, dtype, rng, eps, name, kind, shape):
    x = np.asarray(rng.standard_normal(shape) * 3, dtype)
    values = parameters(name, kind, shape, dtype, rng)
    y = call(nk, name, [x], values)
    wide = {key: value.astype(np.longdouble) for key, value in values.items()}
    expected = call(reference, name, [x.astype(np.longdouble)], wide)
    # 4 (float32) and 8 (float64) ULP, at least half an eps each, of the terms: at most 1 + the largest parameters of x
    largest = sum(float(np.abs(value).max(initial=0)) for value in values.values())
    terms = (1 + largest) * (np.abs(x) + largest) * (3 if name == "apl" else 1)
    assert y.shape == x.shape
    assert y.dtype == dtype
    assert (np.abs(y - expected) <= 2 * eps * terms).all()


@pytest.mark.parametrize("shape", SHAPES + EMPTY, ids=str)
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_gradients_are_within_the_bound_of_their_definition(isa, dtype, rng, eps, name, kind, shape):
    x, dy = (np.asarray(rng.standard_normal(shape) * 3, dtype) for _ in range(2))
    values = parameters(name, kind, shape, dtype, rng)
    wide = {key: value.astype(np.longdouble) for key, value in values.items()}
    arrays = [dy.astype(np.longdouble), x.astype(np.longdouble)]
    results = call(nk, f"{name}_backward", [dy, x], values)
    expected = call(reference, f"{name}_backward", arrays, wide)
    if name == "brelu":
        np.testing.assert_array_equal(results, expected)
        return
    # dx: a sum of at most 4 products; parameters: sums of products of dy, each rounded, and of the sum itself. No
    # term is above dy (1 + |x| + |p|)(1 + |p|); n of them are added in float64
    largest = max(float(np.abs(value).max(initial=0)) for value in values.values())
    assert (np.abs(results[0] - expected[0]) <= 6 * eps * np.abs(dy) * (1 + 3 * largest)).all()
    terms = np.abs(dy.astype(np.longdouble)) * (1 + np.abs(x) + largest) * (1 + largest)
    for result, wanted, value in zip(results[1:], expected[1:], values.values(), strict=True):
        like = value[0] if name == "apl" and value.ndim == 2 else value if name != "apl" else np.zeros(())
        bound = reference.channelwise.total(terms, like) * (3 * eps + x.size * np.finfo(float).eps)
        assert result.shape == value.shape
        assert result.dtype == dtype
        assert (np.abs(result - wanted) <= bound).all()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_integers_are_exact_also_on_the_hinges(isa, dtype, rng, name, kind):
    x, dy = integers(rng, (4, 3, 50), dtype), integers(rng, (4, 3, 50), dtype)
    values = {key: np.rint(value) for key, value in parameters(name, kind, x.shape, dtype, rng).items()}
    for direction, arrays in (name, [x]), (f"{name}_backward", [dy, x]):
        results = call(nk, direction, arrays, values)
        assert_exact(results, lambda *wide, f=direction: call(reference, f, wide, values), arrays)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_gradients_match_central_differences(rng, name, kind):
    shape, h = (4, 3, 5), 2.0**-20
    x, dy = rng.standard_normal((2, *shape)) * 3
    values = parameters(name, kind, shape, np.float64, rng)
    results = call(nk, f"{name}_backward", [dy, x], values)
    named = dict(zip(["x", *values], results if isinstance(results, tuple) else [results], strict=True))
    for key, gradient in named.items():
        moved = {**values, "x": x}
        for index in np.ndindex(moved[key].shape):
            sides = []
            for step in (h, -h):
                changed = moved[key].copy()
                changed[index] += step
                at = {**moved, key: changed}
                sides.append((dy * call(nk, name, [at.pop("x")], at)).sum())
            # linear in x and in each parameter but at corners, which random values are not near: rounding alone
            assert abs((sides[0] - sides[1]) / (2 * h) - gradient[index]) <= 1e3 * np.finfo(float).eps / h


@pytest.mark.parametrize("shape", [(300, 3), (2, 6, 150), (2, 3, 17, 131), (4, 7, 5)], ids=str)
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_layouts_threads_and_places_give_the_same_bits(
    isa, dtype, rng, layouts, same_for_any_threads, name, kind, shape
):
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    values = parameters(name, kind, shape, dtype, rng)

    def bits(dy, x, **out):
        y, gradients = call(nk, name, [x], {**values, **out}), call(nk, f"{name}_backward", [dy, x], values)
        return b"".join(
            np.asarray(a).tobytes() for a in (y, *(gradients if type(gradients) is tuple else (gradients,)))
        )

    expected = bits(dy, x)
    for other in layouts(x):
        for other_dy in layouts(dy):
            before = other.tobytes()
            assert bits(other_dy, other) == expected
            assert other.tobytes() == before
    same_for_any_threads(lambda: np.frombuffer(bits(dy, x), np.uint8))


def test_threads_share_large_arrays_and_change_no_bits(isa, dtype, rng, same_for_any_threads):
    x, dy = (rng.standard_normal((40, 7, 9, 31)).astype(dtype) for _ in range(2))
    slope, pieces = rng.standard_normal(7).astype(dtype), rng.standard_normal((2, 2)).astype(dtype)
    same_for_any_threads(lambda: (nk.prelu(x, slope=slope), *nk.prelu_backward(dy, x, slope=slope)))
    flat, dflat = x.ravel(), dy.ravel()
    same_for_any_threads(lambda: nk.apl_backward(dflat, flat, slopes=pieces[0], hinges=pieces[1]))
    same_for_any_threads(lambda: (nk.brelu(x), nk.brelu_backward(dy, x), *nk.maxout(x, 7)))
    y, which = nk.maxout(x, 7)
    same_for_any_threads(lambda: nk.maxout_backward(y, which, 7))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_result_may_overwrite_an_input(dtype, rng, name, kind):
    x, dy = rng.standard_normal((2, 6, 5, 7)).astype(dtype)
    values = parameters(name, kind, x.shape, dtype, rng)
    expected, gradients = call(nk, name, [x], values), call(nk, f"{name}_backward", [dy, x], values)
    for place in (0, 1):
        arrays = [dy.copy(), x.copy()]
        results = call(nk, f"{name}_backward", arrays, {**values, "out": arrays[place]})
        first = results[0] if isinstance(results, tuple) else results
        assert first is arrays[place]
        for a, b in zip(results, gradients, strict=True):
            np.testing.assert_array_equal(a, b)
    assert call(nk, name, [x], {**values, "out": x}) is x
    np.testing.assert_array_equal(x, expected)


def test_infinite_and_nan_elements(dtype):
    x = np.array([-np.inf, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(nk.prelu(x, slope=0.0), [0, np.inf, np.nan])
    np.testing.assert_array_equal(nk.prelu(x, slope=0.5), [-np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(nk.brelu(x[:, None].T), [[0, 0, np.nan]])
    np.testing.assert_array_equal(nk.brelu(x[::-1].copy()), [np.nan, 0, 0])
    y = nk.srelu(x, t_left=-1.0, a_left=0.0, t_right=1.0, a_right=0.5)
    np.testing.assert_array_equal(y, [-1, np.inf, np.nan])
    hinges = np.array([1.0, 2.0], dtype)
    np.testing.assert_array_equal(nk.apl(x, slopes=np.array([0, 0.5], dtype), hinges=hinges), [np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(nk.apl(x, slopes=np.zeros(2, dtype), hinges=hinges), [0, np.inf, np.nan])


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_gradients_at_infinite_and_nan_elements(isa, dtype, rng, name, kind):
    values = {key: np.rint(value) for key, value in parameters(name, kind, (1, 1), dtype, rng).items()}
    for element in (-np.inf, np.inf, np.nan):
        arrays = np.full((2, 1, 1), [[[2]], [[element]]], dtype)
        assert_exact(
            call(nk, f"{name}_backward", arrays, values),
            lambda *wide: call(reference, f"{name}_backward", wide, values),
            arrays,
        )


def test_the_left_side_of_srelu_comes_first():
    x = np.array([0.0])
    values = {"t_left": 1.0, "a_left": 3.0, "t_right": -1.0, "a_right": 5.0}
    assert nk.srelu(x, **values) == -2
    assert [float(np.squeeze(g)) for g in nk.srelu_backward(np.ones(1), x, **values)] == [3, -2, -1, 0, 0]


def test_parameters_of_size_1_keep_their_shape(dtype, rng):
    x = rng.standard_normal((4, 3)).astype(dtype)
    for slope in (0.25, np.float64(0.25), dtype.type(0.25), np.full(1, 0.25, dtype), np.full((1, 1), 0.25, dtype)):
        np.testing.assert_array_equal(nk.prelu(x, slope=slope), nk.leaky_relu(x, slope=0.25))
        dx, dslope = nk.prelu_backward(x, x, slope=slope)
        np.testing.assert_array_equal(dx, nk.leaky_relu_backward(x, x, slope=0.25))
        assert np.shape(dslope) == np.shape(slope)
        assert dslope.dtype == dtype


def test_rrelu_takes_the_mean_slope_or_draws(isa, dtype, rng, same_for_any_threads, layouts):
    x, dy = rng.standard_normal((2, 50, 41, 20)).astype(dtype)
    np.testing.assert_array_equal(nk.rrelu(x), nk.leaky_relu(x, slope=(1 / 8 + 1 / 3) / 2))
    np.testing.assert_array_equal(nk.rrelu_backward(dy, x), nk.leaky_relu_backward(dy, x, slope=(1 / 8 + 1 / 3) / 2))

    def draw(**out):
        return nk.rrelu(x, lower=0.25, upper=0.5, training=True, rng=np.random.default_rng(3), **out)

    y, slopes = same_for_any_threads(draw)
    assert y.dtype == slopes.dtype == dtype
    assert slopes.shape == x.shape
    assert 0.25 <= slopes.min() < 0.26
    assert 0.49 < slopes.max() <= 0.5
    # the mean of n uniform numbers is within 6 standard deviations
    assert abs(slopes.mean(dtype=float) - 0.375) < 6 * 0.25 / np.sqrt(12 * x.size)
    np.testing.assert_array_equal(y, np.where(x < 0, slopes * x, x))
    dx = nk.rrelu_backward(dy, x, slopes=slopes)
    np.testing.assert_array_equal(dx, np.where(x < 0, slopes * dy, dy))
    for other in layouts(slopes):
        np.testing.assert_array_equal(nk.rrelu_backward(dy, x, slopes=other), dx)
    out = np.empty_like(x)
    assert draw(out=out)[0] is out
    np.testing.assert_array_equal(out, y)


def test_rrelu_of_one_number():
    y, slope = nk.rrelu(np.float32(-2), training=True, rng=np.random.default_rng(0))
    assert y == slope * np.float32(-2)
    assert nk.rrelu_backward(np.float32(1), np.float32(-2), slopes=slope) == slope


@pytest.mark.parametrize(
    ("shape", "pieces"), [((6,), 3), ((5, 6), 2), ((2, 12, 3, 5), 4), ((3, 4, 700), 2), ((2, 5, 3), 1), ((1, 3), 3)]
)
def test_maxout_is_its_definition(isa, dtype, rng, layouts, shape, pieces):
    x = np.round(rng.standard_normal(shape) * 2).astype(dtype)  # with ties
    x.flat[rng.integers(0, x.size, 3)] = np.nan, np.inf, -np.inf
    expected, places = reference.maxout(x, pieces)
    dy = rng.standard_normal(expected.shape).astype(dtype)
    for other in layouts(x):
        y, which = nk.maxout(other, pieces)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(which, places)
        assert which.dtype == np.int32
    for other in layouts(dy):
        dx = nk.maxout_backward(other, which, pieces)
        np.testing.assert_array_equal(dx, reference.maxout_backward(dy, places, pieces))
    for kind in (np.int8, np.uint64, ">i4"):
        np.testing.assert_array_equal(nk.maxout_backward(dy, which.astype(kind), pieces), dx)
    np.testing.assert_array_equal(nk.maxout_backward(dy, np.asfortranarray(which)[::1], pieces), dx)


def test_maxout_takes_the_first_maximum_and_the_first_nan(dtype):
    x = np.array([[2, 2, 1], [-np.inf, -np.inf, -np.inf], [np.nan, 3, np.nan], [3, np.nan, np.nan]], dtype)
    y, which = nk.maxout(x, 3)
    np.testing.assert_array_equal(y[:, 0], [2, -np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(which[:, 0], [0, 0, 0, 1])


def test_maxout_of_nothing(dtype):
    for shape in ((0, 4), (2, 0), (2, 4, 0)):
        y, which = nk.maxout(np.zeros(shape, dtype), 2)
        assert y.shape == which.shape == (shape[0], shape[1] // 2, *shape[2:])
        assert nk.maxout_backward(y, which, 2).shape == shape


X = np.zeros((2, 4), np.float32)
C = np.zeros(4, np.float32)
MEMORY = np.zeros(20, np.float32)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda: nk.prelu(X), TypeError, "slope"),
        (lambda: nk.prelu(X, slope=np.zeros(2, "f4")), ValueError, r"slope must be a scalar or have shape \(4,\), got"),
        (lambda: nk.prelu(X, slope=np.zeros((1, 4), "f4")), ValueError, r"slope must .* shape \(4,\), got \(1, 4\)"),
        (lambda: nk.prelu(X[0, 0], slope=C), ValueError, r"slope must be a scalar or have shape \(1,\), got \(4,\)"),
        (lambda: nk.prelu(X, slope=np.zeros(4)), TypeError, "slope must be float32 like x, got float64"),
        (lambda: nk.prelu(X, slope=True), TypeError, "slope must be float32 or float64, got bool"),
        (lambda: nk.prelu(X.astype(int), slope=C), TypeError, "x must be float32 or float64, got int64"),
        (lambda: nk.prelu(MEMORY[:10], slope=0.1, out=MEMORY[1:11]), ValueError, "out must not overlap x"),
        (lambda: nk.prelu_backward(C, X, slope=C), ValueError, r"dy must have shape \(2, 4\), got \(4,\)"),
        (lambda: nk.prelu_backward(X.astype("f8"), X, slope=C), TypeError, "dy must be float32 like x, got float64"),
        (lambda: nk.brelu_backward(C, X), ValueError, r"dy must have shape \(2, 4\), got \(4,\)"),
        (
            lambda: nk.srelu(X, t_left=C, a_left=C, t_right=C, a_right=C[:3]),
            ValueError,
            r"a_right must be a scalar or have shape \(4,\), got \(3,\)",
        ),
        (
            lambda: nk.apl(X, slopes=C[:3], hinges=C[:2]),
            ValueError,
            r"hinges must have shape \(3,\) or \(3, 4\), got \(2,\)",
        ),
        (
            lambda: nk.apl(X, slopes=np.zeros((3, 2), "f4"), hinges=C[:3]),
            ValueError,
            r"slopes must have shape \(3,\) or \(3, 4\), got \(3, 2\)",
        ),
        (lambda: nk.apl(X, slopes=0.5, hinges=C), ValueError, r"slopes must have shape \(s,\) or \(s, 4\), got \(\)"),
        (lambda: nk.rrelu(X, training=True), TypeError, "rng must be a numpy.random.Generator, got NoneType"),
        (lambda: nk.rrelu(X, training=True, rng=np.random), TypeError, "rng must be a .*Generator, got module"),
        (lambda: nk.rrelu(X, lower=0.5, upper=0.25), ValueError, "lower must be at most upper, got 0.5 and 0.25"),
        (lambda: nk.rrelu(X, lower="a"), TypeError, "lower must be a number, got str"),
        (lambda: nk.rrelu_backward(X, X, training=True), TypeError, "slopes must be the array .*, got NoneType"),
        (lambda: nk.rrelu_backward(X, X, slopes=C), ValueError, r"slopes must have shape \(2, 4\), got \(4,\)"),
        (lambda: nk.rrelu_backward(X, X, slopes=X.astype("f8")), TypeError, "slopes must be float32 like x, got"),
        (lambda: nk.maxout(X, 3), ValueError, "pieces must divide the 4 channels, got 3"),
        (lambda: nk.maxout(X, 0), ValueError, "pieces must be at least 1, got 0"),
        (lambda: nk.maxout(X, 2.0), TypeError, "pieces must be an int, got float"),
        (lambda: nk.maxout(X[0, 0], 1), ValueError, r"x must have a channel axis, got shape \(\)"),
        (lambda: nk.maxout_backward(X, X, 2), TypeError, "which must be integers, got float32"),
        (lambda: nk.maxout_backward(X, np.full((2, 4), 2), 2), ValueError, r"which must be in \[0, 2\), got 2 to 2"),
        (lambda: nk.maxout_backward(X, np.full((2, 4), -1), 2), ValueError, r"which must be in \[0, 2\), got -1 to -1"),
        (lambda: nk.maxout_backward(X, np.zeros(4, int), 2), ValueError, r"which must have shape \(2, 4\), got \(4,\)"),
    ],
)
def test_errors_name_argument_wish_and_value(function, error, message):
    with pytest.raises(error, match=message):
        function()


def test_out_must_not_overlap_a_parameter():
    a, column = np.ones((20, 20)), np.ones((2, 20))
    for function, names in (("prelu", ("slope",)), ("srelu", ("t_left", "a_left", "t_right", "a_right"))):
        for name in names:
            parameters = dict.fromkeys(names, 1.0) | {name: a[0]}
            with pytest.raises(ValueError, match=f"out must not overlap {name}"):
                getattr(nk, function)(np.ones((20, 20)), out=a, **parameters)
            with pytest.raises(ValueError, match=f"out must not overlap {name}"):
                getattr(nk, f"{function}_backward")(np.ones((20, 20)), np.ones((20, 20)), out=a, **parameters)
    for slopes, hinges, name in ((a[:2], column, "slopes"), (column, a[:2], "hinges")):
        with pytest.raises(ValueError, match=f"out must not overlap {name}"):
            nk.apl(np.ones((20, 20)), slopes=slopes, hinges=hinges, out=a)
        with pytest.raises(ValueError, match=f"out must not overlap {name}"):
            nk.apl_backward(np.ones((20, 20)), np.ones((20, 20)), slopes=slopes, hinges=hinges, out=a)
