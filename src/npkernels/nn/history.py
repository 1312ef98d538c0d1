"""What training leaves behind: the figures of every epoch."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NoReturn


class History(dict[str, list[float]]):
    """Lists of figures, one entry for each finished epoch, by name: "loss", "lr", "seconds", the metrics, and of the
    validation samples "val_loss" and "val_" before the names of the metrics.

    Attributes
    ----------
    stopped : str
        A sentence that says why training came to its end; empty while it runs.

    Examples
    --------
    >>> from npkernels import nn
    >>> history = nn.History(loss=[0.7, 0.4], val_loss=[0.8, 0.6])
    >>> min(history["val_loss"])
    0.6
    """

    stopped: str = ""

    def __missing__(self, name: str) -> NoReturn:
        raise KeyError(f"{name}, which is none of {', '.join(self) or 'the figures: no epoch has ended'}")

    def add(self, figures: dict[str, float]) -> None:
        """Appends the figures of an epoch.

        Parameters
        ----------
        figures : dict of str to float
        """
        for name, value in figures.items():
            self.setdefault(name, []).append(value)

    def plot(self, ax: Any = None) -> Any:
        """Draws losses and metrics over the epochs, those of the validation samples as broken lines, by matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            A new figure's if None.

        Returns
        -------
        ax : matplotlib.axes.Axes
        """
        if ax is None:
            ax = import_module("matplotlib.pyplot").figure().add_subplot()
        colours: dict[str, Any] = {}
        for name, values in self.items():
            if name in ("lr", "seconds"):
                continue
            base = name.removeprefix("val_")
            style = "--" if base != name else "-"
            line = ax.plot(range(1, len(values) + 1), values, style, color=colours.get(base), label=name)[0]
            colours[base] = line.get_color()
        ax.set_xlabel("epoch")
        ax.legend()
        return ax
