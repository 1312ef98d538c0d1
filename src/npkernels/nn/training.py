"""Training: `fit` and `evaluate`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .. import _arguments as check
from .batches import Samples
from .epochs import Course, Recipe, mean_figures
from .history import History
from .layer import Layer
from .metrics import generator_of
from .progress import Progress
from .stopping import EarlyStopping

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from .augment import Augmentation
    from .optimiser import Optimiser
    from .schedules import Schedule

# Names of figures that no metric may have.
TAKEN = ("loss", "lr", "seconds", "epoch", "model", "optimiser")


def fit(
    model: Layer,
    x: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], tuple[Any, Any]],
    optimiser: Optimiser,
    epochs: int = 1,
    batch_size: int = 32,
    validation: float | tuple[Any, Any] | None = None,
    shuffle: bool = True,
    rng: int | np.random.Generator | None = None,
    schedule: Schedule | None = None,
    clip_norm: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    augment: Augmentation | None = None,
    early_stopping: EarlyStopping | None = None,
    metrics: Mapping[str, Callable[[Any, Any], Any]] | None = None,
    callbacks: Iterable[Callable[[dict[str, Any]], Any]] = (),
    progress: bool | None = None,
) -> History:
    """Trains a network, batch by batch.

    Parameters
    ----------
    model : Layer
    x : array, tuple of arrays, or callable
        Samples along the first axis; a tuple holds the inputs of a model whose `forward` takes several. A callable of
        the number of the epoch, from 0 on, returns an iterable of batches ``(x, y)``.
    y : array, tuple of arrays, or None
        Targets, as many as samples; None if `x` is a callable.
    loss : callable
        ``loss(prediction, y) -> (loss, dprediction)``, such as the functions of `npkernels` that end in `_with_grad`.
    optimiser : Optimiser
    epochs : int
        How often each sample is seen, not negative.
    batch_size : int
        Samples a step, at least 1; the last step of an epoch may have fewer.
    validation : float or (x, y), optional
        Samples on which loss and metrics are taken after each epoch, or which part of the given ones is set aside for
        that: from their end, after one shuffle unless `shuffle` is false.
    shuffle : bool
        Draw the order of the samples anew for each epoch.
    rng : int, numpy.random.Generator or None
        What all draws come from, those of `augment` and of layers such as `Dropout` too. The same gives the same bits.
    schedule : callable, optional
        Gives the learning rate of each batch; its argument is the number of epochs done, with a fraction. Where `x` is
        a callable and its batches have no `len`, their number is that of the last epoch, and whole epochs count in the
        first.
    clip_norm : float, optional
        The largest norm of all gradients together: `npkernels.clip_grad_norm`.
    l1, l2 : float
        Penalties ``l1 sum |w| + l2 / 2 sum w^2`` on the trainable parameters of two or more axes, in the gradient and
        in the loss of training; "val_loss" is without.
    augment : callable, optional
        ``augment(x, rng) -> x`` on each batch: `npkernels.nn.augment`.
    early_stopping : EarlyStopping, optional
    metrics : mapping of str to callable, optional
        ``metric(prediction, y) -> number`` by name: means over the samples, of training as the network was when it saw
        them.
    callbacks : iterable of callable
        Called after each epoch with a dict of "epoch", from 0 on, "model", "optimiser" and the figures of the epoch;
        one that returns True ends training.
    progress : bool, optional
        False is silent. Else a bar by tqdm where it is installed and stderr is a terminal, or a line for each epoch.

    Returns
    -------
    history : History
        Also in ``model.history``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, lengths differ, or a name is taken or unknown.
    FloatingPointError
        If a loss is not finite: the message says in which epoch and batch, both from 1 on, and which layer's output was
        the first that was not finite. The model is as after the batch before. Also if "val_loss" or, after the last
        batch of an epoch, a parameter is not finite.
    KeyboardInterrupt
        Ctrl-C: after the batch in progress, or at once if it comes twice. ``model.history`` has the finished epochs.

    Notes
    -----
    Several calls with the same optimiser and the same `Generator` give the bits of one call with all epochs, but for
    `schedule` and a fraction as `validation`, which begin anew.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> from npkernels import nn
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> line = nn.Dense(1, 1, rng=0)
    >>> history = nn.fit(line, x, 3 * x - 1, loss=nk.mse_loss_with_grad, optimiser=nn.SGD(0.2), epochs=30, rng=0,
    ...                  progress=False)
    >>> line.parameters["weight"].round(3), line.parameters["bias"].round(3)
    (array([[3.]], dtype=float32), array([-1.], dtype=float32))
    >>> history.stopped
    'All 30 epochs are done.'
    """
    if not isinstance(model, Layer):
        raise TypeError(f"model must be an nn.Layer, got {type(model).__name__}")
    generator = generator_of(rng)
    shuffle = check.flag("shuffle", shuffle)
    source, held_out = _samples(x, y, validation, generator if shuffle else None)
    recipe = Recipe(
        model=model,
        loss=_callable("loss", loss),
        optimiser=optimiser,
        metrics=_metrics(metrics),
        schedule=None if schedule is None else _callable("schedule", schedule),
        clip_norm=None if clip_norm is None else check.number("clip_norm", clip_norm, 0),
        l1=check.number("l1", l1, 0),
        l2=check.number("l2", l2, 0),
        augment=None if augment is None else _callable("augment", augment),
        rng=generator,
    )
    if isinstance(optimiser, type) or not hasattr(optimiser, "step"):
        raise TypeError(f"optimiser must be an Optimiser, got {optimiser!r}")
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks must be an iterable of callables, got {type(callbacks).__name__}")
    course = Course(
        recipe,
        source,
        held_out,
        epochs=check.integer("epochs", epochs, 0),
        batch_size=check.integer("batch_size", batch_size, 1),
        shuffle=shuffle,
        early_stopping=_stopping(early_stopping, recipe.metrics, held_out is not None),
        callbacks=[_callable(f"callbacks[{i}]", callback) for i, callback in enumerate(callbacks)],
        progress=Progress(progress is None or check.flag("progress", progress), epochs),
    )
    return course.run()


def evaluate(
    model: Layer,
    x: Any,
    y: Any,
    loss: Callable[[Any, Any], Any],
    metrics: Mapping[str, Callable[[Any, Any], Any]] | None = None,
    batch_size: int = 256,
) -> dict[str, float]:
    """Loss and metrics of a network, without training.

    Parameters
    ----------
    model : Layer
    x, y : array or tuple of arrays
        As of `fit`.
    loss : callable
        ``loss(prediction, y)``, which returns the loss or ``(loss, dprediction)``.
    metrics : mapping of str to callable, optional
        ``metric(prediction, y) -> number`` by name.
    batch_size : int
        Samples at a time, at least 1.

    Returns
    -------
    figures : dict of str to float
        "loss" and each metric: means over the samples of what is found of each batch.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, or lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> from npkernels import nn
    >>> nn.evaluate(nn.Flatten(), np.ones((4, 2)), np.zeros((4, 2)), nk.mse_loss, {"l1": nk.l1_loss})
    {'loss': 1.0, 'l1': 1.0}
    """
    samples, names = Samples(x, y), _metrics(metrics)
    return mean_figures(model, samples, _callable("loss", loss), names, check.integer("batch_size", batch_size, 1))


def _samples(x: Any, y: Any, validation: Any, rng: np.random.Generator | None) -> tuple[Any, Samples | None]:
    """What to train on, samples or a callable, and what is held out."""
    held_out = None
    if isinstance(validation, (tuple, list)):
        if len(validation) != 2:
            raise ValueError(f"validation must be a fraction or (x, y), got {len(validation)} values")
        held_out = Samples(validation[0], validation[1], "validation ")
    if callable(x):
        if y is not None:
            raise ValueError("y must be None if x is a callable, whose batches hold their own")
        if validation is not None and held_out is None:
            raise ValueError(f"validation must be (x, y) if x is a callable, got {validation}")
        return x, held_out
    if y is None:
        raise TypeError("y must be given unless x is a callable, got None")
    samples = Samples(x, y)
    if validation is None or held_out is not None:
        return samples, held_out
    size = round(len(samples) * check.fraction("validation", validation))
    if not 0 < size < len(samples):
        raise ValueError(f"validation must leave samples on both sides, got {validation} of {len(samples)} samples")
    return samples.split(size, rng)


def _callable(name: str, value: Any) -> Any:
    if not callable(value):
        raise TypeError(f"{name} must be callable, got {type(value).__name__}")
    return value


def _metrics(metrics: Any) -> dict[str, Callable[[Any, Any], Any]]:
    if not isinstance(metrics, (Mapping, type(None))):
        raise TypeError(f"metrics must be a mapping of names to callables, got {type(metrics).__name__}")
    named = dict(metrics or {})
    for name, metric in named.items():
        if not isinstance(name, str):
            raise TypeError(f"metrics must have strings as names, got {name!r}")
        if name in TAKEN or name.startswith("val_"):
            raise ValueError(f"metrics must not have the name {name!r}, which is taken")
        _callable(f"metrics[{name!r}]", metric)
    return named


def _stopping(rule: Any, metrics: Mapping[str, Any], validation: bool) -> EarlyStopping | None:
    if rule is None:
        return None
    if not isinstance(rule, EarlyStopping):
        raise TypeError(f"early_stopping must be an EarlyStopping, got {type(rule).__name__}")
    names = ["loss", *metrics]
    if validation:
        names += [f"val_{name}" for name in names]
    if rule.monitor not in names:
        without = "" if validation else " (there is no validation)"
        raise ValueError(f"monitor must be one of {', '.join(names)}{without}, got {rule.monitor!r}")
    return rule
