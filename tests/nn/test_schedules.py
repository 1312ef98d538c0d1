"""Schedules against their formulas."""

import math

import numpy as np
import pytest

from npkernels import nn

EPOCHS = [0, 0.25, 1, 1.5, 2, 3.75, 10, 1000]


@pytest.mark.parametrize("epoch", EPOCHS)
def test_schedules_are_their_formulas(epoch):
    whole = math.floor(epoch)
    assert nn.time_decay(0.1, 0.5)(epoch) == pytest.approx(0.1 / (1 + 0.5 * whole), rel=1e-15)
    assert nn.step_decay(0.1, 0.5, 2)(epoch) == pytest.approx(0.1 * 0.5 ** (epoch // 2), rel=1e-15)
    assert nn.exponential_decay(0.1, 0.9)(epoch) == pytest.approx(0.1 * 0.9**epoch, rel=1e-14)
    wave = 0.01 + 0.09 * (1 + math.cos(math.pi * min(epoch, 8) / 8)) / 2
    assert nn.cosine_decay(0.1, 8, final=0.01)(epoch) == pytest.approx(wave, rel=1e-14)
    warm = nn.warm_up(nn.time_decay(0.1, 0.5), 3)(epoch)
    assert warm == pytest.approx(min(1, epoch / 3) * 0.1 / (1 + 0.5 * whole), rel=1e-14)
    assert nn.warm_up(0.1, 4)(epoch) == pytest.approx(0.1 * min(1, epoch / 4), rel=1e-15)


def test_schedules_of_pytorch(rng):
    torch = pytest.importorskip("torch")
    lr = torch.optim.lr_scheduler
    twins = [
        (nn.step_decay(0.1, 0.3, 4), lambda o: lr.StepLR(o, 4, 0.3)),
        (nn.exponential_decay(0.1, 0.9), lambda o: lr.ExponentialLR(o, 0.9)),
        (nn.cosine_decay(0.1, 20, 0.01), lambda o: lr.CosineAnnealingLR(o, 20, 0.01)),
    ]
    for ours, make in twins:
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        theirs, rates = make(optimiser), []
        for _ in range(20):
            rates.append(theirs.get_last_lr()[0])
            optimiser.step()
            theirs.step()
        np.testing.assert_allclose([ours(epoch) for epoch in range(20)], rates, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.time_decay(-1, 0.1), ValueError, "lr must be at least 0, got -1"),
        (lambda: nn.time_decay(0.1, "slow"), TypeError, "rate must be a number, got str"),
        (lambda: nn.step_decay(0.1, -0.5, 2), ValueError, "factor must be at least 0"),
        (lambda: nn.step_decay(0.1, 0.5, 0), ValueError, "every must be positive, got 0"),
        (lambda: nn.cosine_decay(0.1, 0), ValueError, "epochs must be positive, got 0"),
        (lambda: nn.warm_up(None, 3), TypeError, "schedule must be a number, got NoneType"),
    ],
)
def test_arguments_out_of_range(make, error, message):
    with pytest.raises(error, match=message):
        make()
