"""Layers made of layers: in a row, side by side, and around a shortcut."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, overload

import numpy as np

from .. import _arguments as check
from .activations import Activation
from .layer import Fusible, Layer, Seed
from .shape import like_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .layer import Array, Shape

Known = TypeVar("Known", bound=Layer)
PLACED = (TypeError, ValueError, RuntimeError, FloatingPointError)


class place:
    """``with place(name, layer):`` errors from inside say in which layer of the network they arose."""

    __slots__ = ("layer", "name")

    def __init__(self, name: str, layer: Layer):
        self.name, self.layer = name, layer

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Exception):
            _place(error, self.name, self.layer)


def _place(error: Exception, name: str, layer: Layer) -> None:
    """Writes the place into the message, that of the innermost layer: "layer 3.body.0 (Conv2d): ..."."""
    path, kind, text = getattr(error, "_place", ("", type(layer).__name__, str(error)))
    path = f"{name}.{path}" if path else name
    if type(error) in PLACED:
        error.args = (f"layer {path} ({kind}): {text.removeprefix(f'{kind}: ')}",)
        error._place = (path, kind, text)  # type: ignore[attr-defined]
    else:
        error.add_note(f"in layer {name} ({type(layer).__name__})")


class _Container(Layer):
    """Layers by name."""

    def _set(self, layers: dict[str, Layer]) -> None:
        self._inside: dict[str, Layer] = {}
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                raise TypeError(f"layer {name} must be a nn.Layer, got {type(layer).__name__}")
            if "." in name or not name:
                raise ValueError(f"names of layers must not be empty nor have dots, got {name!r}")
            self._inside[name] = layer
        seen: dict[int, str] = {}
        for name, layer in self.places():
            if id(layer) in seen:
                raise ValueError(f"a layer must have one place, got the same one as {seen[id(layer)]} and {name}")
            seen[id(layer)] = name

    def children(self) -> dict[str, Layer]:
        return self.branches()

    def branches(self) -> dict[str, Layer]:
        """The layers that are given by name or place."""
        return dict(self._inside)

    def _memory(self, training: bool) -> AbstractContextManager[object]:
        """That of a training step: inference may keep nothing."""
        return self.arena if training else nullcontext()

    @overload
    def __getitem__(self, key: int | str) -> Layer: ...
    @overload
    def __getitem__(self, key: slice) -> list[Layer] | Sequential: ...
    def __getitem__(self, key: int | str | slice) -> Layer | list[Layer]:
        """The layer at a place or of a name; of a slice, a list of layers."""
        return self._inside[key] if isinstance(key, str) else list(self._inside.values())[key]

    def __len__(self) -> int:
        return len(self._inside)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._inside.values())


class Sequential(_Container):
    """Layers in a row: each one's result is the input of the next.

    Parameters
    ----------
    *layers, **named : Layer
        Named "0", "1", ... or by the keywords, which follow.
    rng : int, numpy.random.Generator or None
        Draws all parameters anew from one stream; None leaves them as they are.

    Notes
    -----
    An activation after a layer whose kernel can apply it is applied there: in training those whose gradient follows
    from the result.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> model = nn.Sequential(nn.Dense(4, 8), nn.ReLU(), head=nn.Dense(8, 3), rng=0)
    >>> model(np.ones((2, 4), np.float32)).shape
    (2, 3)
    >>> len(model), model["head"].parameters["weight"].shape, len(model[:2])
    (3, (3, 8), 2)
    """

    def __init__(self, *layers: Layer, rng: Seed = None, **named: Layer):
        numbered = {str(i): layer for i, layer in enumerate(layers)}
        for name in numbered.keys() & named.keys():
            raise ValueError(f"names of layers must differ, got {name!r} twice")
        self._set({**numbered, **named})
        if rng is not None:
            self.initialise(rng)

    @overload
    def __getitem__(self, key: int | str) -> Layer: ...
    @overload
    def __getitem__(self, key: slice) -> Sequential: ...
    def __getitem__(self, key: int | str | slice) -> Layer:
        """The layer at a place or of a name; of a slice, a `Sequential` of the same layers."""
        if isinstance(key, slice):
            part = Sequential()
            part._set(dict(list(self._inside.items())[key]))
            return part
        return super().__getitem__(key)

    def output_shape(self, shape: Shape) -> Shape:
        for name, layer in self._inside.items():
            with place(name, layer):
                shape = layer.output_shape(shape)
        return shape

    def forward(self, x: Any, *, training: bool = False) -> Any:
        self.keep(None)
        steps = list(self._inside.items())
        done = 0
        with self._memory(training):
            while done < len(steps):
                name, layer = steps[done]
                after = steps[done + 1][1] if done + 1 < len(steps) else None
                with place(name, layer):
                    if after is not None and _is(after, Activation):
                        x = _followed(layer, after, x, training)
                        done += 2
                    else:
                        x = layer.forward(x, training=training)
                        done += 1
        result: Any = True if steps else (np.shape(x), np.asarray(x).dtype)
        self.keep(result if training else None)
        return x

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Any:
        result, steps = self.kept(), list(self._inside.items())
        if not steps:
            dy = like_result(dy, *result)
        # Before the first layer that learns, no gradient is wanted.
        first = 0 if needs_dx else next((i for i, (_, layer) in enumerate(steps) if layer.learns()), len(steps))
        with self.arena:
            for i in reversed(range(len(steps))):
                name, layer = steps[i]
                if i < first:
                    layer.forget()
                    continue
                with place(name, layer):
                    dy = layer.backward(dy, needs_dx=needs_dx or i > first)
        return dy if needs_dx else None


def _is(layer: Layer, kind: type[Known]) -> TypeGuard[Known]:
    """Whether a layer's `forward` is that of the class, not one of a subclass or of its own."""
    return getattr(layer.forward, "__func__", None) is kind.forward


