"""Five networks whose probabilities are averaged know more than they do on average, on digits of other writers.

They differ by their first weights, the order of their batches and the samples that each draws with replacement.
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

MEMBERS, EPOCHS, QUICK = 5, 15, 5


def run(seed: int, quick: bool) -> Outcome:
    """Trains five networks on the first 1300 digits; the others are those of writers that none has seen."""
    epochs = QUICK if quick else EPOCHS
    images, labels = load_digits()
    x = (images[:, None] / 16).astype(np.float32)
    x_train, y_train, x_test, y_test = x[:1300], labels[:1300], x[1300:], labels[1300:]
    rng = np.random.default_rng(seed)
    probabilities: list[Any] = []
    losses: list[float] = []
    shares: list[float] = []
    print("network      loss  accuracy")
    for member in range(MEMBERS):
        sample = rng.integers(0, len(x_train), len(x_train))
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dense(128, 32),
            nn.ReLU(),
            nn.Dense(32, 10),
            rng=rng,
        )
        nn.fit(
            model,
            x_train[sample],
            y_train[sample],
            loss=nk.softmax_cross_entropy_with_grad,
            optimiser=nn.Adam(3e-3),
            epochs=epochs,
            rng=rng,
            progress=False,
        )
        probabilities.append(nk.softmax(model.predict(x_test)))
        report(f"{member + 1}", probabilities[-1], y_test, losses, shares)
    report("average", np.mean(probabilities, axis=0), y_test, losses, shares)
    together, alone = shares[-1], float(np.mean(shares[:-1]))
    sentence = (
        f"Five networks know {alone:.1%} of the digits of other writers on average, together {together:.1%}; their "
        f"loss is {np.mean(losses[:-1]):.3f} on average, together {losses[-1]:.3f}."
    )
    better = together > alone and losses[-1] < np.mean(losses[:-1])
    return Outcome(sentence, bool(better), lambda figure: draw(figure, losses, shares))


def report(name: str, probabilities: Any, y: Any, losses: list[float], shares: list[float]) -> None:
    """Prints a line and keeps its figures."""
    losses.append(float(nk.nll_loss(np.log(np.maximum(probabilities, 1e-30)), y)))
    shares.append(float((probabilities.argmax(1) == y).mean()))
    print(f"{name:9}{losses[-1]:8.4f}{shares[-1]:10.2%}", flush=True)


def draw(figure: Any, losses: list[float], shares: list[float]) -> None:
    """Bars of the five, and of their average."""
    names = [*(f"{member + 1}" for member in range(MEMBERS)), "average"]
    for ax, figures, title in zip(figure.subplots(1, 2), (losses, shares), ("loss", "accuracy"), strict=True):
        ax.bar(names, figures, color=["tab:blue"] * MEMBERS + ["tab:orange"])
        ax.axhline(np.mean(figures[:-1]), linestyle="--", color="black", linewidth=1, label="mean of the five")
        ax.set(title=f"{title} on digits of other writers", ylim=(0.8, 1) if title == "accuracy" else None)
        ax.legend()


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
