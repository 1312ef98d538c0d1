"""What all elementwise functions share: their documentation, and the calls of the kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from .. import _arguments as check, _docs
from .._kernels.activation import FUNCTIONS, backward as run_backward, forward as run_forward, forward_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._typing import (
        Elementwise,
        ElementwiseBackward,
        ElementwiseBackwardByOutput,
        F,
        Flag,
        FloatLike,
        Function,
        NDArray,
    )

ARGUMENTS = """
Parameters
----------
x : array of float32 or float64
    Any rank, any strides.{parameters}
out : array of the shape and dtype of `x`, optional
    C-contiguous; may be `x` itself, and must not overlap it otherwise.

Returns
-------
y : array of the shape and dtype of `x`
    Each element within {ulp}, exact at 0, inf and NaN.{results}
"""
GRADIENT_ARGUMENTS = """
Parameters
----------
dy : array of the shape and dtype of `x`
    Gradient of the loss with respect to the result.
x : array of float32 or float64
    What the function was applied to; any rank, any strides.{parameters}
out : array of the shape and dtype of `x`, optional
    C-contiguous; may be `dy` or `x` itself, and must not overlap them otherwise.

Returns
-------
dx : array of the shape and dtype of `x`
    ``dy f'(x)``, each element within ``8 eps |dy| (|f'(x)| + |x f''(x)|)``.{results}
"""
FROM_OUTPUT = """from_output : bool
    True: `x` is the result of the function, as a fused ``activation=`` leaves it. The gradient is
    {formula}, within ``8 eps |dy| (|f'(x)| + {limit})``."""
ERRORS = """
Raises
------
TypeError
    If a dtype is not float32 or float64, or differs from that of `x`{type_errors}.
ValueError
    If a shape differs from that of `x`, or `out` is read-only, not C-contiguous or overlaps an input{value_errors}.
"""
ULP = "2 ULP (float32) and 4 ULP (float64)"
ULP_COMPOSED = "4 ULP (float32) and 8 ULP (float64)"


def sections(gradient=False, parameters="", results="", ulp=ULP, type_errors="", value_errors=""):
    """The sections that all functions, or all gradients, share."""
    shared = (GRADIENT_ARGUMENTS if gradient else ARGUMENTS) + ERRORS
    parameters, results = parameters and f"\n{parameters}", results and f"\n{results}"
    return shared.format(
        parameters=parameters, results=results, ulp=ulp, type_errors=type_errors, value_errors=value_errors
    )


def documented(gradient: bool = False, **parts: str) -> Callable[[Function], Function]:
    """Completes the docstring of a function with them."""
    return _docs.documented(sections(gradient, **parts))


def forward(function, x, out, parameters=None):
    """y = f(x), by the number of f."""
    if out is None:
        y = forward_plain(function, x, parameters)
        if y is not None:
            return y
    x = check.real("x", x)
    if out is None:
        y = check.empty(x.shape, x.dtype)
        run_forward(function, x, y, parameters)
        return y if y.ndim else y[()]
    y = check.output(out, x.shape, x.dtype, {"x": x}, ("x",))
    run_forward(function, x, y, parameters)
    return y


def by_output(formula, limit="1"):
    """The documentation of `from_output`."""
    return FROM_OUTPUT.format(formula=formula, limit=limit)


def backward(function, dy, x, out, parameters=None, from_output=False):
    """dx = dy f'(x), by the number of f; x is f(x) if `from_output`."""
    from_output = check.flag("from_output", from_output)
    x = check.real("x", x)
    dy = check.real("dy", dy, x)
    check.shape("dy", dy, x.shape)
    if out is None:
        dx = check.empty(x.shape, x.dtype)
        run_backward(function, dy, x, dx, parameters, from_output)
        return dx if dx.ndim else dx[()]
    dx = check.output(out, x.shape, x.dtype, {"dy": dy, "x": x}, ("dy", "x"))
    run_backward(function, dy, x, dx, parameters, from_output)
    return dx


@overload
def plain(
    module: str,
    name: str,
    summary: str,
    gradient: str,
    example: tuple[str, str, str],
    *,
    value: str | None = None,
    parameters: tuple[float, ...] | None = None,
    composed: bool = False,
    output: None = None,
) -> tuple[Elementwise, ElementwiseBackward]: ...
@overload
def plain(
    module: str,
    name: str,
    summary: str,
    gradient: str,
    example: tuple[str, str, str],
    *,
    value: str | None = None,
    parameters: tuple[float, ...] | None = None,
    composed: bool = False,
    output: str,
) -> tuple[Elementwise, ElementwiseBackwardByOutput]: ...
def plain(module, name, summary, gradient, example, *, value=None, parameters=None, composed=False, output=None):
    """f(x, *, out=None) and f_backward(dy, x, *, out=None) of a function without parameters.

    `value` is the name of the kernel, if another one, and `parameters` what it takes; `example` an x, f(x) and f'(x);
    `output` documents the gradient's `from_output`, where it has that.
    """
    kernel = FUNCTIONS[value or name]

    def f(x: FloatLike[F], *, out: NDArray[F] | None = None) -> NDArray[F]:
        return forward(kernel, x, out, parameters)

    def by_argument(dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None) -> NDArray[F]:
        return backward(kernel, dy, x, out, parameters)

    def by_either(
        dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None, from_output: Flag = False
    ) -> NDArray[F]:
        return backward(kernel, dy, x, out, parameters, from_output)

    f_backward = by_argument if output is None else by_either
    x, y, dx = example
    texts = (
        (f, name, f"{summary}\n\n>>> nk.{name}(np.array({x})).round(4)\narray({y})"),
        (
            f_backward,
            f"{name}_backward",
            f"Gradient of `{name}`: {gradient}\n\n>>> x = np.array({x})\n"
            f">>> nk.{name}_backward(np.ones_like(x), x).round(4)\narray({dx})",
        ),
    )
    for function, name, text in texts:
        ulp, extra = ULP_COMPOSED if composed else ULP, output if function is f_backward and output else ""
        function.__doc__ = _docs.completed(text, sections(function is f_backward, extra, ulp=ulp))
        function.__name__ = function.__qualname__ = name
        function.__module__ = module
    return f, f_backward
