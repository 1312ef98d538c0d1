"""When training ends before its last epoch, and what is kept of it."""

from __future__ import annotations

import math
import signal
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import _arguments as check

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from numpy.typing import NDArray

    from .layer import Layer

    Array: TypeAlias = NDArray[Any]

MODES = ("auto", "min", "max")
# Parts of the names of figures of which more is better, for mode "auto".
RISING = ("acc", "auc", "f1", "iou", "precision", "recall", "score")


class EarlyStopping:
    """Ends training once a figure has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        The name of the figure in the history: "loss", "val_loss", a metric, or one with "val_" before it.
    patience : int
        Epochs without an improvement after which training ends.
    min_delta : float
        How much better than the best so far counts as an improvement; not negative.
    restore_best : bool
        Whether the model is given back the parameters and buffers of its best epoch, also where all epochs ran.
    mode : {"auto", "min", "max"}
        Whether less or more is better. "auto": more for a name such as "accuracy", less otherwise.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a number is out of range, or the mode is unknown.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.EarlyStopping(patience=10).monitor
    'val_loss'
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str = "auto",
    ) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be a string, got {type(monitor).__name__}")
        self.monitor = monitor
        self.patience = check.integer("patience", patience, 0)
        self.min_delta = check.number("min_delta", min_delta, 0)
        self.restore_best = check.flag("restore_best", restore_best)
        self.mode = check.choice("mode", mode, MODES)
        rising = self.mode == "max" or (self.mode == "auto" and any(part in monitor.lower() for part in RISING))
        self.sign = -1.0 if rising else 1.0


class Snapshot:
    """Copies of arrays, into the same memory each time, and the way back."""

    def __init__(self, arrays: Iterable[Array]) -> None:
        self._pairs = [(array, array.copy()) for array in arrays]

    def take(self) -> None:
        """Copies the arrays as they are now."""
        for array, copy in self._pairs:
            np.copyto(copy, array)

    def restore(self) -> None:
        """Writes the copies into the arrays."""
        for array, copy in self._pairs:
            np.copyto(array, copy)


class Watch:
    """The course of a figure through one training."""

    def __init__(self, rule: EarlyStopping, model: Layer) -> None:
        self.rule = rule
        self.best, self.best_epoch = math.inf, -1
        self._state = Snapshot(state_of(model)) if rule.restore_best else None

    def after(self, epoch: int, figures: dict[str, float]) -> str | None:
        """Why training ends after this epoch, if it does."""
        figure = self.rule.sign * figures[self.rule.monitor]
        if figure < self.best - self.rule.min_delta or (self.best_epoch < 0 and figure == figure):
            self.best, self.best_epoch = figure, epoch
            if self._state is not None:
                self._state.take()
        elif epoch - self.best_epoch >= self.rule.patience:
            best = f"{self.rule.sign * self.best:.4g} of epoch {self.best_epoch + 1}"
            return (
                f"Early stopping after epoch {epoch + 1}: {self.rule.monitor} has not improved on "
                f"{best if self.best_epoch >= 0 else 'nan'} for {epoch - self.best_epoch} epochs."
            )
        return None

    def restore(self) -> None:
        """Gives the model back the state of its best epoch."""
        if self._state is not None and self.best_epoch >= 0:
            self._state.restore()


def state_of(model: Layer) -> list[Array]:
    """The parameters and buffers of all layers."""
    return [array for _, layer in model.everything() for array in (*layer.parameters.values(), *layer.buffers.values())]


class Interrupts:
    """Lets Ctrl-C wait from `hold` to `release`, while a batch changes the model; a second one does not wait."""

    def __init__(self) -> None:
        self._holding = self._pending = self._ours = False

    def __enter__(self) -> Interrupts:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            try:
                self._ours = True
                signal.signal(signal.SIGINT, self._arrived)
            except ValueError:  # another thread than the main one, which no signal reaches
                self._ours = False
        return self

    def __exit__(self, *_: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._ours = False

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if not self._holding or self._pending:
            self._pending = False
            signal.default_int_handler(number, frame)
        self._pending = True

    def hold(self) -> None:
        """From here on Ctrl-C waits."""
        self._holding = True

    def release(self) -> None:
        """Here is the place where it may come."""
        self._holding = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt
