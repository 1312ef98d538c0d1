"""Where in a network a number first was not finite."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from .batches import each

if TYPE_CHECKING:
    from collections.abc import Callable

    from .layer import Layer


def forward(model: Layer, x: Any, *, training: bool) -> Any:
    """The result for one input, or for a tuple of several."""
    return model.forward(*each(x), training=training)


def first_not_finite(model: Layer, x: Any) -> str:
    """A clause about the first layer, in the order in which they finish, whose output is not finite."""
    if not all(finite(array) for array in each(x)):
        return "the input has numbers that are not finite"
    found: list[str] = []
    with ExitStack() as stack:
        for name, layer in model.layers():
            watched = _watched(layer.forward, f"{name} ({type(layer).__name__})", found)
            stack.callback(_shadow(layer, "forward", watched))
            if hasattr(layer, "fuses"):  # an activation, which hides the result of the layer before it in one kernel
                stack.callback(_shadow(layer, "fuses", lambda training: False))
        result = forward(model, x, training=True)
    if not found and finite(result):
        return "the outputs of all layers are finite"
    name = found[0] if found else type(model).__name__
    return f"the first output that is not finite is that of layer {name}"


def _shadow(layer: Layer, name: str, function: Callable[..., Any]) -> Callable[[], None]:
    """Puts `function` in the place of a method of one layer, and returns what takes it away again."""
    attributes = vars(layer)
    own = attributes.get(name)
    attributes[name] = function

    def restore() -> None:
        del attributes[name]
        if own is not None:
            attributes[name] = own

    return restore


def _watched(function: Callable[..., Any], name: str, found: list[str]) -> Callable[..., Any]:
    def watched(*inputs: Any, **keywords: Any) -> Any:
        result = function(*inputs, **keywords)
        if not finite(result):
            found.append(name)
        return result

    return watched


def finite(value: Any) -> bool:
    """Whether all numbers of an array, or of a tuple of them, are finite."""
    if isinstance(value, tuple):
        return all(finite(each) for each in value)
    array = np.asarray(value)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
