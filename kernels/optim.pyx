"""Steps of the optimisers, in place: every array is read once and written once."""
cimport numpy as cnp

from npkernels._primitives cimport momentum_settings
from npkernels._strided cimport READ, WRITE, Elementwise, elementwise_begin, elementwise_operand, elementwise_run

cnp.import_array()


cdef void momentum_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    e.table.optim.momentum(count, at[0], at[1], at[2], <const momentum_settings*>e.context)


def momentum_step(
    cnp.ndarray p,             # IN OUT any shape
    cnp.ndarray g,             # IN shape of p
    cnp.ndarray velocity,      # IN OUT shape of p
    double lr,
    double momentum,
    bint nesterov,
    double weight_decay,
):
    # g' = g + weight_decay p;  velocity = momentum velocity + g';  p -= lr velocity, or lr (g' + momentum velocity)
    cdef Elementwise e
    cdef momentum_settings settings
    settings.lr, settings.momentum, settings.weight_decay, settings.nesterov = lr, momentum, weight_decay, nesterov
    elementwise_begin(&e, p, momentum_row, &settings)
    elementwise_operand(&e, p, READ | WRITE)
    elementwise_operand(&e, g, READ)
    elementwise_operand(&e, velocity, READ | WRITE)
    elementwise_run(&e)
