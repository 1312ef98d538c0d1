"""Layers and training on the kernels, as objects."""

from . import augment as augment
from .history import History as History
from .layer import Layer as Layer
from .metrics import accuracy as accuracy, train_test_split as train_test_split
from .minimisation import Minimum as Minimum, minimise as minimise
from .optimiser import Optimiser as Optimiser
from .optimisers import (
    SGD as SGD,
    Adagrad as Adagrad,
    Adam as Adam,
    AdamW as AdamW,
    RMSProp as RMSProp,
)
from .schedules import (
    cosine_decay as cosine_decay,
    exponential_decay as exponential_decay,
    step_decay as step_decay,
    time_decay as time_decay,
    warm_up as warm_up,
)
from .stopping import EarlyStopping as EarlyStopping
from .training import evaluate as evaluate, fit as fit

__all__ = ["Layer"]
