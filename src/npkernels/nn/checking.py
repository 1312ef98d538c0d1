"""Gradients against central differences."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _arguments as check
from .layer import inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .layer import Array, Layer

    Loss = Callable[[Any], tuple[float, Array]]

PLACES = 64  # of each array that are compared, if it has more
ROUNDING = 256  # rounding errors of a loss that a network makes, in units of the sum of its absolute terms


def check_gradients(model: Layer, x: Any, loss: Loss | None = None, *, eps: float | None = None) -> float:
    """Compares the gradients of a layer or network with central differences, in float64.

    Parameters
    ----------
    model : Layer
        A copy of it is used, in training; what it draws is the same in every pass.
    x : array, or tuple of arrays
        Input; the gradient of floating arrays is compared too.
    loss : callable, optional
        Of the result, gives (loss, gradient); by default a sum of the results with random factors.
    eps : float, optional
        Step of the differences, relative to numbers beyond 1; by default 6e-6, the cube root of the rounding error.

    Returns
    -------
    float
        The largest error as a fraction of the allowed one: above 1, a gradient is wrong. Allowed are the rounding
        errors of the loss over the step, and the change of the difference from the doubled step to this one. At most 64
        numbers of each array are compared.

    Raises
    ------
    ValueError
        If `eps` is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> model = nn.Sequential(nn.Dense(3, 5), nn.Tanh(), nn.Dense(5, 2), rng=0)
    >>> nn.check_gradients(model, np.ones((4, 3))) < 1
    True
    """
    step = float(np.cbrt(np.finfo(np.float64).eps)) if eps is None else check.number("eps", eps)
    if not step > 0:
        raise ValueError(f"eps must be above 0, got {eps}")
    model = copy.deepcopy(model)
    for _, layer in model.everything():
        for arrays in (layer.parameters, layer.buffers):
            arrays.update({name: array.astype(np.float64) for name, array in arrays.items()})
    inputs = [each.astype(np.float64) if each.dtype.kind == "f" else each for each in inputs_of(x)]
    return _Comparison(model, inputs, loss, step).worst()


class _Comparison:
    def __init__(self, model: Layer, inputs: list[Array], loss: Loss | None, step: float):
        self.model, self.inputs, self.loss, self.step = model, inputs, loss, step
        self.rng = np.random.default_rng(0)
        self.factors: Array | None = None

    def forward(self, training_generator: int = 1) -> Any:
        self.model.use_generator(np.random.default_rng(training_generator))
        return self.model.forward(*self.inputs, training=True)

    def value(self, y: Array) -> tuple[float, Array, float]:
        """The loss, its gradient, and the sum of its absolute terms."""
        if self.loss is not None:
            value, dy = self.loss(y)
            return float(value), dy, abs(float(value)) + float(np.abs(dy * y).sum())
        if self.factors is None:
            self.factors = self.rng.uniform(0.5, 1.5, y.shape) * self.rng.choice([-1.0, 1.0], y.shape)
        return float((self.factors * y).sum()), self.factors, float(np.abs(self.factors * y).sum())

    def worst(self) -> float:
        value, dy, terms = self.value(self.forward())
        found = self.model.backward(dy)
        floating = [x.dtype.kind == "f" for x in self.inputs]
        of_inputs = found if isinstance(found, tuple) else (found,)
        pairs = [
            (x, dx) for x, dx, real in zip(self.inputs, of_inputs, floating, strict=True) if real and dx is not None
        ]
        for _, layer in self.model.everything():
            if layer.trainable:
                pairs += [(layer.parameters[name], layer.gradients[name].copy()) for name in layer.parameters]
        pairs = [(array, np.array(gradient)) for array, gradient in pairs]
        return max((self.error(array, gradient, abs(value) + terms) for array, gradient in pairs), default=0.0)

    def error(self, array: Array, gradient: Array, terms: float) -> float:
        """The largest of one array."""
        places = range(array.size) if array.size <= PLACES else self.rng.choice(array.size, PLACES, replace=False)
        worst = 0.0
        for i in places:
            place = np.unravel_index(int(i), array.shape)
            step = self.step * max(1.0, abs(float(array[place])))
            near, far = (self.difference(array, place, k * step) for k in (1, 2))
            rounding = ROUNDING * np.finfo(np.float64).eps * (terms / step + abs(near)) + np.finfo(np.float64).tiny
            error = abs(near - float(gradient[place]))
            ratio = error / (rounding + abs(far - near))
            worst = max(worst, ratio if np.isfinite(ratio) else np.inf)
        return float(worst)

    def difference(self, array: Array, place: tuple[Any, ...], step: float) -> float:
        before = array[place]
        array[place] = before + step
        above, high = self.value(self.forward())[0], float(array[place])
        array[place] = before - step
        below, low = self.value(self.forward())[0], float(array[place])
        array[place] = before
        self.model.forget()
        return (above - below) / (high - low)
