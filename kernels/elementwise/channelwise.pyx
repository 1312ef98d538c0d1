"""Activations by channel, and the gradients of their parameters; maximum of neighbouring channels.

The elements, in C order, are cut into rows. Where a channel has many neighbours, a row is the elements of one channel in one
sample; otherwise it is one sample or several, and the parameters are written out for every element of a row once a call.
Rows are cut into chunks.

A task owns a chunk of consecutive rows: it adds what they give to the gradients of the parameters into sums of its own. The
tasks and the order in which their sums are added follow from sizes alone, so that threads change no bits.
"""
cimport numpy as cnp
from libc.stdint cimport int32_t
from libc.string cimport memset

from npkernels._kernels.layout cimport MOST_AXES, read_strides
from npkernels._kernels.primitives cimport (
    CHANNELWISE_APL, CHANNELWISE_BRELU, CHANNELWISE_PRELU, CHANNELWISE_SRELU, channel_parameters, primitives, strided,
)
from npkernels._kernels.runtime cimport (
    Team, primitives_for, slot_of, team_begin, team_end, team_run, work_of,
)
from npkernels._kernels.scalars cimport ceil_div, real_at, round_to_line
from npkernels._kernels.strided cimport (
    READ, WRITE, Elementwise, elementwise_begin, elementwise_operand, elementwise_read, elementwise_run, elementwise_work,
    merge_array, merge_axes,
)

cnp.import_array()

ctypedef fused floating:
    float
    double

PRELU, BRELU, SRELU, APL = CHANNELWISE_PRELU, CHANNELWISE_BRELU, CHANNELWISE_SRELU, CHANNELWISE_APL

cdef enum:
    CHUNK = 2048            # elements; their sums, and what is gathered, stay in the first-level cache
    LONG_CHUNK = 32768      # where there is neither
    SHORT = 512             # elements of a row across channels, if there are so many: its sums are to stay in that cache, too
    FLOPS = 4               # of an element
    LONG = 128              # neighbours of a channel, from which on a row is of one channel
    BLOCKS = 32             # of rows, at least, if there are so many

cdef struct Walk:
    Elementwise arrays      # x, y or dy, x, dx; the last one C-contiguous
    int function
    bint backward
    channel_parameters parameters
    Py_ssize_t channels, inner
    Py_ssize_t row, rows    # elements of a row, rows
    Py_ssize_t chunk, chunks, block, tasks       # elements of a chunk, chunks of a row, rows of a task, tasks
    double* sums            # (tasks, parameters, parameters.sums_pitch), or NULL
    Team team


