"""Losses of rows, their gradients, and the cosine of pairs of rows."""
from libc.math cimport sqrt
from libc.stdint cimport int64_t
cimport numpy as cnp

from npkernels._kernels.primitives cimport primitives, strided
from npkernels._kernels.runtime cimport Team, primitives_for, slot_of, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport int64_memory, load_once, put, real_at, round_to_line
from npkernels._kernels.strided cimport merge_array, offset_of

cnp.import_array()

cdef enum Kind:
    KIND_MULTI_MARGIN
    KIND_GAUSSIAN_KL
    KIND_TRIPLET_MARGIN
    KIND_COSINE

MULTI_MARGIN, GAUSSIAN_KL, TRIPLET_MARGIN, COSINE = KIND_MULTI_MARGIN, KIND_GAUSSIAN_KL, KIND_TRIPLET_MARGIN, KIND_COSINE

cdef enum:
    MOST = 3                             # arrays that are read, and that are written

cdef struct Rows:
    const primitives* table
    int kind
    Py_ssize_t outer, d
    double parameter, scale
    const int64_memory* classes          # one a row, of KIND_MULTI_MARGIN
    const char* dy                       # one a row, of KIND_COSINE, or NULL
    char* losses                         # one a row
    int reads, writes
    strided arrays[2 * MOST]             # read, then written
    bint direct[2 * MOST]                # rows are contiguous
    Team team


cdef char* place_of(const Rows* v, int k, Py_ssize_t row, char* scratch) noexcept nogil:
    # Where row `row` of array k lies, or is gathered or made.
    if v.d == 0 or v.direct[k]:
        return v.arrays[k].data + (offset_of(&v.arrays[k], row * v.d) if v.d else 0)
    return scratch + k * round_to_line(v.d * v.table.itemsize)


cdef double triplet(const Rows* v, char** x, char** dx) noexcept nogil:
    # max(0, |a - p| - |a - n| + margin)
    cdef double near = sqrt(v.table.pairs.distance(v.d, x[0], x[1], SHIFT))
    cdef double far = sqrt(v.table.pairs.distance(v.d, x[0], x[2], SHIFT))
    cdef double loss = near - far + v.parameter, pull, push
    if v.writes:
        pull = -v.scale / near if near != 0 and not loss < 0 else 0
        push = v.scale / far if far != 0 and not loss < 0 else 0
        v.table.pairs.difference(v.d, x[0], x[1], SHIFT, pull, dx[1])
        v.table.pairs.difference(v.d, x[0], x[2], SHIFT, push, dx[2])
        v.table.pairs.combine(v.d, dx[1], dx[2], -1, -1, dx[0])
    return 0 if loss < 0 else loss


cdef double SHIFT = 1e-6                 # which PyTorch adds to differences
cdef double LEAST_NORM = 1e-8            # which PyTorch divides by at least


cdef double cosine(const Rows* v, Py_ssize_t row, char** x, char** dx) noexcept nogil:
    # c = a.b / (|a| |b|), the norms LEAST_NORM at least; dc/da = b / (|a| |b|) - c a / |a|^2
    cdef double sums[3]
    cdef double first, second, at_least_first, at_least_second, dy, c
    v.table.pairs.dots(v.d, x[0], x[1], sums)
    first, second = sqrt(sums[0]), sqrt(sums[2])
    at_least_first = LEAST_NORM if first < LEAST_NORM else first
    at_least_second = LEAST_NORM if second < LEAST_NORM else second
    c = sums[1] / at_least_first / at_least_second
    if v.writes:
        dy = real_at(v.table, v.dy, row)
        v.table.pairs.combine(v.d, x[1], x[0], dy / at_least_first / at_least_second,
                              -dy * c / at_least_first / first if first != 0 else 0, dx[0])
        v.table.pairs.combine(v.d, x[0], x[1], dy / at_least_first / at_least_second,
                              -dy * c / at_least_second / second if second != 0 else 0, dx[1])
    return c


