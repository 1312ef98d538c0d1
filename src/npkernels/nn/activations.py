"""Activations: those of `npkernels.ACTIVATIONS` by name, and those that learn."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

import npkernels as nk

from .. import _arguments as check
from ..activation.parameterless import FUSED
from .layer import Layer, Seed, kernel, real_dtype, real_input
from .metrics import generator_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from .._typing import Approximate
    from .layer import Array, Shape


class Elementwise(Layer):
    """A layer whose results have the shapes of its inputs."""

    def output_shape(self, shape: Shape) -> Shape:
        return shape


class Activation(Elementwise):
    """An elementwise function.

    Parameters
    ----------
    name : str
        One of `npkernels.ACTIVATIONS`.
    **parameters
        What the function takes besides x. They are constants: `PReLU`, `SReLU` and `APL` learn theirs.

    Raises
    ------
    TypeError, ValueError
        If there is no such function or parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> nn.Activation("clip", low=-1, high=1)(np.array([-2.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])
    """

    def __init__(self, name: str, **parameters: Any):
        self.name, self.settings = check.choice("name", name, nk.ACTIVATIONS), parameters
        known = inspect.signature(nk.ACTIVATIONS[name]).parameters
        open_ones = {key: known[key] for key in known if key not in ("x", "out", "training", "rng")}
        for key in parameters:
            if key not in open_ones:
                raise TypeError(f"Activation: {name} must have parameters {sorted(open_ones)} at most, got {key}")
        for key, parameter in open_ones.items():
            if parameter.default is parameter.empty and key not in parameters:
                raise TypeError(f"Activation: {name} must have the parameter {key}")
        self.rng = np.random.default_rng()
        # Whether the gradient follows from the result, so that x need not be kept: the sign of x must show in it.
        takes_output = "from_output" in inspect.signature(kernel(f"{name}_backward")).parameters
        self.by_output = takes_output and all(parameters.get(key, 0) >= 0 for key in ("slope", "alpha", "beta"))

    def fuses(self, training: bool) -> bool:
        """Whether a kernel can apply it to its result."""
        return self.name in FUSED and not self.settings and (not training or self.by_output)

    def use_generator(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def forward(self, x: Any, *, training: bool = False, in_place: bool = False) -> Array:
        """The function of x; written over x if `in_place` and nothing needs x any more."""
        x = check.real("x", x)
        self.keep(None)
        function: Any = nk.ACTIVATIONS[self.name]
        if training and self.name == "rrelu":
            y, slopes = function(x, training=True, rng=self.rng, **self.settings)
            self.keep((x, {"training": True, "slopes": slopes, **self.settings}))
            return np.asarray(y)
        over = in_place and (not training or self.by_output)
        y = function(x, out=x if over else check.empty(x.shape, x.dtype), **self._constants(x.dtype))
        if training:
            self.keep_result(x, y)
        return np.asarray(y)

    def keep_result(self, x: Array | None, y: Array) -> None:
        """Keeps what the gradient follows from; x may be None if that is y."""
        if self.by_output:
            self.keep((y, {"from_output": True, **self.settings}))
        else:
            self.keep((x, self._constants(y.dtype)))

    def _constants(self, dtype: np.dtype[Any]) -> dict[str, Any]:
        """The parameters, arrays in the dtype of x."""
        return {
            name: value.astype(dtype) if isinstance(value, np.ndarray) else value
            for name, value in self.settings.items()
        }

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        x, settings = self.kept()
        if not needs_dx:
            return None
        dx = kernel(f"{self.name}_backward")(dy, x, out=check.empty(x.shape, x.dtype), **settings)
        return np.asarray(dx[0] if isinstance(dx, tuple) else dx)


class ReLU(Activation):
    """max(0, x); `torch.nn.ReLU`.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> nn.ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __init__(self) -> None:
        super().__init__("relu")


class Sigmoid(Activation):
    """1 / (1 + e^-x); `torch.nn.Sigmoid`."""

    def __init__(self) -> None:
        super().__init__("sigmoid")


class Tanh(Activation):
    """tanh x; `torch.nn.Tanh`."""

    def __init__(self) -> None:
        super().__init__("tanh")


class SiLU(Activation):
    """x / (1 + e^-x); `torch.nn.SiLU`."""

    def __init__(self) -> None:
        super().__init__("silu")


class GELU(Activation):
    """x times the normal distribution function of x; `torch.nn.GELU`.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        As of `npkernels.gelu`.
    """

    def __init__(self, approximate: Approximate = "none"):
        super().__init__("gelu", **({} if approximate == "none" else {"approximate": approximate}))


class ELU(Activation):
    """alpha (e^x - 1) below 0, else x; `torch.nn.ELU`.

    Parameters
    ----------
    alpha : float
    """

    def __init__(self, alpha: float = 1.0):
        super().__init__("elu", **({} if alpha == 1 else {"alpha": alpha}))


class LeakyReLU(Activation):
    """slope x below 0, else x; `torch.nn.LeakyReLU`.

    Parameters
    ----------
    negative_slope : float
    """

    def __init__(self, negative_slope: float = 0.01):
        super().__init__("leaky_relu", **({} if negative_slope == 0.01 else {"slope": negative_slope}))


class Softplus(Activation):
    """ln(1 + e^(beta x)) / beta, at every x; `torch.nn.Softplus` without its threshold.

    Parameters
    ----------
    beta : float
    """

    def __init__(self, beta: float = 1.0):
        super().__init__("softplus", **({} if beta == 1 else {"beta": beta}))


class _Learned(Elementwise):
    """An activation of `npkernels` whose parameters are learned, one for all channels or one for each (axis 1)."""

    fresh = True
    function: str
    # The parameter's name here, where the kernel has another one.
    names: dict[str, str]

    def _arguments(self) -> dict[str, Array]:
        return {self.names.get(name, name): array for name, array in self.parameters.items()}

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x = real_input(self, x)
        y: Array = nk.ACTIVATIONS[self.function](x, out=check.empty(x.shape, x.dtype), **self._arguments())
        self.keep(x if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        x = self.kept()
        dx, *gradients = kernel(f"{self.function}_backward")(
            dy, x, out=check.empty(x.shape, x.dtype), **self._arguments()
        )
        self.take_gradients(**dict(zip(self.parameters, gradients, strict=True)))
        return np.asarray(dx) if needs_dx else None


class PReLU(_Learned):
    """A learned slope below 0; `torch.nn.PReLU`.

    Parameters
    ----------
    num_parameters : int
        1, or the number of channels.
    init : float
        What the slopes begin as.
    dtype : float32 or float64
    rng
        Has no part: nothing is drawn.

    Attributes
    ----------
    parameters : dict
        "weight" (num_parameters,).
    """

    function = "prelu"
    names = {"weight": "slope"}  # noqa: RUF012

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float32, rng: Seed = None):
        self.init = check.number("init", init)
        count = check.integer("num_parameters", num_parameters, 1)
        self.parameters["weight"] = np.full(count, self.init, real_dtype(dtype))

    def draw(self, rng: np.random.Generator) -> None:
        self.parameters["weight"][...] = self.init


class SReLU(_Learned):
    """Learned thresholds and slopes on both sides, `npkernels.srelu`; it begins as a rectifier of slope 0.2 below 0.

    Parameters
    ----------
    num_parameters : int
        1, or the number of channels.
    dtype : float32 or float64
    rng
        Has no part: nothing is drawn.

    Attributes
    ----------
    parameters : dict
        "t_left", "a_left", "t_right", "a_right", each (num_parameters,).
    """

    function = "srelu"
    names = {}  # noqa: RUF012

    def __init__(self, num_parameters: int = 1, *, dtype: DTypeLike = np.float32, rng: Seed = None):
        count = check.integer("num_parameters", num_parameters, 1)
        for name in ("t_left", "a_left", "t_right", "a_right"):
            self.parameters[name] = np.zeros(count, real_dtype(dtype))
        self.draw(generator_of(rng))

    def draw(self, rng: np.random.Generator) -> None:
        for name, value in {"t_left": 0.0, "a_left": 0.2, "t_right": 1.0, "a_right": 1.0}.items():
            self.parameters[name][...] = value


class APL(_Learned):
    """A learned sum of hinges, `npkernels.apl`; it begins as `ReLU`, with hinges drawn from the normal distribution.

    Parameters
    ----------
    pieces : int
        Number of hinges.
    num_parameters : int
        1, or the number of channels.
    dtype : float32 or float64
    rng : int, numpy.random.Generator or None

    Attributes
    ----------
    parameters : dict
        "slopes", "hinges", each (pieces,), or (pieces, num_parameters) for more than one.
    """

    function = "apl"
    names = {}  # noqa: RUF012

    def __init__(self, pieces: int, num_parameters: int = 1, *, dtype: DTypeLike = np.float32, rng: Seed = None):
        count = check.integer("num_parameters", num_parameters, 1)
        shape = (check.integer("pieces", pieces, 1), *((count,) if count > 1 else ()))
        self.parameters["slopes"] = np.zeros(shape, real_dtype(dtype))
        self.parameters["hinges"] = np.zeros(shape, real_dtype(dtype))
        self.draw(generator_of(rng))

    def draw(self, rng: np.random.Generator) -> None:
        self.parameters["slopes"][...] = 0
        self.parameters["hinges"][...] = rng.standard_normal(self.parameters["hinges"].shape)


class Maxout(Layer):
    """The largest of each `pieces` neighbouring channels (axis 1).

    Parameters
    ----------
    pieces : int
        Divides the number of channels.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.Maxout(2).output_shape((8, 7, 7))
    (4, 7, 7)
    """

    fresh = True

    def __init__(self, pieces: int):
        self.pieces = check.integer("pieces", pieces, 1)

    def output_shape(self, shape: Shape) -> Shape:
        if not shape or shape[0] % self.pieces:
            raise ValueError(f"Maxout: channels must be a multiple of pieces = {self.pieces}, got an input of {shape}")
        return (shape[0] // self.pieces, *shape[1:])

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x = check.real("x", x)
        self.output_shape(x.shape[1:])
        y, which = nk.maxout(x, self.pieces)
        self.keep(which if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        which = self.kept()
        return nk.maxout_backward(dy, which, self.pieces) if needs_dx else None


class Softmax(Elementwise):
    """e^x over its sum along an axis; `torch.nn.Softmax`.

    For training on its logarithm, `npkernels.softmax_cross_entropy_with_grad` takes what comes before it.

    Parameters
    ----------
    axis : int

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> nn.Softmax()(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    def __init__(self, axis: int = -1):
        self.axis = check.integer("axis", axis)

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x = check.real("x", x)
        y = nk.softmax(x, self.axis, out=check.empty(x.shape, x.dtype))
        self.keep(y if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        y = self.kept()
        return nk.softmax_backward(dy, y, self.axis) if needs_dx else None
