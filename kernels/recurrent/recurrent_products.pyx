"""Gradients of a recurrent layer from those of the sums of its gates: one product over all steps each."""
cimport numpy as cnp
from libc.string cimport memcpy

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.product cimport Product, product_begin, product_run
from npkernels._kernels.recurrent_layer cimport Rows, rows_of, set_sequences
from npkernels._kernels.step_walk cimport Sequences, time_of

cnp.import_array()

cdef struct Inputs:
    Sequences q
    char* dx
    Py_ssize_t d                   # bytes of a row

cdef struct Halves:
    # (m, d + h): columns of the inputs, or none, then of the states, or none
    char* input
    char* hidden
    Py_ssize_t d, h


cdef void store_inputs(const Product* g, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns, char* c,
                       Py_ssize_t stride) noexcept nogil:
    # Row i0 + i belongs to the step whose rows begin at or before it.
    cdef const Inputs* to = <const Inputs*>g.context
    cdef Py_ssize_t size = g.table.itemsize, low = 0, high = to.q.steps, middle, i, r
    while high - low > 1:
        middle = (low + high) // 2
        if to.q.starts[middle] <= i0:
            low = middle
        else:
            high = middle
    for i in range(i0, i0 + rows):
        while to.q.starts[low + 1] <= i:
            low += 1
        r = i - to.q.starts[low]
        memcpy(to.dx + (to.q.order[r] * to.q.t + time_of(&to.q, r, low)) * to.d + j0 * size, c + (i - i0) * stride * size,
               <size_t>(columns * size))


cdef void store_halves(const Product* g, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns, char* c,
                       Py_ssize_t stride) noexcept nogil:
    cdef const Halves* to = <const Halves*>g.context
    cdef Py_ssize_t size = g.table.itemsize, left = max(<Py_ssize_t>0, min(columns, to.d - j0)), i
    cdef const char* at
    for i in range(i0, i0 + rows):
        at = c + (i - i0) * stride * size
        if left > 0:
            memcpy(to.input + (i * to.d + j0) * size, at, <size_t>(left * size))
        if left < columns:
            memcpy(to.hidden + (i * to.h + j0 + left - to.d) * size, at + left * size, <size_t>((columns - left) * size))


def input_gradient(
    cnp.ndarray da,            # IN (rows, ...), C-contiguous: the first gates h columns
    cnp.ndarray w_ih,          # IN (gates h, d)
    tuple sequences,           # IN order, lengths, starts, whether reversed
    cnp.ndarray dx,            # OUT (n, t, d), C-contiguous; steps beyond a length are not written
):
    # dx = da w_ih
    cdef Product g
    cdef Inputs to
    cdef cnp.npy_intp strides[2]
    order, lengths, starts, reverse = sequences
    set_sequences(&to.q, cnp.PyArray_DIMS(dx)[0], cnp.PyArray_DIMS(dx)[1], order, lengths, starts, reverse)
    to.dx, to.d = <char*>cnp.PyArray_DATA(dx), cnp.PyArray_DIMS(dx)[2] * cnp.PyArray_ITEMSIZE(dx)
    product_begin(&g, cnp.PyArray_TYPE(dx), cnp.PyArray_DIMS(da)[0], cnp.PyArray_DIMS(w_ih)[1], cnp.PyArray_DIMS(w_ih)[0])
    g.a, g.a_row, g.a_k = <const char*>cnp.PyArray_DATA(da), cnp.PyArray_DIMS(da)[1] * g.table.itemsize, g.table.itemsize
    read_strides(w_ih, strides)
    g.b, g.b_k, g.b_column = <const char*>cnp.PyArray_DATA(w_ih), strides[0], strides[1]
    g.epilogue, g.context = store_inputs, &to
    with nogil:
        product_run(&g)


def weight_gradients(
    cnp.ndarray da,            # IN (rows, ...), C-contiguous: m columns from `column` on
    Py_ssize_t column,
    cnp.ndarray inputs,        # IN (rows, ...), C-contiguous: d columns of inputs, then h of states
    cnp.ndarray dw_ih,         # OUT (m, d), C-contiguous, or None
    cnp.ndarray dw_hh,         # OUT (m, h), C-contiguous, or None
    Py_ssize_t d,
):
    # [dw_ih dw_hh] = da' [x h]: one product, which reads da once
    cdef Product g
    cdef Halves to
    cdef Rows a = rows_of(da, column), b
    cdef Py_ssize_t m = 0
    to.d = to.h = 0
    to.input = to.hidden = NULL
    b = rows_of(inputs, d if dw_ih is None else 0)
    if dw_ih is not None:
        to.input, to.d, m = <char*>cnp.PyArray_DATA(dw_ih), d, cnp.PyArray_DIMS(dw_ih)[0]
    if dw_hh is not None:
        to.hidden, to.h, m = <char*>cnp.PyArray_DATA(dw_hh), cnp.PyArray_DIMS(dw_hh)[1], cnp.PyArray_DIMS(dw_hh)[0]
    product_begin(&g, cnp.PyArray_TYPE(da), m, to.d + to.h, cnp.PyArray_DIMS(da)[0])
    g.a, g.a_row, g.a_k = a.data, g.table.itemsize, a.row
    g.b, g.b_k, g.b_column = b.data, b.row, g.table.itemsize
    g.epilogue, g.context = store_halves, &to
    with nogil:
        product_run(&g)


def bias_gradient(
    cnp.ndarray da,            # IN (rows, ...), C-contiguous: m columns from `column` on
    Py_ssize_t column,
    cnp.ndarray ones,          # IN (rows,), of 1
    cnp.ndarray db,            # OUT (m,), C-contiguous
):
    # db = sum of the rows of da, as a product: long sums are blocks (product.pxd)
    cdef Product g
    cdef Rows b = rows_of(da, column)
    product_begin(&g, cnp.PyArray_TYPE(da), 1, cnp.PyArray_DIMS(db)[0], cnp.PyArray_DIMS(da)[0])
    g.a, g.a_row, g.a_k = <const char*>cnp.PyArray_DATA(ones), g.k * g.table.itemsize, g.table.itemsize
    g.b, g.b_k, g.b_column = b.data, b.row, g.table.itemsize
    g.c, g.c_row = <char*>cnp.PyArray_DATA(db), g.n * g.table.itemsize
    with nogil:
        product_run(&g)
