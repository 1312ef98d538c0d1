"""Arrays that somebody else may refer to are never written."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import nn


class Kept(nn.Dense):
    """A subclass that keeps its result."""

    def forward(self, x, *, training=False):
        self.y = np.tanh(super().forward(x, training=training))
        return self.y

    def backward(self, dy, *, needs_dx=True):
        return super().backward(dy * (1 - self.y**2), needs_dx=needs_dx)


def patched(where, layer, held, monkeypatch):
    """A layer whose `forward` was replaced by one that collects the results."""
    forward = layer.forward

    def collecting(*inputs, training=False):
        held.append(forward(*inputs, training=training))
        return held[-1]

    monkeypatch.setattr(where, "forward", staticmethod(collecting) if isinstance(where, type) else collecting)
    return layer


def test_results_that_a_subclass_keeps():
    layer = Kept(4, 5, dtype=np.float64, rng=0)
    x = np.random.default_rng(0).standard_normal((3, 4))
    assert nn.check_gradients(nn.Sequential(layer, nn.Tanh()), x) < 1
    assert nn.check_gradients(nn.Residual(nn.Sequential(layer, nn.Tanh(), nn.Dense(5, 4, dtype=np.float64))), x) < 1


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("of_class", [False, True])
def test_results_that_a_patched_forward_keeps(monkeypatch, activation, training, of_class):
    held, x = [], np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    dense = nn.Dense(4, 5, rng=0)
    before = dense(x)
    model = nn.Sequential(patched(type(dense) if of_class else dense, dense, held, monkeypatch), activation())
    model(x, training=training)
    np.testing.assert_array_equal(held[-1], before)


def test_an_activation_of_ones_own_after_a_sum():
    class Mine(nn.ReLU):
        def forward(self, x, *, training=False):
            return super().forward(x, training=training)

    x = np.arange(-6.0, 6).reshape(3, 4)
    np.testing.assert_array_equal(nn.Residual(nn.Flatten(), activation=Mine())(x), np.maximum(2 * x, 0))


@pytest.mark.parametrize("kind", [np.float32, object])
@pytest.mark.parametrize("validation", [None, 0.25])
def test_batches_that_a_loss_a_metric_or_an_augmentation_keeps(kind, validation):
    x = np.arange(70 * 512, dtype=np.float32).reshape(70, 512) / (70 * 512)
    held = []

    def hold(*arrays):
        held.extend((array, array.copy()) for array in arrays)

    def loss(prediction, y):
        hold(y)
        return nk.mse_loss_with_grad(prediction, y.astype(np.float32))

    def augment(x, rng):
        hold(x)
        return x

    def metric(prediction, y):
        hold(prediction, y[3:])
        return 0

    options = {"optimiser": nn.SGD(1e-3), "batch_size": 34, "rng": 0, "epochs": 3, "progress": False}
    model = nn.Sequential(nn.Dense(512, 512, rng=0), nn.ReLU())
    nn.fit(
        model, x, x.astype(kind), loss=loss, augment=augment, metrics={"m": metric}, validation=validation, **options
    )
    assert all(np.array_equal(array, copy) for array, copy in held)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("source", ["array", "tuple", "callable"])
def test_an_augmentation_may_write_into_its_batch(source, shuffle):
    x, y = np.ones((6, 3), np.float32), np.zeros((6, 3), np.float32)

    def augment(batch, rng):
        for array in batch if isinstance(batch, tuple) else (batch,):
            array *= 2
        return batch

    samples = {"array": (x, y), "tuple": ((x,), y), "callable": (lambda epoch: [(x[:4], y[:4]), (x[4:], y[4:])], None)}
    options = {"optimiser": nn.SGD(0.1), "batch_size": 4, "shuffle": shuffle, "epochs": 2, "progress": False}
    nn.fit(nn.Dense(3, 3), *samples[source], loss=nk.mse_loss_with_grad, augment=augment, **options)
    assert (x == 1).all()
