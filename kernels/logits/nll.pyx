"""The negative logarithm of the probability of each sample's class, and its gradient."""
from libc.stdint cimport int64_t
from libc.string cimport memset
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport primitives
from npkernels._kernels.runtime cimport Team, primitives_for, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport int64_memory, load_once, put, real_at, sum_in_double

cnp.import_array()

cdef struct Picks:
    const primitives* table
    Py_ssize_t outer, c, inner
    const char* x                        # (outer, c, inner)
    cnp.npy_intp strides[3]
    const int64_memory* classes          # (outer, inner)
    const char* weight                   # (c,) or NULL
    bint has_ignored
    int64_t ignored
    double scale
    char* losses                         # (outer, inner)
    char* dx                             # (outer, c, inner), C-contiguous, or NULL
    Team team


cdef enum:
    BLOCK = 512              # positions whose gradients are set to 0, and one class of each again while they are in the cache


cdef void clear(const Picks* v, Py_ssize_t outer, Py_ssize_t first) noexcept nogil:
    cdef Py_ssize_t size = v.table.itemsize, some = min(<Py_ssize_t>BLOCK, v.inner - first), k
    cdef char* dx = v.dx + (outer * v.c * v.inner + first) * size
    if some == v.inner:
        memset(dx, 0, v.c * v.inner * size)
        return
    for k in range(v.c):
        memset(dx + k * v.inner * size, 0, some * size)


cdef void pick_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Picks* v = <const Picks*>context
    cdef Py_ssize_t i, j, sample
    cdef int64_t label
    cdef double weight
    for i in range(first, last):
        for j in range(v.inner):
            if v.dx != NULL and j % BLOCK == 0:
                clear(v, i, j)
            sample = i * v.inner + j
            label = load_once(v.classes + sample)
            # A class that another thread has written since it was checked counts as ignored where there is no such class.
            if v.has_ignored and label == v.ignored or label < 0 or label >= v.c:
                put(v.table, v.losses, sample, 0)
                continue
            weight = 1.0 if v.weight == NULL else real_at(v.table, v.weight, label)
            put(v.table, v.losses, sample, -weight * real_at(
                v.table, v.x + i * v.strides[0] + label * v.strides[1] + j * v.strides[2], 0))
            if v.dx != NULL:
                put(v.table, v.dx, (i * v.c + label) * v.inner + j, -weight * v.scale)


def nll_loss(
    cnp.ndarray x,           # IN (outer, c, inner)
    cnp.ndarray classes,     # IN (outer * inner,) int64, C-contiguous
    cnp.ndarray weight,      # IN (c,), C-contiguous, or None
    ignored,                 # a class, or None
    bint mean,
    cnp.ndarray dx,          # OUT (outer, c, inner), C-contiguous, or None
    cnp.ndarray losses,      # OUT (outer * inner,), C-contiguous
):
    """(sum of the losses, what the mean divides by, -1), or the first sample whose class is out of range in place of -1."""
    cdef Picks v
    cdef Py_ssize_t i, samples, counted = 0
    cdef int64_t label
    cdef double divisor = 0, total, work
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    v.outer, v.c, v.inner = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(x, 2)
    samples = v.outer * v.inner
    v.x = <const char*>cnp.PyArray_DATA(x)
    read_strides(x, v.strides)
    v.classes = <const int64_memory*>cnp.PyArray_DATA(classes)
    v.weight = <const char*>cnp.PyArray_DATA(weight) if weight is not None else NULL
    v.has_ignored = ignored is not None
    v.ignored = 0 if ignored is None else ignored
    v.losses = <char*>cnp.PyArray_DATA(losses)
    v.dx = <char*>cnp.PyArray_DATA(dx) if dx is not None else NULL
    for i in range(samples):
        label = load_once(v.classes + i)
        if v.has_ignored and label == v.ignored:
            continue
        if label < 0 or label >= v.c:
            return 0.0, 0.0, i
        counted += 1
        if v.weight != NULL:
            divisor += real_at(v.table, v.weight, label)
    if v.weight == NULL:
        divisor = counted
    v.scale = 1 / divisor if mean else 1
    with nogil:
        # a cache line for each sample, and what is set to 0
        work = work_of(v.table, 0, 64.0 * samples + (0 if v.dx == NULL else samples * v.c * v.table.itemsize))
        team_begin(&v.team, work, v.outer, 0, 0)
        team_run(&v.team, pick_tasks, &v, v.outer, work)
        team_end()
        total = sum_in_double(v.table, v.losses, samples)
    return total, divisor, -1
