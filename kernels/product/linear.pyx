"""Products of matrices: y = activation(x w' + b), its gradients, and a b."""
cimport numpy as cnp

from npkernels._kernels.layout cimport MOST_AXES, read_strides
from npkernels._kernels.plain cimport is_plain
from npkernels._kernels.primitives cimport START_COLUMN_BIAS
from npkernels._kernels.product cimport CHAINED_VECTORS, Product, product_begin, product_run
from npkernels._kernels.runtime cimport empty_array
from npkernels._kernels.stack cimport Stack, stack_run
from npkernels._kernels.strided cimport merge_axes

cnp.import_array()


cdef inline void set_a(Product* g, cnp.ndarray a, bint transposed, cnp.npy_intp* strides) noexcept:
    cdef int last = cnp.PyArray_NDIM(a) - 1
    g.a = <const char*>cnp.PyArray_DATA(a)
    read_strides(a, strides)
    g.a_row, g.a_k = strides[last - 1 + transposed], strides[last - transposed]


cdef inline void set_b(Product* g, cnp.ndarray b, bint transposed, cnp.npy_intp* strides) noexcept:
    cdef int last = cnp.PyArray_NDIM(b) - 1
    g.b = <const char*>cnp.PyArray_DATA(b)
    read_strides(b, strides)
    g.b_k, g.b_column = strides[last - 1 + transposed], strides[last - transposed]


cdef inline void set_c(Product* g, cnp.ndarray c) noexcept:
    g.c = <char*>cnp.PyArray_DATA(c)
    g.c_row = cnp.PyArray_DIMS(c)[cnp.PyArray_NDIM(c) - 1] * cnp.PyArray_ITEMSIZE(c)


cpdef product(
    cnp.ndarray a,           # IN (m, k), or (k, m) if a_transposed
    cnp.ndarray b,           # IN (k, n), or (n, k) if b_transposed
    cnp.ndarray c,           # OUT (m, n), C-contiguous, fully overwritten
    bint a_transposed,
    bint b_transposed,
    cnp.ndarray bias=None,   # IN (n,), contiguous
    int activation=-1,
    bint chained=False,
):
    # c[i, j] = activation(bias[j] + sum over p of a[i, p] b[p, j]). Chained: a long sum is that of several chains.
    cdef Product g
    cdef cnp.npy_intp strides[2]
    product_begin(&g, cnp.PyArray_TYPE(a), cnp.PyArray_DIMS(c)[0], cnp.PyArray_DIMS(c)[1],
                  cnp.PyArray_DIMS(a)[0 if a_transposed else 1])
    set_a(&g, a, a_transposed, strides)
    set_b(&g, b, b_transposed, strides)
    set_c(&g, c)
    if bias is not None:
        g.bias, g.start = <const char*>cnp.PyArray_DATA(bias), START_COLUMN_BIAS
    g.chained = chained and g.k >= CHAINED_VECTORS * g.table.lanes
    if activation >= 0:
        g.activation = g.table.activation.forward[activation]
    with nogil:
        product_run(&g)


def products(
    cnp.ndarray a,           # IN (..., m, k)
    cnp.ndarray b,           # IN (..., k, n), leading axes of a
    cnp.ndarray c,           # OUT (..., m, n), leading axes of a, C-contiguous, fully overwritten
    bint chained=False,
):
    # c[i] = a[i] b[i] for every leading index i, chained as in `product`
    cdef Stack v
    cdef cnp.npy_intp strides[MOST_AXES]
    cdef int last = cnp.PyArray_NDIM(a) - 1
    cdef Py_ssize_t m = cnp.PyArray_DIMS(a)[last - 1], k = cnp.PyArray_DIMS(a)[last], n = cnp.PyArray_DIMS(b)[last]
    if cnp.PyArray_SIZE(c) == 0:
        return
    product_begin(&v.g, cnp.PyArray_TYPE(a), m, n, k)
    set_a(&v.g, a, False, strides)
    merge_axes(&v.a, <char*>v.g.a, last - 1, cnp.PyArray_DIMS(a), strides)
    set_b(&v.g, b, False, strides)
    merge_axes(&v.b, <char*>v.g.b, last - 1, cnp.PyArray_DIMS(b), strides)
    set_c(&v.g, c)
    v.c_bytes = m * v.g.c_row
    v.g.chained = chained and k >= CHAINED_VECTORS * v.g.table.lanes
    with nogil:
        stack_run(&v, cnp.PyArray_SIZE(c) // (m * n))


def dense_plain(x, w, b, int activation):
    """activation(x w' + b) as a new array if the operands need no check and no conversion, else None."""
    cdef cnp.ndarray y
    cdef cnp.npy_intp shape[2]
    if not (is_plain(x) and is_plain(w)) or (b is not None and not is_plain(b)):
        return None
    if (cnp.PyArray_NDIM(<cnp.ndarray>x) != 2 or cnp.PyArray_NDIM(<cnp.ndarray>w) != 2
            or cnp.PyArray_TYPE(<cnp.ndarray>x) != cnp.PyArray_TYPE(<cnp.ndarray>w)
            or cnp.PyArray_DIMS(<cnp.ndarray>x)[1] != cnp.PyArray_DIMS(<cnp.ndarray>w)[1]):
        return None
    shape[0], shape[1] = cnp.PyArray_DIMS(<cnp.ndarray>x)[0], cnp.PyArray_DIMS(<cnp.ndarray>w)[0]
    if b is not None and (cnp.PyArray_NDIM(<cnp.ndarray>b) != 1 or cnp.PyArray_DIMS(<cnp.ndarray>b)[0] != shape[1]
                          or cnp.PyArray_TYPE(<cnp.ndarray>b) != cnp.PyArray_TYPE(<cnp.ndarray>x)
                          or not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>b)):
        return None
    try:
        y = empty_array(2, shape, cnp.PyArray_TYPE(<cnp.ndarray>x))
    except ValueError:                       # the checks say which size overflows
        return None
    product(x, w, y, False, True, b, activation, True)
    return y
