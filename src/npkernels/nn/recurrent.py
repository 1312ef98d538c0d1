"""Recurrent layers, of several layers and both directions."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

import npkernels as nk

from .. import _arguments as check
from .layer import Layer, Seed, draw_uniform, real_dtype, real_input
from .metrics import generator_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

    from .layer import Array, Shape


class _Recurrent(Layer):
    """Layers of cells over sequences, batch first.

    A state is an array (num_layers * directions, n, hidden_size), of `LSTM` a pair of them, as in `torch.nn`. A long
    sequence goes through in pieces, each with the `last_state` of the one before: gradients stop between the pieces.
    """

    kernel: ClassVar[Callable[..., Any]]
    kernel_backward: ClassVar[Callable[..., Any]]
    gates: ClassVar[int]
    # Arrays that make a state.
    states: ClassVar[int] = 1
    # After a call: the state after the last step of each direction.
    last_state: Any = None
    options: dict[str, Any]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        bidirectional: bool = False,
        return_sequences: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        rng: Seed = None,
    ):
        self.input_size = check.integer("input_size", input_size, 1)
        self.hidden_size = check.integer("hidden_size", hidden_size, 1)
        self.num_layers = check.integer("num_layers", num_layers, 1)
        self.bidirectional = check.flag("bidirectional", bidirectional)
        self.return_sequences = check.flag("return_sequences", return_sequences)
        self.options = {}
        rows, h = self.gates * self.hidden_size, self.hidden_size
        for layer in range(self.num_layers):
            d = self.input_size if layer == 0 else h * self.directions
            for suffix in self._suffixes(layer):
                shapes = {"weight_ih": (rows, d), "weight_hh": (rows, h), "bias_ih": (rows,), "bias_hh": (rows,)}
                for name, shape in shapes.items():
                    if check.flag("bias", bias) or name.startswith("weight"):
                        self.parameters[name + suffix] = np.zeros(shape, real_dtype(dtype))
        self.draw(generator_of(rng))

    @property
    def directions(self) -> int:
        """1, or 2 if bidirectional."""
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        """What the names of a layer's parameters end in, for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"][: self.directions]

    def draw(self, rng: np.random.Generator) -> None:
        for array in self.parameters.values():
            draw_uniform(rng, array, 1 / math.sqrt(self.hidden_size))

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or shape[1] != self.input_size:
            raise ValueError(f"{type(self).__name__}: each input must have shape (t, {self.input_size}), got {shape}")
        size = self.hidden_size * self.directions
        return (shape[0], size) if self.return_sequences else (size,)

    def multiply_adds(self, shape: Shape) -> int:
        return shape[0] * sum(array.size for name, array in self.parameters.items() if name.startswith("weight"))

    def forward(self, x: Any, state: Any = None, *, training: bool = False) -> Array:
        """The states of the last layer at all steps, or of the last step of each direction.

        Parameters
        ----------
        x : (n, t, input_size) array
        state : as `last_state`, optional
            Before the first step; zeros if None.
        training : bool

        Returns
        -------
        y : (n, t, directions * hidden_size) array, or (n, directions * hidden_size) without `return_sequences`
            The forward direction first. Without `return_sequences`, the reverse direction gives its own last step,
            which is at the first place of the sequence.
        """
        y = real_input(self, x)
        self.output_shape(y.shape[1:])
        with self.arena if training else nullcontext():  # inference may keep nothing
            firsts = self._first_states(state, len(y), y.dtype)
            tapes: list[Any] = []
            lasts: list[Any] = []
            for layer in range(self.num_layers):
                results = []
                for suffix, reverse in zip(self._suffixes(layer), (False, True), strict=False):
                    weights = [self.parameters.get(name + suffix) for name in NAMES]
                    one, last, tape = type(self).kernel(
                        y, *weights, state=firsts[len(lasts)], reverse=reverse, training=training, **self.options
                    )
                    results.append(one)
                    tapes.append(tape)
                    lasts.append(last)
                y = self._joined(results)
            self._set_last(lasts)
            if not self.return_sequences:
                ends = [last[0] if self.states == 2 else last for last in lasts[-self.directions :]]
                y = np.concatenate(ends, axis=1)
        self.keep(tapes if training else None)
        return y

    def _joined(self, results: list[Array]) -> Array:
        """The results of both directions side by side."""
        if len(results) == 1:
            return results[0]
        n, t, h = results[0].shape
        return np.concatenate(results, axis=2, out=check.empty((n, t, 2 * h), results[0].dtype))

    def _first_states(self, state: Any, n: int, dtype: np.dtype[Any]) -> list[Any]:
        """What each layer and direction begins with."""
        count, wanted = self.num_layers * self.directions, (self.num_layers * self.directions, n, self.hidden_size)
        if state is None:
            return [None] * count
        if self.states == 1:
            arrays = [check.real("state", state)]
        else:
            if not isinstance(state, (tuple, list)) or len(state) != 2:
                raise TypeError(f"state must be a pair (h, c), got {type(state).__name__}")
            arrays = [check.real(f"{name} of state", one) for name, one in zip("hc", state, strict=True)]
        for array in arrays:
            check.shape("state", array, wanted)
            if array.dtype != dtype:
                raise TypeError(f"state must be {dtype} like the parameters, got {array.dtype}")
        return list(arrays[0]) if self.states == 1 else list(zip(*arrays, strict=True))

    def _set_last(self, lasts: list[Any]) -> None:
        pairs = zip(*lasts, strict=True) if self.states == 2 else [lasts]
        arrays = tuple(np.stack(list(each)) for each in pairs)
        self.last_state = arrays if self.states == 2 else arrays[0]

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        tapes, h, d = self.kept(), self.hidden_size, self.directions
        dy = np.asarray(dy)
        dx: Array | None = None
        with self.arena:
            for layer in reversed(range(self.num_layers)):
                below = needs_dx or layer > 0
                parts = []
                for k, suffix in enumerate(self._suffixes(layer)):
                    tape, tapes[layer * d + k] = tapes[layer * d + k], None
                    part = dy[..., k * h : (k + 1) * h]
                    of_last = layer == self.num_layers - 1 and not self.return_sequences
                    parts.append(self._backward(tape, part, of_last, suffix, below))
                dx = parts[0]
                if d == 2 and below:
                    np.add(dx, parts[1], out=dx)
                dy = dx
        return dx if needs_dx else None

    def _backward(self, tape: Any, dy: Array, of_last: bool, suffix: str, needs_dx: bool) -> Any:
        """dx of one layer and direction; `dy` is that of its last state alone if `of_last`."""
        dstate: Any = None
        if of_last:
            dy, dstate = None, (dy, None) if self.states == 2 else dy  # type: ignore[assignment]
        needs = (*(("x",) if needs_dx else ()), *(("w_ih", "w_hh", "b") if self.trainable else ()))
        dx, _, *gradients = type(self).kernel_backward(dy, tape, dstate=dstate, needs=needs)
        found = {name + suffix: value for name, value in zip(NAMES, gradients, strict=True)}
        self.take_gradients(**{name: value for name, value in found.items() if name in self.parameters})
        return dx


NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class RNN(_Recurrent):
    """h = tanh(W x + U h' + b) at every step; `torch.nn.RNN`, batch first.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    bias, bidirectional : bool
    return_sequences : bool
        Whether the result is that of all steps, (n, t, h), or of the last one, (n, h).
    nonlinearity : {"tanh", "relu"}
    dtype : float32 or float64
    rng : int, numpy.random.Generator or None
        Draws all parameters uniformly within ``1 / sqrt(hidden_size)``.

    Attributes
    ----------
    parameters : dict
        "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", then those of the reverse direction,
        "weight_ih_l0_reverse" and so on, and of further layers, "weight_ih_l1" and so on.
    last_state : array
        After a call, the states (num_layers * directions, n, h) after the last step of each direction.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> rnn = nn.RNN(3, 5, rng=0)
    >>> x = np.ones((2, 8, 3), np.float32)
    >>> whole, first = rnn(x), rnn(x[:, :4])
    >>> bool((rnn(x[:, 4:], rnn.last_state) == whole[:, 4:]).all())
    True
    """

    kernel = staticmethod(nk.rnn)
    kernel_backward = staticmethod(nk.rnn_backward)
    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        bidirectional: bool = False,
        return_sequences: bool = True,
        *,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        dtype: DTypeLike = np.float32,
        rng: Seed = None,
    ):
        sizes = input_size, hidden_size, num_layers
        super().__init__(*sizes, bias, bidirectional, return_sequences, dtype=dtype, rng=rng)
        self.options = {"activation": check.choice("nonlinearity", nonlinearity, ("tanh", "relu"))}


class GRU(_Recurrent):
    """Gated recurrent units; `torch.nn.GRU`, batch first. Arguments and attributes are those of `RNN`.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.GRU(3, 5, num_layers=2, bidirectional=True).output_shape((8, 3))
    (8, 10)
    """

    kernel = staticmethod(nk.gru)
    kernel_backward = staticmethod(nk.gru_backward)
    gates = 3


class LSTM(_Recurrent):
    """Long short-term memory; `torch.nn.LSTM`, batch first.

    Arguments and attributes are those of `RNN`; `last_state` is a pair (h, c), and `forward` takes one.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.LSTM(3, 5, return_sequences=False).output_shape((8, 3))
    (5,)
    """

    kernel = staticmethod(nk.lstm)
    kernel_backward = staticmethod(nk.lstm_backward)
    gates = 4
    states = 2
