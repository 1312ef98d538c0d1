"""A fully convolutional network finds the pixels of digits on a noisy canvas.

Convolutions halve the canvas, transposed ones bring it back; a path beside them keeps what is small. Every pixel is a
logistic regression: digit or canvas.
"""

from __future__ import annotations

import sys
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

SIZE, DIGITS, WANTED = 24, 3, 0.8
NOISE = np.float32(0.25)


def canvases(images: Array, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Pictures (count, 1, SIZE, SIZE) with three digits each, and where these are."""
    x = np.zeros((count, 1, SIZE, SIZE), np.float32)
    for picture in x[:, 0]:
        for row in rng.permutation(DIGITS):
            top, left = row * 8, rng.integers(0, SIZE - 7)
            picture[top : top + 8, left : left + 8] = images[rng.integers(len(images))]
    y = (x > 0.4).astype(np.float32)
    return x + NOISE * rng.standard_normal(x.shape, dtype=np.float32), y


def network(rng: np.random.Generator) -> nn.Sequential:
    """From pixels to a logit each."""
    down = nn.Sequential(
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 2, stride=2),
        nn.ReLU(),
    )
    beside = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.ReLU(),
        nn.Parallel(down, beside),
        nn.Conv2d(32, 1, 3, padding=1),
        rng=rng,
    )


def overlap(logits: Array, y: Array) -> float:
    """Intersection over union of the pixels that are found and those that are there."""
    found, there = logits > 0, y > 0.5
    return float((found & there).sum() / (found | there).sum())


def run(seed: int, quick: bool) -> Outcome:
    """Trains on canvases with digits of some writers, counts on those with digits of others."""
    images, _ = load_digits()
    images = (images / 16).astype(np.float32)
    rng = np.random.default_rng(seed)
    x, y = canvases(images[:1300], 512 if quick else 2048, rng)
    x_test, y_test = canvases(images[1300:], 256, rng)
    model, epochs = network(rng), 8 if quick else 20
    print(model.summary(x.shape[1:]), flush=True)
    history = nn.fit(
        model,
        x,
        y,
        loss=nk.binary_cross_entropy_with_logits_with_grad,
        optimiser=nn.Adam(5e-3),
        schedule=nn.cosine_decay(5e-3, epochs),
        epochs=epochs,
        batch_size=16 if quick else 32,
        validation=(x_test, y_test),
        metrics={"overlap": overlap},
        rng=rng,
        progress=False,
    )
    for epoch, (loss, share) in enumerate(zip(history["val_loss"], history["val_overlap"], strict=True), 1):
        print(f"epoch {epoch:2}: loss {loss:.4f}, intersection over union {share:.3f}")
    logits = model.predict(x_test)
    share, threshold = overlap(logits, y_test), overlap(x_test - 0.4, y_test)
    wanted = WANTED - 0.05 if quick else WANTED
    sentence = (
        f"On canvases with digits of other writers the intersection over union is {share:.3f} (wanted: {wanted:.2f}); "
        f"a threshold on the noisy pixels gives {threshold:.3f}."
    )
    return Outcome(sentence, share >= wanted, lambda figure: draw(figure, x_test, y_test, nk.sigmoid(logits)))


def draw(figure: Any, x: Array, y: Array, probabilities: Array) -> None:
    """Six canvases, what is there, what is found."""
    rows = {"canvas": x, "digits": y, "found": probabilities}
    for axes, (name, pictures) in zip(figure.subplots(3, 6), rows.items(), strict=True):
        for ax, picture in zip(axes, pictures[:, 0], strict=False):
            ax.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        axes[0].set_ylabel(name)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
