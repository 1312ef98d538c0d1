"""Softmax, log-softmax, cross-entropy and their gradients over the middle axis of (outer, c, inner), or of (outer, c).

Two forms (kernels/logits/softmax.h): rows of classes where the classes are the last axis and many, and blocks of LANES
samples otherwise. A block goes through a buffer (c, lanes), which any strides fill and any output empties. The choice
depends on the shape alone, so neither strides nor threads change a bit.
"""
from libc.stdint cimport int64_t, uint64_t
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport (
    TARGET_IGNORED, TARGET_NONE, primitives, sample_target, softmax_fn, softmax_gradient_fn, softmax_rows_fn,
)
from npkernels._kernels.runtime cimport (
    Team, primitives_for, slot_of, task_fn, team_begin, team_end, team_run, work_of, worth_streaming,
)
from npkernels._kernels.scalars cimport ceil_div, int64_memory, load_once, real_at, sum_in_double

cnp.import_array()

cdef enum:
    ROW_CLASSES = 33         # from so many contiguous classes on, a sample fills vectors on its own
    MOST_LANES = 16
    ROW_FLOPS = 32           # of a class in a row
    STREAMED_ROW = 1 << 11   # bytes of a row from which on it may be streamed: its ends, parts of vectors, cannot be
    BLOCK_FLOPS = 96          # and in a block, into which it is transposed and out of which again

cdef struct Axis:
    # (outer, c, inner), bytes; NULL where there is no such array
    char* data
    Py_ssize_t outer, step, inner

cdef struct Softmax:
    const primitives* table
    Py_ssize_t outer, c, inner
    Axis first, second, result
    bint log, streamed                   # streamed: the result goes past the caches
    Team team
    # cross-entropy: `first` are the logits, `second` probabilities or NULL, `result` dlogits or NULL
    const int64_memory* classes          # (outer, inner) or NULL
    const char* weight                   # (c,) or NULL
    const char* base                     # (c,), the smoothing, or NULL
    double base_sum, keep, even, scale
    bint has_ignored
    int64_t ignored
    char* losses                         # (outer, inner)


cdef void set_axis(Axis* axis, cnp.ndarray x) noexcept:
    cdef cnp.npy_intp s[3]
    read_strides(x, s)
    axis.data, axis.outer, axis.step = <char*>cnp.PyArray_DATA(x), s[0], s[1]
    axis.inner = s[2] if cnp.PyArray_NDIM(x) == 3 else 0


cdef void begin_softmax(Softmax* v, cnp.ndarray x) noexcept:
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    v.outer, v.c = cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(x)[1]
    v.inner = cnp.PyArray_DIMS(x)[2] if cnp.PyArray_NDIM(x) == 3 else 1
    set_axis(&v.first, x)
    v.second.data = v.result.data = NULL
    v.streamed = False


cdef void set_result(Softmax* v, cnp.ndarray y) noexcept:
    cdef Py_ssize_t bytes = cnp.PyArray_NBYTES(y)
    set_axis(&v.result, y)
    v.streamed = (by_rows(v) and v.c * v.table.itemsize >= STREAMED_ROW and v.result.data != v.first.data and
                  worth_streaming(2 * bytes, v.result.data, bytes))


cdef inline bint by_rows(const Softmax* v) noexcept nogil:
    return v.inner == 1 and v.c >= ROW_CLASSES


cdef Py_ssize_t task_count(const Softmax* v) noexcept nogil:
    cdef Py_ssize_t lanes = v.table.lanes
    if by_rows(v):
        return v.outer
    if v.inner == 1:
        return ceil_div(v.outer, lanes)
    return v.outer * ceil_div(v.inner, lanes)


cdef int run_softmax(Softmax* v, task_fn task, int buffers) except -1 nogil:
    # A task is a row, or a block of lanes; each thread has `buffers` of its size and a line between them.
    cdef Py_ssize_t width = 1 if by_rows(v) else v.table.lanes, tasks = task_count(v)
    cdef double elements = <double>v.outer * v.c * v.inner
    cdef double work = work_of(v.table, elements * (ROW_FLOPS if by_rows(v) else BLOCK_FLOPS),
                               buffers * elements * v.table.itemsize)
    if elements == 0:
        return 0
    team_begin(&v.team, work, tasks, 0, <size_t>(buffers * v.c * width * v.table.itemsize + 64))
    team_run(&v.team, task, v, tasks, work)
    team_end()
    return 0


cdef inline const char* row_of(const Softmax* v, const Axis* axis, Py_ssize_t i, char* buffer) noexcept nogil:
    # The classes of sample i, in place or gathered.
    if axis.step == v.table.itemsize:
        return axis.data + i * axis.outer
    v.table.pack.rows(1, v.c, axis.data + i * axis.outer, 0, axis.step, buffer)
    return buffer


cdef struct Block:
    Py_ssize_t outer, inner, count       # first sample and number of samples


