"""One line a kernel, run on the digits: its error as a fraction of the bound it may have, and its speed."""

import time
from types import SimpleNamespace

import numpy as np

import npkernels as nk
from npkernels import reference
from npkernels._main_job.bounds import EPS, as_tuple, bounded_by, exact, kmeans_errors, linear, log_softmax_bound
from npkernels._main_job.bounds import momentum_bound, sigmoid_slope, softmax_bound, softmax_gradient_bound, tanh_slope
from npkernels._main_job.bounds import ulps
