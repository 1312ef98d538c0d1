"""The types of arguments and results. Type checkers alone read them: modules import them under TYPE_CHECKING."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike as ArrayLike, NDArray as NDArray
from typing_extensions import TypeVar

# The dtype that the floating arrays of a call share: float32 or float64, or either where there are only lists.
F = TypeVar("F", bound=np.floating[Any], default=np.floating[Any])
_F_co = TypeVar("_F_co", bound=np.floating[Any], covariant=True)
# What a decorator gives back as it got it.
Function = TypeVar("Function", bound=Callable[..., Any])

class _ForeignArray(Protocol[_F_co]):
    """A tensor or a data frame, which NumPy knows how to convert."""

    def __array__(self) -> NDArray[_F_co]: ...

_Nested: TypeAlias = float | np.floating[Any] | Sequence[_Nested] | Sequence[NDArray[np.floating[Any]]]
FloatLike: TypeAlias = NDArray[F] | _ForeignArray[F] | _Nested
FloatArray: TypeAlias = NDArray[np.floating[Any]]

Int: TypeAlias = int | np.integer[Any]
Number: TypeAlias = float | np.floating[Any] | np.integer[Any]
Flag: TypeAlias = bool | np.bool_

_Pair: TypeAlias = tuple[Int, Int] | list[int]
Int2: TypeAlias = Int | _Pair
Int2OrNone: TypeAlias = Int2 | tuple[Int | None, Int | None] | list[int | None]
Padding1: TypeAlias = Int | _Pair
Padding: TypeAlias = Int2 | tuple[_Pair, _Pair] | list[tuple[int, int]] | list[list[int]]

Activation: TypeAlias = Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu"]
Algorithm: TypeAlias = Literal["auto", "direct", "winograd"]
Metric: TypeAlias = Literal["sqeuclidean", "euclidean", "cosine", "dot"]
Approximate: TypeAlias = Literal["none", "tanh"]
Interpolation: TypeAlias = Literal["nearest", "bilinear"]
GridPadding: TypeAlias = Literal["zeros", "border", "reflection"]
PadMode: TypeAlias = Literal["constant", "reflect", "replicate", "circular"]
Needs: TypeAlias = tuple[Literal["x", "w", "b"], ...]
Gradients: TypeAlias = tuple[NDArray[F] | None, NDArray[F] | None, NDArray[F] | None]
Lengths: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]
RecurrentNeeds: TypeAlias = Literal["x", "state", "w_ih", "w_hh", "b"]
_Maybe: TypeAlias = NDArray[F] | None
RecurrentGradients: TypeAlias = tuple[_Maybe[F], _Maybe[F], _Maybe[F], _Maybe[F], _Maybe[F], _Maybe[F]]
_States: TypeAlias = tuple[NDArray[F], NDArray[F]]
LstmGradients: TypeAlias = tuple[_Maybe[F], _States[F] | None, _Maybe[F], _Maybe[F], _Maybe[F], _Maybe[F]]
Reduced: TypeAlias = Literal["mean", "sum"]
Reduction: TypeAlias = Literal["mean", "sum", "none"]
KlReduced: TypeAlias = Literal["mean", "batchmean", "sum"]

RandomState: TypeAlias = int | np.integer[Any] | np.random.RandomState | np.random.Generator
Init: TypeAlias = Literal["k-means++", "random"] | ArrayLike | Callable[..., ArrayLike]

class Elementwise(Protocol):
    """A function without parameters."""

    __name__: str
    def __call__(self, x: FloatLike[F], *, out: NDArray[F] | None = None) -> NDArray[F]: ...

class ElementwiseBackward(Protocol):
    """Its gradient."""

    __name__: str
    def __call__(self, dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None) -> NDArray[F]: ...

class ElementwiseBackwardByOutput(Protocol):
    """The same of a function whose gradient follows from its result."""

    __name__: str
    def __call__(
        self, dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None, from_output: Flag = False
    ) -> NDArray[F]: ...
