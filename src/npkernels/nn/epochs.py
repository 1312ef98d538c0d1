"""The course of a training: batches make an epoch, epochs a history."""

from __future__ import annotations

import math
import time
from collections.abc import Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import clip_grad_norm
from .batches import Samples, arrays, copied, count
from .history import History
from .optimiser import Learned, learned
from .stopping import EarlyStopping, Interrupts, Snapshot, Watch
from .watching import finite, first_not_finite, forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .augment import Augmentation
    from .layer import Layer
    from .optimiser import Optimiser
    from .progress import Progress
    from .schedules import Schedule

    Metrics: TypeAlias = Mapping[str, Callable[[Any, Any], Any]]


@dataclass
class Recipe:
    """What is done with a batch."""

    model: Layer
    loss: Callable[[Any, Any], tuple[Any, Any]]
    optimiser: Optimiser
    metrics: Metrics
    schedule: Schedule | None
    clip_norm: float | None
    l1: float
    l2: float
    augment: Augmentation | None
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.buffers = Snapshot(array for _, layer in self.model.everything() for array in layer.buffers.values())

    def step(self, x: Any, y: Any, where: str) -> dict[str, float]:
        """One step of training, and the figures of the batch as it was before. Parameters and buffers are as they were
        if anything is raised."""
        self.buffers.take()
        try:
            with self.model.arena:
                figures = self.gradients(x, y, where)
        except BaseException:
            self.buffers.restore()
            self.model.forget()
            raise
        self.optimiser.step(self.model)
        return figures

    def gradients(self, x: Any, y: Any, where: str) -> dict[str, float]:
        """The figures of a batch, whose gradients are those of the model then."""
        if self.augment is not None:
            x = self.augment(copied(x), self.rng)  # it may write into what it is given
        drawn = self.rng.bit_generator.state
        prediction = forward(self.model, x, training=True)
        value, dprediction = pair(self.loss(prediction, y))
        figures = {"loss": scalar("loss", value)}
        if not math.isfinite(figures["loss"]):
            self.buffers.restore()
            self.rng.bit_generator.state = drawn
            raise FloatingPointError(f"the loss is {figures['loss']} in {where}: {first_not_finite(self.model, x)}")
        figures.update({name: scalar(name, metric(prediction, y)) for name, metric in self.metrics.items()})
        self.model.backward(dprediction, needs_dx=False)
        parameters = list(learned(self.model))
        figures["loss"] += penalty(parameters, self.l1, self.l2)
        if self.clip_norm is not None:
            clip_grad_norm([each.gradient for each in parameters], self.clip_norm)
        return figures


def penalty(parameters: list[Learned], l1: float, l2: float) -> float:
    """``l1 sum |w| + l2 / 2 sum w^2`` of parameters of two axes or more; its gradient is added to theirs."""
    total = 0.0
    for _, w, gradient in parameters:
        if w.ndim < 2:
            continue
        if l1:
            total += l1 * float(np.abs(w).sum(dtype=np.float64))
            gradient += w.dtype.type(l1) * np.sign(w)
        if l2:
            total += l2 / 2 * float(np.square(w).sum(dtype=np.float64))
            gradient += w.dtype.type(l2) * w
    return total


def pair(result: Any) -> tuple[Any, Any]:
    """What a loss returns."""
    if not isinstance(result, tuple) or len(result) != 2:
        size = f" of {len(result)}" if isinstance(result, tuple) else ""
        raise TypeError(f"loss must return (loss, dprediction), got {type(result).__name__}{size}")
    return result


def scalar(name: str, value: Any) -> float:
    """A figure of a batch."""
    if np.size(value) != 1:
        raise ValueError(f"{name} must return one number for a batch, got shape {np.shape(value)}")
    return float(np.asarray(value).item())


