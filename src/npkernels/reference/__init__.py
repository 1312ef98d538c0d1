"""The definition of every kernel in plain NumPy: the specification that tests and benchmarks compare with.

Names, arguments and results are the public ones, without `out`; arguments are taken as valid. A function works in the
dtype it is given: float64 as an oracle, float32 as a baseline. Loops run over kernel positions and blocks of samples.
Sizes: n batch, c channels, h w rows and columns, oc oh ow of the output, kh kw of the kernel, k inner axis.
"""

from .activation import (
    ACTIVATIONS,
    elu,
    gelu,
    leaky_relu,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    softplus,
    tanh,
    tanh_backward,
)
from .cluster import kmeans_accumulate, kmeans_assign, kmeans_plus_plus
from .conv import col2im, conv2d, conv2d_backward, conv_output_size, im2col
from .decomposition import pca
from .linear import dense, dense_backward, matmul
from .loss import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_with_grad,
    huber_loss,
    huber_loss_with_grad,
    kl_div,
    kl_div_with_grad,
    l1_loss,
    l1_loss_with_grad,
    mse_loss,
    mse_loss_with_grad,
    softmax_cross_entropy,
    softmax_cross_entropy_with_grad,
)
from .optim import (
    adagrad_step,
    adam_step,
    adamw_step,
    clip_grad_norm,
    momentum_step,
    rmsprop_step,
    sgd_step,
)
from .pool import (
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    max_pool2d,
    max_pool2d_backward,
)
from .softmax import log_softmax, log_softmax_backward, softmax, softmax_backward

__all__ = [
    "ACTIVATIONS",
    "adagrad_step",
    "adam_step",
    "adamw_step",
    "avg_pool2d",
    "avg_pool2d_backward",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_with_grad",
    "clip_grad_norm",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "dense",
    "dense_backward",
    "elu",
    "gelu",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "huber_loss",
    "huber_loss_with_grad",
    "im2col",
    "kl_div",
    "kl_div_with_grad",
    "kmeans_accumulate",
    "kmeans_assign",
    "kmeans_plus_plus",
    "l1_loss",
    "l1_loss_with_grad",
    "leaky_relu",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "max_pool2d",
    "max_pool2d_backward",
    "momentum_step",
    "mse_loss",
    "mse_loss_with_grad",
    "pca",
    "relu",
    "relu_backward",
    "rmsprop_step",
    "sgd_step",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_grad",
    "softplus",
    "tanh",
    "tanh_backward",
]
