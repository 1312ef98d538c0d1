"""Steps of the optimisers: against the definition, in every layout, in place; errors."""

import numpy as np
import pytest
from bounds import integers

import npkernels as nk
from npkernels import optim, reference


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


@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 17, 33, 5000])
@pytest.mark.parametrize("nesterov", [False, True])
def test_steps_of_dyadic_numbers_are_exact(isa, dtype, rng, n, nesterov):
    p, g, velocity = (integers(rng, n, dtype) for _ in range(3))
    wide = [a.astype(float) for a in (p, g, velocity)]
    for weight_decay in (0.0, 0.25):
        options = {"lr": 0.5, "momentum": 0.5, "weight_decay": weight_decay, "nesterov": nesterov}
        nk.momentum_step(p, g, velocity, **options)
        reference.momentum_step(*wide, **options)
        nk.sgd_step(p, g, lr=0.25, weight_decay=weight_decay)
        reference.sgd_step(*wide[:2], lr=0.25, weight_decay=weight_decay)
        for one, wanted in zip((p, g, velocity), wide, strict=True):
            np.testing.assert_array_equal(one, wanted)


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


# Every step: its states, and the decay of each that the definition applies.

STEPS = {
    "sgd_step": ((), {"lr": 0.1}),
    "momentum_step": (("velocity",), {"lr": 0.1}),
    "adagrad_step": (("sum_sq",), {"lr": 0.1}),
    "rmsprop_step": (("mean_sq",), {"lr": 0.1}),
    "adam_step": (("m", "v"), {"step": 3, "lr": 0.1}),
    "adamw_step": (("m", "v"), {"step": 3, "lr": 0.1}),
}


def operands(rng, name, shape, dtype):
    """p, g and the states of a step; squares are not negative."""
    made = {argument: rng.standard_normal(shape).astype(dtype) for argument in ["p", "g", *STEPS[name][0]]}
    return [np.abs(a) if argument in ("sum_sq", "mean_sq", "v") else a for argument, a in made.items()]


ADAPTIVE = [
    ("adagrad_step", {}),
    ("adagrad_step", {"lr": 0.5, "eps": 0.1, "weight_decay": 0.25}),
    ("rmsprop_step", {}),
    ("rmsprop_step", {"alpha": 0.5, "eps": 0.0, "weight_decay": 0.25}),
    ("rmsprop_step", {"alpha": 0.0}),
    ("adam_step", {}),
    ("adam_step", {"step": 1, "lr": 1e-3}),
    ("adam_step", {"step": 10**12, "beta1": 0.5, "beta2": 0.9, "eps": 0.5, "weight_decay": 0.25}),
    ("adam_step", {"beta1": 0.0, "beta2": 0.0}),
    ("adamw_step", {}),
    ("adamw_step", {"step": 2, "weight_decay": 0.5}),
    ("adamw_step", {"weight_decay": 0.0}),
]


@pytest.mark.parametrize(("name", "options"), ADAPTIVE)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 17, 33, 5000])
def test_adaptive_steps_are_within_the_bound_of_their_definition(isa, dtype, rng, eps, n, name, options):
    options = {**STEPS[name][1], **options}
    arrays = operands(rng, name, n, dtype)
    wide, before = [a.astype(np.longdouble) for a in arrays], [a.copy() for a in arrays]
    getattr(reference, name)(*wide, **options)
    assert getattr(nk, name)(*arrays, **options) is None
    assert (arrays[1] == before[1]).all()
    # With G >= |g'| the sum of its terms, s the state of squares and S the sum of its terms: every constant and every
    # operation adds eps / 2 relative to the terms it touches. The quotient g' / sqrt(s) has those of g', of G, and half
    # of those of s, S / s relative.
    decay = 0 if name == "adamw_step" else options.get("weight_decay", 0.0)
    g = np.abs(before[1]) + decay * np.abs(before[0].astype(np.longdouble))
    keep = {"adagrad_step": 1.0, "rmsprop_step": options.get("alpha", 0.99)}.get(name, options.get("beta2", 0.999))
    add = 1.0 if name == "adagrad_step" else 1 - keep
    squares = keep * before[-1].astype(np.longdouble) + add * g**2
    top, size = g, g
    root = np.sqrt(wide[-1])
    if "beta1" in options or name.startswith("adam"):
        beta1, step = options.get("beta1", 0.9), options["step"]
        top = beta1 * np.abs(before[2]) + (1 - beta1) * g
        size = top / (1 - beta1**step)
        root = root / np.sqrt(1 - keep**step)
        assert (np.abs(arrays[2] - wide[2]) <= 3 * eps * top).all()
    change = options["lr"] * size / (root + options.get("eps", 1e-10 if name == "adagrad_step" else 1e-8))
    assert (np.abs(arrays[-1] - wide[-1]) <= 4 * eps * squares).all()
    assert (np.abs(arrays[0] - wide[0]) <= eps * (2 * np.abs(before[0]) + change * (6 + 2 * squares / wide[-1]))).all()


