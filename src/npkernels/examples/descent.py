"""Gradient descent: rates that are too high, too low and right, the line search, what ends it, and momentum.

A bowl whose curvature is 1 one way and 50 the other: a step must be short for the steep side, and then goes slowly
along the flat one. Steps of 2/(1 + 50) are the best of all fixed ones; beyond 2/50 values grow from step to step.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import npkernels as nk
from npkernels import nn
from npkernels.examples._command import Outcome, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Path: TypeAlias = list[NDArray[np.float64]]

CURVATURE = np.array([1.0, 50.0])
START = np.array([8.0, 1.0])
BEST = 2 / CURVATURE.sum()
# What is tried: name, and the options of `minimise`.
TRIES: dict[str, dict[str, Any]] = {
    "rate too high": {"lr": 2.05 / CURVATURE.max(), "tol_grad": 1e-6, "max_iter": 100_000},
    "rate too low": {"lr": BEST / 100, "max_iter": 500},
    "best fixed rate": {"lr": BEST, "max_iter": 5000},
    "line search": {},
    "ends by a short step": {"lr": BEST, "tol_grad": 0, "tol_step": 1e-3},
    "ends by a value at rest": {"lr": BEST, "tol_grad": 0, "tol_value": 1e-3},
}
EXPECTED = dict(zip(TRIES, ("not_finite", "max_iter", "tol_grad", "tol_grad", "tol_step", "tol_value"), strict=True))


def bowl(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """``sum curvature x^2 / 2`` and its gradient."""
    return float((CURVATURE * x**2).sum() / 2), CURVATURE * x


def way(start: NDArray[np.float64], options: dict[str, Any], steps: int) -> Path:
    """The places after each step, taken one by one."""
    path = [start]
    for _ in range(steps):
        path.append(nn.minimise(bowl, path[-1], **options).x)
    return path


def with_momentum(start: NDArray[np.float64], tolerance: float) -> Path:
    """The way of steps with momentum until the gradient is below; the best rate and momentum for this bowl (Polyak)."""
    low, high = map(math.sqrt, (CURVATURE.min(), CURVATURE.max()))
    x, velocity, path = start.copy(), np.zeros_like(start), [start]
    while np.linalg.norm(bowl(x)[1]) >= tolerance:
        nk.momentum_step(
            x, bowl(x)[1], velocity, lr=(2 / (low + high)) ** 2, momentum=((high - low) / (high + low)) ** 2
        )
        path.append(x.copy())
    return path


def run(seed: int, quick: bool) -> Outcome:
    """Descends from a start near (8, 1); it is the same quick or not."""
    start = START + 0.1 * np.random.default_rng(seed).standard_normal(2)
    ways: dict[str, Path] = {}
    ends: dict[str, nn.Minimum] = {}
    print(f"{'':24} {'steps':>6}  {'value':>9}  ended by")
    for name, options in TRIES.items():
        end = nn.minimise(bowl, start, **options)
        print(f"{name:24} {end.iterations:6}  {end.value:9.2g}  {end.stopped}")
        ends[name] = end
        if name not in ("ends by a short step", "ends by a value at rest"):
            ways[name] = way(start, {**options, "max_iter": 1}, min(end.iterations, 200))
    ways["momentum"] = with_momentum(start, 1e-6)
    steps, plain = len(ways["momentum"]) - 1, ends["best fixed rate"].iterations
    print(f"{'momentum':24} {steps:6}  {bowl(ways['momentum'][-1])[0]:9.2g}  tol_grad")
    reached = all(ends[name].stopped == rule for name, rule in EXPECTED.items()) and 2 * steps < plain
    sentence = (
        f"The high rate diverged, the low one was far from the end after {ends['rate too low'].iterations} steps, each "
        f"rule ended what it was set for, and momentum took {steps} steps where the best plain rate took {plain}."
    )
    return Outcome(sentence, reached, lambda figure: draw(figure, ways))


def draw(figure: Any, ways: dict[str, Path]) -> None:
    """The ways on the bowl, and the values along them."""
    left, right = figure.subplots(1, 2)
    across, up = np.meshgrid(np.linspace(-9, 9, 200), np.linspace(-2, 2, 200))
    left.contour(across, up, (CURVATURE[0] * across**2 + CURVATURE[1] * up**2) / 2, 20, colors="0.8", linewidths=0.6)
    for place, (name, path) in enumerate(ways.items()):
        points, colour = np.array(path), f"C{place}"
        if name != "rate too high":
            left.plot(*points.T, ".-", linewidth=0.8, markersize=3, color=colour, label=name)
        right.semilogy([max(bowl(point)[0], 1e-16) for point in path[:200]], color=colour, label=name)
    left.set(xlim=(-9, 9), ylim=(-2, 2), title="ways down an ill-conditioned bowl")
    right.set(xlabel="step", title="value", ylim=(1e-14, 1e4))
    right.legend()


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
