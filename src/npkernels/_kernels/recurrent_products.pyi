from typing import Any

from numpy.typing import NDArray

def input_gradient(da: NDArray[Any], w_ih: NDArray[Any], sequences: tuple[Any, ...], dx: NDArray[Any]) -> None: ...
def weight_gradients(
    da: NDArray[Any],
    column: int,
    inputs: NDArray[Any],
    dw_ih: NDArray[Any] | None,
    dw_hh: NDArray[Any] | None,
    d: int,
) -> None: ...
def bias_gradient(da: NDArray[Any], column: int, ones: NDArray[Any], db: NDArray[Any]) -> None: ...