@pytest.mark.parametrize("weight_decay", [0.0, 0.25])
def test_sgd_step_is_within_the_bound_of_its_definition(isa, dtype, rng, eps, weight_decay):
    for n in (0, 1, 8, 17, 5000):
        p, g = operands(rng, "sgd_step", n, dtype)
        wide = [a.astype(np.longdouble) for a in (p, g)]
        size = np.abs(p) + 0.1 * (np.abs(g) + weight_decay * np.abs(p))
        nk.sgd_step(p, g, lr=0.1, weight_decay=weight_decay)
        reference.sgd_step(*wide, lr=0.1, weight_decay=weight_decay)
        assert (np.abs(p - wide[0]) <= 3 * eps * size).all()


@pytest.mark.parametrize("name", STEPS)
def test_every_step_gives_the_same_bits_for_layouts_and_threads(isa, dtype, rng, layouts, same_for_any_threads, name):
    start = operands(rng, name, (130, 170), dtype)
    updated = [i for i in range(len(start)) if i != 1]

    def step(arrays):
        getattr(nk, name)(*arrays, **STEPS[name][1])
        return tuple(arrays[i] for i in updated)

    expected = same_for_any_threads(lambda: step([a.copy() for a in start]))
    same_for_any_threads(lambda: step([a.copy("F") for a in start]))
    for arrays in zip(*(layouts(a) for a in start), strict=True):
        if arrays[0].flags.writeable:
            for a, b in zip(step(list(arrays)), expected, strict=True):
                assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", STEPS)
def test_every_step_takes_zero_dimensions_and_read_only_gradients(dtype, rng, name):
    p, *rest = operands(rng, name, (), dtype)
    p, *rest = np.array(p), *map(np.array, rest)
    q, *others = (a.copy() for a in (p, *rest))
    rest[0].flags.writeable = False
    getattr(nk, name)(p, *rest, **STEPS[name][1])
    getattr(reference, name)(q, *others, **STEPS[name][1])
    np.testing.assert_allclose(p, q, rtol=8 * np.finfo(dtype).eps)
    g = np.broadcast_to(np.ones(1, dtype), 5)
    p, *states = (np.ones(5, dtype) for _ in range(1 + len(STEPS[name][0])))
    getattr(nk, name)(p, g, *states, **STEPS[name][1])
    assert (p == p[0]).all()
    assert p[0] < 1


def test_adam_counts_steps_in_double_precision(dtype):
    # 1 - beta2^step = step (1 - beta2) for beta2 near 1, which float32 cannot hold.
    for step, beta2 in ((1, 1 - 1e-9), (7, 1 - 1e-12), (2**62, 0.999)):
        p, g, m, v = (np.full(3, x, dtype) for x in (1, 2, 0, 0))
        correction = -np.expm1(step * np.log1p(-(1 - np.float64(beta2))))
        v[:] = 4 * correction
        grown = (beta2 * np.float64(v[0]) + (1 - beta2) * 4) / correction
        nk.adam_step(p, g, m, v, step=step, lr=0.25, beta1=0.0, beta2=beta2, eps=0.0)
        np.testing.assert_allclose(p, 1 - 0.25 * 2 / np.sqrt(grown), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ["adagrad_step", "rmsprop_step", "adam_step", "adamw_step", "sgd_step"])
