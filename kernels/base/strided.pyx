"""The walker under all elementwise kernels.

The elements, in C order, are handed out in chunks. An operand whose elements lie side by side is read and written where it
lies; any other goes through a buffer of one chunk, which stays in the first-level cache. An element's result depends on
nothing but its operands, so chunks and threads change no bits. A sum has a part for each chunk.
"""
cimport numpy as cnp

from npkernels._kernels.layout cimport MOST_AXES, read_strides
from npkernels._kernels.primitives cimport strided
from npkernels._kernels.runtime cimport (
    primitives_for, slot_of, team_begin, team_end, team_run, worth_streaming,
)
from npkernels._kernels.scalars cimport ceil_div

cnp.import_array()

cdef enum:
    CHUNK = 2048          # elements; four operands of float64 are 64 kB


cdef void extent(cnp.ndarray array, size_t* low, size_t* high) noexcept:
    cdef cnp.npy_intp strides[MOST_AXES]
    cdef Py_ssize_t i, span
    read_strides(array, strides)
    low[0] = <size_t>cnp.PyArray_DATA(array)
    high[0] = low[0] + cnp.PyArray_ITEMSIZE(array)
    for i in range(cnp.PyArray_NDIM(array)):
        span = (cnp.PyArray_DIMS(array)[i] - 1) * strides[i]
        if span > 0:
            high[0] += span
        else:
            low[0] += span


def extents_meet(cnp.ndarray a, cnp.ndarray b):
    """Whether two arrays may share memory, by their first and last addresses."""
    cdef size_t a_low, a_high, b_low, b_high
    if cnp.PyArray_SIZE(a) == 0 or cnp.PyArray_SIZE(b) == 0:
        return False
    extent(a, &a_low, &a_high)
    extent(b, &b_low, &b_high)
    return a_low < b_high and b_low < a_high


def extent_of(cnp.ndarray array):
    """The addresses from the first byte of an array that is not empty to the one behind its last."""
    cdef size_t low, high
    extent(array, &low, &high)
    return low, high


cdef void elementwise_begin(Elementwise* e, cnp.ndarray like, double flops, row_fn row, const void* context) noexcept:
    e.table = primitives_for(cnp.PyArray_TYPE(like))
    e.size, e.flops = cnp.PyArray_SIZE(like), flops
    e.row, e.sum, e.context = row, NULL, context
    e.operands, e.strided = 0, False


cdef void elementwise_operand(Elementwise* e, cnp.ndarray array, int use) noexcept:
    cdef int i = e.operands
    e.data[i], e.uses[i] = <char*>cnp.PyArray_DATA(array), use
    e.contiguous[i] = cnp.PyArray_IS_C_CONTIGUOUS(array)
    if not e.contiguous[i]:
        e.strided = True
        merge_array(&e.arrays[i], array)
    e.operands = i + 1


cdef void merge_axes(strided* to, char* data, int axes, const cnp.npy_intp* shape, const cnp.npy_intp* strides) noexcept nogil:
    # An axis whose step is what its inner neighbour spans continues that neighbour; axes of size 1 vanish, but one.
    cdef int i, last = -1
    for i in range(axes):
        if shape[i] == 1:
            continue
        if last >= 0 and to.strides[last] == shape[i] * strides[i]:
            to.shape[last] *= shape[i]
        else:
            last += 1
            to.shape[last] = shape[i]
        to.strides[last] = strides[i]
    if last < 0:
        last, to.shape[0], to.strides[0] = 0, 1, 0
    to.data, to.axes = data, last + 1


cdef void merge_array(strided* to, cnp.ndarray array) noexcept:
    cdef cnp.npy_intp strides[MOST_AXES]
    read_strides(array, strides)
    merge_axes(to, <char*>cnp.PyArray_DATA(array), cnp.PyArray_NDIM(array), cnp.PyArray_DIMS(array), strides)


