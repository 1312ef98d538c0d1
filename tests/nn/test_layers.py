"""The protocol: backward once, what is frozen, names, places in messages, fusion, copies."""

import copy
import pickle

import numpy as np
import pytest

import npkernels as nk
from npkernels import nn


def small(rng=0, dtype=np.float32):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, dtype=dtype),
        nn.ReLU(),
        nn.Residual(
            nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1, dtype=dtype), nn.BatchNorm(6, dtype=dtype)),
            nn.Conv2d(4, 6, 1, 2, dtype=dtype),
            activation="relu",
        ),
        nn.Dropout(0.2),
        nn.Parallel(nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1)),
        nn.GlobalAvgPool2d(),
        head=nn.Dense(12, 5, dtype=dtype),
        rng=rng,
    )


def images(n=2, dtype=np.float32):
    return np.random.default_rng(1).standard_normal((n, 3, 8, 8)).astype(dtype)


def all_layers():
    """One of each kind that takes x of (n, 4, 6, 6)."""
    yield from (nn.Conv2d(4, 2, 3), nn.ConvTranspose2d(4, 2, 3), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.GlobalAvgPool2d())
    yield from (nn.BatchNorm(4), nn.LayerNorm(6), nn.Dropout(0.5), nn.GaussianNoise(1.0), nn.Activation("rrelu"))
    yield from (nn.ReLU(), nn.GELU(), nn.PReLU(), nn.SReLU(), nn.APL(2), nn.Maxout(2), nn.Softmax(), nn.Dense(6, 2))
    yield from (nn.Flatten(), nn.Reshape(-1), nn.Sequential(), nn.Sequential(nn.ReLU()), nn.Parallel(nn.ReLU()))
    yield from (nn.Residual(nn.ReLU()), nn.Residual(nn.ReLU(), activation="relu"))


@pytest.mark.parametrize("layer", list(all_layers()), ids=lambda layer: type(layer).__name__)
def test_backward_follows_one_training_forward(rng, layer):
    x = rng.standard_normal((2, 4, 6, 6)).astype(np.float32)
    y = layer(x, training=True)
    layer.backward(np.ones_like(y))
    with pytest.raises(RuntimeError, match="backward must follow a forward with training=True, once"):
        layer.backward(np.ones_like(y))
    layer(x, training=True)
    layer(x)
    with pytest.raises(RuntimeError, match="backward must follow"):
        layer.backward(np.ones_like(y))
    y = layer(x, training=True)
    assert layer.backward(np.ones_like(y), needs_dx=False) is None
    assert all(inner._kept is None for _, inner in layer.everything())


def test_nothing_is_kept_after_backward_even_of_what_is_frozen():
    model = small()
    model[:4].trainable = False
    y = model(images(), training=True)
    model.backward(np.ones_like(y), needs_dx=False)
    assert all(inner._kept is None for _, inner in model.everything())
    assert not any(gradient.any() for _, layer in model[:4].layers() for gradient in layer.gradients.values())
    assert model["head"].gradients["weight"].any()


@pytest.mark.parametrize("layer", list(all_layers()), ids=lambda layer: type(layer).__name__)
def test_inputs_are_not_written(rng, layer):
    x = rng.standard_normal((2, 4, 6, 6)).astype(np.float32)
    x.flags.writeable = False
    y = layer(x, training=True)
    before, dy = y.copy(), np.ones_like(y)
    dy.flags.writeable = False
    layer.backward(dy)
    assert np.array_equal(y, before)
    model = nn.Sequential(layer, nn.Activation("sinusoid"), nn.ReLU(), nn.Tanh())
    y = model(x, training=True)
    before = y.copy()
    model.backward(np.ones_like(y))
    assert np.array_equal(y, before)


def test_arrays_stay_the_same_objects():
    model = small()
    arrays = [[*d.values()] for _, layer in model.layers() for d in (layer.parameters, layer.gradients, layer.buffers)]
    y = model(images(), training=True)
    model.backward(np.ones_like(y))
    model.initialise(1)
    model.load_state_dict(small(2).state_dict())
    after = [[*d.values()] for _, layer in model.layers() for d in (layer.parameters, layer.gradients, layer.buffers)]
    assert all(a is b for one, two in zip(arrays, after, strict=True) for a, b in zip(one, two, strict=True))


def test_names_are_depth_first():
    names = [name for name, _ in small().layers()]
    assert names == [
        "0",
        "1",
        "2",
        "2.body",
        "2.body.0",
        "2.body.1",
        "2.shortcut",
        "2.activation",
        "3",
        "4",
        "4.0",
        "4.1",
        "5",
        "head",
    ]
    assert list(small().state_dict()) == [
        *("0.weight", "0.bias", "2.body.0.weight", "2.body.0.bias", "2.body.1.weight", "2.body.1.bias"),
        *("2.body.1.running_mean", "2.body.1.running_var", "2.shortcut.weight", "2.shortcut.bias"),
        *("head.weight", "head.bias"),
    ]


