"""A sheet of all activations: curves, derivatives, ranges, and the derivatives against central differences."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import npkernels as nk
from npkernels.examples._command import Outcome, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

# Of those that have no default; learned ones are arrays, a number a channel.
PARAMETERS: dict[str, dict[str, Any]] = {
    "prelu": {"slope": np.array(0.25)},
    "srelu": {
        "t_left": np.array(-1.0), "a_left": np.array(0.2), "t_right": np.array(1.0), "a_right": np.array(0.5),
    },
    "apl": {"slopes": np.array([[0.3], [-0.2]]), "hinges": np.array([[-1.0], [1.5]])},
    "clip": {"low": -1.0, "high": 2.0},
    "soft_exponential": {"alpha": 0.5},
    "soft_clipping": {"alpha": 4.0},
}  # fmt: skip
STEP = 1e-6


def curves(name: str, x: Array) -> tuple[Array, Array]:
    """f(x) and f'(x) of x (n, 1)."""
    parameters = PARAMETERS.get(name, {})
    y = getattr(nk, name)(x, **parameters)
    dx = getattr(nk, f"{name}_backward")(np.ones_like(x), x, **parameters)
    return y, dx[0] if isinstance(dx, tuple) else dx  # learned parameters have gradients, too


def smooth(y: Array, dx: Array, wide: Array) -> float:
    """The largest difference of f' and the central difference, but at corners, where f' jumps between neighbours."""
    jumps = np.abs(np.diff(dx, axis=0, prepend=dx[:1])) + np.abs(np.diff(dx, axis=0, append=dx[-1:]))
    return float(np.abs(wide - dx)[jumps < 0.1].max(initial=0))


def run(seed: int, quick: bool) -> Outcome:
    """Evaluates every function on [-5, 5]; nothing is drawn at random."""
    x = np.linspace(-5.003, 5, 401 if quick else 4001)[:, None]
    sheet, worst = {}, ("", 0.0)
    print(f"{'function':18}{'least':>10}{'largest':>10}{'slopes from':>13}{'to':>8}{'error of slope':>16}")
    for name in nk.ACTIVATIONS:
        y, dx = curves(name, x)
        above, below = curves(name, x + STEP)[0], curves(name, x - STEP)[0]
        error = smooth(y, dx, (above - below) / (2 * STEP))
        sheet[name] = x, y, dx
        worst = max(worst, (name, error), key=lambda each: each[1])
        figures = y.min(), y.max(), dx.min(), dx.max()
        print("{:18}{:10.3f}{:10.3f}{:13.3f}{:8.3f}".format(name, *figures) + f"{error:16.1e}")
    sentence = (
        f"The derivatives of all {len(sheet)} activations are those of central differences to {worst[1]:.0e}, "
        f"the largest at {worst[0]} (wanted: 1e-6)."
    )
    return Outcome(sentence, worst[1] < 1e-6, lambda figure: draw(figure, sheet))


def draw(figure: Any, sheet: dict[str, tuple[Array, Array, Array]]) -> None:
    """A small picture of each."""
    columns = 9
    rows = math.ceil(len(sheet) / columns)
    figure.set_size_inches(2 * columns, 1.8 * rows)
    axes = figure.subplots(rows, columns, sharex=True).ravel()
    for ax, (name, (x, y, dx)) in zip(axes, sheet.items(), strict=False):
        ax.plot(x, y)
        ax.plot(x, dx, "--", linewidth=1)
        ax.set_title(name, fontsize=9)
        ax.set_ylim(max(-2.5, min(y.min(), dx.min()) - 0.3), min(3, max(y.max(), dx.max()) + 0.3))
    for ax in axes[len(sheet) :]:
        ax.set_axis_off()
    figure.suptitle("Activations, and their derivatives (dashed)")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