def test_steps_equal_those_of_pytorch(isa, rng, name):
    torch = pytest.importorskip("torch")
    kind = {"adagrad": "Adagrad", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}[name[:-5]]
    p, *states = [np.ones((5, 9)), *(np.zeros((5, 9)) for _ in STEPS[name][0])]
    tensor = torch.ones((5, 9), dtype=torch.float64, requires_grad=True)
    optimiser = getattr(torch.optim, kind)([tensor], lr=0.1, weight_decay=0.05)
    for step in range(1, 6):
        g = rng.standard_normal((5, 9))
        tensor.grad = torch.from_numpy(g.copy())
        optimiser.step()
        options = {"step": step} if name.startswith("adam") else {}
        getattr(nk, name)(p, g, *states, lr=0.1, weight_decay=0.05, **options)
        np.testing.assert_allclose(p, tensor.detach().numpy(), rtol=1e-12, atol=1e-14)


# Clipping


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


RANGES = [
    ("adagrad_step", {"eps": -1.0}, "eps must be at least 0, got -1"),
    ("rmsprop_step", {"alpha": 1.5}, r"alpha must be in \[0, 1\], got 1.5"),
    ("adam_step", {"beta1": 1.0}, r"beta1 must be in \[0, 1\), got 1.0"),
    ("adam_step", {"beta2": -0.5}, r"beta2 must be in \[0, 1\), got -0.5"),
    ("adam_step", {"step": 0}, "step must be at least 1, got 0"),
    ("adamw_step", {"step": 2**64}, "step must fit 64 bits, got"),
    ("adamw_step", {"lr": np.nan}, "lr must be at least 0, got nan"),
    ("sgd_step", {"weight_decay": -1.0}, "weight_decay must be at least 0, got -1"),
]


@pytest.mark.parametrize(("name", "options", "message"), RANGES)
def test_numbers_out_of_range_change_nothing(rng, name, options, message):
    arrays = operands(rng, name, 5, np.float64)
    before = [a.copy() for a in arrays]
    with pytest.raises(ValueError, match=message):
        getattr(nk, name)(*arrays, **{**STEPS[name][1], **options})
    assert all((a == b).all() for a, b in zip(arrays, before, strict=True))


@pytest.mark.parametrize("name", STEPS)
def test_every_step_refuses_lists_read_only_and_overlapping_arrays(rng, name):
    step, options, states = getattr(nk, name), STEPS[name][1], STEPS[name][0]
    for place, argument in enumerate(["p", "g", *states]):
        arrays = operands(rng, name, 5, np.float64)
        listed = [a.tolist() if i == place else a for i, a in enumerate(arrays)]
        with pytest.raises(TypeError, match=f"{argument} must be a NumPy array, got list"):
            step(*listed, **options)
        with pytest.raises(
            ValueError, match=rf"{argument if place else 'g'} must have shape \((5|4),\), got \((4|5),\)"
        ):
            step(*(a[:4] if i == place else a for i, a in enumerate(arrays)), **options)
        if place:
            with pytest.raises(ValueError, match=f"{argument} must not overlap p"):
                step(*(arrays[0] if i == place else a for i, a in enumerate(arrays)), **options)
        if place != 1:
            arrays[place].flags.writeable = False
            with pytest.raises(ValueError, match=f"{argument} must be writeable, got a read-only array"):
                step(*arrays, **options)
    with pytest.raises(TypeError, match="step must be an int, got float"):
        nk.adam_step(*operands(rng, "adam_step", 5, np.float64), step=1.0)


def test_arrays_are_walked_as_they_lie_in_memory(monkeypatch, rng):
    # In C order each element of a Fortran array is a cache line of its own: 20 to 120 times the time.
    walked = []
    monkeypatch.setattr(optim, "take_step", lambda kind, *arrays: walked.extend(arrays[:4]))
    arrays = [rng.random((4, 5, 6)).transpose(2, 0, 1) for _ in range(4)]
    nk.adam_step(*arrays, step=1)
    assert all(a.flags.c_contiguous for a in walked)
    assert all(np.shares_memory(a, b) for a, b in zip(walked, arrays, strict=True))
