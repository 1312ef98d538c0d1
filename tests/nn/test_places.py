"""Places of layers in networks: each layer has one, or counts once; containers are read by place and by name."""

import re

import numpy as np
import pytest

from npkernels import nn


class Aliased(nn.Layer):
    """One layer under two attributes, of which the second is a convenience."""

    def __init__(self):
        self.body = nn.Sequential(nn.Dense(2, 2, rng=0), nn.ReLU())
        self.first = self.body[0]

    def forward(self, x, *, training=False):
        return self.body(x, training=training)

    def backward(self, dy, *, needs_dx=True):
        return self.body.backward(dy, needs_dx=needs_dx)


def test_a_layer_at_two_places_counts_once():
    model, x = Aliased(), np.ones((1, 2), np.float32)
    assert [name for name, _ in model.layers()] == ["body", "body.0", "body.1"]
    assert list(model.state_dict()) == ["body.0.weight", "body.0.bias"]
    assert model.summary((2,)).splitlines()[-1].split() == ["total", "6", "0"]
    before = model.first.parameters["bias"].copy()
    model.first.parameters["weight"][...] = 1
    model(x, training=True)
    model.backward(x)
    nn.SGD(1.0).step(model)
    np.testing.assert_array_equal(model.first.parameters["bias"], before - 1)


def test_a_container_refuses_one_layer_at_two_places():
    with pytest.raises(ValueError, match=re.escape("got the same one as 0.body.0 and 0.first")):
        nn.Sequential(Aliased())
    relu = nn.ReLU()
    with pytest.raises(ValueError, match=re.escape("got the same one as 0.activation and 1.activation")):
        nn.Sequential(nn.Residual(nn.Dense(2, 2), activation=relu), nn.Residual(nn.Dense(2, 2), activation=relu))
    with pytest.raises(ValueError, match=re.escape("got the same one as body and activation")):
        nn.Residual(relu, activation=relu)


def test_names_differ():
    with pytest.raises(ValueError, match=re.escape("names of layers must differ, got '0' twice")):
        nn.Sequential(nn.ReLU(), **{"0": nn.Tanh()})
