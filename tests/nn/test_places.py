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


CONTAINERS = {
    "Parallel": lambda a, b: nn.Parallel(a, b),
    "Residual": lambda a, b: nn.Residual(a, b, "relu"),
    "Sequential": lambda a, b: nn.Sequential(a, b),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_containers_are_read_by_place_and_by_name(kind):
    layers = nn.Dense(2, 2), nn.Dense(2, 2)
    model = CONTAINERS[kind](*layers)
    names = [name for name, layer in model.layers() if layer in layers]
    assert [model[name] for name in names] == [model[0], model[1]] == [model[-2], model[-1]] == list(model)
    assert list(model) == list(layers) == list(model[:])
    assert list(model[1:]) == [layers[1]]
    assert len(model) == 2
    with pytest.raises(KeyError):
        model["other"]
    with pytest.raises(IndexError):
        model[2]


@pytest.mark.parametrize("needs_dx", [False, True])
def test_branches_of_indices_have_no_gradient(needs_dx):
    tables = [nn.Embedding(5, 3, rng=i) for i in range(2)]
    x = np.array([[0, 4, 4], [2, 1, 4]])
    for model in (nn.Residual(*tables), nn.Parallel(*tables)):
        y = model(x, training=True)
        assert model.backward(np.ones_like(y), needs_dx=needs_dx) is None
        assert tables[0].gradients["weight"].sum() == tables[1].gradients["weight"].sum() == 18
