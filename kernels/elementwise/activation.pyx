"""Elementwise functions and their gradients."""
cimport numpy as cnp

from npkernels._kernels.plain cimport is_plain
from npkernels._kernels.primitives cimport (
    ACTIVATION_arsinh, ACTIVATION_COUNT, ACTIVATION_softplus, activation_fn, activation_gradient_fn, activation_names,
    activation_options,
)
from npkernels._kernels.runtime cimport empty_array
from npkernels._kernels.strided cimport (
    READ, WRITE, Elementwise, elementwise_begin, elementwise_operand, elementwise_run, elementwise_streams,
)

cnp.import_array()

# The number of each function: its place in the tables of kernels/elementwise/activation.h.
FUNCTIONS = {activation_names[i].decode(): i for i in range(ACTIVATION_COUNT)}

cdef struct Activation:
    activation_fn forward
    activation_gradient_fn backward
    activation_options options


cdef int set_parameters(Activation* call, tuple parameters) except -1:
    cdef Py_ssize_t i
    if parameters is not None:
        for i in range(len(parameters)):
            call.options.parameters[i] = parameters[i]
    return 0


cdef enum:
    SERIES_FLOPS = 32


cdef inline double flops_of(int function) noexcept:
    # The first functions of the list take a few operations, the others a series.
    return 4 if function < ACTIVATION_arsinh else SERIES_FLOPS


cdef void forward_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    cdef const Activation* call = <const Activation*>e.context
    call.forward(count, at[0], at[1], &call.options)


cdef void backward_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    cdef const Activation* call = <const Activation*>e.context
    call.backward(count, at[0], at[1], at[2], &call.options)


cpdef forward(
    int function,
    cnp.ndarray x,             # IN any shape
    cnp.ndarray y,             # OUT shape of x, C-contiguous; may be x
    tuple parameters=None,     # as in kernels/elementwise/activation.h; None for a function that has none
):
    # y = f(x)
    cdef Elementwise e
    cdef Activation call
    set_parameters(&call, parameters)
    elementwise_begin(&e, y, flops_of(function), forward_row, &call)
    call.forward = e.table.activation.forward[function]
    elementwise_operand(&e, x, READ)
    elementwise_operand(&e, y, WRITE)
    call.options.streamed = elementwise_streams(&e)
    elementwise_run(&e)


cdef void glu_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    e.table.activation.glu(count, at[0], at[1], at[2])


cdef void glu_backward_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    e.table.activation.glu_backward(count, at[0], at[1], at[2], at[3], at[4])


def glu(
    cnp.ndarray a,             # IN any shape
    cnp.ndarray b,             # IN the same
    cnp.ndarray y,             # OUT the same, C-contiguous
):
    # y = a sigmoid(b)
    cdef Elementwise e
    elementwise_begin(&e, y, SERIES_FLOPS, glu_row, NULL)
    elementwise_operand(&e, a, READ)
    elementwise_operand(&e, b, READ)
    elementwise_operand(&e, y, WRITE)
    elementwise_run(&e)


def glu_backward(
    cnp.ndarray dy,            # IN any shape, as all
    cnp.ndarray a,             # IN
    cnp.ndarray b,             # IN
    cnp.ndarray da,            # OUT halves of one array, any strides
    cnp.ndarray db,            # OUT
):
    # da = dy sigmoid(b), db = dy a sigmoid'(b)
    cdef Elementwise e
    elementwise_begin(&e, dy, SERIES_FLOPS, glu_backward_row, NULL)
    elementwise_operand(&e, dy, READ)
    elementwise_operand(&e, a, READ)
    elementwise_operand(&e, b, READ)
    elementwise_operand(&e, da, WRITE)
    elementwise_operand(&e, db, WRITE)
    elementwise_run(&e)


def forward_plain(
    int function,
    x,                         # IN anything
    tuple parameters=None,
):
    """f(x) as a new array if `x` needs no check and no conversion, else None: Python's checks cost more than a short row."""
    cdef cnp.ndarray y
    if not is_plain(x) or cnp.PyArray_NDIM(<cnp.ndarray>x) == 0:
        return None
    y = empty_array(cnp.PyArray_NDIM(<cnp.ndarray>x), cnp.PyArray_DIMS(<cnp.ndarray>x), cnp.PyArray_TYPE(<cnp.ndarray>x))
    forward(function, <cnp.ndarray>x, y, parameters)
    return y


def backward(
    int function,
    cnp.ndarray dy,            # IN shape of x
    cnp.ndarray x,             # IN any shape
    cnp.ndarray dx,            # OUT shape of x, C-contiguous; may be dy or x
    tuple parameters=None,
    bint from_output=False,    # x is f(x)
):
    # dx = dy f'(x)
    cdef Elementwise e
    cdef Activation call
    set_parameters(&call, parameters)
    elementwise_begin(
        &e, dx, 4 if from_output and function != ACTIVATION_softplus else flops_of(function), backward_row, &call
    )
    call.backward = e.table.activation.from_output[function] if from_output else e.table.activation.backward[function]
    elementwise_operand(&e, dy, READ)
    elementwise_operand(&e, x, READ)
    elementwise_operand(&e, dx, WRITE)
    call.options.streamed = elementwise_streams(&e)
    elementwise_run(&e)
