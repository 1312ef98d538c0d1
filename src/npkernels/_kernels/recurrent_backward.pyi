from typing import Any

from numpy.typing import NDArray

def through_time(
    cell: int,
    w_hh: NDArray[Any],
    sequences: tuple[Any, ...],
    dy: NDArray[Any] | None,
    tape: tuple[Any, ...],
    da: NDArray[Any],
    dh: NDArray[Any],
    dc: NDArray[Any] | None,
    to_begin: bool,
) -> None: ...
