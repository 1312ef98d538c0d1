"""CPU kernels for neural networks and clustering on NumPy arrays."""

from ._kmeans import KMeans
from ._mini_batch import MiniBatchKMeans
from .activation import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from .cluster import kmeans_accumulate, kmeans_assign, kmeans_plus_plus
from .conv import col2im, conv2d, conv2d_backward, conv_output_size, im2col
from .linear import dense, dense_backward, matmul
from .loss import softmax_cross_entropy, softmax_cross_entropy_with_grad
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
from .runtime import available_isas, get_num_threads, isa, set_num_threads, show_config, threads, use_isa
from .softmax import log_softmax, log_softmax_backward, softmax, softmax_backward

__version__ = "0.1.0"

__all__ = [
    "KMeans",
    "MiniBatchKMeans",
    "adagrad_step",
    "adam_step",
    "adamw_step",
    "available_isas",
    "avg_pool2d",
    "avg_pool2d_backward",
    "clip_grad_norm",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "dense",
    "dense_backward",
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "get_num_threads",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "im2col",
    "isa",
    "kmeans_accumulate",
    "kmeans_assign",
    "kmeans_plus_plus",
    "leaky_relu",
    "leaky_relu_backward",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "max_pool2d",
    "max_pool2d_backward",
    "momentum_step",
    "relu",
    "relu_backward",
    "rmsprop_step",
    "set_num_threads",
    "sgd_step",
    "show_config",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_grad",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
    "threads",
    "use_isa",
]
