"""Products of matrices: y = activation(x w' + b), its gradients, and a b."""
cimport numpy as cnp

from npkernels._plain cimport is_plain
from npkernels._primitives cimport START_COLUMN_BIAS, strided
from npkernels._product cimport FLOP_PER_BYTE, SERIAL_FLOP, Product, product_begin, product_plan, product_run, product_serial
from npkernels._runtime cimport num_threads, parallel_for, workspace, workspace_done
from npkernels._strided cimport merge_axes, offset_of

cnp.import_array()

cdef struct Stack:
    Product g                      # of the first matrices
    strided a, b                   # where all the others begin
    Py_ssize_t c_bytes

cdef enum:
    CHAINED_VECTORS = 32           # below, more rows lose more to adding the chains than one row gains
    STACK_TASKS = 4                # fewer matrices a thread could leave one thread with the last of them


cdef inline void set_a(Product* g, cnp.ndarray a, bint transposed) noexcept:
    cdef int last = cnp.PyArray_NDIM(a) - 1
    g.a = <const char*>cnp.PyArray_DATA(a)
    g.a_row, g.a_k = cnp.PyArray_STRIDES(a)[last - 1 + transposed], cnp.PyArray_STRIDES(a)[last - transposed]


cdef inline void set_b(Product* g, cnp.ndarray b, bint transposed) noexcept:
    cdef int last = cnp.PyArray_NDIM(b) - 1
    g.b = <const char*>cnp.PyArray_DATA(b)
    g.b_k, g.b_column = cnp.PyArray_STRIDES(b)[last - 1 + transposed], cnp.PyArray_STRIDES(b)[last - transposed]


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
    product_begin(&g, cnp.PyArray_TYPE(a), cnp.PyArray_DIMS(c)[0], cnp.PyArray_DIMS(c)[1],
                  cnp.PyArray_DIMS(a)[0 if a_transposed else 1])
    set_a(&g, a, a_transposed)
    set_b(&g, b, b_transposed)
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
):
    # c[i] = a[i] b[i] for every leading index i
    cdef Stack v
    cdef int last = cnp.PyArray_NDIM(a) - 1
    cdef Py_ssize_t m = cnp.PyArray_DIMS(a)[last - 1], k = cnp.PyArray_DIMS(a)[last], n = cnp.PyArray_DIMS(b)[last]
    if cnp.PyArray_SIZE(c) == 0:
        return
    product_begin(&v.g, cnp.PyArray_TYPE(a), m, n, k)
    set_a(&v.g, a, False)
    set_b(&v.g, b, False)
    set_c(&v.g, c)
    merge_axes(&v.a, <char*>v.g.a, last - 1, cnp.PyArray_DIMS(a), cnp.PyArray_STRIDES(a))
    merge_axes(&v.b, <char*>v.g.b, last - 1, cnp.PyArray_DIMS(b), cnp.PyArray_STRIDES(b))
    v.c_bytes = m * v.g.c_row
    with nogil:
        run_stack(&v, cnp.PyArray_SIZE(c) // (m * n))


cdef inline void set_matrices(Product* g, const Stack* v, Py_ssize_t i) noexcept nogil:
    g.a, g.b, g.c = v.a.data + offset_of(&v.a, i), v.b.data + offset_of(&v.b, i), v.g.c + i * v.c_bytes


cdef int run_stack(Stack* v, Py_ssize_t count) except -1 nogil:
    # Few and large: each on all threads. Else each is one thread's.
    cdef Product* g = &v.g
    cdef Product one = v.g
    cdef Py_ssize_t i
    cdef double flop = 2.0 * g.m * g.n * g.k
    cdef double work = flop + FLOP_PER_BYTE * g.table.itemsize * (<double>g.m * g.k + <double>g.k * g.n + <double>g.m * g.n)
    cdef int threads = num_threads()
    if work >= SERIAL_FLOP and count < STACK_TASKS * threads:
        for i in range(count):
            set_matrices(&one, v, i)
            product_run(&one)
        return 0
    threads = 1 if work * count < SERIAL_FLOP else <int>min(<Py_ssize_t>threads, count)
    product_plan(g, 1)
    g.scratch = <char*>workspace(max(<size_t>64, g.scratch_bytes * <size_t>threads))
    if g.scratch == NULL:
        raise MemoryError("no memory for the packed operands of a product")
    parallel_for(run_matrices, v, count, <Py_ssize_t>max(1.0, min(SERIAL_FLOP / (8 * work + 1), count / (3.0 * threads))),
                 threads)
    workspace_done()
    return 0


cdef void run_matrices(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Stack* v = <const Stack*>context
    cdef Product g = v.g
    cdef Py_ssize_t i
    for i in range(first, last):
        set_matrices(&g, v, i)
        product_serial(&g, v.g.scratch + <size_t>slot * v.g.scratch_bytes)


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
        y = cnp.PyArray_EMPTY(2, shape, cnp.PyArray_TYPE(<cnp.ndarray>x), 0)
    except ValueError:                       # the checks say which size overflows
        return None
    product(x, w, y, False, True, b, activation, True)
    return y
