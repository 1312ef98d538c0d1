"""Elementwise kernels on arrays of any strides: one walker for every operation that maps elements to elements."""
cimport numpy as cnp

from npkernels._kernels.primitives cimport primitives, strided
from npkernels._kernels.runtime cimport Team, work_of

cdef enum:
    OPERANDS = 5          # the most that a kernel has

cdef enum Use:
    READ = 1
    WRITE = 2

# `at` holds a pointer to `count` contiguous elements of each operand; the same elements of all.
ctypedef void (*row_fn)(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil
# The same, and returns what these elements add to a sum.
ctypedef double (*sum_fn)(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil

cdef struct Elementwise:
    const primitives* table
    Py_ssize_t size
    double flops          # an element
    row_fn row
    sum_fn sum            # in place of `row`, or NULL
    double* sums          # one a chunk
    const void* context
    int operands
    bint strided          # whether any operand must be gathered
    char* data[OPERANDS]
    int uses[OPERANDS]
    bint contiguous[OPERANDS]
    strided arrays[OPERANDS]   # of the operands that are not contiguous
    Team team

# The addresses from the first byte of the array to the one behind its last.
cdef void extent(cnp.ndarray array, size_t* low, size_t* high) noexcept

# The bytes from the first element to another one, counted in C order.
cdef inline Py_ssize_t offset_of(const strided* array, Py_ssize_t element) noexcept nogil:
    cdef Py_ssize_t offset = 0
    cdef int i
    for i in range(array.axes - 1, -1, -1):
        offset += element % array.shape[i] * array.strides[i]
        element //= array.shape[i]
    return offset

# Elements first .. first + count where they lie side by side, or NULL.
cdef inline char* run_of(const strided* array, Py_ssize_t first, Py_ssize_t count, Py_ssize_t itemsize) noexcept nogil:
    cdef Py_ssize_t run = array.shape[array.axes - 1]
    if array.strides[array.axes - 1] != itemsize and count > 1:
        return NULL
    if array.axes == 1:
        return <char*>array.data + first * array.strides[0]
    return <char*>array.data + offset_of(array, first) if first // run == (first + count - 1) // run else NULL

# The nanoseconds of one thread. A gathered element takes as long as four contiguous ones.
cdef inline double elementwise_work(const Elementwise* e) noexcept nogil:
    return work_of(e.table, e.size * e.flops, (4 if e.strided else 1) * e.operands * e.size * e.table.itemsize)

cdef void elementwise_begin(Elementwise* e, cnp.ndarray like, double flops, row_fn row, const void* context) noexcept
# All operands have the shape and dtype of `like`. What is only written must be C-contiguous.
cdef void elementwise_operand(Elementwise* e, cnp.ndarray array, int use) noexcept
# `count` contiguous elements of operand i from `first` on: where they lie, or gathered into `scratch`.
cdef const char* elementwise_read(const Elementwise* e, int i, Py_ssize_t first, Py_ssize_t count, char* scratch) noexcept nogil
# Array `to` of shape and strides, as few axes as can be.
cdef void merge_axes(strided* to, char* data, int axes, const cnp.npy_intp* shape, const cnp.npy_intp* strides) noexcept nogil
# The same of a whole array.
cdef void merge_array(strided* to, cnp.ndarray array) noexcept
# Whether the last operand, which is only written, should go past the caches.
cdef bint elementwise_streams(const Elementwise* e) noexcept
# -1 without a byte written when memory cannot be had. Releases the GIL.
cdef int elementwise_run(Elementwise* e) except -1
# The sum of what `sum` returns for every chunk, in an order that depends on the size only; `row` is not called.
cdef int elementwise_sum(Elementwise* e, sum_fn sum, double* total) except -1