def _followed(layer: Layer, activation: Activation, x: Any, training: bool) -> Array:
    """A layer and the activation after it: in one kernel, or the second written over the result of the first."""
    if _is(layer, Fusible) and activation.fuses(training):
        activation.keep(None)
        y = layer.fused(x, training=training, activation=activation.name)  # type: ignore[arg-type]  # fuses() knows
        if training:
            activation.keep_result(None, y)
        return y
    y = layer.forward(x, training=training)
    return activation.forward(y, training=training, in_place=layer.fresh and _is_ours(layer))


def _is_ours(layer: Layer) -> bool:
    """Whether class and `forward` are of this package: others may refer to their results, whatever `fresh` says."""
    method = getattr(layer.forward, "__func__", None)
    modules = (getattr(each, "__module__", "") for each in (type(layer), method))
    return all(f"{module}.".startswith(f"{__package__}.") for module in modules)


class Parallel(_Container):
    """Layers side by side, on the same input; their results are put together along an axis.

    Parameters
    ----------
    *branches : Layer
        Named "0", "1", ...
    axis : int
        Not that of the batch.

    Examples
    --------
    >>> from npkernels import nn
    >>> inception = nn.Parallel(nn.Conv2d(8, 4, 1), nn.Conv2d(8, 6, 3, padding=1), nn.MaxPool2d(3, 1, 1))
    >>> inception.output_shape((8, 10, 10))
    (18, 10, 10)
    """

    def __init__(self, *branches: Layer, axis: int = 1):
        if not branches:
            raise ValueError("Parallel must have one branch at least, got none")
        self._set({str(i): branch for i, branch in enumerate(branches)})
        self.axis = check.integer("axis", axis)
        if self.axis == 0:
            raise ValueError("axis must not be that of the batch, got 0")

    def _joined(self, shapes: list[Shape], axis: int) -> Shape:
        """The shape of what the branches give, put together."""
        first = shapes[0]
        if not -len(first) <= axis < len(first):
            raise ValueError(f"Parallel: axis {self.axis} must be one of the results, which have shape {first}")
        axis %= len(first)
        for shape in shapes:
            if len(shape) != len(first) or (*shape[:axis], *shape[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]):
                raise ValueError(f"Parallel: the branches must differ along axis {self.axis} alone, got {shapes}")
        return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])

    def output_shape(self, shape: Shape) -> Shape:
        shapes = []
        for name, branch in self._inside.items():
            with place(name, branch):
                shapes.append(branch.output_shape(shape))
        return self._joined(shapes, self.axis - 1 if self.axis > 0 else self.axis)

    def forward(self, x: Any, *, training: bool = False) -> Array:
        self.keep(None)
        results = []
        with self._memory(training):
            for name, branch in self._inside.items():
                with place(name, branch):
                    results.append(branch.forward(x, training=training))
            shape = self._joined([y.shape for y in results], self.axis)
            y = np.concatenate(results, axis=self.axis, out=check.empty(shape, results[0].dtype))
        self.keep([result.shape[self.axis] for result in results] if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        sizes = self.kept()
        dx: Array | None = None
        with self.arena:
            parts = np.split(dy, np.cumsum(sizes)[:-1], axis=self.axis)
            for (name, branch), part in zip(self._inside.items(), parts, strict=True):
                with place(name, branch):
                    dx = _sum(dx, _backward(branch, part, needs_dx))
        return dx


def _backward(layer: Layer, dy: Any, needs_dx: bool) -> Any:
    """That of a layer, if it has anything to do."""
    if needs_dx or layer.learns():
        return layer.backward(dy, needs_dx=needs_dx)
    layer.forget()
    return None


def _sum(a: Array | None, b: Array | None) -> Array | None:
    """A new array; None adds nothing."""
    if a is None or b is None:
        return b if a is None else a
    total: Array = np.add(a, b, out=check.empty(a.shape, a.dtype))
    return total


class Residual(_Container):
    """What a layer makes of its input, plus the input itself or what a shortcut makes of it.

    Parameters
    ----------
    body : Layer
    shortcut : Layer, optional
        None: the identity.
    activation : str or Activation, optional
        Applied to the sum.

    Examples
    --------
    >>> from npkernels import nn
    >>> body = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
    >>> nn.Residual(body, shortcut=nn.Conv2d(8, 16, 1, 2), activation="relu").output_shape((8, 10, 10))
    (16, 5, 5)
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None, activation: str | Activation | None = None):
        self.activation = Activation(activation) if isinstance(activation, str) else activation
        if self.activation is not None and not isinstance(self.activation, Activation):
            raise TypeError(f"activation must be a string or an nn.Activation, got {type(activation).__name__}")
        self._set({"body": body, **({} if shortcut is None else {"shortcut": shortcut})})

    def children(self) -> dict[str, Layer]:
        return {**self.branches(), **({} if self.activation is None else {"activation": self.activation})}

    def _fits(self, shape: Shape, other: Shape) -> Shape:
        if shape != other:
            raise ValueError(f"Residual: body and shortcut must have results of one shape, got {shape} and {other}")
        return shape

    def output_shape(self, shape: Shape) -> Shape:
        shapes = dict.fromkeys(("body", "shortcut"), shape)
        for name, layer in self._inside.items():
            with place(name, layer):
                shapes[name] = layer.output_shape(shape)
        return self._fits(shapes["body"], shapes["shortcut"])

    def forward(self, x: Any, *, training: bool = False) -> Array:
        self.keep(None)
        ends = dict.fromkeys(("body", "shortcut"), np.asarray(x))
        with self._memory(training):
            for name, layer in self._inside.items():
                with place(name, layer):
                    ends[name] = layer.forward(x, training=training)
            shape = self._fits(ends["body"].shape, ends["shortcut"].shape)
            y: Array = np.add(ends["body"], ends["shortcut"], out=check.empty(shape, ends["body"].dtype))
            if self.activation is not None:
                options = {"in_place": True} if _is(self.activation, Activation) else {}
                y = self.activation.forward(y, training=training, **options)
        self.keep(True if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        self.kept()
        with self.arena:
            if self.activation is not None:
                dy = self.activation.backward(dy)
            ends = dict.fromkeys(("body", "shortcut"), dy)
            for name, layer in self._inside.items():
                with place(name, layer):
                    ends[name] = _backward(layer, dy, needs_dx)
            return _sum(ends["body"], ends["shortcut"]) if needs_dx else None
