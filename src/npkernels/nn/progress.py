"""What is seen of training while it runs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


class Progress:
    """A bar for each epoch by tqdm, where it is installed and stderr is a terminal; else a line on stderr."""

    def __init__(self, shown: bool, epochs: int) -> None:
        self.shown, self.epochs = shown, epochs
        self._tqdm = _tqdm() if shown and sys.stderr is not None and sys.stderr.isatty() else None
        self._bar: Any = None

    def begin(self, epoch: int, batches: int | None) -> None:
        """An epoch begins, which has so many batches if that is known."""
        if self._tqdm is not None:
            name = f"epoch {epoch + 1}/{self.epochs}"
            self._bar = self._tqdm(total=batches, desc=name, unit="batch", file=sys.stderr, dynamic_ncols=True)

    def batch(self, loss: float) -> None:
        """A batch is done."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)
            self._bar.update()

    def end(self, epoch: int, figures: dict[str, float]) -> None:
        """An epoch ends with these figures."""
        if not self.shown or sys.stderr is None:
            return
        seconds = figures["seconds"]
        text = "   ".join(f"{name} {value:.4g}" for name, value in figures.items() if name != "seconds")
        if self._bar is not None:
            self._bar.set_postfix_str(text)
            self.close()
        else:
            print(f"epoch {epoch + 1}/{self.epochs}   {text}   {seconds:.1f} s", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Takes away the bar of an epoch that did not end."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _tqdm() -> Any:
    try:
        return import_module("tqdm").tqdm
    except ImportError:
        return None