def test_index_slice_iterate():
    model = small()
    assert len(model) == 7
    assert list(model) == [model[i] for i in range(7)]
    assert model["head"] is model[-1]
    tail = model[3:]
    assert isinstance(tail, nn.Sequential)
    assert [name for name, _ in tail.layers()] == ["3", "4", "4.0", "4.1", "5", "head"]
    assert tail[0] is model[3]
    assert len(model[4]) == 2
    with pytest.raises(IndexError):
        model[7]


def test_one_stream_draws_all_parameters(bits):
    assert bits(small(3)) == bits(small(3)) == bits(small(np.random.default_rng(3)))
    assert bits(small(3)) != bits(small(4))
    model = small(4)
    model.initialise(3)
    assert bits(model) == bits(small(3))
    first, second = nn.Dense(2, 2), nn.Dense(2, 2)
    weights = first.parameters["weight"].copy()
    nn.Sequential(first, second)  # no rng: they stay
    assert np.array_equal(first.parameters["weight"], weights)
    assert not np.array_equal(weights, second.parameters["weight"])


def test_layers_that_draw_go_on_with_the_generator_of_the_network():
    results = []
    for _ in range(2):
        model = small(5)
        results += [model(images(), training=True), model(images(), training=True)]
    assert np.array_equal(results[0], results[2])
    assert np.array_equal(results[1], results[3])
    assert not np.array_equal(results[0], results[1])
    assert np.array_equal(
        nn.Dropout(0.5, rng=1)(images(), training=True), nn.Dropout(0.5, rng=1)(images(), training=True)
    )


def test_copies_are_equal_and_apart(bits):
    model = small()
    y = model(images(), training=True)
    for copied in (copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))):
        other = copied(model)
        assert bits(other) == bits(model)
        assert np.array_equal(other(images()), model(images(), training=False))
        model(images(), training=True)
        with pytest.raises(RuntimeError):
            other.backward(y)
        other[0].parameters["weight"] += 1
        assert bits(other) != bits(model)
        assert other.arena is not model.arena
        assert np.array_equal(
            other.predict(images(5), 2), np.concatenate([other(images(5)[i : i + 2]) for i in (0, 2, 4)])
        )
    assert len(pickle.dumps(model)) < 2 * sum(map(len, bits(model))) + 20000


def test_predict_in_batches_gives_the_same_bits():
    model, x = small(), images(7)
    assert model.predict(x, batch_size=3).tobytes() == model.predict(x).tobytes() == model(x).tobytes()
    assert model.predict(x[:0]).shape == (0, 5)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        model.predict(x, 0)


def test_trainable_goes_to_all_inside():
    model = small()
    model.trainable = False
    assert not any(layer.trainable for _, layer in model.everything())
    assert not model.learns()
    model["head"].trainable = True
    assert model.learns()
    with pytest.raises(TypeError, match="trainable must be a bool, got int"):
        model.trainable = 1


def test_no_gradient_is_taken_before_the_first_layer_that_learns():
    class Loud(nn.ReLU):
        def backward(self, dy, *, needs_dx=True):
            raise AssertionError("nothing before it learns")

    model = nn.Sequential(nn.Dense(4, 4), Loud(), nn.Dense(4, 3), nn.Dense(3, 2), rng=0)
    model[0].trainable = model[2].trainable = False
    y = model(np.ones((2, 4), np.float32), training=True)
    model.backward(np.ones_like(y), needs_dx=False)
    assert not model[0].gradients["weight"].any()
    assert not model[2].gradients["weight"].any()
    assert model[3].gradients["weight"].any()
    model(np.ones((2, 4), np.float32), training=True)
    with pytest.raises(AssertionError) as caught:
        model.backward(np.ones_like(y))
    assert caught.value.__notes__ == ["in layer 1 (Loud)"]


def test_frozen_layers_let_gradients_through():
    x = images()
    gradients = []
    for frozen in (False, True):
        model = small()
        model[3].p = 0.0
        model[2].children()["body"][1].trainable = False  # so that both take the running statistics
        model["head"].trainable = not frozen
        y = model(x, training=True)
        gradients.append(model.backward(np.ones_like(y)))
        assert bool(model["head"].gradients["weight"].any()) != frozen
        assert model[0].gradients["weight"].any()
    assert np.array_equal(*gradients)


def test_frozen_batch_norm_takes_the_running_statistics(rng):
    norm, x = nn.BatchNorm(3), rng.standard_normal((5, 3)).astype(np.float32)
    norm(x, training=True)
    before = {name: buffer.copy() for name, buffer in norm.buffers.items()}
    norm.trainable = False
    assert np.array_equal(norm(x, training=True), norm(x))
    assert all(np.array_equal(before[name], buffer) for name, buffer in norm.buffers.items())


