"""Steps of the optimisers, in place: every array is read once and written once."""
from libc.math cimport expm1, log, sqrt
cimport numpy as cnp

from npkernels._kernels.primitives cimport (
    OPTIMISER_adagrad, OPTIMISER_adam, OPTIMISER_adamw, OPTIMISER_momentum, OPTIMISER_rmsprop, OPTIMISER_sgd, optim_fn,
    optim_settings,
)
from npkernels._kernels.strided cimport (
    READ, WRITE, Elementwise, elementwise_begin, elementwise_operand, elementwise_run, elementwise_sum, extent,
)

cnp.import_array()

cdef enum:
    MOST_ARRAYS = 4

# The number of each kind of step: its place in the table of kernels/elementwise/optim.h.
SGD, MOMENTUM, ADAGRAD = OPTIMISER_sgd, OPTIMISER_momentum, OPTIMISER_adagrad
RMSPROP, ADAM, ADAMW = OPTIMISER_rmsprop, OPTIMISER_adam, OPTIMISER_adamw

cdef struct Step:
    optim_fn f
    optim_settings settings
    int first, second       # the places of the states among the operands; any place for a state that is not there


cdef void step_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    cdef const Step* s = <const Step*>e.context
    s.f(count, at[0], at[1], at[s.first], at[s.second], &s.settings)


def step(
    int kind,
    cnp.ndarray p,             # IN OUT any shape
    cnp.ndarray g,             # IN shape of p
    cnp.ndarray first,         # IN OUT shape of p, or None
    cnp.ndarray second,        # IN OUT shape of p, or None
    double lr,
    double weight_decay,
    double eps=0,
    double keep_first=0,       # momentum, alpha or beta1
    double keep_second=0,      # beta2
    double count=0,            # steps taken with this one
    bint nesterov=False,
):
    # 1 - beta^count is computed as -expm1(count log beta): beta^count may be close to 1.
    cdef Elementwise e
    cdef Step s
    s.settings.lr, s.settings.weight_decay, s.settings.eps = lr, weight_decay, eps
    s.settings.first, s.settings.second, s.settings.nesterov = keep_first, keep_second, nesterov
    s.settings.m_scale = s.settings.root_scale = 1
    if count > 0:
        s.settings.m_scale = -1 / expm1(count * log(keep_first))
        s.settings.root_scale = sqrt(-1 / expm1(count * log(keep_second)))
    elementwise_begin(&e, p, 16, step_row, &s)
    s.f = e.table.optim.steps[kind]
    s.first, s.second = 0 if first is None else 2, 0 if second is None else 3
    elementwise_operand(&e, p, READ | WRITE)
    elementwise_operand(&e, g, READ)
    if first is not None:
        elementwise_operand(&e, first, READ | WRITE)
    if second is not None:
        elementwise_operand(&e, second, READ | WRITE)
    elementwise_run(&e)


def plain(*arrays):
    """Whether these are at most 4 arrays of one shape and one of the two dtypes, writeable but the second, C-contiguous
    and apart from each other: the common case of a step, in which there is nothing to complain about."""
    cdef Py_ssize_t i, j, count = len(arrays)
    cdef cnp.ndarray p, a
    cdef size_t low[MOST_ARRAYS]
    cdef size_t high[MOST_ARRAYS]
    if count > MOST_ARRAYS or type(arrays[0]) is not cnp.ndarray:
        return False
    p = arrays[0]
    if cnp.PyArray_TYPE(p) not in (cnp.NPY_FLOAT, cnp.NPY_DOUBLE) or cnp.PyArray_SIZE(p) == 0:
        return False
    for i in range(count):
        if type(arrays[i]) is not cnp.ndarray:
            return False
        a = arrays[i]
        if cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(p) or not cnp.PyArray_ISNOTSWAPPED(a):
            return False
        if not cnp.PyArray_IS_C_CONTIGUOUS(a) or not (i == 1 or cnp.PyArray_ISWRITEABLE(a)):
            return False
        if not cnp.PyArray_SAMESHAPE(a, p):
            return False
        extent(a, &low[i], &high[i])
        for j in range(i):
            if low[i] < high[j] and low[j] < high[i]:
                return False
    return True


cdef double square_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    return e.table.optim.squares(count, at[0], (<const double*>e.context)[0])


def squares(
    cnp.ndarray g,             # IN any shape
    double scale,
):
    """The sum of (scale g)^2."""
    cdef Elementwise e
    cdef double total
    elementwise_begin(&e, g, 4, NULL, &scale)
    elementwise_operand(&e, g, READ)
    elementwise_sum(&e, square_row, &total)
    return total


cdef void scale_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    e.table.optim.scale(count, at[0], (<const double*>e.context)[0])


def scale(
    cnp.ndarray g,             # IN OUT any shape
    double factor,
):
    # g *= factor
    cdef Elementwise e
    elementwise_begin(&e, g, 1, scale_row, &factor)
    elementwise_operand(&e, g, READ | WRITE)
    elementwise_run(&e)
