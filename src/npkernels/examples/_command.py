"""What all examples share: options, the figure, and how they end."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Outcome(NamedTuple):
    """What an example found.

    Attributes
    ----------
    sentence : str
        In plain words.
    reached : bool
        Whether it is what the example sets out to show.
    draw : callable
        Draws it into a `matplotlib.figure.Figure`.
    """

    sentence: str
    reached: bool
    draw: Callable[[Any], None]


def command(run: Callable[[int, bool], Outcome], description: str, arguments: Sequence[str] | None = None) -> int:
    """Runs an example as a program.

    Parameters
    ----------
    run : callable
        ``run(seed, quick) -> Outcome``, which prints as it goes.
    description : str
        Of the module.
    arguments : sequence of str, optional
        Those of the command line if None.

    Returns
    -------
    status : int
        0 if the outcome is reached, else 1.
    """
    name = run.__module__.rpartition(".")[2] if run.__module__ != "__main__" else Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(
        prog=f"python -m npkernels.examples.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=_seed, default=0, help="of all random numbers (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="less of everything, in a few seconds")
    parser.add_argument("--figure", type=Path, default=Path(f"{name}.png"), help="file to write (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.figure.suffix != ".png":
        parser.error(f"argument --figure: must end in .png, got {str(options.figure)!r}")
    outcome = run(options.seed, options.quick)
    figures = _figures()
    if figures is None:
        print("\nNo figure: matplotlib is not installed.")
    else:
        figure = figures.Figure(figsize=(10, 4.5), layout="constrained")
        outcome.draw(figure)
        figure.savefig(options.figure, dpi=120)
        print(f"\nThe figure is in {options.figure}.")
    print(outcome.sentence if outcome.reached else f"NOT REACHED: {outcome.sentence}", flush=True)
    return 0 if outcome.reached else 1


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be an integer of at least 0, got {text!r}")
    return int(text)


def _figures() -> Any:
    try:
        return import_module("matplotlib.figure")
    except ImportError:
        return None