cdef inline Block block_of(const Softmax* v, Py_ssize_t task) noexcept nogil:
    cdef Block b
    cdef Py_ssize_t lanes = v.table.lanes, per_outer = ceil_div(v.inner, lanes)
    if v.inner == 1:
        b.outer, b.inner = task * lanes, 0
        b.count = min(lanes, v.outer - b.outer)
    else:
        b.outer, b.inner = task // per_outer, task % per_outer * lanes
        b.count = min(lanes, v.inner - b.inner)
    return b


cdef inline void load_block(const Softmax* v, const Axis* axis, Block b, char* buffer) noexcept nogil:
    cdef Py_ssize_t lane = axis.outer if v.inner == 1 else axis.inner
    v.table.pack.panel(v.c, b.count, v.table.lanes, axis.data + b.outer * axis.outer + b.inner * axis.inner, axis.step, lane,
                       buffer)


cdef inline void store_block(const Softmax* v, const Axis* axis, Block b, const char* buffer) noexcept nogil:
    # The result is C-contiguous.
    cdef char* to = axis.data + b.outer * axis.outer + b.inner * axis.inner
    if v.inner == 1:
        v.table.pack.transpose(v.c, b.count, buffer, v.table.lanes, to, v.c)
    else:
        v.table.pack.scatter(v.c, b.count, buffer, v.table.lanes, to, axis.step, v.table.itemsize)


cdef void forward_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Softmax* v = <const Softmax*>context
    cdef char* buffer = slot_of(&v.team, slot)
    cdef softmax_rows_fn rows = v.table.softmax.rows_log_softmax if v.log else v.table.softmax.rows_softmax
    cdef softmax_fn f
    cdef Py_ssize_t task
    cdef Block b
    if by_rows(v) and v.first.step == v.table.itemsize:
        rows(last - first, v.c, v.first.data + first * v.first.outer, v.first.outer, v.result.data + first * v.result.outer,
             buffer if v.streamed else NULL)
        v.table.fence()
        return
    if by_rows(v):
        for task in range(first, last):
            rows(1, v.c, row_of(v, &v.first, task, buffer), 0, v.result.data + task * v.result.outer,
                 buffer if v.streamed else NULL)
        v.table.fence()
        return
    f = v.table.softmax.lanes_log_softmax if v.log else v.table.softmax.lanes_softmax
    for task in range(first, last):
        b = block_of(v, task)
        load_block(v, &v.first, b, buffer)
        f(v.c, buffer, buffer)
        store_block(v, &v.result, b, buffer)


def forward(
    cnp.ndarray x,           # IN (outer, c, inner)
    cnp.ndarray y,           # OUT the same shape, C-contiguous; may be x
    bint log,
):
    cdef Softmax v
    begin_softmax(&v, x)
    set_result(&v, y)
    v.log = log
    with nogil:
        run_softmax(&v, forward_tasks, 1)


cdef void backward_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Softmax* v = <const Softmax*>context
    cdef char* buffer = slot_of(&v.team, slot)
    cdef char* other = buffer + v.team.slot_bytes // 2 // 64 * 64
    cdef softmax_gradient_fn f
    cdef Py_ssize_t task
    cdef Block b
    if by_rows(v):
        f = v.table.softmax.row_log_softmax_backward if v.log else v.table.softmax.row_softmax_backward
        for task in range(first, last):
            f(v.c, row_of(v, &v.first, task, buffer), row_of(v, &v.second, task, other),
              v.result.data + task * v.result.outer)
        return
    f = v.table.softmax.lanes_log_softmax_backward if v.log else v.table.softmax.lanes_softmax_backward
    for task in range(first, last):
        b = block_of(v, task)
        load_block(v, &v.first, b, buffer)
        load_block(v, &v.second, b, other)
        f(v.c, buffer, other, buffer)
        store_block(v, &v.result, b, buffer)


def backward(
    cnp.ndarray dy,          # IN (outer, c, inner)
    cnp.ndarray y,           # IN the same shape
    cnp.ndarray dx,          # OUT the same shape, C-contiguous
    bint log,
):
    cdef Softmax v
    begin_softmax(&v, dy)
    set_axis(&v.second, y)
    set_axis(&v.result, dx)
    v.log = log
    with nogil:
        run_softmax(&v, backward_tasks, 3)


cdef inline sample_target target_of(const Softmax* v, Py_ssize_t sample) noexcept nogil:
    # A class that another thread has written since `divide` checked it counts as ignored where there is no such class.
    cdef sample_target t
    cdef int64_t label
    t.target, t.hard, t.scale = TARGET_NONE, 0, v.scale
    if v.classes != NULL:
        label = load_once(v.classes + sample)
        if v.has_ignored and label == v.ignored or <uint64_t>label >= <uint64_t>v.c:
            t.target = TARGET_IGNORED
        else:
            t.target = label
            t.hard = v.keep * (1.0 if v.weight == NULL else real_at(v.table, v.weight, label))
    return t


