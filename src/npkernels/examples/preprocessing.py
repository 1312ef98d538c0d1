"""What is done to data before and after a network, a line each in NumPy and with npkernels: the same numbers.

Features to [0, 1], features to mean 0 and variance 1, rows to length 1, outliers cut off, classes as rows of a matrix,
probabilities and the classes they stand for.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import npkernels as nk
from npkernels.examples._command import Outcome, command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    Step: TypeAlias = Callable[[], Array]

ROWS, QUICK, FEATURES = 100_000, 10_000, 32


def steps(x: Array, classes: Array) -> dict[str, tuple[Step, Step]]:
    """Each in NumPy, and with npkernels."""
    d = x.shape[1]
    one, zero = np.ones(d), np.zeros(d)
    low, high = x.min(0), x.max(0)
    logits = x[:, :10]
    return {
        "features to [0, 1]": (
            lambda: (x - low) / (high - low),
            lambda: nk.batch_norm_inference(x, 1 / (high - low), zero, low, one, eps=0.0),
        ),
        "mean 0, variance 1": (
            lambda: (x - x.mean(0)) / x.std(0),
            lambda: nk.batch_norm(x, one, zero, eps=0.0)[0],
        ),
        "rows of length 1": (
            lambda: x / np.sqrt((x * x).sum(1, keepdims=True)),
            lambda: nk.rms_norm(x, one / np.sqrt(d), eps=0.0)[0],
        ),
        "outliers cut off": (lambda: np.clip(x, -2, 2), lambda: nk.clip(x, low=-2.0, high=2.0)),
        "classes as rows": (lambda: np.eye(10)[classes], lambda: nk.one_hot(classes, 10, dtype=np.float64)),
        "probabilities": (
            lambda: (e := np.exp(logits - logits.max(1, keepdims=True))) / e.sum(1, keepdims=True),
            lambda: nk.softmax(logits),
        ),
        "predicted classes": (lambda: logits.argmax(1), lambda: nk.softmax(logits).argmax(1)),
    }


def timed(step: Step) -> tuple[Array, float]:
    """What a step gives, and the milliseconds of the best of three."""
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        result = step()
        best = min(best, time.perf_counter() - start)
    return result, 1e3 * best


def run(seed: int, quick: bool) -> Outcome:
    """Does every step twice."""
    rng = np.random.default_rng(seed)
    x = 3 * rng.standard_normal((QUICK if quick else ROWS, FEATURES)) + rng.uniform(-5, 5, FEATURES)
    classes = rng.integers(0, 10, len(x))
    times, worst = {}, 0.0
    print(f"{len(x)} rows of {FEATURES}      NumPy  npkernels   difference")
    for name, (plain, ours) in steps(x, classes).items():
        wanted, before = timed(plain)
        given, after = timed(ours)
        difference = float(np.abs(wanted - given).max())
        worst, times[name] = max(worst, difference), (before, after)
        print(f"{name:20}{before:8.2f} ms{after:8.2f} ms{difference:13.1e}", flush=True)
    sentence = f"All {len(times)} steps give the numbers of NumPy, to {worst:.0e} (wanted: 1e-12)."
    return Outcome(sentence, worst < 1e-12, lambda figure: draw(figure, times))


def draw(figure: Any, times: dict[str, tuple[float, float]]) -> None:
    """The time of each step."""
    ax = figure.subplots()
    places = np.arange(len(times))
    for offset, label, column in (-0.2, "NumPy", 0), (0.2, "npkernels", 1):
        ax.barh(places + offset, [pair[column] for pair in times.values()], 0.4, label=label)
    ax.set_yticks(places, list(times))
    ax.invert_yaxis()
    ax.set(xlabel="milliseconds")
    ax.legend()


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
