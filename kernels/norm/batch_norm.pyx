"""Batch normalisation of (n, c, *spatial) and its gradient: sums over the positions of each channel, then a map.

The positions of a channel are cut into blocks (channels.pxd), whose sums are put together in order in double precision
(batch_sums.pxd): neither strides nor threads change a bit.

Where planes are large and channels many, a task takes some channels through both passes: they fit the cache. Else there
is one pass over the blocks of all channels for the sums and one over the samples for the map.
"""
from libc.math cimport INFINITY, fabs, ldexp
from libc.string cimport memcpy
cimport numpy as cnp

from npkernels._kernels.batch_sums cimport Norm, finish, scaled_run, set_terms, sum_block, take_anew
from npkernels._kernels.channels cimport BLOCK, RUN, block_start, read, set_blocks, set_channels
from npkernels._kernels.runtime cimport num_threads, parallel_for, primitives_for, workspace, workspace_done, worth_streaming
from npkernels._kernels.scalars cimport put, real_at, round_to_line
from npkernels._kernels.strided cimport offset_of
from npkernels._kernels.units cimport large_unit

cnp.import_array()

cdef enum:
    TASK = 1 << 15           # elements that a task takes at least
    FUSED_MOST = 1 << 19     # bytes of x in the channels that a task takes through both passes
    FUSED_BYTES = 1 << 20    # of x, dy and what is written, if it takes several
    FUSED_RUN = 1 << 11      # bytes of x that lie together: shorter runs are better read in the order of memory, twice
    TERMS = 4                # numbers that the map has for each channel


cdef void begin(Norm* v, cnp.ndarray x, cnp.ndarray y) noexcept:
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_blocks(&v.blocks, v.table, x)
    set_channels(&v.blocks, &v.x, x)
    v.y, v.backward, v.scaled = <char*>cnp.PyArray_DATA(y), False, False


