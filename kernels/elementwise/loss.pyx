"""Losses of elements, their sums and their gradients in one pass."""
cimport numpy as cnp

from npkernels._kernels.primitives cimport (
    LOSS_binary_cross_entropy_with_logits, LOSS_huber_loss, LOSS_kl_div, LOSS_l1_loss, LOSS_mse_loss,
    LOSS_sigmoid_focal_loss, loss_fn,
)
from npkernels._kernels.strided cimport READ, WRITE, Elementwise, elementwise_begin, elementwise_operand, elementwise_sum

cnp.import_array()

# The number of each loss: its place in the table of kernels/elementwise/loss.h.
BINARY_CROSS_ENTROPY_WITH_LOGITS = LOSS_binary_cross_entropy_with_logits
SIGMOID_FOCAL_LOSS = LOSS_sigmoid_focal_loss
MSE_LOSS, L1_LOSS, HUBER_LOSS, KL_DIV = LOSS_mse_loss, LOSS_l1_loss, LOSS_huber_loss, LOSS_kl_div

cdef struct Loss:
    loss_fn f
    int weight, losses, gradient         # their places among the operands, 0 where there is none
    double parameters[2]
    double scale


cdef double loss_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    cdef const Loss* v = <const Loss*>e.context
    return v.f(count, at[0], at[1], at[v.weight] if v.weight else NULL, v.parameters, v.scale,
               at[v.losses] if v.losses else NULL, at[v.gradient] if v.gradient else NULL)


def loss(
    int kind,
    cnp.ndarray x,             # IN any shape
    cnp.ndarray y,             # IN shape of x
    cnp.ndarray weight,        # IN shape of x, or None
    tuple parameters,          # two, of which a loss may have less
    double divisor,            # of the sum
    cnp.ndarray losses,        # OUT shape of x, C-contiguous, or None
    cnp.ndarray gradient,      # OUT shape of x, C-contiguous, or None
):
    """The sum of all losses over the divisor, a NumPy scalar; the gradient is that of this quotient."""
    cdef Elementwise e
    cdef Loss v
    cdef double total
    cdef float narrow
    v.parameters[0], v.parameters[1] = parameters
    v.scale = 1 / divisor
    elementwise_begin(&e, x, 16, NULL, &v)
    v.f = e.table.loss.losses[kind]
    elementwise_operand(&e, x, READ)
    elementwise_operand(&e, y, READ)
    v.weight = v.losses = v.gradient = 0
    if weight is not None:
        v.weight = e.operands
        elementwise_operand(&e, weight, READ)
    if losses is not None:
        v.losses = e.operands
        elementwise_operand(&e, losses, WRITE)
    if gradient is not None:
        v.gradient = e.operands
        elementwise_operand(&e, gradient, WRITE)
    elementwise_sum(&e, loss_row, &total)
    total /= divisor
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        narrow = <float>total
        return cnp.PyArray_ToScalar(&narrow, x)
    return cnp.PyArray_ToScalar(&total, x)
