"""Optimisers: a hundred steps beside those of PyTorch, their state, and errors."""

import io
import pickle

import numpy as np
import pytest

import npkernels as nk
from npkernels import nn

CASES = {
    "sgd": (lambda: nn.SGD(0.1), "SGD", {"lr": 0.1}),
    "decay": (lambda: nn.SGD(0.1, weight_decay=0.01), "SGD", {"lr": 0.1, "weight_decay": 0.01}),
    "momentum": (lambda: nn.SGD(0.05, momentum=0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    "nesterov": (
        lambda: nn.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    ),
    "adagrad": (lambda: nn.Adagrad(0.05), "Adagrad", {"lr": 0.05}),
    "rmsprop": (lambda: nn.RMSProp(0.01), "RMSprop", {"lr": 0.01}),
    "rmsprop decay": (
        lambda: nn.RMSProp(alpha=0.9, weight_decay=0.1),
        "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "weight_decay": 0.1},
    ),
    "adam": (lambda: nn.Adam(0.01), "Adam", {"lr": 0.01}),
    "adam betas": (
        lambda: nn.Adam(0.01, 0.8, 0.95, eps=1e-6, weight_decay=0.1),
        "Adam",
        {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
    ),
    "adamw": (lambda: nn.AdamW(0.01), "AdamW", {"lr": 0.01}),
}
MAKERS = {name: case[0] for name, case in CASES.items()}


@pytest.fixture
def batches(rng):
    x = rng.standard_normal((100, 16, 5))
    y = rng.integers(0, 3, (100, 16))
    return list(zip(x, y, strict=True))


def train(model, optimiser, batches):
    for x, y in batches:
        _, gradient = nk.softmax_cross_entropy_with_grad(model(x, training=True), y)
        model.backward(gradient)
        optimiser.step(model)


@pytest.mark.parametrize("name", CASES)
def test_a_hundred_steps_agree_with_pytorch(network, batches, name):
    torch = pytest.importorskip("torch")
    make, kind, options = CASES[name]
    model = network(5, 8, 3)
    twin = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    with torch.no_grad():
        for ours, theirs in ((model.first, twin[0]), (model.last, twin[2])):
            for parameter in ("weight", "bias"):
                getattr(theirs, parameter).copy_(torch.from_numpy(ours.parameters[parameter]))
    start = model.first.parameters["weight"].copy()
    optimiser = getattr(torch.optim, kind)(twin.parameters(), **options)
    for x, y in batches:
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(twin(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimiser.step()
    train(model, make(), batches)
    for ours, theirs in ((model.first, twin[0]), (model.last, twin[2])):
        for parameter in ("weight", "bias"):
            wanted = getattr(theirs, parameter).detach().numpy()
            np.testing.assert_allclose(ours.parameters[parameter], wanted, rtol=0, atol=1e-9)
    assert np.abs(model.first.parameters["weight"] - start).max() > 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("way", ["dict", "npz", "pickle"])
@pytest.mark.parametrize("name", CASES)
def test_training_saved_and_continued_gives_the_bits_of_one_go(network, batches, bits, name, way, dtype):
    batches = [(x.astype(dtype), y) for x, y in batches[:20]]
    whole, model = network(5, 8, 3, dtype), network(5, 8, 3, dtype)
    train(whole, MAKERS[name](), batches)
    before = MAKERS[name]()
    train(model, before, batches[:9])
    if way == "pickle":
        after = pickle.loads(pickle.dumps(before))
    else:
        state = before.state_dict()
        if way == "npz":
            file = io.BytesIO()
            np.savez(file, **state)
            file.seek(0)
            state = np.load(file, allow_pickle=False)
        after = type(before)(123)
        after.load_state_dict(state)
    assert repr(after) == repr(before)
    train(model, after, batches[9:])
    assert bits(model) == bits(whole)


def test_state_is_a_copy(network, batches):
    model, optimiser = network(5, 8, 3), nn.SGD(0.1, momentum=0.9)
    train(model, optimiser, batches[:3])
    state = optimiser.state_dict()
    velocity = state["first.weight.velocity"].copy()
    assert state["first.weight.step"] == 3
    train(model, optimiser, batches[:3])
    np.testing.assert_array_equal(state["first.weight.velocity"], velocity)
    other = nn.SGD(0.1)
    other.load_state_dict(state)
    train(model, other, batches[:1])
    np.testing.assert_array_equal(state["first.weight.velocity"], velocity)


def test_what_is_frozen_stays(network, batches, bits):
    model, optimiser = network(5, 8, 3), nn.Adam(0.1, weight_decay=0.5)
    before, frozen = bits(model), bits(model.first)
    model.first.trainable = False
    train(model, optimiser, batches[:2])
    assert bits(model.first) == frozen
    assert bits(model.last) != before[3:]
    assert "first.weight.m" not in optimiser.state_dict()
    model.first.trainable = True
    train(model, optimiser, batches[:1])
    assert optimiser.state_dict()["first.weight.step"] == 1  # as in PyTorch: the bias of its own start is taken out
    assert optimiser.state_dict()["last.weight.step"] == 3


def test_the_learning_rate_may_be_set_at_any_time(network, batches, bits):
    model, optimiser = network(5, 8, 3), nn.SGD(0.5)
    before = bits(model)
    optimiser.lr = 0
    train(model, optimiser, batches[:1])
    assert bits(model.first) == before[:2]
    with pytest.raises(ValueError, match="lr must be at least 0, got -1"):
        optimiser.lr = -1
    assert optimiser.lr == 0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.SGD("fast"), TypeError, "lr must be a number, got str"),
        (lambda: nn.SGD(float("nan")), ValueError, "lr must be at least 0, got nan"),
        (lambda: nn.SGD(0.1, momentum=-1), ValueError, "momentum must be at least 0"),
        (lambda: nn.SGD(0.1, nesterov=True), ValueError, "momentum must be positive with nesterov, got 0"),
        (lambda: nn.SGD(0.1, nesterov=1), TypeError, "nesterov must be a bool"),
        (lambda: nn.Adagrad(eps=-1), ValueError, "eps must be at least 0"),
        (lambda: nn.RMSProp(alpha=2), ValueError, r"alpha must be in \[0, 1\]"),
        (lambda: nn.Adam(beta1=1.0), ValueError, r"beta1 must be in \[0, 1\)"),
        (lambda: nn.AdamW(weight_decay=-1), ValueError, "weight_decay must be at least 0"),
        (
            lambda: nn.Optimiser(0.1).update(None, None, {}, 1),
            NotImplementedError,
            "Optimiser must have a method update",
        ),
    ],
)
def test_arguments_out_of_range(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_wrong_state_is_refused_and_nothing_changed(network, batches):
    model, optimiser = network(5, 8, 3), nn.SGD(0.1, momentum=0.9)
    train(model, optimiser, batches[:2])
    good, shown = optimiser.state_dict(), repr(optimiser)
    wrong = {name: value for name, value in good.items() if name != "last.bias.velocity"}
    with pytest.raises(ValueError, match=r"missing \['last.bias.velocity'\], unexpected \['beta1', 'first.weight.m'\]"):
        optimiser.load_state_dict({**wrong, "beta1": 0.9, "first.weight.m": np.ones(3)})
    with pytest.raises(ValueError, match="lr must be at least 0"):
        optimiser.load_state_dict({**good, "lr": -1.0})
    with pytest.raises(TypeError, match="velocity must be float32 or float64, got int64"):
        optimiser.load_state_dict({**good, "last.bias.velocity": np.zeros(3, np.int64)})
    assert repr(optimiser) == shown
    after = optimiser.state_dict()
    assert all(np.array_equal(after[name], value) for name, value in good.items())
    with pytest.raises(ValueError, match=r"missing \['beta1'"):
        nn.Adam().load_state_dict(good)


def test_state_of_another_model_is_refused(network, batches, bits):
    model, optimiser = network(5, 8, 3), nn.SGD(0.1, momentum=0.9)
    train(model, optimiser, batches[:1])
    other = network(5, 4, 3)
    x, y = batches[0]
    other.backward(nk.softmax_cross_entropy_with_grad(other(x, training=True), y)[1])
    before = bits(other)
    message = r"velocity of first.weight must be float64 \(4, 5\) like the parameter, got float64 \(8, 5\)"
    with pytest.raises(ValueError, match=message):
        optimiser.step(other)
    assert bits(other) == before
