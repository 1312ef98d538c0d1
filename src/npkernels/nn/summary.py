"""The table of a network's layers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from .containers import Parallel, Residual, Sequential, place

if TYPE_CHECKING:
    from .layer import Layer, Shape

HEAD = ("name", "layer", "output shape", "parameters", "multiply-adds", "receptive field")
# Along rows and columns: pixels of the input that an element sees, and from it to the next; None: all of the input.
Sizes = tuple[int | Fraction, int | Fraction]
Field = tuple[Sizes, Sizes] | None


class Row(NamedTuple):
    """A layer's line of the table."""

    name: str
    kind: str
    shape: Shape
    parameters: int
    multiply_adds: int
    field: Field


def summary(model: Layer, input_shape: Shape) -> str:
    """The table, with totals under it."""
    shape = tuple(input_shape)
    rows, _ = _rows("", model, shape, ((1, 1), (1, 1)) if len(shape) > 1 else None)
    cells = [HEAD, *(_cells(row) for row in rows)]
    totals = f"{sum(row.parameters for row in rows):,}", f"{sum(row.multiply_adds for row in rows):,}"
    cells.append(("total", "", "", *totals, ""))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(row, widths) for row in cells]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _cells(row: Row) -> tuple[str, ...]:
    field = "" if row.field is None else " x ".join(str(math.ceil(size)) for size in row.field[0])
    return row.name, row.kind, str(row.shape), f"{row.parameters:,}", f"{row.multiply_adds:,}", field


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    left = (cell.ljust(width) for cell, width in zip(cells[:3], widths[:3], strict=True))
    right = (cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True))
    return "  ".join((*left, *right)).rstrip()


def _rows(name: str, layer: Layer, shape: Shape, field: Field) -> tuple[list[Row], Field]:
    """The lines of a layer and of those inside it, and what its results see."""
    if isinstance(layer, Sequential):
        rows: list[Row] = []
        for inner, child in layer.children().items():
            with place(inner, child):
                more, field = _rows(f"{name}.{inner}" if name else inner, child, shape, field)
                shape = child.output_shape(shape)
            rows += more
        return rows, field
    if isinstance(layer, (Parallel, Residual)):
        parts = []
        for inner, child in layer.branches().items():
            with place(inner, child):
                parts.append(_rows(f"{name}.{inner}" if name else inner, child, shape, field))
        fields = [found for _, found in parts if found is not None]
        if len(fields) < len(parts):
            field = None
        else:  # all branches step alike; along each axis, the widest tells what is seen
            rows_seen, columns_seen = zip(*(size for size, _ in fields), strict=True)
            field = (max(rows_seen), max(columns_seen)), fields[0][1]
        own = Row(name, type(layer).__name__, layer.output_shape(shape), 0, 0, field)
        return [*(row for found, _ in parts for row in found), own], field
    field = _seen(layer, shape, field)
    sizes = sum(array.size for array in layer.parameters.values())
    sizes += sum(array.size for _, inside in layer.layers() for array in inside.parameters.values())
    cost: Any = getattr(layer, "multiply_adds", None)
    adds = cost(shape) if cost is not None else 0
    return [Row(name, type(layer).__name__, layer.output_shape(shape), sizes, adds, field)], field


def _seen(layer: Layer, shape: Shape, field: Field) -> Field:
    """What the results of a layer see: ``size += (kernel - 1) jump, jump *= stride``."""
    window: Any = getattr(layer, "window", None)
    if field is None or len(layer.output_shape(shape)) != len(shape):
        return None
    if window is None:
        return field
    (size, jump), (kernel, stride) = field, window()
    grown = (size[0] + (kernel[0] - 1) * jump[0], size[1] + (kernel[1] - 1) * jump[1])
    return grown, (jump[0] * stride[0], jump[1] * stride[1])
