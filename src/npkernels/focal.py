"""The focal loss and its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from . import _arguments as check
from ._kernels import loss as _loss
from .loss import documented, loss_of

if TYPE_CHECKING:
    from ._typing import F, FloatLike, NDArray, Number, Reduced

FOCAL = (
    "alpha : float",
    "    Weight of the positive class, at most 1, that of the negative one being 1 - alpha; below 0: no weights.",
    "gamma : float",
    "    Not below 0: how much well-classified elements count less.",
)


def _focal(logits, targets, alpha, gamma, reduction, gradient):
    alpha, gamma = check.number("alpha", alpha), check.number("gamma", gamma, 0)
    if not alpha <= 1:
        raise ValueError(f"alpha must be at most 1, got {alpha}")
    names, parameters = ("logits", "targets"), (alpha, gamma)
    return loss_of(_loss.SIGMOID_FOCAL_LOSS, logits, targets, reduction, gradient, parameters=parameters, names=names)


@overload
def sigmoid_focal_loss(
    logits: FloatLike[F], targets: FloatLike[F], *, alpha: Number = 0.25, gamma: Number = 2.0, reduction: Reduced
) -> F: ...
@overload
def sigmoid_focal_loss(
    logits: FloatLike[F],
    targets: FloatLike[F],
    *,
    alpha: Number = 0.25,
    gamma: Number = 2.0,
    reduction: Literal["none"] = ...,
) -> NDArray[F]: ...
@documented(*FOCAL, names=("logits", "targets"))
def sigmoid_focal_loss(
    logits: FloatLike[F],
    targets: FloatLike[F],
    *,
    alpha: Number = 0.25,
    gamma: Number = 2.0,
    reduction: Reduced | Literal["none"] = "none",
) -> F | NDArray[F]:
    """Cross-entropy of the logistic function of finite logits, times ``alpha_t (1 - p_t)^gamma``.

    Notes
    -----
    With ``s = 1 / (1 + e^-x)``, ``p_t = y s + (1 - y) (1 - s)`` and ``alpha_t = alpha y + (1 - alpha) (1 - y)``, as
    torchvision's ``sigmoid_focal_loss``.

    References
    ----------
    .. [1] T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017.

    >>> nk.sigmoid_focal_loss(np.array([0.0, 4.0]), np.array([1.0, 1.0])).round(6)
    array([4.3322e-02, 1.0000e-06])
    """
    return _focal(logits, targets, alpha, gamma, reduction, False)[0]


@overload
def sigmoid_focal_loss_with_grad(
    logits: FloatLike[F], targets: FloatLike[F], *, alpha: Number = 0.25, gamma: Number = 2.0, reduction: Reduced
) -> tuple[F, NDArray[F]]: ...
@overload
def sigmoid_focal_loss_with_grad(
    logits: FloatLike[F],
    targets: FloatLike[F],
    *,
    alpha: Number = 0.25,
    gamma: Number = 2.0,
    reduction: Literal["none"] = ...,
) -> tuple[NDArray[F], NDArray[F]]: ...
@documented(*FOCAL, names=("logits", "targets"), gradient=True)
def sigmoid_focal_loss_with_grad(
    logits: FloatLike[F],
    targets: FloatLike[F],
    *,
    alpha: Number = 0.25,
    gamma: Number = 2.0,
    reduction: Reduced | Literal["none"] = "none",
) -> tuple[F | NDArray[F], NDArray[F]]:
    """`sigmoid_focal_loss` and its gradient by the logits in one pass.

    >>> nk.sigmoid_focal_loss_with_grad(np.array([0.0]), np.array([1.0]), alpha=-1, gamma=0)[1]
    array([-0.5])
    """
    return _focal(logits, targets, alpha, gamma, reduction, True)
