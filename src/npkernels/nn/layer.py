"""What every layer is: state by name, forward and backward, and what follows from these for a whole network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import numpy as np

import npkernels as nk

from .. import _arguments as check
from .arena import Arena
from .metrics import generator_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import DTypeLike, NDArray

    from .._typing import Activation as Fused
    from .history import History

    Array: TypeAlias = NDArray[Any]
    Shape: TypeAlias = tuple[int, ...]

Seed: TypeAlias = int | np.random.Generator | None


class Layer:
    """A step of a network: `forward`, and `backward`, which takes the gradient of the loss back through it.

    A layer of one's own is a subclass with these two methods. What it learns is in `parameters`, what its `backward`
    finds out about it in `gradients`, under the same names, and further state, which is saved but not learned, in
    `buffers`; layers among its attributes are its children. `__init__` need not call that of this class.

    Attributes
    ----------
    parameters, gradients, buffers : dict of str to array
        `gradients` has the keys of `parameters`. The arrays stay the same objects: write into them.
    trainable : bool
        Whether `backward` takes the gradients of the parameters. Setting it sets it on all layers inside.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> class Scale(nn.Layer):
    ...     def __init__(self):
    ...         self.parameters["factor"] = np.ones(1)
    ...     def forward(self, x, *, training=False):
    ...         self.keep(x if training else None)
    ...         return x * self.parameters["factor"]
    ...     def backward(self, dy, *, needs_dx=True):
    ...         x = self.kept()
    ...         self.take_gradients(factor=(dy * x).sum())
    ...         return dy * self.parameters["factor"] if needs_dx else None
    >>> nn.check_gradients(Scale(), np.arange(6.0).reshape(2, 3)) < 1
    True
    """

    parameters: dict[str, Array]
    buffers: dict[str, Array]
    _gradients: dict[str, Array]
    arena: Arena
    # Whether each result is a new array that the layer has no more use for: an activation may write over it.
    fresh: ClassVar[bool] = False
    history: History  # of the last training by `fit`
    # What a training forward leaves for backward, and whether the parameters' gradients are wanted.
    _kept: Any = None
    _trainable: bool = True

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        if (arguments or named) and cls.__init__ is object.__init__:
            raise TypeError(f"{cls.__name__}() takes no arguments")
        self = super().__new__(cls)
        self.parameters, self.buffers, self._gradients = {}, {}, {}
        self.arena = Arena()
        return self

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: all but what belongs to a step of training."""
        return {**vars(self), "_kept": None, "_gradients": {}}

    def forward(self, x: Any, *, training: bool = False) -> Any:
        """The layer's result.

        Parameters
        ----------
        x : array
            One sample for each index of the first axis.
        training : bool
            Keep what `backward` needs, and behave as in training, where that differs.

        Returns
        -------
        y : array
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method forward")

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Any:
        """Gradients of the last training `forward`, whose result has the gradient `dy`. Writes over `gradients`.

        Parameters
        ----------
        dy : array of the shape of the result
        needs_dx : bool
            Whether the gradient of the input is wanted.

        Returns
        -------
        dx : array of the shape of the input, or None

        Raises
        ------
        RuntimeError
            If the last `forward` was not one in training, or this is the second call after it.
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method backward")

    def __call__(self, *inputs: Any, **keywords: Any) -> Any:
        return self.forward(*inputs, **keywords)

    # What layers are written with

    def keep(self, value: Any) -> None:
        """Leaves `value` for `backward`; None where there is nothing to take back."""
        self._kept = value

    def kept(self) -> Any:
        """What `keep` left, which is given away: a second call is a RuntimeError."""
        value, self._kept = self._kept, None
        if value is None:
            raise RuntimeError(f"{type(self).__name__}.backward must follow a forward with training=True, once")
        return value

    def take_gradients(self, **gradients: Any) -> None:
        """Writes the gradients of parameters, by name; None and those that are not trainable are left out."""
        for name, value in gradients.items():
            if value is not None and self.trainable:
                self.gradients[name][...] = value

    def forget(self) -> None:
        """Drops what the last training forward kept, here and in all layers inside."""
        self._kept = None
        for child in self.children().values():
            child.forget()

    @property
    def gradients(self) -> dict[str, Array]:
        """The gradients of the parameters, by the same names."""
        for name, parameter in self.parameters.items():
            if name not in self._gradients:
                self._gradients[name] = np.zeros_like(parameter)
        return self._gradients

    # Layers inside

    def children(self) -> dict[str, Layer]:
        """The layers directly inside, by name: those among the attributes, in the order in which these were set."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Layer)}

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Every layer inside and its name, depth first, a layer before those inside it; this one itself has no name.

        One at several places comes once, by the first of its names.

        Yields
        ------
        name : str
            As in "3.body.0".
        layer : Layer

        Examples
        --------
        >>> from npkernels import nn
        >>> [name for name, _ in nn.Sequential(nn.Dense(2, 2), nn.Residual(nn.Dense(2, 2))).layers()]
        ['0', '1', '1.body']
        """
        seen = {id(self)}
        for name, layer in self.places():
            if id(layer) not in seen:
                seen.add(id(layer))
                yield name, layer

    def places(self) -> Iterator[tuple[str, Layer]]:
        """As `layers`, but each layer as often as it has places."""
        for name, child in self.children().items():
            yield name, child
            for inner, layer in child.places():
                yield f"{name}.{inner}", layer

    def everything(self) -> Iterator[tuple[str, Layer]]:
        """This layer, whose name is "", then `layers`."""
        yield "", self
        yield from self.layers()

    @property
    def trainable(self) -> bool:
        """Whether `backward` takes the gradients of the parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = check.flag("trainable", value)
        for child in self.children().values():
            child.trainable = self._trainable

    def learns(self) -> bool:
        """Whether `backward` has any gradient of a parameter to take."""
        return bool(self.parameters and self.trainable) or any(child.learns() for child in self.children().values())

    # Draws

    def initialise(self, rng: Seed) -> None:
        """Draws all parameters anew, in the order of the layers; those that draw in training go on with the generator.

        Parameters
        ----------
        rng : int, numpy.random.Generator or None
            None: a new stream each time.
        """
        generator = generator_of(rng)
        for _, layer in self.everything():
            layer.draw(generator)
        self.use_generator(generator)

    def draw(self, rng: np.random.Generator) -> None:
        """Draws the parameters of this layer alone; without parameters, nothing."""

    def use_generator(self, rng: np.random.Generator) -> None:
        """Gives `rng` to all layers that draw in training, such as `Dropout`."""
        for child in self.children().values():
            child.use_generator(rng)

    # Shapes

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of the result for an input of this shape, both without the batch axis.

        Raises
        ------
        ValueError
            If the input does not fit; the message names the layer.
        """
        return tuple(self.forward(np.zeros((1, *shape), dtype_of(self))).shape[1:])

    def summary(self, input_shape: Shape) -> str:
        """A table of name, layer, output shape, parameters, multiply-adds and receptive field, and totals.

        Parameters
        ----------
        input_shape : tuple of int
            Of one sample, without the batch axis.

        Examples
        --------
        >>> from npkernels import nn
        >>> print(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dense(144, 2)).summary((1, 8, 8)))
        name   layer    output shape  parameters  multiply-adds  receptive field
        ------------------------------------------------------------------------
        0      Conv2d   (4, 6, 6)             40          1,296            3 x 3
        1      ReLU     (4, 6, 6)              0              0            3 x 3
        2      Flatten  (144,)                 0              0
        3      Dense    (2,)                 290            288
        ------------------------------------------------------------------------
        total                                330          1,584
        """
        from .summary import summary

        return summary(self, input_shape)

    # State

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers, by the names of layer and array, as in "0.weight"."""
        from .state import state_dict

        return state_dict(self)

    def load_state_dict(self, mapping: Mapping[str, Any], strict: bool = True) -> None:
        """Writes into all parameters and buffers.

        Parameters
        ----------
        mapping : mapping of str to array
            Names as in `state_dict`; values are whatever `numpy.asarray` takes, such as the tensors of a PyTorch
            `state_dict`. Names that end in `num_batches_tracked` are passed over.
        strict : bool
            Whether missing and unexpected names are errors.

        Raises
        ------
        ValueError
            If names or shapes do not fit: one message lists all of them, and nothing is written.
        """
        from .state import load_state_dict

        load_state_dict(self, mapping, strict)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `state_dict` to a file, `.npz`, or `.safetensors` where that package is installed.

        A crash leaves what was there before: the file is written beside it and renamed.
        """
        from .state import save

        save(self, path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """`load_state_dict` of what `save` wrote."""
        from .state import load

        load(self, path)

    # Use

    def predict(self, x: Any, batch_size: int = 256) -> Array:
        """The results for all samples, `batch_size` at a time, without training.

        Parameters
        ----------
        x : array, or tuple of arrays for a layer of several inputs
        batch_size : int
            At least 1.

        Returns
        -------
        y : array
        """
        check.integer("batch_size", batch_size, 1)
        arrays = inputs_of(x)
        result: Array | None = None
        with Arena():
            for start in range(0, max(1, len(arrays[0])), batch_size):
                y = self.forward(*(array[start : start + batch_size] for array in arrays))
                if result is None:
                    result = np.empty((len(arrays[0]), *y.shape[1:]), y.dtype)
                result[start : start + batch_size] = y
                del y  # its memory is the next batch's
        assert result is not None
        return result


class Fusible(Layer):
    """A layer whose kernel can apply an activation to its result on the way out."""

    fresh = True

    def fused(self, x: Any, *, training: bool = False, activation: Fused | None = None) -> Array:
        """`forward`, then the activation with its default parameters."""
        raise NotImplementedError

    def forward(self, x: Any, *, training: bool = False) -> Array:
        return self.fused(x, training=training)


def kernel(name: str) -> Callable[..., Any]:
    """A public function of npkernels."""
    function: Callable[..., Any] = getattr(nk, name)
    return function


def dtype_of(layer: Layer) -> np.dtype[Any]:
    """That of the parameters of a layer and of those inside it; float32 without any."""
    arrays = (array for _, inner in layer.everything() for array in inner.parameters.values())
    return next((array.dtype for array in arrays), np.dtype(np.float32))


def inputs_of(x: Any) -> tuple[Array, ...]:
    """The arrays that a model takes: those of a tuple, or one."""
    return tuple(np.asarray(each) for each in x) if isinstance(x, tuple) else (np.asarray(x),)


def real_input(layer: Layer, x: object) -> Array:
    """`x` as an array of the dtype of the parameters."""
    array = check.real("x", x)
    for parameter in layer.parameters.values():
        if array.dtype != parameter.dtype:
            raise TypeError(f"x must be {parameter.dtype} like the parameters, got {array.dtype}")
        break
    return array


def real_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """float32 or float64."""
    kind = np.dtype(dtype)
    if dtype is None or kind not in (check.FLOAT32, check.FLOAT64) or not kind.isnative:
        raise TypeError(f"dtype must be float32 or float64, got {dtype if dtype is None else kind}")
    return kind


def draw_uniform(rng: np.random.Generator, array: Array, bound: float) -> None:
    """Fills an array with numbers between -bound and bound."""
    array[...] = rng.random(array.shape, array.dtype)
    array *= 2 * bound
    array -= array.dtype.type(bound)
