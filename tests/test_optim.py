"""Steps of the optimisers: against the definition, in every layout, in place; errors."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference


def arrays(rng, shape, dtype):
    return [rng.standard_normal(shape).astype(dtype) for _ in range(3)]


OPTIONS = [
    {"lr": 0.1},
    {"lr": 0.5, "momentum": 0.0},
    {"lr": 0.25, "nesterov": True},
    {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.125, "nesterov": True},
    {"lr": 0.1, "weight_decay": 0.3},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 17, 33, 5000])
def test_momentum_step_is_within_the_bound_of_its_definition(isa, dtype, rng, eps, n, options):
    p, g, velocity = arrays(rng, n, dtype)
    wide = [a.astype(np.longdouble) for a in (p, g, velocity)]
    reference.momentum_step(*wide, **options)
    size = [np.abs(a.astype(np.longdouble)) for a in (p, g, velocity)]
    lr, momentum, decay = options["lr"], options.get("momentum", 0.9), options.get("weight_decay", 0.0)
    before = g.copy()
    assert nk.momentum_step(p, g, velocity, **options) is None
    # Every constant and every operation adds eps / 2 relative to the terms it touches; the longest chain has ten.
    step = momentum * size[2] + 2 * (size[1] + decay * size[0])
    assert (np.abs(velocity - wide[2]) <= 5 * eps * step).all()
    assert (np.abs(p - wide[0]) <= 5 * eps * (size[0] + lr * step)).all()
    assert (g == before).all()


def test_first_step_with_zero_velocity_gives_the_gradient(isa, dtype, rng):
    p, g, velocity = arrays(rng, 100, dtype)
    velocity[:] = 0
    nk.momentum_step(p, g, velocity, lr=0.1)
    assert velocity.tobytes() == g.tobytes()


def test_no_weight_decay_leaves_infinite_values_alone(isa, dtype):
    p, g, velocity = np.array([np.inf, np.nan, 1], dtype), np.array([1, 1, np.inf], dtype), np.zeros(3, dtype)
    nk.momentum_step(p, g, velocity, lr=1)
    np.testing.assert_array_equal(p, np.array([np.inf, np.nan, -np.inf], dtype))
    np.testing.assert_array_equal(velocity, g)


@pytest.mark.parametrize("shape", [(7, 5, 3), (90, 70)])
def test_layouts_give_the_same_bits_and_touch_nothing_else(isa, dtype, rng, layouts, shape):
    start = arrays(rng, shape, dtype)
    expected = [a.copy() for a in start]
    nk.momentum_step(*expected, lr=0.1, nesterov=True)
    for p, g, velocity in zip(*(layouts(a) for a in start), strict=True):
        if not p.flags.writeable:
            continue
        nk.momentum_step(p, g, velocity, lr=0.1, nesterov=True)
        assert p.tobytes() == expected[0].tobytes()
        assert velocity.tobytes() == expected[2].tobytes()
    room = np.full((shape[0] * 2, *shape[1:]), 7, dtype)
    room[::2] = start[0]
    nk.momentum_step(room[::2], start[1], start[2].copy(), lr=0.1)
    assert (room[1::2] == 7).all()


def test_any_number_of_threads_gives_the_same_bits(isa, dtype, rng, same_for_any_threads):
    start = arrays(rng, (300, 401), dtype)

    def step():
        p, g, velocity = start[0].copy(), start[1], start[2].copy("F")
        nk.momentum_step(p, g, velocity, lr=0.1)
        return p, velocity

    same_for_any_threads(step)


def test_zero_dimensions_and_interleaved_axes(dtype):
    p, g, velocity = np.array(1, dtype), np.array(2, dtype), np.array(0, dtype)
    nk.momentum_step(p, g, velocity, lr=0.25)
    assert p == 0.5
    # Offsets 0 2 4 3 5 7: no axis steps over the other, yet no element is shared.
    p = np.lib.stride_tricks.as_strided(np.ones(8, dtype), (2, 3), (3 * dtype.itemsize, 2 * dtype.itemsize))
    nk.momentum_step(p, np.ones((2, 3), dtype), np.zeros((2, 3), dtype), lr=0.5)
    assert (p == 0.5).all()


def read_only():
    array = np.zeros(3)
    array.flags.writeable = False
    return array


A, B, MEMORY = np.zeros(3), np.zeros(3), np.zeros(20)
WINDOWS = np.lib.stride_tricks.as_strided(MEMORY, (3, 2), (8, 8))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([0.0], A, B), {}, TypeError, "p must be a NumPy array, got list"),
        ((A, [0.0], B), {}, TypeError, "g must be a NumPy array, got list"),
        ((A, B, [0.0]), {}, TypeError, "velocity must be a NumPy array, got list"),
        ((np.zeros(3, int), A, B), {}, TypeError, "p must be float32 or float64, got int64"),
        ((A, B.astype("f4"), B), {}, TypeError, "g must be float64 like p, got float32"),
        ((A, B, np.zeros(3, "f4")), {}, TypeError, "velocity must be float64 like p, got float32"),
        ((A, np.zeros(4), B), {}, ValueError, r"g must have shape \(3,\), got \(4,\)"),
        ((A, B, np.zeros((3, 1))), {}, ValueError, r"velocity must have shape \(3,\), got \(3, 1\)"),
        ((read_only(), A, B), {}, ValueError, "p must be writeable, got a read-only array"),
        ((A, B, read_only()), {}, ValueError, "velocity must be writeable, got a read-only array"),
        ((A, A, B), {}, ValueError, "g must not overlap p"),
        ((A, B, A), {}, ValueError, "velocity must not overlap p"),
        ((A, MEMORY[:3], MEMORY[2:5]), {}, ValueError, "velocity must not overlap g"),
        ((WINDOWS, np.zeros((3, 2)), np.zeros((3, 2))), {}, ValueError, "p must not overlap itself, got strides"),
        ((A, B, np.zeros(3)), {"lr": "a"}, TypeError, "lr must be a number, got str"),
        ((A, B, np.zeros(3)), {"lr": -1}, ValueError, "lr must be at least 0, got -1"),
        ((A, B, np.zeros(3)), {"lr": np.nan}, ValueError, "lr must be at least 0, got nan"),
        ((A, B, np.zeros(3)), {"momentum": -0.5}, ValueError, "momentum must be at least 0, got -0.5"),
        ((A, B, np.zeros(3)), {"weight_decay": -1}, ValueError, "weight_decay must be at least 0, got -1"),
    ],
)
def test_errors_name_argument_wish_and_value(arguments, options, error, message):
    with pytest.raises(error, match=message):
        nk.momentum_step(*arguments, **{"lr": 0.1, **options})