class Means:
    """Means of figures over samples, batch by batch."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._samples = self.batches = 0

    def add(self, figures: Mapping[str, float], samples: int) -> None:
        """The figures of a batch."""
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * samples
        self._samples += samples
        self.batches += 1

    def figures(self) -> dict[str, float]:
        """The means."""
        return {name: total / max(1, self._samples) for name, total in self._sums.items()}


def mean_figures(
    model: Layer, samples: Samples, loss: Callable[[Any, Any], Any], metrics: Metrics, batch_size: int
) -> dict[str, float]:
    """Loss and metrics of samples, without training."""
    means = Means()
    for x, y in samples.batches(batch_size):
        with model.arena:
            prediction = forward(model, x, training=False)
            value = loss(prediction, y)
            figures = {"loss": scalar("loss", value[0] if isinstance(value, tuple) else value)}
            figures.update({name: scalar(name, metric(prediction, y)) for name, metric in metrics.items()})
        means.add(figures, count(x))
    return means.figures()


@dataclass
class Course:
    """A training from its first epoch to its last."""

    recipe: Recipe
    source: Samples | Callable[[int], Iterable[tuple[Any, Any]]]
    held_out: Samples | None
    epochs: int
    batch_size: int
    shuffle: bool
    early_stopping: EarlyStopping | None
    callbacks: list[Callable[[dict[str, Any]], Any]]
    progress: Progress
    history: History = field(default_factory=History)
    # Batches an epoch, once they are known.
    batches: int | None = None

    def run(self) -> History:
        """Trains; what is raised finds the history in the model all the same."""
        model, history = self.recipe.model, self.history
        model.history = history
        model.use_generator(self.recipe.rng)
        watch = Watch(self.early_stopping, model) if self.early_stopping is not None else None
        epoch = 0
        try:
            with Interrupts() as interrupts:
                for epoch in range(self.epochs):
                    figures = self.epoch(epoch, interrupts)
                    history.add(figures)
                    self.progress.end(epoch, figures)
                    history.stopped = self.ends(epoch, figures, watch)
                    if history.stopped:
                        break
        except KeyboardInterrupt:
            history.stopped = f"Interrupted in epoch {epoch + 1}."
            raise
        except FloatingPointError as error:
            history.stopped = f"Stopped: {error}."
            raise
        finally:
            self.progress.close()
            model.arena.clear()
        history.stopped = history.stopped or f"All {self.epochs} epochs are done."
        if watch is not None:
            watch.restore()
        return history

    def epoch(self, epoch: int, interrupts: Interrupts) -> dict[str, float]:
        """One pass over the samples, and the figures of it."""
        start, means = time.perf_counter(), Means()
        first_lr = self.recipe.optimiser.lr
        data = self.data(epoch)
        self.progress.begin(epoch, self.batches)
        for number, (x, y) in enumerate(data):
            if self.recipe.schedule is not None:
                done = number / self.batches if self.batches else 0.0
                self.recipe.optimiser.lr = self.recipe.schedule(epoch + min(1.0, done))
            if number == 0:
                first_lr = self.recipe.optimiser.lr
            interrupts.hold()
            try:
                figures = self.recipe.step(x, y, f"epoch {epoch + 1}, batch {number + 1}")
            finally:
                interrupts.release()
            means.add(figures, count(x))
            self.progress.batch(figures["loss"])
        if not means.batches:
            raise ValueError(f"x({epoch}) must yield at least one batch, got none")
        self.batches = means.batches
        for name, value, _ in learned(self.recipe.model):
            if not finite(value):  # as the last batch left it, on which no loss was taken
                raise FloatingPointError(f"{name} has numbers that are not finite after epoch {epoch + 1}")
        result = {"lr": first_lr, **means.figures()}
        if self.held_out is not None:
            recipe = self.recipe
            held_out = mean_figures(recipe.model, self.held_out, recipe.loss, recipe.metrics, 256)
            if not math.isfinite(held_out["loss"]):
                raise FloatingPointError(f"val_loss is {held_out['loss']} after epoch {epoch + 1}")
            result.update({f"val_{name}": value for name, value in held_out.items()})
        return {**result, "seconds": time.perf_counter() - start}

    def data(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """The batches of an epoch."""
        if isinstance(self.source, Samples):
            self.batches = math.ceil(len(self.source) / self.batch_size)
            return self.source.batches(self.batch_size, self.recipe.rng if self.shuffle else None)
        batches = self.source(epoch)
        if isinstance(batches, Sized):
            self.batches = len(batches)
        return ((arrays("x", x), y if y is None else arrays("y", y)) for x, y in batches)

    def ends(self, epoch: int, figures: dict[str, float], watch: Watch | None) -> str:
        """Why training ends after this epoch; empty if it goes on."""
        stopped = (watch.after(epoch, figures) if watch is not None else None) or ""
        known = {"epoch": epoch, "model": self.recipe.model, "optimiser": self.recipe.optimiser, **figures}
        for callback in self.callbacks:
            result = callback(dict(known))
            if isinstance(result, (bool, np.bool_)) and result:
                name = getattr(callback, "__name__", type(callback).__name__)
                stopped = stopped or f"The callback {name} ended training after epoch {epoch + 1}."
        return stopped
