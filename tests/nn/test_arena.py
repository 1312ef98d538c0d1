"""Memory of training steps: used again, never while somebody refers to it."""

import gc
import resource
import threading

import numpy as np
import pytest

import npkernels as nk
from npkernels import nn
from npkernels.nn.arena import SMALLEST, STEPS, Arena

LARGE = (SMALLEST,)


def address(array):
    return array.__array_interface__["data"][0]


def network():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm(16), nn.ReLU(), nn.Dropout(0.1))),
        nn.Parallel(nn.Conv2d(16, 8, 1), nn.MaxPool2d(3, 1, 1)),
        nn.GELU(),
        nn.ConvTranspose2d(24, 8, 2, 2),
        nn.AvgPool2d(2),
        nn.GlobalAvgPool2d(),
        nn.Dense(8, 10),
        rng=0,
    )


def step(model, x, y):
    with model.arena:
        loss, dy = nk.softmax_cross_entropy_with_grad(model(x, training=True), y)
        model.backward(dy, needs_dx=False)
    return loss


def test_steps_after_the_first_touch_no_new_memory(rng):
    model, x, y = network(), rng.standard_normal((16, 3, 48, 48)).astype(np.float32), rng.integers(0, 10, 16)
    for _ in range(3):
        step(model, x, y)
    gc.disable()
    try:
        size, before = model.arena.nbytes, resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            step(model, x, y)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    finally:
        gc.enable()
    assert model.arena.nbytes == size
    assert faults < 5 * 200  # a step's results are 12,000 pages


def test_the_arena_changes_no_result(rng):
    x, y = rng.standard_normal((16, 3, 48, 48)).astype(np.float32), rng.integers(0, 10, 16)
    one, two = network(), network()
    for _ in range(3):
        z = x
        for layer in two:
            z = layer(z, training=True)
        loss, dy = nk.softmax_cross_entropy_with_grad(z, y)
        for layer in reversed(list(two)):
            dy = layer.backward(dy)
        assert step(one, x, y) == loss
    for (_, a), (_, b) in zip(one.layers(), two.layers(), strict=True):
        assert all(np.array_equal(a.gradients[key], b.gradients[key]) for key in a.gradients)


def test_memory_is_used_again_once_nothing_lies_in_it():
    arena = Arena()
    a = arena.empty(LARGE, np.float32)
    place = address(a)
    part = a[5:7]
    del a
    b = arena.empty(LARGE, np.float32)
    assert address(b) != place  # part is still there
    del part
    assert address(arena.empty(LARGE, np.float32)) == place
    assert address(arena.empty((LARGE[0] * 3 // 4,), np.float32)) == place  # a little smaller
    assert arena.nbytes == 2 * 4 * LARGE[0]
    c = arena.empty((LARGE[0] // 3,), np.float32)  # it would not fill half of a buffer
    assert address(c) not in (place, address(b))
    assert address(arena.empty(LARGE, np.float32)) == place


def test_small_arrays_are_not_kept():
    arena = Arena()
    assert arena.empty((3, 4), np.float32).shape == (3, 4)
    assert arena.nbytes == 0


def test_results_that_are_held_stay_as_they_are(rng):
    model, x = nn.Sequential(nn.Dense(64, 2048), nn.ReLU(), rng=0), rng.standard_normal((256, 64)).astype(np.float32)
    results = []
    for k in range(4):
        y = model((k + 1) * x, training=True)
        dx = model.backward(np.ones_like(y))
        results.append((y, y.copy(), dx, dx.copy()))
    assert all(np.array_equal(a, b) and np.array_equal(c, d) for a, b, c, d in results)


def test_an_activation_is_written_over_what_nobody_keeps():
    x = np.ones((64, 64, 16), np.float32)
    for model in (nn.Sequential(nn.BatchNorm(64), nn.ReLU()), nn.Sequential(nn.Dense(16, 16), nn.Softplus())):
        arena = Arena()
        with arena:
            model(x)
        assert arena.nbytes == x.nbytes


def test_unused_memory_goes_back():
    arena = Arena()
    with arena:
        nk.batch_norm(np.ones((64, 64, 16), np.float32), np.ones(64, np.float32), np.ones(64, np.float32))
    assert arena.nbytes > 0
    for _ in range(STEPS + 1):
        with arena:
            pass
    assert arena.nbytes == 0


def test_only_the_step_uses_it():
    arena, x = Arena(), np.ones((64, 64, 16), np.float32)
    ones = np.ones(64, np.float32)
    nk.batch_norm(x, ones, ones)
    assert arena.nbytes == 0
    with arena, Arena():
        nk.batch_norm(x, ones, ones)
    with pytest.raises(ValueError), arena:
        nk.batch_norm(x, ones, x)
    nk.batch_norm(np.ones((99, 64, 16), np.float32), ones, ones)
    assert arena.nbytes > 0  # the inner one is part of the outer
    size = arena.nbytes
    with arena:
        thread = threading.Thread(target=lambda: nk.batch_norm(np.ones((99, 64, 16), np.float32), ones, ones))
        thread.start()
        thread.join()
    assert arena.nbytes == size


def test_threads_share_an_arena():
    arena, wrong = Arena(), []

    def work(k):
        for _ in range(300):
            a = arena.empty(LARGE, np.float32)
            a[...] = k
            if not (a == k).all():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert arena.nbytes <= 2 * 4 * 4 * LARGE[0]  # each thread holds the last one while it takes the next


def test_inference_and_trained_models_hold_no_memory(rng):
    model, x, y = network(), rng.standard_normal((8, 3, 48, 48)).astype(np.float32), rng.integers(0, 10, 8)
    model(x)
    model.predict(x)
    recurrent = nn.LSTM(32, 64, 2, bidirectional=True)
    recurrent(rng.standard_normal((16, 40, 32)).astype(np.float32))
    assert recurrent.arena.nbytes == 0
    assert model.arena.nbytes == 0
    nn.fit(model, x, y, loss=nk.softmax_cross_entropy_with_grad, optimiser=nn.SGD(0.1), batch_size=4, progress=False)
    assert model.arena.nbytes == 0
