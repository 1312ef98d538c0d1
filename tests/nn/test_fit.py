"""Training: what each argument of `fit` does, what it leaves behind, its errors."""

import copy
import functools
import pickle

import numpy as np
import pytest
from fuzz.sharing import shared_by

import npkernels as nk
from npkernels import nn

LOSS = nk.softmax_cross_entropy_with_grad


def fit(model, x, y=None, **options):
    options = {"loss": LOSS, "optimiser": nn.SGD(0.1, momentum=0.9), "rng": 3, "progress": False, **options}
    return nn.fit(model, x, y, **options)


def test_a_fit_is_the_loop_that_one_would_write(network, data, bits):
    x, y = data
    model, twin = network(5, 8, 3), network(5, 8, 3)
    history = fit(model, x, y, epochs=3, batch_size=32, optimiser=nn.Adam(0.01))
    rng, optimiser, losses = np.random.default_rng(3), nn.Adam(0.01), []
    for _ in range(3):
        order, total = rng.permutation(90), 0.0
        for first in range(0, 90, 32):
            batch = order[first : first + 32]
            loss, gradient = LOSS(twin(x[batch], training=True), y[batch])
            twin.backward(gradient)
            optimiser.step(twin)
            total += len(batch) * loss
        losses.append(total / 90)
    assert bits(model) == bits(twin)
    assert history["loss"] == pytest.approx(losses, rel=1e-14)
    assert history["lr"] == [0.01] * 3
    assert len(history["seconds"]) == 3
    assert history.stopped == "All 3 epochs are done."
    assert model.history is history
    assert set(history) == {"loss", "lr", "seconds"}


def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads(network, data, bits):
    x, y = data

    def trained(seed, noise):
        model = network(5, 8, 3, noise=noise)
        augment = lambda x, rng: x + 0.1 * rng.standard_normal(x.shape)  # noqa: E731
        fit(model, x, y, epochs=2, rng=seed, augment=augment, l1=1e-3, l2=1e-2, clip_norm=1.0, validation=0.2)
        return bits(model)

    results = []
    for threads in (1, 2, 3):
        with shared_by(threads):
            results.append(trained(7, 0.1))
    assert results[0] == results[1] == results[2]
    assert results[0] == trained(np.random.default_rng(7), 0.1)
    assert results[0] != trained(8, 0.1)
    assert results[0] != trained(7, 0.2)


def test_fits_one_after_the_other_give_the_bits_of_one(network, data, bits, tmp_path):
    x, y = data
    whole, model = network(5, 8, 3, noise=0.1), network(5, 8, 3, noise=0.1)
    fit(whole, x, y, epochs=5, optimiser=nn.Adam(0.01))
    optimiser, rng = nn.Adam(0.01), np.random.default_rng(3)
    fit(model, x, y, epochs=2, optimiser=optimiser, rng=rng)
    np.savez(tmp_path / "optimiser.npz", **optimiser.state_dict())
    model, rng = pickle.loads(pickle.dumps((model, rng)))
    later = nn.Adam()
    later.load_state_dict(np.load(tmp_path / "optimiser.npz"))
    fit(model, x, y, epochs=3, optimiser=later, rng=rng)
    assert bits(model) == bits(whole)


def test_without_shuffle_samples_come_as_they_lie(network, data):
    x, y = data
    seen = []

    def loss(prediction, y):
        seen.append(y.copy())
        return LOSS(prediction, y)

    fit(network(5, 4, 3), x, y, loss=loss, shuffle=False, batch_size=40, epochs=2)
    assert [len(batch) for batch in seen] == [40, 40, 10] * 2
    np.testing.assert_array_equal(np.concatenate(seen[:3]), y)
    seen.clear()
    fit(network(5, 4, 3), x, np.arange(90) % 3, loss=loss, batch_size=90, epochs=2)
    assert not np.array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(np.sort(seen[0]), np.sort(y))


@pytest.mark.parametrize("layout", range(5))
def test_any_layout_of_the_samples(network, data, bits, layouts, layout):
    x, y = data
    plain, model = network(5, 4, 3), network(5, 4, 3)
    fit(plain, x, y)
    fit(model, list(layouts(x))[layout], list(layouts(y))[layout])
    assert bits(plain) == bits(model)
    lists = network(5, 4, 3)
    fit(lists, x.tolist(), y.tolist())
    assert bits(plain) == bits(lists)


