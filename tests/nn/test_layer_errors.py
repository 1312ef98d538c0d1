"""Messages: the argument, or the layer and its place in the network."""

import re

import numpy as np
import pytest

from npkernels import nn

X = np.ones((2, 3, 8, 8), np.float32)


def nested():
    body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(5, 3, 3, padding=1))
    return nn.Sequential(nn.ReLU(), nn.Residual(body), nn.Flatten())


def test_a_misfit_names_layer_and_place():
    message = re.escape("layer 1.body.1 (Conv2d): each input must have shape (5, h, w), got (4, 8, 8)")
    for run in (
        lambda: nested().output_shape((3, 8, 8)),
        lambda: nested()(X),
        lambda: nested()(X, training=True),
        lambda: nested().predict(X),
        lambda: nested().summary((3, 8, 8)),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            run()


def test_another_dtype_names_layer_and_place():
    model = nn.Sequential(nn.Flatten(), head=nn.Dense(192, 2))
    with pytest.raises(TypeError, match=r"^layer head \(Dense\): x must be float32 like the parameters, got float64$"):
        model(X.astype(np.float64))
    with pytest.raises(TypeError, match=r"^layer 0 \(ReLU\): x must be float32 or float64, got int64$"):
        nn.Sequential(nn.ReLU())(np.arange(3))
    with pytest.raises(TypeError, match="state must be float32 like the parameters, got float64"):
        nn.GRU(3, 4)(np.ones((1, 2, 3), np.float32), np.ones((1, 1, 4)))


def test_backward_names_layer_and_place():
    model = nn.Sequential(nn.Dense(3, 4), nn.Sequential(nn.Dense(4, 5)))
    model(np.ones((2, 3), np.float32), training=True)
    with pytest.raises(ValueError, match=r"^layer 1.0 \(Dense\): dy must have shape \(2, 5\), got \(2, 4\)$"):
        model.backward(np.ones((2, 4), np.float32))


LAYERS = {
    nn.Dense(3, 2): ((4,), "Dense: the input must have shape (..., 3), got (4,)"),
    nn.Conv2d(3, 2, 3): ((3, 8), "Conv2d: each input must have shape (3, h, w), got (3, 8)"),
    nn.Conv2d(3, 2, 9): ((3, 8, 8), "kernel"),
    nn.Conv1d(3, 2, 3): ((4, 8), "Conv1d: each input must have shape (3, l), got (4, 8)"),
    nn.ConvTranspose2d(3, 2, 2, padding=4): ((3, 4, 4), "ConvTranspose2d: the padding leaves -3 x -3 pixels"),
    nn.MaxPool2d(2): ((3,), "MaxPool2d: each input must have shape (c, h, w), got (3,)"),
    nn.GlobalAvgPool2d(): ((3,), "GlobalAvgPool2d: each input must have shape (c, h, w), got (3,)"),
    nn.BatchNorm(3): ((4, 8), "BatchNorm: each input must have shape (3, ...), got (4, 8)"),
    nn.LayerNorm(3): ((4, 8), "LayerNorm: the input must have shape (..., 3), got (4, 8)"),
    nn.Maxout(2): ((3, 8), "Maxout: channels must be a multiple of pieces = 2, got an input of (3, 8)"),
    nn.Reshape(4, -1): ((3, 5), "Reshape: 15 elements of an input (3, 5) must make the shape (4, -1)"),
    nn.Reshape(4): ((3,), "Reshape: 3 elements of an input (3,) must make the shape (4,)"),
    nn.LSTM(3, 4): ((5, 4), "LSTM: each input must have shape (t, 3), got (5, 4)"),
    nn.Parallel(nn.Flatten(), nn.ReLU()): ((3, 4), "Parallel: the branches must differ along axis 1 alone"),
    nn.Parallel(nn.ReLU(), axis=3): ((3, 4), "Parallel: axis 3 must be one of the results"),
    nn.Residual(nn.Dense(3, 4)): (
        (3,),
        "Residual: body and shortcut must have results of one shape, got (4,) and (3,)",
    ),
}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_misfit_names_the_layer(layer):
    shape, message = LAYERS[layer]
    with pytest.raises(ValueError, match=re.escape(message)):
        layer.output_shape(shape)
    with pytest.raises(ValueError):
        layer(np.ones((2, *shape), np.float32), training=True)


ARGUMENTS = [
    (lambda: nn.Dense(3.0, 2), TypeError, "in_features must be an int, got float"),
    (lambda: nn.Dense(3, 2, rng="a"), TypeError, "rng must be an int, got str"),
    (lambda: nn.Sequential(rng="a"), TypeError, "rng must be an int, got str"),
    (lambda: nn.Sequential(rng=nn.ReLU()), TypeError, "rng must be an int, got ReLU"),
    (lambda: nn.Dropout(rng=-1), ValueError, "rng must be at least 0, got -1"),
    (lambda: nn.Dense(3, -2), ValueError, "out_features must be at least 0, got -2"),
    (lambda: nn.Dense(3, 2, dtype=np.int64), TypeError, "dtype must be float32 or float64, got int64"),
    (lambda: nn.Dense(3, 2, bias=1), TypeError, "bias must be a bool, got int"),
    (lambda: nn.Conv2d(4, 6, 3, groups=3), ValueError, "groups must divide in_channels and out_channels, got groups=3"),
    (lambda: nn.Conv2d(4, 6, 0), ValueError, "kernel_size must be at least 1, got 0"),
    (lambda: nn.Activation("rely"), ValueError, "name must be one of"),
    (lambda: nn.Activation("clip", low=0), TypeError, "Activation: clip must have the parameter high"),
    (lambda: nn.Activation("relu", slope=0), TypeError, "Activation: relu must have parameters [] at most, got slope"),
    (lambda: nn.Dropout(1.5), ValueError, "p must be in [0, 1], got 1.5"),
    (lambda: nn.GaussianNoise(-1), ValueError, "std must be at least 0, got -1"),
    (lambda: nn.Reshape(-1, -1), ValueError, "shape must have one size of -1 at most"),
    (lambda: nn.Sequential(nn.ReLU), TypeError, "layer 0 must be a nn.Layer, got type"),
    (lambda: nn.Sequential(**{"a.b": nn.ReLU()}), ValueError, "names of layers must not be empty nor have dots"),
    (lambda: nn.Parallel(), ValueError, "Parallel must have one branch at least"),
    (lambda: nn.Parallel(nn.ReLU(), axis=0), ValueError, "axis must not be that of the batch, got 0"),
    (lambda: nn.Residual(nn.ReLU(), activation=nn.Dense), TypeError, "activation must be a string or an nn.Activation"),
    (lambda: nn.RNN(3, 4, nonlinearity="gelu"), ValueError, "nonlinearity must be one of 'tanh', 'relu', got 'gelu'"),
    (lambda: nn.LSTM(3, 4)(np.ones((1, 2, 3), np.float32), np.ones(3)), TypeError, "state must be a pair (h, c)"),
    (lambda: nn.BatchNorm(2)(np.ones((1, 2), np.float32), training=True), ValueError, "more than one value for each"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "error", "message"), ARGUMENTS)
def test_arguments(run, error, message):
    with pytest.raises(error, match=re.escape(message)):
        run()


@pytest.mark.parametrize(
    ("layer", "size", "message"),
    [
        (nn.Conv2d(3, 4, 3, 2, "same"), (8, 8), "padding='same' must go with stride 1"),
        (nn.Conv1d(3, 4, 3, 2, "same"), (8,), "padding='same' must go with stride 1"),
        (nn.ConvTranspose2d(3, 4, 3, 2, 1, 5), (8, 8), "output_padding must be smaller than stride or dilation"),
        (nn.ConvTranspose2d(3, 4, 3, 0), (8, 8), "stride must be at least 1, got 0"),
        (nn.ConvTranspose2d(3, 4, 3, dilation=0), (8, 8), "dilation must be at least 1, got 0"),
        (nn.MaxPool2d(2, 2, 3), (8, 8), "padding must be smaller than the (dilated) window"),
        (nn.AvgPool2d(2, 2, 3), (8, 8), "padding must be smaller than the (dilated) window"),
        (nn.MaxPool2d(2, padding=1), (0, 0), "padding must leave an element"),
        (nn.GlobalAvgPool2d(), (0, 2), "x must have at least one row and one column"),
        (nn.AdaptiveAvgPool2d(2), (0, 2), "x must have at least one row and one column"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_output_shape_refuses_what_forward_refuses(layer, size, message):
    for run in (
        lambda: layer(np.ones((2, 3, *size), np.float32)),
        lambda: layer.output_shape((3, *size)),
        lambda: nn.Sequential(layer).summary((3, *size)),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            run()


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d])
def test_output_shape_leaves_what_backward_needs(kind):
    layer = kind(2) if kind is nn.MaxPool2d else kind(3, 4, 2)
    y = layer(X, training=True)
    assert layer.output_shape(X.shape[1:]) == y.shape[1:]
    assert layer.backward(np.ones_like(y)).shape == X.shape


@pytest.mark.parametrize(
    "layer", [nn.GaussianNoise(0.1), nn.Dropout(0.5), nn.Flatten(), nn.Reshape(8, 24), nn.Sequential()]
)
def test_gradients_of_another_shape_or_dtype(layer):
    y = layer(X, training=True)
    with pytest.raises(ValueError, match=re.escape(f"dy must have shape {y.shape}, got (2, 3, 8)")):
        layer.backward(np.ones((2, 3, 8), np.float32))
    y = layer(X, training=True)
    with pytest.raises(TypeError, match="dy must be float32 like the result, got float64"):
        layer.backward(np.ones(y.shape))
    y = layer(X, training=True)
    assert layer.backward(y).shape == X.shape


def test_layers_without_arguments():
    class Own(nn.Layer):
        pass

    for kind in (nn.GlobalAvgPool2d, Own, nn.Layer):
        kind()
        for arguments, named in (((7,), {}), ((), {"size": 7})):
            with pytest.raises(TypeError, match=rf"{kind.__name__}\(\) takes no arguments"):
                kind(*arguments, **named)


def test_a_layer_has_one_place():
    relu = nn.ReLU()
    with pytest.raises(ValueError, match=re.escape("a layer must have one place, got the same one as 0 and 1.body")):
        nn.Sequential(relu, nn.Residual(relu))
