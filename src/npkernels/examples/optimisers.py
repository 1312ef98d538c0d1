"""The seven optimisers and five schedules on one problem: handwritten digits, a network with a hidden layer.

All start from the same weights and see the same batches. Each optimiser has a rate that suits it; the schedules steer
the rate of plain descent with momentum.
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
    from collections.abc import Callable, Sequence

EPOCHS, QUICK, WANTED = 20, 8, 0.95
OPTIMISERS: dict[str, Callable[[], nn.Optimiser]] = {
    "descent": lambda: nn.SGD(0.1),
    "momentum": lambda: nn.SGD(0.03, momentum=0.9),
    "Nesterov": lambda: nn.SGD(0.03, momentum=0.9, nesterov=True),
    "Adagrad": lambda: nn.Adagrad(0.03),
    "RMSProp": lambda: nn.RMSProp(0.002),
    "Adam": lambda: nn.Adam(0.003),
    "AdamW": lambda: nn.AdamW(0.003),
}
SCHEDULES: dict[str, Callable[[int], Callable[[float], float]]] = {
    "time": lambda epochs: nn.time_decay(0.05, 4 / epochs),
    "step": lambda epochs: nn.step_decay(0.05, 0.5, epochs / 4),
    "exponential": lambda epochs: nn.exponential_decay(0.05, 0.05 ** (1 / epochs)),
    "cosine": lambda epochs: nn.cosine_decay(0.05, epochs),
    "warm-up": lambda epochs: nn.warm_up(nn.cosine_decay(0.05, epochs), epochs / 5),
}


def run(seed: int, quick: bool) -> Outcome:
    """Trains twelve times."""
    epochs = QUICK if quick else EPOCHS
    images, labels = load_digits()
    x = (images.reshape(len(images), -1) / 16).astype(np.float32)
    x_train, x_test, y_train, y_test = nn.train_test_split(x, labels, stratify=labels, rng=seed)

    def train(optimiser: nn.Optimiser, schedule: Callable[[float], float] | None = None) -> nn.History:
        model = nn.Sequential(nn.Dense(64, 64), nn.ReLU(), nn.Dense(64, 10), rng=seed)
        return nn.fit(
            model,
            x_train,
            y_train,
            loss=nk.softmax_cross_entropy_with_grad,
            optimiser=optimiser,
            epochs=epochs,
            validation=(x_test, y_test),
            metrics={"accuracy": nn.accuracy},
            schedule=schedule,
            rng=seed,
            progress=False,
        )

    histories = {}
    print(f"{epochs} epochs     loss   held out  accuracy")
    for name, make in OPTIMISERS.items():
        histories[name] = report(name, train(make()))
    for name, schedule in SCHEDULES.items():
        histories[name] = report(name, train(nn.SGD(0.05, momentum=0.9), schedule(epochs)))
    wanted = WANTED - 0.05 if quick else WANTED
    worst = min(histories, key=lambda name: histories[name]["val_accuracy"][-1])
    best = min(histories, key=lambda name: histories[name]["val_loss"][-1])
    least = histories[worst]["val_accuracy"][-1]
    sentence = (
        f"All seven optimisers and five schedules know at least {least:.1%} of the digits they never saw (wanted: "
        f"{wanted:.0%}); the lowest loss there is that of {best}, {histories[best]['val_loss'][-1]:.3f}."
    )
    return Outcome(sentence, least >= wanted, lambda figure: draw(figure, histories))


def report(name: str, history: nn.History) -> nn.History:
    """Prints a line."""
    figures = [history[figure][-1] for figure in ("loss", "val_loss", "val_accuracy")]
    print(f"{name:12} {figures[0]:8.4f} {figures[1]:10.4f} {figures[2]:9.2%}", flush=True)
    return history


def draw(figure: Any, histories: dict[str, nn.History]) -> None:
    """The losses of all, and the rates of the schedules."""
    axes = figure.subplots(1, 3)
    for name, history in histories.items():
        kind = 0 if name in OPTIMISERS else 1
        axes[kind].semilogy(history["val_loss"], label=name)
        if kind:
            axes[2].plot(history["lr"], label=name)
    for ax, title in zip(axes, ("optimisers: loss held out", "schedules: loss held out", "learning rate"), strict=True):
        ax.set(title=title, xlabel="epoch")
        ax.legend()


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
