"""A residual network on handwritten digits, and what its shortcuts do to gradients.

Twelve blocks, of which every fourth halves the image and doubles the channels [1]_. Beside it the same layers without
shortcuts: how large is the gradient of each block's first weights, before training?

References
----------
.. [1] K. He et al., "Deep residual learning for image recognition", CVPR 2016.
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

EPOCHS, QUICK, WANTED = 20, 4, 0.98
BLOCKS, WIDTH = 12, 8


def body(before: int, after: int, stride: int) -> nn.Sequential:
    """Two convolutions."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm(after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.BatchNorm(after),
    )


def network(shortcuts: bool, seed: int) -> nn.Sequential:
    """Images of 8 x 8 pixels to ten classes, with or without shortcuts."""
    blocks: list[nn.Layer] = []
    channels = WIDTH
    for block in range(BLOCKS):
        stride = 2 if block and block % 4 == 0 else 1
        layers = body(channels, channels * stride, stride)
        if not shortcuts:
            blocks.append(nn.Sequential(layers, nn.ReLU()))
        elif stride == 1:
            blocks.append(nn.Residual(layers, activation=nn.ReLU()))
        else:
            projection = nn.Sequential(
                nn.Conv2d(channels, 2 * channels, 1, stride=2, bias=False), nn.BatchNorm(2 * channels)
            )
            blocks.append(nn.Residual(layers, projection, activation=nn.ReLU()))
        channels *= stride
    stem = nn.Conv2d(1, WIDTH, 3, padding=1, bias=False), nn.BatchNorm(WIDTH), nn.ReLU()
    return nn.Sequential(*stem, *blocks, nn.GlobalAvgPool2d(), nn.Dense(channels, 10), rng=seed)


def gradients(model: nn.Sequential, x: Array, y: Array) -> list[float]:
    """The root mean square of the gradient of the first weights of each block."""
    _, dlogits = nk.softmax_cross_entropy_with_grad(model(x, training=True), y)
    model.backward(dlogits)
    norms = []
    for block in list(model)[3 : 3 + BLOCKS]:
        first = next(layer for _, layer in block.layers() if isinstance(layer, nn.Conv2d))
        norms.append(float(np.sqrt(np.square(first.gradients["weight"]).mean())))
    return norms


def run(seed: int, quick: bool) -> Outcome:
    """Looks at gradients, then trains the residual network."""
    images, labels = load_digits()
    x = (images[:, None] / 16).astype(np.float32)
    x_train, x_test, y_train, y_test = nn.train_test_split(x, labels, stratify=labels, rng=seed)
    norms = {
        name: gradients(network(name == "with shortcuts", seed), x_train[:256], y_train[:256])
        for name in ("with shortcuts", "without")
    }
    print("block   " + "".join(f"{block:9}" for block in range(1, BLOCKS + 1, 3)))
    for name, figures in norms.items():
        print(f"{name:15}" + "".join(f"{figure:9.1e}" for figure in figures[::3]))
    model, epochs = network(True, seed), QUICK if quick else EPOCHS
    history = nn.fit(
        model,
        x_train,
        y_train,
        loss=nk.softmax_cross_entropy_with_grad,
        optimiser=nn.Adam(3e-3),
        schedule=nn.cosine_decay(3e-3, epochs),
        epochs=epochs,
        batch_size=64,
        validation=(x_test, y_test),
        metrics={"accuracy": nn.accuracy},
        rng=seed,
        progress=False,
    )
    for epoch in range(0, epochs, max(1, epochs // 5)):
        print(f"epoch {epoch + 1:2}: {history['val_accuracy'][epoch]:.2%} of the digits held out", flush=True)
    wanted, share = WANTED - 0.04 if quick else WANTED, history["val_accuracy"][-1]
    fall = {name: figures[0] / figures[-1] for name, figures in norms.items()}
    sentence = (
        f"The residual network of {2 * BLOCKS + 2} layers knows {share:.2%} of the digits it never saw (wanted: "
        f"{wanted:.0%}). From the last block to the first, gradients change by a factor of "
        f"{fall['with shortcuts']:.2g} with shortcuts, {fall['without']:.2g} without."
    )
    reached = share >= wanted and fall["with shortcuts"] < fall["without"]
    return Outcome(sentence, reached, lambda figure: draw(figure, norms, history))


def draw(figure: Any, norms: dict[str, list[float]], history: nn.History) -> None:
    """Gradients by depth, and the course of the training."""
    left, right = figure.subplots(1, 2)
    for name, figures in norms.items():
        left.semilogy(range(1, BLOCKS + 1), figures, "o-", label=name)
    left.set(title="gradients before training", xlabel="block", ylabel="root mean square")
    left.legend()
    right.plot(history["accuracy"], label="training")
    right.plot(history["val_accuracy"], label="held out")
    right.set(title="accuracy", xlabel="epoch", ylim=(0.8, 1))
    right.legend()


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
