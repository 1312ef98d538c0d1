"""An inception network on handwritten digits: windows of several sizes beside one another.

Each module has four branches, whose channels are put together: one pixel, 3 x 3 and 5 x 5 after fewer channels, and the
largest of 3 x 3 pixels [1]_.

References
----------
.. [1] C. Szegedy et al., "Going deeper with convolutions", CVPR 2015.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

import npkernels as nk
from npkernels import nn
from npkernels.data import load_digits
from npkernels.examples._command import Outcome, command

if TYPE_CHECKING:
    from collections.abc import Sequence

EPOCHS, QUICK, WANTED = 25, 6, 0.98


def unit(before: int, after: int, size: int) -> nn.Sequential:
    """A convolution that keeps the size of the image, normalised."""
    return nn.Sequential(nn.Conv2d(before, after, size, padding=size // 2, bias=False), nn.BatchNorm(after), nn.ReLU())


def inception(channels: int, width: int) -> nn.Parallel:
    """Four branches of `width` channels each."""
    few = max(4, width // 2)
    return nn.Parallel(
        unit(channels, width, 1),
        nn.Sequential(unit(channels, few, 1), unit(few, width, 3)),
        nn.Sequential(unit(channels, few, 1), unit(few, width, 5)),
        nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), unit(channels, width, 1)),
    )


def network(seed: int) -> nn.Sequential:
    """Three modules, a class from the means of their channels."""
    return nn.Sequential(
        unit(1, 16, 3),
        inception(16, 8),
        inception(32, 12),
        nn.MaxPool2d(2),
        inception(48, 16),
        nn.GlobalAvgPool2d(),
        nn.Dropout(0.2),
        nn.Dense(64, 10),
        rng=seed,
    )


def run(seed: int, quick: bool) -> Outcome:
    """Trains, and counts by size of window how much the classes owe to each branch of the last module."""
    epochs = QUICK if quick else EPOCHS
    images, labels = load_digits()
    x = (images[:, None] / 16).astype(np.float32)
    x_train, x_test, y_train, y_test = nn.train_test_split(x, labels, stratify=labels, rng=seed)
    model = network(seed)
    print(model.summary(x.shape[1:]), flush=True)
    history = nn.fit(
        model,
        x_train,
        y_train,
        loss=nk.softmax_cross_entropy_with_grad,
        optimiser=nn.Adam(5e-3),
        schedule=nn.cosine_decay(5e-3, epochs),
        epochs=epochs,
        batch_size=64,
        validation=(x_test, y_test),
        metrics={"accuracy": nn.accuracy},
        rng=seed,
        progress=False,
    )
    means = model[:6].predict(x_test)
    without = {}
    for branch, name in enumerate(("1 x 1", "3 x 3", "5 x 5", "largest")):
        cut = means.copy()
        cut[:, 16 * branch : 16 * (branch + 1)] = means[:, 16 * branch : 16 * (branch + 1)].mean(0)
        without[name] = float((model[6:].predict(cut).argmax(1) == y_test).mean())
        print(f"without the branch {name:8}{without[name]:8.2%} of the digits held out", flush=True)
    wanted, share = WANTED - 0.04 if quick else WANTED, history["val_accuracy"][-1]
    most = min(without, key=lambda name: without[name])
    sentence = (
        f"The inception network knows {share:.2%} of the digits it never saw (wanted: {wanted:.0%}); it misses the "
        f"branch {most} of its last module most: {without[most]:.1%} without it."
    )
    return Outcome(sentence, share >= wanted, lambda figure: draw(figure, history, share, without))


def draw(figure: Any, history: nn.History, share: float, without: dict[str, float]) -> None:
    """The course of the training, and what is left without each branch."""
    left, right = figure.subplots(1, 2)
    left.plot(history["accuracy"], label="training")
    left.plot(history["val_accuracy"], label="held out")
    left.set(title="accuracy", xlabel="epoch", ylim=(0.8, 1))
    left.legend()
    right.bar(["all", *without], [share, *without.values()])
    right.set(title="held out, without a branch of the last module", ylim=(0.9, 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
