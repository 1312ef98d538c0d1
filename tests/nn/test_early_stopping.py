"""Early stopping: its rules, the state it gives back, its errors."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import nn


def fit(model, x, y, **options):
    options = {"optimiser": nn.SGD(0.1, momentum=0.9), "rng": 3, "progress": False, **options}
    return nn.fit(model, x, y, loss=nk.softmax_cross_entropy_with_grad, **options)


def test_early_stopping_gives_back_the_best_epoch(network, data, bits):
    x, y = data
    states = []
    course = iter([5, 3, 4, 2, 2.5, 2, 3, 1])
    stopping = nn.EarlyStopping("val_figure", patience=3)
    model = network(5, 4, 3)
    options = {"validation": (x, y), "epochs": 8, "early_stopping": stopping, "batch_size": 90}
    figure = lambda prediction, y: next(course) if states_due.pop() else 0.0  # noqa: E731
    states_due = [True, False] * 8
    history = fit(
        model, x, y, metrics={"figure": figure}, callbacks=[lambda known: states.append(bits(model))], **options
    )
    assert history["val_figure"] == [5, 3, 4, 2, 2.5, 2, 3]
    assert bits(model) == states[3]
    assert states[3] != states[6]
    assert history.stopped == (
        "Early stopping after epoch 7: val_figure has not improved on 2 of epoch 4 for 3 epochs."
    )


@pytest.mark.parametrize(
    ("rule", "course", "epochs"),
    [
        ({}, [3, 2, 2, 2, 1], 4),
        ({"min_delta": 0.5}, [3, 2.4, 2, 2.3], 4),
        ({"mode": "max"}, [1, 2, 3, 3, 2], 5),
        ({"restore_best": False}, [3, 3, 3, 3], 3),
        ({"patience": 0}, [3, 3], 2),
        ({}, [np.nan, np.nan, 1], 2),
        ({}, [np.nan, 2, 1, 3, np.nan], 5),
        ({}, [5, 4, 3, 2, 1], 5),
    ],
)
def test_rules_of_early_stopping(network, data, bits, rule, course, epochs):
    x, y = data
    values, model = iter(course), network(5, 4, 3)
    stopping = nn.EarlyStopping(**{"monitor": "figure", "patience": 2, **rule})
    options = {"batch_size": 90, "epochs": len(course), "early_stopping": stopping}
    states = []
    history = fit(
        model,
        x,
        y,
        metrics={"figure": lambda prediction, y: next(values)},
        callbacks=[lambda known: states.append(bits(model))],
        **options,
    )
    assert len(history["loss"]) == epochs
    best = np.nanargmax(course[:epochs]) if rule.get("mode") == "max" else None
    if best is not None:
        assert bits(model) == states[best]
    if rule.get("restore_best") is False:
        assert bits(model) == states[-1]


def test_more_is_better_for_an_accuracy():
    assert nn.EarlyStopping("val_accuracy").sign == -1
    assert nn.EarlyStopping().sign == nn.EarlyStopping("val_accuracy", mode="min").sign == 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.EarlyStopping(3), TypeError, "monitor must be a string, got int"),
        (lambda: nn.EarlyStopping(patience=-1), ValueError, "patience must be at least 0"),
        (lambda: nn.EarlyStopping(min_delta=-1), ValueError, "min_delta must be at least 0"),
        (lambda: nn.EarlyStopping(restore_best=0), TypeError, "restore_best must be a bool"),
        (lambda: nn.EarlyStopping(mode="up"), ValueError, "mode must be one of 'auto', 'min', 'max', got 'up'"),
    ],
)
def test_bad_early_stopping(make, error, message):
    with pytest.raises(error, match=message):
        make()
