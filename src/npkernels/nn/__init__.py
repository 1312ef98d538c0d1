"""Layers and training on the kernels: objects with state around the functions of `npkernels`."""

import inspect as _inspect

from . import augment as augment
from .activations import (
    APL as APL,
    ELU as ELU,
    GELU as GELU,
    Activation as Activation,
    LeakyReLU as LeakyReLU,
    Maxout as Maxout,
    PReLU as PReLU,
    ReLU as ReLU,
    Sigmoid as Sigmoid,
    SiLU as SiLU,
    Softmax as Softmax,
    Softplus as Softplus,
    SReLU as SReLU,
    Tanh as Tanh,
)
from .checking import check_gradients as check_gradients
from .containers import Parallel as Parallel, Residual as Residual, Sequential as Sequential
from .conv import Conv1d as Conv1d, Conv2d as Conv2d, ConvTranspose2d as ConvTranspose2d
from .dense import Dense as Dense, Embedding as Embedding
from .history import History as History
from .layer import Layer as Layer
from .metrics import accuracy as accuracy, train_test_split as train_test_split
from .minimisation import Minimum as Minimum, minimise as minimise
from .norm import BatchNorm as BatchNorm, GroupNorm as GroupNorm, LayerNorm as LayerNorm
from .optimiser import Optimiser as Optimiser
from .optimisers import (
    SGD as SGD,
    Adagrad as Adagrad,
    Adam as Adam,
    AdamW as AdamW,
    RMSProp as RMSProp,
)
from .pool import (
    AdaptiveAvgPool2d as AdaptiveAvgPool2d,
    AvgPool2d as AvgPool2d,
    GlobalAvgPool2d as GlobalAvgPool2d,
    MaxPool2d as MaxPool2d,
)
from .recurrent import GRU as GRU, LSTM as LSTM, RNN as RNN
from .schedules import (
    cosine_decay as cosine_decay,
    exponential_decay as exponential_decay,
    step_decay as step_decay,
    time_decay as time_decay,
    warm_up as warm_up,
)
from .shape import Dropout as Dropout, Flatten as Flatten, GaussianNoise as GaussianNoise, Reshape as Reshape
from .stopping import EarlyStopping as EarlyStopping
from .training import evaluate as evaluate, fit as fit

__all__ = ["augment", *(_name for _name, _value in list(globals().items()) if _name[0] != "_" and callable(_value))]

for _value in list(globals().values()):  # pickles name the public place, not the file
    if _inspect.isclass(_value):
        _value.__module__ = __name__