class Sum(nn.Layer):
    """A network on the sum of two inputs, whose results are two."""

    def __init__(self, network):
        self.inner = network(5, 4, 3)

    def forward(self, a, b, *, training=False):
        y = self.inner.forward(a + b, training=training)
        return y, 2 * y

    def backward(self, dy, *, needs_dx=True):
        return self.inner.backward(dy[0] + 2 * dy[1])


def test_several_inputs_and_targets(network, data):
    x, y = data

    def loss(prediction, y):
        one, two = (LOSS(each, target) for each, target in zip(prediction, y, strict=True))
        return one[0] + two[0], (one[1], two[1])

    history = fit(Sum(network), (x, x / 2), (y, y), loss=loss, epochs=20, validation=((x, x / 2), (y, y)))
    assert history["val_loss"][-1] < history["loss"][0] / 2


def test_batches_of_a_callable(network, data, bits):
    x, y = data
    plain, model = network(5, 8, 3), network(5, 8, 3)
    expected = fit(plain, x, y, shuffle=False, batch_size=30, epochs=3, validation=(x, y))
    epochs = []

    def batches(epoch):
        epochs.append(epoch)
        return ((x[i : i + 30], y[i : i + 30]) for i in range(0, 90, 30))

    history = fit(model, batches, epochs=3, validation=(x, y))
    assert bits(model) == bits(plain)
    assert history["loss"] == expected["loss"]
    assert epochs == [0, 1, 2]


@pytest.mark.parametrize("length", ["known", "unknown"])
def test_the_schedule_sees_batches_as_parts_of_epochs(network, data, length):
    x, y = data
    seen = []

    def schedule(epoch):
        seen.append(epoch)
        return 0.1 / (1 + epoch)

    optimiser = nn.SGD(1.0)
    if length == "known":
        history = fit(network(5, 4, 3), x, y, schedule=schedule, batch_size=30, epochs=2, optimiser=optimiser)
        assert seen == pytest.approx([0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3])
    else:
        source = lambda epoch: iter([(x, y)] * 4)  # noqa: E731
        history = fit(network(5, 4, 3), source, schedule=schedule, epochs=2, optimiser=optimiser)
        assert seen == [0, 0, 0, 0, 1, 1.25, 1.5, 1.75]
    assert history["lr"] == [0.1, 0.05]
    assert optimiser.lr == 0.1 / (1 + seen[-1])


def test_a_fraction_is_held_out_from_the_end_after_a_shuffle(network, data):
    x, _ = data
    y = np.arange(90.0)[:, None] * np.ones(3)
    seen = []

    def loss(prediction, y):
        seen.append(y[:, 0].copy())
        return nk.mse_loss_with_grad(prediction, y)

    history = fit(network(5, 4, 3), x, y, loss=loss, validation=0.2, batch_size=72, epochs=2, optimiser=nn.SGD(0))
    train, held_out, again, held_out_again = (np.sort(part) for part in seen)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(90))
    np.testing.assert_array_equal(np.sort(np.random.default_rng(3).permutation(90)[-18:]), held_out)
    np.testing.assert_array_equal(train, again)
    np.testing.assert_array_equal(held_out, held_out_again)
    assert history["val_loss"][0] == history["val_loss"][1]
    seen.clear()
    fit(network(5, 4, 3), x, y, loss=loss, validation=0.2, batch_size=72, shuffle=False)
    np.testing.assert_array_equal(seen[1], np.arange(72, 90))


