"""Elementwise functions and their gradients: those without parameters, and all by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .. import _arguments as check
from .._kernels.activation import FUNCTIONS
from . import channelwise, parametric
from .elementwise import by_output, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._typing import NDArray

identity, identity_backward = plain(
    __name__, "identity", "Identity: x.", "dy.", ("[-1.0, 2.0]", "[-1.,  2.]", "[1., 1.]")
)
binary_step, binary_step_backward = plain(
    __name__, "binary_step", "Step: 0 for x < 0, else 1.", "0.", ("[-1.0, 0.0, 2.0]", "[0., 1., 1.]", "[0., 0., 0.]")
)
relu, relu_backward = plain(
    __name__,
    "relu",
    "Rectifier: max(0, x).",
    "dy for x > 0, 0 at 0 and below.",
    ("[-1.0, 0.0, 2.0]", "[0., 0., 2.]", "[0., 0., 1.]"),
    output=by_output("the same"),
)
relu6, relu6_backward = plain(
    __name__,
    "relu6",
    "Rectifier with a ceiling: min(max(0, x), 6).",
    "dy between 0 and 6, 0 at the edges and beyond.",
    ("[-1.0, 2.0, 7.0]", "[0., 2., 6.]", "[0., 1., 0.]"),
    value="clip",
    parameters=(0.0, 6.0),
)
hard_sigmoid, hard_sigmoid_backward = plain(
    __name__,
    "hard_sigmoid",
    "Sigmoid made of lines: x/6 + 1/2, clipped to [0, 1].",
    "dy / 6 between -3 and 3, 0 at the edges and beyond.",
    ("[-4.0, 0.0, 1.5]", "[0.  , 0.5 , 0.75]", "[0.    , 0.1667, 0.1667]"),
)
hard_swish, hard_swish_backward = plain(
    __name__,
    "hard_swish",
    "Swish made of parabolas: x `hard_sigmoid`(x). A. Howard et al., *Searching for MobileNetV3*, ICCV 2019.",
    "0 for x <= -3, dy (x/3 + 1/2) between, dy for x >= 3.",
    ("[-4.0, 1.5, 5.0]", "[-0.   ,  1.125,  5.   ]", "[0., 1., 1.]"),
)
sqnl, sqnl_backward = plain(
    __name__,
    "sqnl",
    "Square nonlinearity: x - x^2/4 on [0, 2], x + x^2/4 on [-2, 0], and -1 or 1 beyond.",
    "dy (1 - |x|/2) on [-2, 2], 0 beyond.",
    ("[-3.0, 1.0, 2.0]", "[-1.  ,  0.75,  1.  ]", "[0. , 0.5, 0. ]"),
)
softsign, softsign_backward = plain(
    __name__,
    "softsign",
    "Softsign, or ElliotSig: x / (1 + |x|).",
    "dy / (1 + |x|)^2.",
    ("[-1.0, 3.0]", "[-0.5 ,  0.75]", "[0.25  , 0.0625]"),
)
bent_identity, bent_identity_backward = plain(
    __name__,
    "bent_identity",
    "Bent identity: (sqrt(x^2 + 1) - 1)/2 + x.",
    "dy (x / (2 sqrt(x^2 + 1)) + 1).",
    ("[-1.0, 0.0, 1.0]", "[-0.7929,  0.    ,  1.2071]", "[0.6464, 1.    , 1.3536]"),
    composed=True,
)
arctan, arctan_backward = plain(
    __name__, "arctan", "Inverse tangent.", "dy / (x^2 + 1).", ("[-1.0, 1.0]", "[-0.7854,  0.7854]", "[0.5, 0.5]")
)
arsinh, arsinh_backward = plain(
    __name__,
    "arsinh",
    "Inverse hyperbolic sine: ln(x + sqrt(x^2 + 1)).",
    "dy / sqrt(x^2 + 1).",
    ("[-1.0, 0.0]", "[-0.8814,  0.    ]", "[0.7071, 1.    ]"),
)
sigmoid, sigmoid_backward = plain(
    __name__,
    "sigmoid",
    "Logistic function: 1 / (1 + e^-x).",
    "dy f (1 - f), without cancellation at either end.",
    ("[-np.inf, 0.0, 1.0]", "[0.    , 0.5   , 0.7311]", "[0.    , 0.25  , 0.1966]"),
    output=by_output("``dy x (1 - x)``"),
)
tanh, tanh_backward = plain(
    __name__,
    "tanh",
    "Hyperbolic tangent.",
    "dy / cosh^2 x, without cancellation at either end.",
    ("[-np.inf, 0.0, 1.0]", "[-1.    ,  0.    ,  0.7616]", "[0.  , 1.  , 0.42]"),
    output=by_output("``dy (1 - x^2)``"),
)
selu, selu_backward = plain(
    __name__,
    "selu",
    "Scaled exponential linear unit: 1.0507009873554805 `elu`(x, alpha=1.6732632423543772). G. Klambauer et al.,\n"
    "*Self-normalizing neural networks*, NeurIPS 2017.",
    "1.0507009873554805 that of `elu`.",
    ("[-1.0, 1.0]", "[-1.1113,  1.0507]", "[0.6468, 1.0507]"),
    output=by_output("``dy (x + 1.7580993408473766)`` for x <= 0, 1.0507009873554805 dy above", limit="2"),
)
gaussian, gaussian_backward = plain(
    __name__,
    "gaussian",
    "Bell: e^(-x^2).",
    "-2 dy x e^(-x^2).",
    ("[0.0, 1.0]", "[1.    , 0.3679]", "[-0.    , -0.7358]"),
)
sq_rbf, sq_rbf_backward = plain(
    __name__,
    "sq_rbf",
    "Bell made of parabolas: 1 - x^2/2 for |x| <= 1, (2 - |x|)^2/2 up to 2, 0 beyond.",
    "-dy x for |x| <= 1, dy sign(x) (|x| - 2) up to 2, 0 beyond.",
    ("[0.5, 1.5, 2.5]", "[0.875, 0.125, 0.   ]", "[-0.5, -0.5, -0. ]"),
)
sinusoid, sinusoid_backward = plain(
    __name__, "sinusoid", "Sine.", "dy cos x.", ("[-1.0, 0.0]", "[-0.8415,  0.    ]", "[0.5403, 1.    ]")
)
sinc, sinc_backward = plain(
    __name__,
    "sinc",
    "Cardinal sine: sin(x)/x, 1 at 0.",
    "dy (cos(x)/x - sin(x)/x^2), 0 at 0.",
    ("[0.0, 2.0]", "[1.    , 0.4546]", "[-0.    , -0.4354]"),
    composed=True,
)
silu, silu_backward = plain(
    __name__,
    "silu",
    "Sigmoid linear unit, or swish: x / (1 + e^-x).",
    "dy s (1 + x (1 - s)), s the sigmoid of x.",
    ("[-1.0, 0.0, 1.0]", "[-0.2689,  0.    ,  0.7311]", "[0.0723, 0.5   , 0.9277]"),
    composed=True,
)
mish, mish_backward = plain(
    __name__,
    "mish",
    "Mish: x tanh(ln(1 + e^x)). D. Misra, *Mish: A self regularized non-monotonic activation function*, 2019.",
    "dy (t + x (1 - t^2) sigmoid(x)), t = tanh(ln(1 + e^x)).",
    ("[-1.0, 0.0, 1.0]", "[-0.3034,  0.    ,  0.8651]", "[0.0592, 0.6   , 1.049 ]"),
    composed=True,
)

# Every elementwise function by name, a read-only mapping: iteration gives names, ACTIVATIONS[name] the function, whose
# gradient has the same name with _backward behind it.
ACTIVATIONS: Mapping[str, Callable[..., NDArray[Any]]] = MappingProxyType(
    {
        f.__name__: f
        for f in (
            *(identity, binary_step, sigmoid, tanh, sqnl, arctan, arsinh, softsign, parametric.isru, parametric.isrlu),
            *(relu, channelwise.brelu, parametric.leaky_relu, channelwise.prelu, channelwise.rrelu),
            *(parametric.elu, selu, parametric.celu, channelwise.srelu, channelwise.apl),
            *(parametric.softplus, bent_identity, parametric.gelu, silu, mish, hard_sigmoid, hard_swish, relu6),
            *(parametric.clip, parametric.soft_exponential, parametric.soft_clipping, sinusoid, sinc, gaussian, sq_rbf),
        )
    }
)

FUSED = {name: FUNCTIONS[name] for name in ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu")}


def fused(name):
    """The number of an activation that a product applies to its result, with the default parameters."""
    return FUSED[check.choice("activation", name, FUSED)]