# activation, and whether training fuses it: where the gradient follows from the result
FUSIBLE = {
    "relu": (nn.ReLU, True),
    "leaky_relu": (nn.LeakyReLU, True),
    "sigmoid": (nn.Sigmoid, True),
    "tanh": (nn.Tanh, True),
    "elu": (nn.ELU, True),
    "softplus": (nn.Softplus, True),
    "gelu": (nn.GELU, False),
    "silu": (nn.SiLU, False),
}
BEFORE = {
    "Dense": (lambda: nn.Dense(6, 5, rng=0), (4, 6)),
    "Conv2d": (lambda: nn.Conv2d(6, 5, 3, rng=0), (2, 6, 7, 7)),
    "Conv1d": (lambda: nn.Conv1d(6, 5, 3, rng=0), (2, 6, 7)),
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("name", FUSIBLE)
def test_fusion_changes_no_bit(rng, monkeypatch, name, before):
    make, shape = BEFORE[before]
    (activation, in_training), x = FUSIBLE[name], rng.standard_normal(shape).astype(np.float32)
    model, layer, after = nn.Sequential(make(), activation()), make(), activation()
    fused = []
    plain = type(layer).fused

    def watched(self, x, *, training=False, activation=None):
        fused.append(activation)
        return plain(self, x, training=training, activation=activation)

    monkeypatch.setattr(type(layer), "fused", watched)
    assert model(x).tobytes() == after(layer(x)).tobytes()
    y = model(x, training=True)
    assert fused[0] == name
    assert fused[2] == (name if in_training else None)
    assert y.tobytes() == after(layer(x, training=True), training=True).tobytes()
    dy = rng.standard_normal(y.shape).astype(np.float32)
    assert model.backward(dy).tobytes() == layer.backward(after.backward(dy)).tobytes()
    assert all(np.array_equal(model[0].gradients[key], layer.gradients[key]) for key in layer.gradients)


def test_an_activation_with_parameters_or_a_forward_of_its_own_is_not_fused(rng):
    class Double(nn.ReLU):
        def forward(self, x, *, training=False, in_place=False):
            return 2 * super().forward(x, training=training)

    class Shifted(nn.Dense):
        def forward(self, x, *, training=False):
            return super().forward(x, training=training) + 10

    x = rng.standard_normal((4, 6)).astype(np.float32)
    dense = nn.Dense(6, 5, rng=0)
    assert np.array_equal(nn.Sequential(dense, nn.LeakyReLU(0.5))(x), nk.leaky_relu(dense(x), slope=0.5))
    assert np.array_equal(nn.Sequential(dense, Double())(x), 2 * nk.relu(dense(x)))
    shifted = Shifted(6, 5, rng=0)
    assert np.array_equal(nn.Sequential(shifted, nn.ReLU())(x), nk.relu(shifted(x)))


def test_residual_and_parallel_do_not_write_over_what_others_need(rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    for model in (nn.Residual(nn.Sequential()), nn.Residual(nn.Sequential(), nn.Sequential(), activation="relu")):
        y = model(x, training=True)
        dy = np.ones_like(y)
        dx = model.backward(dy)
        assert np.array_equal(dy, np.ones_like(dy))
        assert np.array_equal(dx, 2 * dy * (y != 0))
    model = nn.Parallel(nn.Sequential(), nn.Sequential(), nn.Sequential())
    model(x, training=True)
    dy = np.ones((3, 12), np.float32)
    assert np.array_equal(model.backward(dy), np.full((3, 4), 3, np.float32))
    assert np.array_equal(dy, np.ones_like(dy))


def test_any_activation_of_nk_runs(rng):
    x = rng.standard_normal((3, 4))
    assert np.array_equal(nn.Activation("sinusoid")(x), nk.sinusoid(x))
    y, slopes = nk.rrelu(x, training=True, rng=np.random.default_rng(0))
    model = nn.Sequential(nn.Activation("rrelu"), rng=0)
    assert np.array_equal(model(x, training=True), y)
    assert np.array_equal(
        model.backward(np.ones_like(x)), nk.rrelu_backward(np.ones_like(x), x, slopes=slopes, training=True)
    )


def test_the_same_bits_for_any_number_of_threads(same_for_any_threads):
    def step():
        model = small()
        y = model(images(4), training=True)
        model.backward(np.ones_like(y))
        return (y, *(g.copy() for _, layer in model.layers() for g in layer.gradients.values()))

    same_for_any_threads(step)


def test_output_shapes_are_those_of_results():
    for layer in all_layers():
        for shape in ((4, 6, 6), (4, 5, 6)):
            assert layer.output_shape(shape) == layer(np.zeros((2, *shape), np.float32)).shape[1:]

    class Own(nn.Layer):
        def forward(self, x, *, training=False):
            return x[..., :1]

    assert Own().output_shape((4, 6)) == (4, 1)


def test_a_users_layer_needs_its_methods():
    with pytest.raises(NotImplementedError, match="Layer must have a method forward"):
        nn.Layer()(1)
    with pytest.raises(NotImplementedError, match="Layer must have a method backward"):
        nn.Layer().backward(1)
