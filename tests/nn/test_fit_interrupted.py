"""What is left when training does not reach its end: Ctrl-C, numbers that are not finite; and what it writes."""

import os
import signal
import sys
import threading
import types

import numpy as np
import pytest

import npkernels as nk
from npkernels import nn


@pytest.fixture
def data(rng):
    return rng.standard_normal((40, 5)), np.arange(40) % 3


def fit(model, data, **options):
    options = {"loss": nk.softmax_cross_entropy_with_grad, "optimiser": nn.SGD(0.1, momentum=0.9), **options}
    return nn.fit(model, *data, rng=0, batch_size=10, **{"progress": False, **options})


def after(network, data, batches):
    """The network after so many batches."""
    model, rest = network(5, 4, 3), iter(range(batches))

    def loss(prediction, y):
        if next(rest, None) is None:
            raise StopIteration
        return nk.softmax_cross_entropy_with_grad(prediction, y)

    with pytest.raises(StopIteration):
        fit(model, data, loss=loss, epochs=batches)
    return model


@pytest.mark.parametrize("moment", ["raised by the loss", "signal in the loss", "signal in the optimiser"])
def test_ctrl_c_leaves_whole_batches_and_the_history(network, data, bits, moment):
    model, calls = network(5, 4, 3), []

    def interrupt():
        calls.append(None)
        if len(calls) == 6:
            if moment == "raised by the loss":
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGINT)

    def loss(prediction, y):
        if "loss" in moment:
            interrupt()
        return nk.softmax_cross_entropy_with_grad(prediction, y)

    class Interrupted(nn.SGD):
        def update(self, value, gradient, slots, step):
            if "optimiser" in moment and value.ndim == 1 and len(value) == 4:  # the second parameter of four
                interrupt()
            super().update(value, gradient, slots, step)

    with pytest.raises(KeyboardInterrupt):
        fit(model, data, loss=loss, optimiser=Interrupted(0.1, momentum=0.9), epochs=5)
    assert len(model.history["loss"]) == 1  # an epoch of four batches
    assert model.history.stopped == "Interrupted in epoch 2."
    assert bits(model) == bits(after(network, data, 5 if "raised" in moment else 6))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait(network, data):
    reached = []

    def loss(prediction, y):
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("after the first")
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("after the second")
        raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        fit(network(5, 4, 3), data, loss=loss)
    assert reached == ["after the first"]


def test_between_batches_ctrl_c_comes_at_once(network, data, bits):
    model = network(5, 4, 3)

    def callback(known):
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        fit(model, data, callbacks=[callback], epochs=2)
    assert len(model.history["loss"]) == 1
    assert bits(model) == bits(after(network, data, 4))


def test_a_handler_of_ones_own_stays(network, data):
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        fit(network(5, 4, 3), data, callbacks=[lambda known: os.kill(os.getpid(), signal.SIGINT)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [1]


def test_training_in_another_thread(network, data, bits):
    model = network(5, 4, 3)
    thread = threading.Thread(target=fit, args=(model, data))
    thread.start()
    thread.join()
    assert bits(model) == bits(after(network, data, 4))


class Faulty(nn.Layer):
    """Gives NaN in the seventh batch of training, once and for all."""

    def __init__(self):
        self.batches = 0

    def forward(self, x, *, training=False):
        self.batches += training
        return x * np.nan if self.batches >= 7 else x

    def backward(self, dy, *, needs_dx=True):
        return dy


def test_a_loss_that_is_not_finite_names_epoch_batch_and_layer(network, data, bits):
    model = network(5, 4, 3)
    model.hidden.faulty = Faulty()
    plain = type(model.hidden).forward

    def forward(self, x, *, training=False):
        return self.faulty(plain(self, x, training=training), training=training)

    model.hidden.forward = types.MethodType(forward, model.hidden)
    message = r"the loss is nan in epoch 2, batch 3: .* not finite is that of layer hidden.faulty \(Faulty\)"
    with pytest.raises(FloatingPointError, match=message):
        fit(model, data, epochs=5)
    assert len(model.history["loss"]) == 1
    assert "epoch 2, batch 3" in model.history.stopped
    assert bits(model) == bits(after(network, data, 6))
    assert vars(model.hidden)["forward"].__func__ is forward


def test_a_parameter_that_is_not_finite_is_found_in_its_layer(network, data):
    model = network(5, 4, 3)
    model.last.parameters["bias"][1] = np.inf
    with pytest.raises(FloatingPointError, match=r"epoch 1, batch 1: .* that of layer last \(Affine\)"):
        fit(model, data)
    assert "forward" not in vars(model.last)
    single = type(model.last)(5, 3, np.float64)
    single.parameters["bias"][:] = np.inf
    with pytest.raises(FloatingPointError, match="that of layer Affine"):
        fit(single, data)


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_a_layer_whose_activation_is_fused_is_named_itself(data, activation):
    """Both activations have finite results at minus infinity."""
    model = nn.Sequential(nn.Dense(5, 4), nn.Activation(activation), head=nn.Dense(4, 3), rng=0)
    model[0].parameters["bias"][:] = -np.inf
    model["head"].parameters["bias"][:] = np.nan
    with pytest.raises(FloatingPointError, match=r"that of layer 0 \(Dense\)"):
        fit(model, (data[0].astype(np.float32), data[1]))
    assert "fuses" not in vars(model[1])


def test_a_loss_of_finite_outputs_and_an_input_that_is_not_finite(network, data):
    x, y = data
    with pytest.raises(FloatingPointError, match="the loss is inf in epoch 1, batch 1: the outputs of all layers are"):
        fit(network(5, 4, 3), data, loss=lambda prediction, y: (np.inf, prediction))
    with pytest.raises(FloatingPointError, match="the input has numbers that are not finite"):
        fit(network(5, 4, 3), (np.where(x > 0, x, np.nan), y))


def test_a_line_an_epoch(network, data, capsys):
    fit(network(5, 4, 3), data, epochs=2, progress=None, metrics={"accuracy": nn.accuracy}, validation=data)
    written = capsys.readouterr()
    assert written.out == ""
    lines = written.err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2   lr 0.1   loss ")
    assert "val_accuracy 0." in lines[1]
    fit(network(5, 4, 3), data)
    assert capsys.readouterr().err == ""


def test_no_stderr_at_all(network, data, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    fit(network(5, 4, 3), data, progress=True)


def test_a_bar_an_epoch_on_a_terminal(network, data, monkeypatch):
    written = []

    class Bar:
        def __init__(self, **options):
            self.options, self.steps = options, 0
            written.append(self)

        def set_postfix_str(self, text, refresh=True):
            self.text = text

        def update(self):
            self.steps += 1

        def close(self):
            self.closed = True

    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace(tqdm=Bar))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fit(network(5, 4, 3), data, epochs=2, progress=None)
    assert [bar.options["total"] for bar in written] == [4, 4]
    assert [bar.options["desc"] for bar in written] == ["epoch 1/2", "epoch 2/2"]
    assert [bar.steps for bar in written] == [4, 4]
    assert all(bar.closed and "loss" in bar.text for bar in written)
    with pytest.raises(ZeroDivisionError):
        fit(network(5, 4, 3), data, progress=None, loss=lambda prediction, y: 1 / 0)
    assert written[-1].closed
