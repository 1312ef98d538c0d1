from typing import Any

from numpy.typing import NDArray

def forward(
    cell: int,
    x: NDArray[Any],
    w_ih: NDArray[Any],
    w_hh: NDArray[Any],
    bias: NDArray[Any] | None,
    bias_n: NDArray[Any] | None,
    sequences: tuple[Any, ...],
    y: NDArray[Any],
    h_final: NDArray[Any],
    c_final: NDArray[Any] | None,
    tape: tuple[Any, ...] | None,
) -> None: ...