def test_metrics_are_means_over_samples(network, data):
    x, y = data
    metrics = {"accuracy": nn.accuracy, "share": lambda prediction, y: (y == 0).mean()}
    model = network(5, 8, 3)
    history = fit(model, x, y, metrics=metrics, batch_size=40, epochs=30, validation=(x[:50], y[:50]))
    assert history["accuracy"][0] < 0.9 < history["accuracy"][-1]
    assert history["share"] == pytest.approx([1 / 3] * 30)
    figures = nn.evaluate(model, x[:50], y[:50], nk.softmax_cross_entropy, metrics, batch_size=7)
    assert figures["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-12)
    assert figures["accuracy"] == pytest.approx(history["val_accuracy"][-1])
    assert figures["accuracy"] == (model(x[:50]).argmax(1) == y[:50]).mean()
    assert list(history) == ["lr", "loss", "accuracy", "share", "val_loss", "val_accuracy", "val_share", "seconds"]


def test_penalties_are_in_the_loss_and_in_the_gradient(network, data):
    x, y = data
    l1, l2, eps = 0.03, 0.2, 1e-6
    model = network(5, 4, 3)

    def total():
        w = [model.first.parameters["weight"], model.last.parameters["weight"]]
        loss = LOSS(model(x), y)[0]
        return loss + sum(l1 * np.abs(each).sum() + l2 / 2 * (each**2).sum() for each in w)

    wanted = total()
    history = fit(copy.deepcopy(model), x, y, l1=l1, l2=l2, batch_size=90)
    assert history["loss"][0] == pytest.approx(wanted, rel=1e-12)
    before = copy.deepcopy(model)
    fit(model, x, y, l1=l1, l2=l2, batch_size=90, optimiser=nn.SGD(1.0))
    for layer, place in (("first", (1, 2)), ("last", (2, 0))):
        weight = getattr(before, layer).parameters["weight"]
        step = weight[place] - getattr(model, layer).parameters["weight"][place]
        model_now, model = model, before
        weight[place] += eps
        above = total()
        weight[place] -= 2 * eps
        slope = (above - total()) / (2 * eps)
        weight[place] += eps
        model = model_now
        assert step == pytest.approx(slope, abs=1e-7)


def test_clip_norm_bounds_the_step(network, data):
    x, y = data
    model = network(5, 4, 3)
    before = np.concatenate([p.ravel() for p in (*model.first.parameters.values(), *model.last.parameters.values())])
    fit(model, x, y, clip_norm=1e-3, batch_size=90, optimiser=nn.SGD(1.0))
    after = np.concatenate([p.ravel() for p in (*model.first.parameters.values(), *model.last.parameters.values())])
    assert np.linalg.norm(after - before) == pytest.approx(1e-3, rel=0.01)


def test_augment_sees_batches_of_training_alone(network, data):
    x, y = data
    seen = []

    def augment(x, rng):
        seen.append(len(x))
        x *= 0  # its own memory: neither the samples nor the next batch see it
        return x

    kept = x.copy()
    history = fit(network(5, 4, 3), x, y, augment=augment, batch_size=50, validation=(x, y), epochs=2)
    np.testing.assert_array_equal(x, kept)
    assert seen == [50, 40, 50, 40]
    assert history["loss"][0] != history["val_loss"][0]


def test_callbacks_see_the_epoch_and_may_end_it(network, data):
    x, y = data
    seen = []

    def stop_after_two(known):
        seen.append(known)
        return known["epoch"] == 1

    model, optimiser = network(5, 4, 3), nn.SGD(0.1)
    history = fit(model, x, y, epochs=9, optimiser=optimiser, callbacks=[lambda known: 1, stop_after_two])
    assert [known["epoch"] for known in seen] == [0, 1]
    assert seen[0]["model"] is model
    assert seen[0]["optimiser"] is optimiser
    assert [known["loss"] for known in seen] == history["loss"]
    assert history.stopped == "The callback stop_after_two ended training after epoch 2."


def test_no_epochs(network, data, bits):
    model = network(5, 4, 3)
    before = bits(model)
    history = fit(model, *data, epochs=0)
    assert history == {}
    assert bits(model) == before
    with pytest.raises(KeyError, match="no epoch has ended"):
        history["loss"]


def test_frozen_layers_stay(network, data, bits):
    model = network(5, 4, 3)
    model.first.trainable = False
    before = bits(model.first)
    fit(model, *data, l2=0.1, clip_norm=1.0)
    assert bits(model.first) == before


def test_a_loss_may_have_its_options(network, data):
    x, y = data
    loss = functools.partial(LOSS, label_smoothing=0.1)
    assert fit(network(5, 4, 3), x, y, loss=loss, epochs=5)["loss"][-1] < 1.1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": np.zeros(89, int)}, ValueError, "x and y must have equally many samples, got 90, 89"),
        ({"x": (np.zeros((90, 5)), np.zeros((8, 5)))}, ValueError, "equally many samples, got 90, 8, 90"),
        ({"x": np.zeros((0, 5)), "y": np.zeros(0, int)}, ValueError, "x must have at least one sample, got none"),
        ({"x": np.float64(1)}, ValueError, "x must have a first axis"),
        ({"y": None}, TypeError, "y must be given unless x is a callable, got None"),
        ({"x": lambda epoch: []}, ValueError, "y must be None if x is a callable"),
        ({"x": lambda epoch: [], "y": None}, ValueError, r"x\(0\) must yield at least one batch, got none"),
        ({"x": lambda epoch: [], "y": None, "validation": 0.2}, ValueError, r"validation must be \(x, y\)"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 3.5}, TypeError, "batch_size must be an int, got float"),
        ({"epochs": -1}, ValueError, "epochs must be at least 0, got -1"),
        ({"validation": 1.5}, ValueError, r"validation must be in \[0, 1\], got 1.5"),
        ({"validation": 0.001}, ValueError, "validation must leave samples on both sides, got 0.001 of 90 samples"),
        ({"validation": (np.zeros((3, 5)), np.zeros(2))}, ValueError, "validation x and y must have equally many"),
        ({"validation": (1, 2, 3)}, ValueError, r"validation must be a fraction or \(x, y\), got 3 values"),
        ({"shuffle": 1}, TypeError, "shuffle must be a bool, got int"),
        ({"rng": "seed"}, TypeError, "rng must be an int, got str"),
        ({"schedule": 0.1}, TypeError, "schedule must be callable, got float"),
        ({"clip_norm": -1}, ValueError, "clip_norm must be at least 0"),
        ({"l1": -1}, ValueError, "l1 must be at least 0"),
        ({"l2": None}, TypeError, "l2 must be a number"),
        ({"augment": 3}, TypeError, "augment must be callable"),
        ({"loss": "mse"}, TypeError, "loss must be callable, got str"),
        ({"loss": nk.softmax_cross_entropy}, TypeError, r"loss must return \(loss, dprediction\), got float64"),
        (
            {"loss": lambda p, y: (np.ones(3), p)},
            ValueError,
            r"loss must return one number for a batch, got shape \(3,\)",
        ),
        ({"optimiser": nn.SGD}, TypeError, "optimiser must be an Optimiser, got <class 'npkernels.nn.SGD'>"),
        ({"callbacks": print}, TypeError, "callbacks must be an iterable of callables, got builtin_function_or_method"),
        ({"metrics": nn.accuracy}, TypeError, "metrics must be a mapping of names to callables, got function"),
        ({"optimiser": "adam"}, TypeError, "optimiser must be an Optimiser, got 'adam'"),
        ({"early_stopping": True}, TypeError, "early_stopping must be an EarlyStopping, got bool"),
        ({"early_stopping": nn.EarlyStopping()}, ValueError, r"monitor must be one of loss \(there is no validation\)"),
        ({"metrics": {"loss": nn.accuracy}}, ValueError, "metrics must not have the name 'loss', which is taken"),
        ({"metrics": {"val_a": nn.accuracy}}, ValueError, "metrics must not have the name 'val_a'"),
        ({"metrics": {3: nn.accuracy}}, TypeError, "metrics must have strings as names, got 3"),
        ({"metrics": {"a": 1}}, TypeError, r"metrics\['a'\] must be callable, got int"),
        ({"callbacks": [None]}, TypeError, r"callbacks\[0\] must be callable, got NoneType"),
        ({"progress": "bar"}, TypeError, "progress must be a bool, got str"),
    ],
)
def test_bad_arguments_change_nothing(network, data, bits, change, error, message):
    model = network(5, 4, 3)
    before = bits(model)
    arguments = {"x": data[0], "y": data[1], **change}
    with pytest.raises(error, match=message):
        fit(model, **arguments)
    assert bits(model) == before


def test_a_model_is_a_layer(data):
    with pytest.raises(TypeError, match=r"model must be an nn\.Layer, got function"):
        fit(lambda x: x, *data)


def test_evaluate_checks_its_arguments(network, data):
    x, y = data
    model = network(5, 4, 3)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        nn.evaluate(model, x, y, LOSS, batch_size=0)
    with pytest.raises(ValueError, match="equally many samples, got 90, 30"):
        nn.evaluate(model, x, y[:30], LOSS)
    with pytest.raises(ValueError, match="at least one sample"):
        nn.evaluate(model, x[:0], y[:0], LOSS)


def test_history_draws_itself():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    history = nn.History(lr=[0.1, 0.1], loss=[2.0, 1.0], val_loss=[2.5, 1.5], seconds=[1.0, 1.0])
    ax = history.plot()
    assert [line.get_label() for line in ax.lines] == ["loss", "val_loss"]
    assert ax.lines[0].get_color() == ax.lines[1].get_color()
    assert history.plot(ax) is ax
    pyplot.close(ax.figure)
    history.stopped = "Now."
    assert pickle.loads(pickle.dumps(history)).stopped == "Now."
