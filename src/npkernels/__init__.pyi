# The public names and where each lives: what type checkers read, and what __init__.py loads from.
from . import (
    init as init,
    nn as nn,
)
from ._attention import (
    attention as attention,
    attention_backward as attention_backward,
)
from ._embedding import (
    embedding as embedding,
    embedding_backward as embedding_backward,
)
from .activation.channelwise import (
    apl as apl,
    apl_backward as apl_backward,
    brelu as brelu,
    brelu_backward as brelu_backward,
    prelu as prelu,
    prelu_backward as prelu_backward,
    rrelu as rrelu,
    rrelu_backward as rrelu_backward,
    srelu as srelu,
    srelu_backward as srelu_backward,
)
from .activation.gated import (
    glu as glu,
    glu_backward as glu_backward,
)
from .activation.maxout import (
    maxout as maxout,
    maxout_backward as maxout_backward,
)
from .activation.parameterless import (
    ACTIVATIONS as ACTIVATIONS,
    arctan as arctan,
    arctan_backward as arctan_backward,
    arsinh as arsinh,
    arsinh_backward as arsinh_backward,
    bent_identity as bent_identity,
    bent_identity_backward as bent_identity_backward,
    binary_step as binary_step,
    binary_step_backward as binary_step_backward,
    gaussian as gaussian,
    gaussian_backward as gaussian_backward,
    hard_sigmoid as hard_sigmoid,
    hard_sigmoid_backward as hard_sigmoid_backward,
    hard_swish as hard_swish,
    hard_swish_backward as hard_swish_backward,
    identity as identity,
    identity_backward as identity_backward,
    mish as mish,
    mish_backward as mish_backward,
    relu as relu,
    relu6 as relu6,
    relu6_backward as relu6_backward,
    relu_backward as relu_backward,
    selu as selu,
    selu_backward as selu_backward,
    sigmoid as sigmoid,
    sigmoid_backward as sigmoid_backward,
    silu as silu,
    silu_backward as silu_backward,
    sinc as sinc,
    sinc_backward as sinc_backward,
    sinusoid as sinusoid,
    sinusoid_backward as sinusoid_backward,
    softsign as softsign,
    softsign_backward as softsign_backward,
    sq_rbf as sq_rbf,
    sq_rbf_backward as sq_rbf_backward,
    sqnl as sqnl,
    sqnl_backward as sqnl_backward,
    tanh as tanh,
    tanh_backward as tanh_backward,
)
from .activation.parametric import (
    celu as celu,
    celu_backward as celu_backward,
    clip as clip,
    clip_backward as clip_backward,
    elu as elu,
    elu_backward as elu_backward,
    gelu as gelu,
    gelu_backward as gelu_backward,
    isrlu as isrlu,
    isrlu_backward as isrlu_backward,
    isru as isru,
    isru_backward as isru_backward,
    leaky_relu as leaky_relu,
    leaky_relu_backward as leaky_relu_backward,
    soft_clipping as soft_clipping,
    soft_clipping_backward as soft_clipping_backward,
    soft_exponential as soft_exponential,
    soft_exponential_backward as soft_exponential_backward,
    softplus as softplus,
    softplus_backward as softplus_backward,
)
from .clipping import (
    clip_grad_norm as clip_grad_norm,
)
from .cluster.assign import (
    kmeans_accumulate as kmeans_accumulate,
    kmeans_assign as kmeans_assign,
    kmeans_plus_plus as kmeans_plus_plus,
)
from .cluster.kmeans import (
    KMeans as KMeans,
)
from .cluster.mini_batch import (
    MiniBatchKMeans as MiniBatchKMeans,
)
from .conv.forward import (
    conv2d as conv2d,
)
from .conv.geometry import (
    ReceptiveField as ReceptiveField,
    conv_output_size as conv_output_size,
    receptive_field as receptive_field,
)
from .conv.gradient import (
    conv2d_backward as conv2d_backward,
)
from .conv.lines import (
    conv1d as conv1d,
    conv1d_backward as conv1d_backward,
    conv_transpose1d as conv_transpose1d,
    conv_transpose1d_backward as conv_transpose1d_backward,
)
from .conv.transpose import (
    conv_transpose2d as conv_transpose2d,
    conv_transpose2d_backward as conv_transpose2d_backward,
)
from .conv.unfold import (
    col2im as col2im,
    im2col as im2col,
)
from .decomposition.pca import (
    PCA as PCA,
)
from .focal import (
    sigmoid_focal_loss as sigmoid_focal_loss,
    sigmoid_focal_loss_with_grad as sigmoid_focal_loss_with_grad,
)
from .linear import (
    dense as dense,
    dense_backward as dense_backward,
    matmul as matmul,
    matmul_backward as matmul_backward,
)
from .logits.classes import (
    one_hot as one_hot,
)
from .logits.cosine import (
    cosine_similarity as cosine_similarity,
    cosine_similarity_backward as cosine_similarity_backward,
)
from .logits.cross_entropy import (
    softmax_cross_entropy as softmax_cross_entropy,
    softmax_cross_entropy_with_grad as softmax_cross_entropy_with_grad,
)
from .logits.nll import (
    nll_loss as nll_loss,
    nll_loss_with_grad as nll_loss_with_grad,
)
from .logits.pairs import (
    gaussian_kl as gaussian_kl,
    gaussian_kl_with_grad as gaussian_kl_with_grad,
    multi_margin_loss as multi_margin_loss,
    multi_margin_loss_with_grad as multi_margin_loss_with_grad,
    triplet_margin_loss as triplet_margin_loss,
    triplet_margin_loss_with_grad as triplet_margin_loss_with_grad,
)
from .logits.softmax import (
    log_softmax as log_softmax,
    log_softmax_backward as log_softmax_backward,
    softmax as softmax,
    softmax_backward as softmax_backward,
)
from .loss import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_with_grad as binary_cross_entropy_with_logits_with_grad,
    huber_loss as huber_loss,
    huber_loss_with_grad as huber_loss_with_grad,
    kl_div as kl_div,
    kl_div_with_grad as kl_div_with_grad,
    l1_loss as l1_loss,
    l1_loss_with_grad as l1_loss_with_grad,
    mse_loss as mse_loss,
    mse_loss_with_grad as mse_loss_with_grad,
)
from .norm import (
    batch_norm as batch_norm,
    batch_norm_backward as batch_norm_backward,
    batch_norm_inference as batch_norm_inference,
    layer_norm as layer_norm,
    layer_norm_backward as layer_norm_backward,
)
from .optim import (
    adagrad_step as adagrad_step,
    adam_step as adam_step,
    adamw_step as adamw_step,
    momentum_step as momentum_step,
    rmsprop_step as rmsprop_step,
    sgd_step as sgd_step,
)
from .pool.lines import (
    avg_pool1d as avg_pool1d,
    avg_pool1d_backward as avg_pool1d_backward,
    max_pool1d as max_pool1d,
    max_pool1d_backward as max_pool1d_backward,
)
from .pool.planes import (
    global_avg_pool2d as global_avg_pool2d,
    global_avg_pool2d_backward as global_avg_pool2d_backward,
    global_max_pool2d as global_max_pool2d,
)
from .pool.pooling import (
    avg_pool2d as avg_pool2d,
    avg_pool2d_backward as avg_pool2d_backward,
    max_pool2d as max_pool2d,
    max_pool2d_backward as max_pool2d_backward,
)
from .recurrent.layers import (
    gru as gru,
    gru_backward as gru_backward,
    lstm as lstm,
    lstm_backward as lstm_backward,
    rnn as rnn,
    rnn_backward as rnn_backward,
)
from .regularisation import (
    dropout as dropout,
    dropout_backward as dropout_backward,
)
from .runtime import (
    available_isas as available_isas,
    get_num_threads as get_num_threads,
    isa as isa,
    set_num_threads as set_num_threads,
    show_config as show_config,
    threads as threads,
    use_isa as use_isa,
)
from .sampling.grid import (
    affine_grid as affine_grid,
    grid_sample as grid_sample,
    grid_sample_backward as grid_sample_backward,
)
from .sampling.padding import (
    pad2d as pad2d,
    pad2d_backward as pad2d_backward,
)
from .sampling.resize import (
    interpolate as interpolate,
    interpolate_backward as interpolate_backward,
)

__version__: str
