"""Training ends where numbers that are not finite would not show in a loss."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import nn

X = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]


def fit(model, **options):
    nn.fit(model, X, 3 * X, **{"loss": nk.mse_loss_with_grad, "optimiser": nn.SGD(0.1), "progress": False, **options})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_loss_of_the_validation(value):
    model = nn.Dense(1, 1, rng=0)
    with pytest.raises(FloatingPointError, match=rf"^val_loss is {value} after epoch 1$"):
        fit(model, validation=(X * value, X), epochs=3)
    assert model.history.stopped == f"Stopped: val_loss is {value} after epoch 1."


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_after_the_last_batch(value):
    def loss(prediction, y):
        return 1.0, np.full_like(prediction, value)

    model = nn.Sequential(nn.Flatten(), nn.Dense(1, 1, rng=0))
    with pytest.raises(FloatingPointError, match=r"^1\.weight has numbers that are not finite after epoch 1$"):
        fit(model, loss=loss, batch_size=8)