cdef inline char* place_of(const Elementwise* e, int i, Py_ssize_t first, Py_ssize_t count, char* scratch) noexcept nogil:
    # Where elements lie side by side, or scratch.
    cdef char* at
    if e.contiguous[i]:
        return e.data[i] + first * e.table.itemsize
    at = run_of(&e.arrays[i], first, count, e.table.itemsize)
    return scratch if at == NULL else at


cdef const char* elementwise_read(const Elementwise* e, int i, Py_ssize_t first, Py_ssize_t count, char* scratch) noexcept nogil:
    cdef const char* at = place_of(e, i, first, count, scratch)
    if at == scratch:
        e.table.strided.gather(&e.arrays[i], first, count, scratch)
    return at


cdef void run_pieces(const Elementwise* e, Py_ssize_t first, Py_ssize_t last, char* scratch) noexcept nogil:
    cdef Py_ssize_t size = e.table.itemsize, start = first, count
    cdef char* at[OPERANDS]
    cdef char* own
    cdef int i
    while start < last:
        count = min(<Py_ssize_t>CHUNK, last - start)
        for i in range(e.operands):
            own = scratch + i * CHUNK * size
            if e.uses[i] & READ:
                at[i] = <char*>elementwise_read(e, i, start, count, own)
            else:
                at[i] = place_of(e, i, start, count, own)
        if e.sum == NULL:
            e.row(e, count, at)
        else:
            e.sums[start // CHUNK] = e.sum(e, count, at)
        for i in range(e.operands):
            if at[i] == scratch + i * CHUNK * size and e.uses[i] & WRITE:
                e.table.strided.scatter(&e.arrays[i], start, count, at[i])
        start += count


cdef void run_contiguous(const Elementwise* e, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef char* at[OPERANDS]
    cdef int i
    for i in range(e.operands):
        at[i] = e.data[i] + first * e.table.itemsize
    e.row(e, last - first, at)


cdef void run_chunks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Elementwise* e = <const Elementwise*>context
    first, last = first * CHUNK, min(last * CHUNK, e.size)
    if e.strided or e.sum != NULL:
        run_pieces(e, first, last, slot_of(&e.team, slot))
    else:
        run_contiguous(e, first, last)


cdef bint elementwise_streams(const Elementwise* e) noexcept:
    cdef int i, last = e.operands - 1
    cdef Py_ssize_t bytes = e.size * e.table.itemsize
    if e.strided or not worth_streaming(e.operands * bytes, e.data[last], bytes):
        return False
    for i in range(last):
        if e.data[i] == e.data[last]:
            return False
    return True


cdef int run_team(Elementwise* e) except -1:
    cdef Py_ssize_t chunks = ceil_div(e.size, CHUNK)
    cdef double work = elementwise_work(e)
    team_begin(&e.team, work, chunks, 0 if e.sum == NULL else <size_t>chunks * sizeof(double),
               <size_t>(e.operands * CHUNK * e.table.itemsize) if e.strided else 0)
    e.sums = <double*>e.team.shared
    with nogil:
        team_run(&e.team, run_chunks, e, chunks, work)
    return 0


cdef int elementwise_run(Elementwise* e) except -1:
    if e.size > 0:
        run_team(e)
        team_end()
    return 0


cdef double pairwise_sum(double* sums, Py_ssize_t count) noexcept nogil:
    # Neighbours are added until one is left: the error grows with the logarithm of the count.
    cdef Py_ssize_t i
    while count > 1:
        for i in range(count // 2):
            sums[i] = sums[2 * i] + sums[2 * i + 1]
        if count % 2:
            sums[count // 2] = sums[count - 1]
        count = (count + 1) // 2
    return sums[0]


cdef int elementwise_sum(Elementwise* e, sum_fn sum, double* total) except -1:
    total[0] = 0
    if e.size > 0:
        e.sum = sum
        run_team(e)
        total[0] = pairwise_sum(e.sums, ceil_div(e.size, CHUNK))
        team_end()
    return 0