cdef void plan_walk(Walk* w, Py_ssize_t size, Py_ssize_t channels, Py_ssize_t inner) noexcept nogil:
    cdef channel_parameters* c = &w.parameters
    cdef Py_ssize_t blocks
    w.channels, w.inner = channels, inner
    c.step = inner < LONG and channels > 1
    w.row = inner
    w.chunk = CHUNK if w.backward or w.arrays.strided else LONG_CHUNK
    if c.step:
        w.row = channels * inner
        w.row *= max(min(<Py_ssize_t>SHORT if w.backward else <Py_ssize_t>CHUNK, size) // w.row, <Py_ssize_t>1)
    w.rows = ceil_div(size, w.row)
    w.chunks = ceil_div(w.row, w.chunk)
    c.pitch = w.row if c.step else channels
    c.sums_pitch = CHUNK if c.step else channels
    blocks = min(w.rows, ceil_div(BLOCKS, w.chunks))
    w.block = ceil_div(w.rows, blocks)
    w.tasks = ceil_div(w.rows, w.block) * w.chunks


cdef void write_parameters(const Walk* w, const char* parameters, char* to) noexcept nogil:
    # to[k, i] = parameters[k, i // inner % channels] for the elements i of a row across channels
    if w.arrays.table.itemsize == sizeof(float):
        repeat_each(w, parameters, <float*>to)
    else:
        repeat_each(w, parameters, <double*>to)


cdef void repeat_each(const Walk* w, const char* parameters, floating* to) noexcept nogil:
    cdef Py_ssize_t k, _repeat, channel, i
    cdef floating value
    for k in range(w.parameters.count):
        for _repeat in range(w.row // (w.channels * w.inner)):
            for channel in range(w.channels):
                value = <floating>real_at(w.arrays.table, parameters, k * w.channels + channel)
                for i in range(w.inner):
                    to[i] = value
                to += w.inner


cdef void run_row(const Walk* w, channel_parameters* c, Py_ssize_t first, Py_ssize_t count, char* scratch) noexcept nogil:
    cdef const Elementwise* e = &w.arrays
    cdef Py_ssize_t size = e.table.itemsize
    cdef const char* a = elementwise_read(e, 0, first, count, scratch)
    if w.backward:
        e.table.channelwise.backward[w.function](
            count, a, elementwise_read(e, 1, first, count, scratch + CHUNK * size), e.data[2] + first * size, c)
    else:
        e.table.channelwise.forward[w.function](count, a, e.data[1] + first * size, c)


cdef void run_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Walk* w = <const Walk*>context
    cdef channel_parameters c = w.parameters
    cdef Py_ssize_t task, row, chunk, start, end, channel, size = w.arrays.table.itemsize
    cdef double* sums
    for task in range(first, last):
        chunk = task % w.chunks * w.chunk
        sums = w.sums
        if sums != NULL:
            sums += task * c.count * c.sums_pitch
            memset(sums, 0, <size_t>(c.count * c.sums_pitch) * sizeof(double))
        for row in range(task // w.chunks * w.block, min(w.rows, (task // w.chunks + 1) * w.block)):
            channel = 0 if c.step else row % w.channels
            c.parameters = <char*>w.parameters.parameters + (chunk if c.step else channel) * size
            c.sums = NULL if sums == NULL else sums + channel
            start = row * w.row + chunk
            end = min(min(start + w.chunk, (row + 1) * w.row), w.arrays.size)
            if start < end:
                run_row(w, &c, start, end - start, slot_of(&w.team, slot))


cdef void add_sums(const Walk* w, double* total) noexcept nogil:
    # total[k, channel] += the sums of all tasks: block by block, then from chunk to chunk
    cdef Py_ssize_t count = w.parameters.count, pitch = w.parameters.sums_pitch, size = w.chunks * count * pitch
    cdef Py_ssize_t block, chunk, k, i, element, end, channel
    cdef double* sums = w.sums
    cdef const double* more
    for block in range(1, w.tasks // w.chunks):
        more = w.sums + block * size
        for i in range(size):
            sums[i] += more[i]
    for chunk in range(w.chunks):
        for k in range(count):
            sums = w.sums + (chunk * count + k) * pitch
            if not w.parameters.step:
                for channel in range(w.channels):
                    total[k * w.channels + channel] += sums[channel]
                continue
            element, end = chunk * w.chunk, min((chunk + 1) * w.chunk, w.row)
            channel = element // w.inner % w.channels
            while element < end:
                for i in range(element, min(end, element // w.inner * w.inner + w.inner)):
                    total[k * w.channels + channel] += sums[i - chunk * w.chunk]
                element = element // w.inner * w.inner + w.inner
                channel = channel + 1 if channel + 1 < w.channels else 0


cdef int run_walk(Walk* w, cnp.ndarray parameters, double* total) except -1:
    # parameters (count, channels); total (count, channels) is added to, or NULL
    cdef Elementwise* e = &w.arrays
    cdef channel_parameters* c = &w.parameters
    cdef double work = elementwise_work(e)
    cdef size_t written = round_to_line(<size_t>(c.count * w.row * e.table.itemsize)) if c.step else 0
    cdef size_t summed = <size_t>(w.tasks * c.count * c.sums_pitch) * sizeof(double) if total != NULL else 0
    team_begin(&w.team, work, w.tasks, written + summed, <size_t>(2 * CHUNK * e.table.itemsize) if e.strided else 0)
    c.parameters = cnp.PyArray_DATA(parameters)
    w.sums = <double*>(w.team.shared + written) if total != NULL else NULL
    with nogil:
        if c.step:
            write_parameters(w, <char*>c.parameters, w.team.shared)
            c.parameters = w.team.shared
        team_run(&w.team, run_tasks, w, w.tasks, work)
        if total != NULL:
            add_sums(w, total)
    team_end()
    return 0


def forward(
    int function,
    cnp.ndarray x,             # IN any shape, in C order (samples, channels, inner)
    cnp.ndarray parameters,    # IN (count, channels), C-contiguous
    Py_ssize_t inner,
    cnp.ndarray y,             # OUT shape of x, C-contiguous; may be x
):
    # y = f(x; parameters of the channel)
    cdef Walk w
    elementwise_begin(&w.arrays, y, FLOPS, NULL, NULL)
    if w.arrays.size == 0:
        return
    elementwise_operand(&w.arrays, x, READ)
    elementwise_operand(&w.arrays, y, WRITE)
    w.function, w.backward, w.parameters.count = function, False, <int>cnp.PyArray_DIM(parameters, 0)
    plan_walk(&w, w.arrays.size, cnp.PyArray_DIM(parameters, 1), inner)
    run_walk(&w, parameters, NULL)


def backward(
    int function,
    cnp.ndarray dy,            # IN shape of x
    cnp.ndarray x,             # IN any shape, in C order (samples, channels, inner)
    cnp.ndarray parameters,    # IN (count, channels), C-contiguous
    Py_ssize_t inner,
    cnp.ndarray dx,            # OUT shape of x, C-contiguous; may be dy or x
    cnp.ndarray sums=None,     # IN OUT float64 (count, channels), C-contiguous: the gradients are added
):
    # dx = dy f'(x);  sums[k, j] += sum over the elements of channel j of dy df/dparameter k
    cdef Walk w
    elementwise_begin(&w.arrays, dx, FLOPS, NULL, NULL)
    if w.arrays.size == 0:
        return
    elementwise_operand(&w.arrays, dy, READ)
    elementwise_operand(&w.arrays, x, READ)
    elementwise_operand(&w.arrays, dx, WRITE)
    w.function, w.backward, w.parameters.count = function, True, <int>cnp.PyArray_DIM(parameters, 0)
    plan_walk(&w, w.arrays.size, cnp.PyArray_DIM(parameters, 1), inner)
    run_walk(&w, parameters, NULL if sums is None else <double*>cnp.PyArray_DATA(sums))


cdef struct Maxout:
    const primitives* table
    Py_ssize_t size, pieces, piece_stride   # results, pieces, bytes from one piece to the next
    strided first           # the elements of the first pieces: in x, or in dx
    strided other           # dy where it is not contiguous
    bint gathered           # whether it is not
    char* data              # y or dy
    int32_t* which
    Team team


cdef void maxout_chunks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Maxout* m = <const Maxout*>context
    cdef Py_ssize_t chunk, start, count, piece, size = m.table.itemsize
    cdef char* row = slot_of(&m.team, slot)
    cdef strided view = m.first
    for chunk in range(first, last):
        start = chunk * CHUNK
        count = min(<Py_ssize_t>CHUNK, m.size - start)
        for piece in range(m.pieces):
            view.data = m.first.data + piece * m.piece_stride
            m.table.strided.gather(&view, start, count, row)
            m.table.channelwise.maxout(count, <int>piece, row, m.data + start * size,
                                       <int*>m.which + start)


cdef void maxout_backward_chunks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Maxout* m = <const Maxout*>context
    cdef Py_ssize_t chunk, start, count, piece, size = m.table.itemsize
    cdef char* row = slot_of(&m.team, slot)
    cdef char* dy
    cdef strided view = m.first
    for chunk in range(first, last):
        start = chunk * CHUNK
        count = min(<Py_ssize_t>CHUNK, m.size - start)
        dy = m.data + start * size
        if m.gathered:
            dy = row + CHUNK * size
            m.table.strided.gather(&m.other, start, count, dy)
        for piece in range(m.pieces):
            m.table.channelwise.maxout_backward(count, <int>piece, dy, <int*>m.which + start, row)
            view.data = m.first.data + piece * m.piece_stride
            m.table.strided.scatter(&view, start, count, row)


cdef int maxout_run(Maxout* m, bint backward, cnp.ndarray pieces_of, int axis, Py_ssize_t pieces, cnp.ndarray which) except -1:
    cdef cnp.npy_intp shape[MOST_AXES]
    cdef cnp.npy_intp strides[MOST_AXES]
    cdef int i, axes = cnp.PyArray_NDIM(pieces_of)
    cdef Py_ssize_t chunks
    cdef double work
    read_strides(pieces_of, strides)
    for i in range(axes):
        shape[i] = cnp.PyArray_DIM(pieces_of, i)
    m.pieces, m.piece_stride = pieces, strides[axis]
    shape[axis] //= pieces
    strides[axis] *= pieces
    m.table = primitives_for(cnp.PyArray_TYPE(pieces_of))
    m.size = cnp.PyArray_SIZE(which)
    m.which = <int32_t*>cnp.PyArray_DATA(which)
    if m.size == 0:
        return 0
    merge_axes(&m.first, <char*>cnp.PyArray_DATA(pieces_of), axes, shape, strides)
    chunks = ceil_div(m.size, CHUNK)
    work = work_of(m.table, 0, 8.0 * pieces * m.size * m.table.itemsize)     # twice through the gathered elements, and `which`
    team_begin(&m.team, work, chunks, 0, <size_t>(2 * CHUNK * m.table.itemsize))
    with nogil:
        team_run(&m.team, maxout_backward_chunks if backward else maxout_chunks, m, chunks, work)
    team_end()
    return 0


def maxout(
    cnp.ndarray x,             # IN any shape
    int axis,
    Py_ssize_t pieces,         # divides the size of the axis
    cnp.ndarray y,             # OUT shape of x, but the axis shorter by `pieces`; C-contiguous
    cnp.ndarray which,         # OUT int32, shape of y, C-contiguous
):
    # y[.., j, ..], which[.., j, ..] = max, argmax over q of x[.., j pieces + q, ..]
    cdef Maxout m
    m.data, m.gathered = <char*>cnp.PyArray_DATA(y), False
    maxout_run(&m, False, x, axis, pieces, which)


def maxout_backward(
    cnp.ndarray dy,            # IN shape of `which`
    cnp.ndarray which,         # IN int32, C-contiguous, in [0, pieces)
    int axis,
    Py_ssize_t pieces,
    cnp.ndarray dx,            # OUT the axis longer by `pieces`, C-contiguous
):
    # dx[.., j pieces + q, ..] = dy[.., j, ..] where q = which[.., j, ..], else 0
    cdef Maxout m
    m.data, m.gathered = <char*>cnp.PyArray_DATA(dy), not cnp.PyArray_IS_C_CONTIGUOUS(dy)
    if m.gathered and cnp.PyArray_SIZE(dy) > 0:
        merge_array(&m.other, dy)
    maxout_run(&m, True, dx, axis, pieces, which)


cdef void scaled_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    cdef channel_parameters c
    c.parameters, c.pitch, c.count, c.step, c.sums = at[1], 0, 1, 1, NULL
    e.table.channelwise.forward[CHANNELWISE_PRELU](count, at[0], at[2], &c)


cdef void scaled_backward_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    cdef channel_parameters c
    c.parameters, c.pitch, c.count, c.step, c.sums = at[2], 0, 1, 1, NULL
    e.table.channelwise.backward[CHANNELWISE_PRELU](count, at[0], at[1], at[3], &c)


def scaled(
    cnp.ndarray x,             # IN any shape
    cnp.ndarray slopes,        # IN shape of x
    cnp.ndarray y,             # OUT shape of x, C-contiguous; may be x
):
    # y = slopes x for x < 0, else x
    cdef Elementwise e
    elementwise_begin(&e, y, FLOPS, scaled_row, NULL)
    elementwise_operand(&e, x, READ)
    elementwise_operand(&e, slopes, READ)
    elementwise_operand(&e, y, WRITE)
    elementwise_run(&e)


def scaled_backward(
    cnp.ndarray dy,            # IN shape of x
    cnp.ndarray x,             # IN any shape
    cnp.ndarray slopes,        # IN shape of x
    cnp.ndarray dx,            # OUT shape of x, C-contiguous; may be dy or x
):
    # dx = slopes dy for x < 0, else dy
    cdef Elementwise e
    elementwise_begin(&e, dx, FLOPS, scaled_backward_row, NULL)
    elementwise_operand(&e, dy, READ)
    elementwise_operand(&e, x, READ)
    elementwise_operand(&e, slopes, READ)
    elementwise_operand(&e, dx, WRITE)
    elementwise_run(&e)