cdef void map_rows(const Norm* v, Py_ssize_t sample, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t first,
                   Py_ssize_t count, char* buffer) noexcept nogil:
    # y[sample, channel .. channel + channels, first .. first + count]
    cdef Py_ssize_t pitch, dy_pitch, size = v.table.itemsize, start = sample * v.blocks.s + first, i
    cdef char* y = v.y + ((sample * v.blocks.c + channel) * v.blocks.s + first) * size
    cdef const char* x
    cdef const char* dy
    if v.scaled and channels > 1:
        for i in range(channels):
            map_rows(v, sample, channel + i, 1, first, count, buffer)
        return
    if v.scaled and v.units[2 * channel] != 1:
        x, pitch = scaled_run(v, channel, start, count, buffer), 0
    else:
        x = read(&v.blocks, &v.x, channel, channels, start, count, buffer, &pitch)
    if v.backward:
        dy = read(&v.blocks, &v.dy, channel, channels, start, count, buffer + v.scratch_bytes // 2, &dy_pitch)
        v.table.norm.gradient_rows(channels, count, dy, dy_pitch, x, pitch, &v.gradient, channel, y, v.blocks.s * size)
    else:
        v.table.norm.rows(channels, count, x, pitch, &v.map, channel, y, v.blocks.s * size)


cdef inline Py_ssize_t group_count(const Norm* v) noexcept nogil:
    return (v.blocks.c + v.blocks.group - 1) // v.blocks.group


cdef void fused_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Both passes over groups of channels.
    cdef Norm own = (<const Norm*>context)[0]
    cdef Norm* v = &own
    cdef char* buffer = v.scratch + <size_t>slot * v.scratch_bytes
    cdef Py_ssize_t task, block, channel, channels, start
    for task in range(first, last):
        channel = task * v.fused
        channels = min(v.fused, v.blocks.c - channel)
        for block in range(v.blocks.count):
            sum_block(v, channel, channels, block, buffer)
        v.scaled = finish(v, channel, channel + channels, buffer) or (v.backward and v.scaled)
        for block in range(v.blocks.count):
            start = block_start(&v.blocks, block)
            map_rows(v, block // v.blocks.parts, channel, channels, start % v.blocks.s,
                     block_start(&v.blocks, block + 1) - start, buffer)
    v.table.fence()


cdef inline Py_ssize_t block_of(const Norm* v, Py_ssize_t task, Py_ssize_t* channel) noexcept nogil:
    # Large planes in the order of memory, (n, groups, parts), else (groups, blocks).
    cdef Py_ssize_t groups = group_count(v)
    if v.blocks.parts == 0:
        channel[0] = task // v.blocks.count * v.blocks.group
        return task % v.blocks.count
    channel[0] = task // v.blocks.parts % groups * v.blocks.group
    return task // v.blocks.parts // groups * v.blocks.parts + task % v.blocks.parts


cdef void sum_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Blocks of groups of channels.
    cdef const Norm* v = <const Norm*>context
    cdef char* buffer = v.scratch + <size_t>slot * v.scratch_bytes
    cdef Py_ssize_t task, channel, block
    for task in range(first, last):
        block = block_of(v, task, &channel)
        sum_block(v, channel, min(v.blocks.group, v.blocks.c - channel), block, buffer)


cdef void finish_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* v = <const Norm*>context
    finish(v, first, last, v.scratch + <size_t>slot * v.scratch_bytes)


cdef void map_sample(const Norm* v, Py_ssize_t sample, char* buffer) noexcept nogil:
    # y[sample] where a plane is one element: a row of channels.
    cdef Py_ssize_t size = v.table.itemsize, channel
    cdef char* y = v.y + sample * v.blocks.c * size
    cdef const char* x = v.x.positions.data + offset_of(&v.x.positions, sample)
    cdef const char* dy
    if v.x.stride != size:
        v.table.pack.rows(1, v.blocks.c, x, 0, v.x.stride, buffer)
        x = buffer
    if v.scaled:
        if x != buffer:
            memcpy(buffer, x, <size_t>(v.blocks.c * size))
        x = buffer
        for channel in range(v.blocks.c):
            put(v.table, buffer, channel, real_at(v.table, buffer, channel) * v.units[2 * channel])
    if not v.backward:
        v.table.norm.columns(v.blocks.c, x, &v.map, y)
        return
    dy = v.dy.positions.data + offset_of(&v.dy.positions, sample)
    if v.dy.stride != size:
        v.table.pack.rows(1, v.blocks.c, dy, 0, v.dy.stride, buffer + v.scratch_bytes // 2)
        dy = buffer + v.scratch_bytes // 2
    v.table.norm.gradient_columns(v.blocks.c, dy, x, &v.gradient, y)


cdef void map_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Samples of small planes; parts of large ones, (n, groups, parts).
    cdef const Norm* v = <const Norm*>context
    cdef char* buffer = v.scratch + <size_t>slot * v.scratch_bytes
    cdef Py_ssize_t task, channel, block, start, group
    for task in range(first, last):
        if v.blocks.s == 1:
            map_sample(v, task, buffer)
        elif v.blocks.parts == 0:
            group, channel = v.blocks.c if v.blocks.whole else v.blocks.group, 0
            while channel < v.blocks.c:
                map_rows(v, task, channel, min(group, v.blocks.c - channel), 0, v.blocks.s, buffer)
                channel += group
        else:
            block = block_of(v, task, &channel)
            start = block_start(&v.blocks, block)
            map_rows(v, block // v.blocks.parts, channel, min(v.blocks.group, v.blocks.c - channel), start % v.blocks.s,
                     block_start(&v.blocks, block + 1) - start, buffer)
    v.table.fence()


cdef void share(const Norm* v, void (*task)(void*, Py_ssize_t, Py_ssize_t, int) noexcept nogil, Py_ssize_t tasks,
                int threads) noexcept nogil:
    cdef Py_ssize_t each = v.blocks.n * v.blocks.c * v.blocks.s // tasks + 1
    parallel_for(task, <void*>v, tasks, max(<Py_ssize_t>1, TASK // each), threads)


cdef int set_memory(Norm* v, int threads, bint sums) except -1 nogil:
    # Terms, units and sums of all channels, and for each thread a buffer for the operands.
    cdef size_t terms = round_to_line(<size_t>(TERMS * v.blocks.c * v.table.itemsize))
    cdef size_t unit_bytes = <size_t>(2 * v.blocks.c) * sizeof(double)
    cdef size_t sum_bytes = <size_t>(v.blocks.c * v.blocks.count * 2) * sizeof(double) if sums else 0
    cdef Py_ssize_t bytes, channel, block = v.blocks.group * (<Py_ssize_t>(BLOCK if v.blocks.parts > 0 else RUN) + v.table.lanes)
    v.scratch_bytes = <size_t>(2 * max(block, v.blocks.c if v.blocks.s == 1 else 1) * v.table.itemsize + 127) & ~<size_t>127
    v.terms = <char*>workspace(terms + unit_bytes + sum_bytes + v.scratch_bytes * <size_t>threads)
    if v.terms == NULL:
        raise MemoryError("no memory for the sums of batch normalisation")
    v.units = <double*>(v.terms + terms)
    for channel in range(v.blocks.c):
        v.units[2 * channel] = 1
    v.sums = <double*>(v.terms + terms + unit_bytes)
    v.scratch = v.terms + terms + unit_bytes + sum_bytes
    terms = <size_t>(v.blocks.c * v.table.itemsize)
    v.map.mean, v.map.rest, v.map.scale, v.map.shift = v.terms, v.terms + terms, v.terms + 2 * terms, v.terms + 3 * terms
    v.gradient.mean, v.gradient.offset = v.mean, v.terms
    v.gradient.slope, v.gradient.scale = v.terms + terms, v.terms + 2 * terms
    bytes = v.blocks.n * v.blocks.c * v.blocks.s * v.table.itemsize
    v.map.streamed = v.gradient.streamed = v.y != v.x.positions.data and worth_streaming(
        (3 if v.backward else 2) * bytes, v.y, bytes)
    return 0


cdef void map_all(Norm* v, int threads) noexcept nogil:
    if v.blocks.n * v.blocks.s > 0:
        share(v, map_tasks, v.blocks.n if v.blocks.parts == 0 else v.blocks.n * group_count(v) * v.blocks.parts, threads)


cdef bint plan_fused(Norm* v, int threads) noexcept nogil:
    # Whether tasks take channels through both passes while the cache holds them, so that memory is read once.
    cdef Py_ssize_t channel = v.blocks.n * v.blocks.s * v.table.itemsize, fused = v.blocks.group
    v.fused = 0
    if v.blocks.parts == 0 or fused * channel > FUSED_MOST:
        return False
    if v.blocks.group == 1 and v.blocks.whole:
        fused = max(<Py_ssize_t>1, min(v.blocks.c // (4 * threads), FUSED_BYTES // ((3 if v.backward else 2) * channel)))
    if fused * v.blocks.s * v.table.itemsize < FUSED_RUN or (v.blocks.c < 4 * threads * fused and threads > 1):
        return False
    v.fused = fused
    return True


cdef void find_lost(Norm* v) noexcept nogil:
    # Backward: a variance that is infinite left the dtype and is taken anew.
    cdef Py_ssize_t channel, size = v.table.itemsize
    cdef char* means = v.terms + 3 * v.blocks.c * size
    cdef double mean, variance
    for channel in range(v.blocks.c):
        put(v.table, means, channel, real_at(v.table, v.mean, channel))
        if real_at(v.table, v.variance, channel) == INFINITY and v.blocks.count > 0:
            take_anew(v, channel, large_unit(v.table), &mean, &variance, v.scratch)
            put(v.table, means, channel, mean)
            v.gradient.mean, v.scaled = means, True


cdef int run(Norm* v) except -1 nogil:
    cdef Py_ssize_t groups = group_count(v), channel
    cdef int threads = num_threads() if v.blocks.n * v.blocks.c * v.blocks.s > TASK else 1
    if v.blocks.c == 0:
        return 0
    set_memory(v, threads, True)
    if v.backward:
        find_lost(v)
    if plan_fused(v, threads):
        share(v, fused_tasks, (v.blocks.c + v.fused - 1) // v.fused, threads)
    else:
        if v.blocks.count > 0:
            share(v, sum_tasks, groups * v.blocks.count, threads)
        parallel_for(finish_tasks, v, v.blocks.c, 256, threads)
        for channel in range(v.blocks.c):
            v.scaled |= v.units[2 * channel] != 1
        map_all(v, threads)
    workspace_done()
    return 0


def forward(
    cnp.ndarray x,             # IN (n, c, *spatial), n > 0 and spatial > 0
    cnp.ndarray gamma,         # IN (c,), C-contiguous
    cnp.ndarray beta,          # IN (c,), C-contiguous
    double eps,
    cnp.ndarray y,             # OUT shape of x, C-contiguous
    cnp.ndarray mean,          # OUT (c,), C-contiguous
    cnp.ndarray variance,      # OUT (c,), C-contiguous
):
    cdef Norm v
    begin(&v, x, y)
    v.gamma, v.beta, v.eps = <const char*>cnp.PyArray_DATA(gamma), <const char*>cnp.PyArray_DATA(beta), eps
    v.mean, v.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    with nogil:
        run(&v)


def inference(
    cnp.ndarray x,             # IN (n, c, *spatial)
    cnp.ndarray gamma,         # IN (c,), C-contiguous, and the three below
    cnp.ndarray beta,
    cnp.ndarray mean,
    cnp.ndarray variance,
    double eps,
    cnp.ndarray y,             # OUT shape of x, C-contiguous; may be x
):
    cdef Norm v
    cdef int threads
    cdef double mean_, variance_, largest
    cdef Py_ssize_t channel
    begin(&v, x, y)
    v.gamma, v.beta, v.eps = <const char*>cnp.PyArray_DATA(gamma), <const char*>cnp.PyArray_DATA(beta), eps
    v.mean, v.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    with nogil:
        threads = num_threads() if v.blocks.n * v.blocks.c * v.blocks.s > TASK else 1
        set_memory(&v, threads, False)
        largest = ldexp(1, 125 if v.table.itemsize == sizeof(float) else 1021)
        for channel in range(v.blocks.c):
            mean_, variance_ = real_at(v.table, v.mean, channel), real_at(v.table, v.variance, channel)
            if fabs(mean_) > largest:        # x - mean may overflow
                v.units[2 * channel], v.scaled = 0.25, True
            set_terms(&v, channel, mean_ * v.units[2 * channel], variance_ * v.units[2 * channel] * v.units[2 * channel])
        if v.blocks.c > 0:
            map_all(&v, threads)
        workspace_done()


def backward(
    cnp.ndarray dy,            # IN (n, c, *spatial)
    cnp.ndarray x,             # IN the same shape
    cnp.ndarray gamma,         # IN (c,), C-contiguous, and the two below
    cnp.ndarray mean,
    cnp.ndarray variance,
    double eps,
    cnp.ndarray dx,            # OUT shape of x, C-contiguous
    cnp.ndarray dgamma,        # OUT (c,), C-contiguous
    cnp.ndarray dbeta,         # OUT (c,), C-contiguous
):
    cdef Norm v
    begin(&v, x, dx)
    set_channels(&v.blocks, &v.dy, dy)
    v.backward = True
    v.gamma, v.eps = <const char*>cnp.PyArray_DATA(gamma), eps
    v.mean, v.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    v.dgamma, v.dbeta = <char*>cnp.PyArray_DATA(dgamma), <char*>cnp.PyArray_DATA(dbeta)
    with nogil:
        run(&v)