cdef void entropy_rows(const Softmax* v, Py_ssize_t first, Py_ssize_t last, char* buffer, char* base) noexcept nogil:
    cdef Py_ssize_t i, size = v.table.itemsize
    cdef double base_sum = v.base_sum
    cdef sample_target t
    cdef const char* used = v.base
    for i in range(first, last):
        t = target_of(v, i)
        if v.second.data != NULL:
            base_sum = v.table.softmax.row_base(v.c, row_of(v, &v.second, i, base), v.weight, v.keep, v.even, base)
            used = base
        v.table.softmax.row_cross_entropy(
            v.c, row_of(v, &v.first, i, buffer), used, base_sum, &t,
            NULL if v.result.data == NULL else v.result.data + i * v.result.outer, v.losses + i * size,
            buffer if v.streamed else NULL)
    v.table.fence()


cdef void entropy_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Softmax* v = <const Softmax*>context
    cdef char* buffer = slot_of(&v.team, slot)
    cdef char* base = buffer + v.team.slot_bytes // 2 // 64 * 64
    cdef const char* used = v.base
    cdef sample_target targets[MOST_LANES]
    cdef double sums[MOST_LANES]
    cdef Py_ssize_t task, lane, sample
    cdef Block b
    if by_rows(v):
        entropy_rows(v, first, last, buffer, base)
        return
    for lane in range(MOST_LANES):
        sums[lane] = v.base_sum
    for task in range(first, last):
        b = block_of(v, task)
        sample = b.outer * v.inner + b.inner          # samples of a block follow each other
        for lane in range(b.count):
            targets[lane] = target_of(v, sample + lane)
        load_block(v, &v.first, b, buffer)
        if v.second.data != NULL:
            load_block(v, &v.second, b, base)
            v.table.softmax.lanes_base(v.c, base, v.weight, v.keep, v.even, base, sums)
            used = base
        v.table.softmax.lanes_cross_entropy(v.c, b.count, buffer, used, v.second.data == NULL, sums, targets,
                                            NULL if v.result.data == NULL else buffer,
                                            v.losses + sample * v.table.itemsize)
        if v.result.data != NULL:
            store_block(v, &v.result, b, buffer)


cdef Py_ssize_t divide(Softmax* v, double* divisor) noexcept nogil:
    # The sum of the weights of the classes that count; the first sample whose class is out of range, or -1.
    cdef Py_ssize_t i, counted = 0
    cdef int64_t label
    divisor[0] = 0
    for i in range(v.outer * v.inner):
        label = load_once(v.classes + i)
        if v.has_ignored and label == v.ignored:
            continue
        if label < 0 or label >= v.c:
            return i
        counted += 1
        if v.weight != NULL:
            divisor[0] += real_at(v.table, v.weight, label)
    if v.weight == NULL:
        divisor[0] = counted
    return -1


def cross_entropy(
    cnp.ndarray x,           # IN (outer, c, inner)
    cnp.ndarray classes,     # IN (outer * inner,) int64, C-contiguous, or None
    cnp.ndarray target,      # IN (outer, c, inner) probabilities, or None
    cnp.ndarray weight,      # IN (c,), C-contiguous, or None
    cnp.ndarray base,        # IN (c,), C-contiguous: smoothing / c times the weights, or None
    double smoothing,
    ignored,                 # a class, or None
    bint mean,
    cnp.ndarray dx,          # OUT (outer, c, inner), C-contiguous, or None
    cnp.ndarray losses,      # OUT (outer * inner,), C-contiguous
):
    """(sum of the losses, what the mean divides by, -1), or the first sample whose class is out of range in place of -1."""
    cdef Softmax v
    cdef Py_ssize_t i, samples
    cdef double divisor, total
    begin_softmax(&v, x)
    samples = v.outer * v.inner
    v.has_ignored = ignored is not None
    v.ignored = 0 if ignored is None else ignored
    v.classes = NULL
    v.weight = <const char*>cnp.PyArray_DATA(weight) if weight is not None else NULL
    v.base, v.base_sum = NULL, 0
    v.keep, v.even = 1 - smoothing, smoothing / max(<Py_ssize_t>1, v.c)
    v.losses = <char*>cnp.PyArray_DATA(losses)
    if base is not None:
        v.base = <const char*>cnp.PyArray_DATA(base)
        for i in range(v.c):
            v.base_sum += real_at(v.table, v.base, i)
    if classes is not None:
        v.classes = <const int64_memory*>cnp.PyArray_DATA(classes)
        i = divide(&v, &divisor)
        if i >= 0:
            return 0.0, 0.0, i
    else:
        set_axis(&v.second, target)
        divisor = samples
    v.scale = 1 / divisor if mean else 1
    if dx is not None:
        set_result(&v, dx)
    with nogil:
        run_softmax(&v, entropy_tasks, 3)
        total = sum_in_double(v.table, v.losses, samples)
    return total, divisor, -1