cdef double loss_of(const Rows* v, Py_ssize_t row, char** x, char** dx) noexcept nogil:
    cdef int64_t label
    if v.kind == KIND_MULTI_MARGIN:
        label = load_once(v.classes + row)
        if label < 0 or label >= v.d:    # another thread has written it since it was checked
            label = 0
        return v.table.pairs.margins(v.d, x[0], label, v.parameter, v.scale, dx[0] if v.writes else NULL) / v.d
    if v.kind == KIND_GAUSSIAN_KL:
        return v.table.pairs.gaussian_kl(
            v.d, x[0], x[1], v.scale, dx[0] if v.writes else NULL, dx[1] if v.writes else NULL)
    if v.kind == KIND_TRIPLET_MARGIN:
        return triplet(v, x, dx)
    return cosine(v, row, x, dx)


cdef void row_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Rows* v = <const Rows*>context
    cdef char* scratch = slot_of(&v.team, slot)
    cdef char* at[2 * MOST]
    cdef Py_ssize_t row
    cdef int k
    for row in range(first, last):
        for k in range(v.reads + v.writes):
            at[k] = place_of(v, k, row, scratch)
            if k < v.reads and not v.direct[k] and v.d:
                v.table.strided.gather(&v.arrays[k], row * v.d, v.d, at[k])
        put(v.table, v.losses, row, loss_of(v, row, at, at + v.reads))
        for k in range(v.reads, v.reads + v.writes):
            if not v.direct[k] and v.d:
                v.table.strided.scatter(&v.arrays[k], row * v.d, v.d, at[k])


cdef bint add_array(Rows* v, int k, cnp.ndarray x) noexcept:
    # Whether rows of x must be gathered.
    cdef int last
    merge_array(&v.arrays[k], x)
    last = v.arrays[k].axes - 1
    v.direct[k] = v.d <= 1 or (
        v.arrays[k].strides[last] == v.table.itemsize and v.arrays[k].shape[last] % v.d == 0)
    return not v.direct[k]


def rows(
    int kind,
    tuple inputs,              # IN (..., d), as many as the loss has
    double parameter,
    double scale,              # of the gradients
    cnp.ndarray classes,       # IN (rows,) int64, C-contiguous, or None
    cnp.ndarray dy,            # IN (rows,), C-contiguous, or None
    cnp.ndarray losses,        # OUT (rows,), C-contiguous
    tuple results,             # OUT (..., d), the gradients by the inputs, or None; strides like any
):
    """The sum of the losses."""
    cdef Rows v
    cdef bint gathers = False
    cdef Py_ssize_t i
    cdef double work, total = 0
    cdef cnp.ndarray x = inputs[0]
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    v.d = cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1)
    v.outer = cnp.PyArray_SIZE(losses)
    v.kind, v.parameter, v.scale = kind, parameter, scale
    v.classes = <const int64_memory*>cnp.PyArray_DATA(classes) if classes is not None else NULL
    v.dy = <const char*>cnp.PyArray_DATA(dy) if dy is not None else NULL
    v.losses = <char*>cnp.PyArray_DATA(losses)
    v.reads, v.writes = 0, 0
    for x in inputs:
        gathers |= add_array(&v, v.reads, x)
        v.reads += 1
    if results is not None:
        for x in results:
            gathers |= add_array(&v, v.reads + v.writes, x)
            v.writes += 1
    with nogil:
        work = work_of(v.table, 16.0 * v.outer * (v.d + 4), (v.reads + v.writes) * v.outer * v.d * v.table.itemsize)
        team_begin(&v.team, work, v.outer, 0,
                   (v.reads + v.writes) * round_to_line(v.d * v.table.itemsize) if gathers else 0)
        team_run(&v.team, row_tasks, &v, v.outer, work)
        team_end()
        for i in range(v.outer):
            total += real_at(v.table, v.losses, i)
    return total


def first_beyond(cnp.ndarray classes, Py_ssize_t count):
    """The first of the classes, int64 and C-contiguous, that is not in [0, count), or -1."""
    cdef const int64_memory* x = <const int64_memory*>cnp.PyArray_DATA(classes)
    cdef Py_ssize_t i
    cdef int64_t label
    for i in range(cnp.PyArray_SIZE(classes)):
        label = load_once(x + i)
        if label < 0 or label >= count:
            return i
    return -1
