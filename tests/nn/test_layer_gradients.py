"""The gradients of every layer against central differences, and what the comparison finds."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import nn

IMAGE, ROWS = (2, 4, 6, 5), (3, 5, 4)
PARAMETERS = {
    "clip": {"low": -0.5, "high": 1.0},
    "prelu": {"slope": 0.3},
    "srelu": {"t_left": -0.5, "a_left": 0.3, "t_right": 0.5, "a_right": 2.0},
    "apl": {"slopes": np.array([0.3, -0.2]), "hinges": np.array([0.1, 1.0])},
    "soft_exponential": {"alpha": 0.3},
    "soft_clipping": {"alpha": 3.0},
}
LAYERS = {
    "Dense": (nn.Dense(4, 3), ROWS),
    "Conv2d": (nn.Conv2d(4, 6, 3, (2, 1), ((1, 0), (2, 1)), 1, 2), IMAGE),
    "Conv1d": (nn.Conv1d(5, 3, 2, 2, (1, 0)), ROWS),
    "ConvTranspose2d": (nn.ConvTranspose2d(4, 6, 3, 2, ((1, 0), (0, 1)), 1, 2), IMAGE),
    "MaxPool2d": (nn.MaxPool2d(2, 1, ((1, 0), (0, 1))), IMAGE),
    "AvgPool2d": (nn.AvgPool2d((3, 2), (2, 1), 1), IMAGE),
    "GlobalAvgPool2d": (nn.GlobalAvgPool2d(), IMAGE),
    "BatchNorm": (nn.BatchNorm(4), IMAGE),
    "LayerNorm": (nn.LayerNorm(4), ROWS),
    "Dropout": (nn.Dropout(0.3), IMAGE),
    "GaussianNoise": (nn.GaussianNoise(0.5), IMAGE),
    "PReLU": (nn.PReLU(4), IMAGE),
    "SReLU": (nn.SReLU(4), IMAGE),
    "SReLU of all": (nn.SReLU(), IMAGE),
    "APL": (nn.APL(3, 4), IMAGE),
    "APL of all": (nn.APL(3), IMAGE),
    "Maxout": (nn.Maxout(2), IMAGE),
    "Softmax": (nn.Softmax(1), IMAGE),
    "Flatten": (nn.Flatten(), IMAGE),
    "Reshape": (nn.Reshape(-1, 4), IMAGE),
    "RNN": (nn.RNN(4, 3, 2, bidirectional=True), ROWS),
    "GRU": (nn.GRU(4, 3, 2, return_sequences=False), ROWS),
    "LSTM": (nn.LSTM(4, 3, 2, bidirectional=True, return_sequences=False), ROWS),
    "Parallel": (nn.Parallel(nn.Sequential(), nn.Dense(4, 3), nn.Dense(4, 2), axis=-1), ROWS),
    "Residual": (nn.Residual(nn.Dense(4, 4), activation="tanh"), ROWS),
    "Residual with noise": (nn.Residual(nn.Sequential(), nn.Dense(4, 4), activation=nn.Activation("rrelu")), ROWS),
    **{name: (nn.Activation(name, **PARAMETERS.get(name, {})), IMAGE) for name in nk.ACTIVATIONS},
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_those_of_differences(rng, name):
    layer, shape = LAYERS[name]
    layer.initialise(0)
    for array in layer.parameters.values():  # away from what they begin with
        array += 0.1 * rng.standard_normal(array.shape).astype(array.dtype)
    assert nn.check_gradients(layer, rng.standard_normal(shape)) < 1


@pytest.mark.parametrize("name", LAYERS)
def test_float32_gradients_are_near_those_of_float64(rng, name):
    layer, shape = LAYERS[name]
    if name in ("Dropout", "GaussianNoise", "rrelu", "Residual with noise"):
        pytest.skip("draws are those of the dtype")
    results = []
    for dtype in (np.float32, np.float64):
        layer.initialise(0)
        for _, inner in layer.everything():
            inner._gradients = {}
            for arrays in (inner.parameters, inner.buffers):
                arrays.update({key: array.astype(dtype) for key, array in arrays.items()})
        x = np.random.default_rng(1).standard_normal(shape).astype(np.float32).astype(dtype)
        y = layer(x, training=True)
        dx = layer.backward(np.cos(np.arange(y.size)).reshape(y.shape).astype(dtype))
        assert y.dtype == dx.dtype == dtype
        results.append([y, dx, *(g for _, inner in layer.everything() for g in inner.gradients.values())])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-4)


def test_embedding():
    assert nn.check_gradients(nn.Embedding(5, 3, rng=0), np.array([[0, 4, 4], [2, 1, 4]])) < 1


def test_a_loss_can_be_given(rng):
    targets = np.array([0, 2, 1])

    def loss(prediction):
        return nk.softmax_cross_entropy_with_grad(prediction, targets)

    assert nn.check_gradients(nn.Dense(4, 3, rng=0), rng.standard_normal((3, 4)), loss, eps=1e-5) < 1


@pytest.mark.parametrize("factor", [0, -1, 1 + 1e-5])
@pytest.mark.parametrize("wrong", ["x", "weight", "bias"])
def test_wrong_gradients_are_found(rng, factor, wrong):
    class Wrong(nn.Dense):
        def backward(self, dy, *, needs_dx=True):
            dx = super().backward(dy)
            for name, gradient in {"x": dx, **self.gradients}.items():
                gradient *= factor if name == wrong else 1
            return dx

    assert nn.check_gradients(Wrong(4, 3, rng=0), rng.standard_normal((5, 4))) > 1


def test_gradients_that_are_not_numbers_are_found(rng):
    class Wrong(nn.ReLU):
        def backward(self, dy, *, needs_dx=True):
            return np.nan * super().backward(dy)

    assert nn.check_gradients(Wrong(), rng.standard_normal((5, 4))) == np.inf


def test_the_model_is_left_alone(rng):
    model = nn.Sequential(nn.Dense(4, 3), nn.BatchNorm(3), rng=0)
    before = model.state_dict()
    nn.check_gradients(model, rng.standard_normal((5, 4)))
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="eps must be above 0, got 0"):
        nn.check_gradients(model, rng.standard_normal((5, 4)), eps=0)


def test_frozen_layers_are_not_compared(rng):
    model = nn.Sequential(nn.BatchNorm(4), nn.Dense(4, 3), rng=0)
    model[0].trainable = False
    model[0].buffers["running_var"][...] = [1, 2, 3, 4]
    assert nn.check_gradients(model, rng.standard_normal((5, 4))) < 1
