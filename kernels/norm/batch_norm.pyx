"""Batch normalisation of (n, c, *spatial) and its gradient: sums over the positions of each channel, then a map.

The positions of a channel are cut into blocks (channels.pxd), whose sums are put together in order in double precision
(batch_sums.pxd): neither strides nor threads change a bit.

Where planes are large and channels many, a task takes some channels through both passes: they fit the cache. So it does where
channels have few positions (batch_columns.pxd). Else there is one pass over the blocks of all channels for the sums and one
over the samples for the map.
"""
from libc.math cimport INFINITY, fabs, isfinite
from libc.string cimport memcpy
cimport numpy as cnp

from npkernels._kernels.batch_columns cimport SAMPLES, finish_columns, map_columns, strip_of, sum_columns, take_given
from npkernels._kernels.batch_sums cimport Norm, finish, scaled_run, set_terms, sum_block, take_anew
from npkernels._kernels.channels cimport BLOCK, RUN, SMALL, Channels, block_start, read, set_blocks, set_channels
from npkernels._kernels.primitives cimport norm_pair
from npkernels._kernels.runtime cimport (
    primitives_for, slot_of, team_begin, team_end, team_run, threads_for, work_of, worth_streaming,
)
from npkernels._kernels.scalars cimport ceil_div, put, real_at, round_to_line
from npkernels._kernels.units cimport large_unit, largest_mean

cnp.import_array()

cdef enum:
    FUSED_MOST = 1 << 19     # bytes of x in the channels that a task takes through both passes
    FUSED_BYTES = 1 << 20    # of x, dy and what is written, if it takes several
    FUSED_RUN = 1 << 11      # bytes of x that lie together: shorter runs are better read in the order of memory, twice
    FLOPS = 8                # of an element in a pass
    FINISH = 64              # nanoseconds that the sums of a channel take, and
    FINISH_BLOCK = 4         # for each of its blocks
    TERMS = 4                # numbers that the map has for each channel
    STRIP = 1 << 10          # the most channels of a strip, and
    STRIP_BYTES = 1 << 19    # of x, dy and what is written in it


cdef void begin_norm(Norm* v, cnp.ndarray x, cnp.ndarray y) noexcept:
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_blocks(&v.blocks, v.table, x)
    set_channels(&v.blocks, &v.x, x)
    v.y, v.width, v.backward, v.given, v.scaled = <char*>cnp.PyArray_DATA(y), v.blocks.c, False, False, False


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
    return ceil_div(v.blocks.c, v.blocks.group)


cdef void fused_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Both passes over groups of channels.
    cdef Norm own = (<const Norm*>context)[0]
    cdef Norm* v = &own
    cdef char* buffer = slot_of(&v.team, slot)
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
    # Large planes in the order of memory, (n, groups, parts), and tiny ones, (blocks, groups), else (groups, blocks).
    cdef Py_ssize_t groups = group_count(v)
    if v.blocks.s < SMALL:
        channel[0] = task % groups * v.blocks.group
        return task // groups
    if v.blocks.parts == 0:
        channel[0] = task // v.blocks.count * v.blocks.group
        return task % v.blocks.count
    channel[0] = task // v.blocks.parts % groups * v.blocks.group
    return task // v.blocks.parts // groups * v.blocks.parts + task % v.blocks.parts


cdef void sum_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Blocks of groups of channels.
    cdef const Norm* v = <const Norm*>context
    cdef char* buffer = slot_of(&v.team, slot)
    cdef Py_ssize_t task, channel, block
    for task in range(first, last):
        block = block_of(v, task, &channel)
        if v.blocks.s < SMALL:
            sum_columns(v, channel, min(v.blocks.group, v.blocks.c - channel), block, buffer)
        else:
            sum_block(v, channel, min(v.blocks.group, v.blocks.c - channel), block, buffer)


cdef void finish_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* v = <const Norm*>context
    finish(v, first, last, slot_of(&v.team, slot))


cdef const char* row_of(const Norm* v, const Channels* a, Py_ssize_t sample, char* buffer) noexcept nogil:
    # Row `sample` of channels that are one element each, in place where these lie side by side.
    cdef const char* at = a.positions.data + sample * a.step
    if a.stride == v.table.itemsize:
        return at
    v.table.pack.rows(1, v.width, at, 0, a.stride, buffer)
    return buffer


cdef void map_samples(const Norm* v, Py_ssize_t first, Py_ssize_t last, char* buffer) noexcept nogil:
    # y[first .. last] where a plane is one element: rows of channels, several while their terms are in registers.
    cdef Py_ssize_t size = v.table.itemsize, pitch = v.blocks.c * size, rows = SAMPLES, channel
    cdef norm_pair pair
    cdef bint in_place = v.x.stride == size and not v.scaled and (not v.backward or v.dy.stride == size)
    pair.x_stride, pair.dy_stride = v.x.step, v.dy.step
    while first < last:
        rows = min(rows, last - first) if in_place else 1
        pair.x = row_of(v, &v.x, first, buffer)
        if v.scaled:
            if pair.x != buffer:
                memcpy(buffer, pair.x, <size_t>(v.width * size))
            pair.x = buffer
            for channel in range(v.width):
                put(v.table, buffer, channel, real_at(v.table, buffer, channel) * v.units[2 * channel])
        if v.backward:
            pair.dy = row_of(v, &v.dy, first, buffer + v.scratch_bytes // 2)
            v.table.norm.gradient_columns(v.width, rows, &pair, &v.gradient, v.y + first * pitch, pitch)
        else:
            v.table.norm.columns(v.width, rows, pair.x, pair.x_stride, &v.map, v.y + first * pitch, pitch)
        first += rows


cdef void map_planes(const Norm* v, Py_ssize_t sample, char* buffer) noexcept nogil:
    # y[sample] where planes are small
    cdef Py_ssize_t channel = 0, group = v.width if v.blocks.whole else v.blocks.group
    while channel < v.width:
        map_rows(v, sample, channel, min(group, v.width - channel), 0, v.blocks.s, buffer)
        channel += group


cdef void map_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Samples of small planes; parts of large ones, (n, groups, parts).
    cdef const Norm* v = <const Norm*>context
    cdef char* buffer = slot_of(&v.team, slot)
    cdef Py_ssize_t task, channel, block, start
    if v.blocks.s == 1:
        map_samples(v, first, last, buffer)
    for task in range(first, last if v.blocks.s > 1 else first):
        if v.blocks.parts == 0:
            map_planes(v, task, buffer)
        else:
            block = block_of(v, task, &channel)
            start = block_start(&v.blocks, block)
            map_rows(v, block // v.blocks.parts, channel, min(v.blocks.group, v.blocks.c - channel), start % v.blocks.s,
                     block_start(&v.blocks, block + 1) - start, buffer)
    v.table.fence()


cdef size_t memory_bytes(const Norm* v, bint sums) noexcept nogil:
    # Of terms, units and sums of `width` channels.
    cdef size_t doubles = 2 + (2 * <size_t>v.blocks.count if sums else 0)
    return <size_t>v.pitch * (<size_t>(TERMS * v.table.itemsize) + doubles * sizeof(double))


cdef void set_memory(Norm* v, char* memory) noexcept nogil:
    cdef Py_ssize_t channel, row = v.width * v.table.itemsize
    v.terms = memory
    v.units = <double*>(v.terms + TERMS * v.pitch * v.table.itemsize)
    for channel in range(v.width):
        v.units[2 * channel] = 1
    v.sums[0] = v.units + 2 * v.pitch
    v.sums[1] = v.sums[0] + v.pitch * v.blocks.count
    v.map.mean, v.map.rest, v.map.scale, v.map.shift = v.terms, v.terms + row, v.terms + 2 * row, v.terms + 3 * row
    v.gradient.mean, v.gradient.offset = v.mean, v.terms
    v.gradient.slope, v.gradient.scale = v.terms + row, v.terms + 2 * row


cdef int begin_team(Norm* v, bint sums) except -1 nogil:
    # Scratch of each thread; what channels need for all of them or, in strips, for each thread.
    cdef Py_ssize_t bytes = v.blocks.n * v.blocks.c * v.blocks.s * v.table.itemsize, elements
    cdef size_t held
    elements = v.blocks.group * (<Py_ssize_t>(BLOCK if v.blocks.parts > 0 else RUN) + v.table.lanes)
    if v.strips:
        elements = max(elements, (v.width + v.table.lanes) * v.blocks.n * v.blocks.s)
    elif v.blocks.s == 1:
        elements = max(elements, v.blocks.c)
    v.scratch_bytes = 2 * round_to_line(<size_t>(elements * v.table.itemsize))
    v.pitch = <Py_ssize_t>round_to_line(<size_t>v.width)
    held = memory_bytes(v, sums)
    team_begin(&v.team, 2 * v.work, v.blocks.n * v.blocks.c, 0 if v.strips else held, v.scratch_bytes + (held if v.strips else 0))
    if not v.strips:
        set_memory(v, v.team.shared)
    v.map.streamed = v.gradient.streamed = v.y != v.x.positions.data and worth_streaming(
        (3 if v.backward else 2) * bytes, v.y, bytes)
    return 0


cdef void map_all(Norm* v) noexcept nogil:
    team_run(&v.team, map_tasks, v, v.blocks.n if v.blocks.parts == 0 else v.blocks.n * group_count(v) * v.blocks.parts, v.work)


cdef bint choose_fused(Norm* v) noexcept nogil:
    # Whether tasks take channels through both passes while the cache holds them, so that memory is read once.
    cdef Py_ssize_t channel = v.blocks.n * v.blocks.s * v.table.itemsize, fused = v.blocks.group
    cdef int threads = v.team.threads
    v.fused = 0
    if v.blocks.parts == 0 or fused * channel > FUSED_MOST:
        return False
    if v.blocks.group == 1 and v.blocks.whole:
        fused = max(<Py_ssize_t>1, min(v.blocks.c // (4 * threads), FUSED_BYTES // ((3 if v.backward else 2) * channel)))
    if fused * v.blocks.s * v.table.itemsize < FUSED_RUN or (v.blocks.c < 4 * threads * fused and threads > 1):
        return False
    v.fused = fused
    return True


cdef void find_lost(Norm* v, char* buffer) noexcept nogil:
    # Backward: a variance that is infinite left the dtype and is taken anew.
    cdef Py_ssize_t channel, size = v.table.itemsize
    cdef char* means = v.terms + 3 * v.width * size
    cdef double mean, variance
    v.table.rows.maxima(1, v.width, v.variance, 0, buffer)
    if isfinite(real_at(v.table, buffer, 0)):
        return
    for channel in range(v.width):
        put(v.table, means, channel, real_at(v.table, v.mean, channel))
        if real_at(v.table, v.variance, channel) == INFINITY and v.blocks.count > 0:
            take_anew(v, channel, large_unit(v.table), &mean, &variance, buffer)
            put(v.table, means, channel, mean)
            v.gradient.mean, v.scaled = means, True


cdef void choose_strips(Norm* v, int threads) noexcept nogil:
    # Whether channels have few positions, which depends on the shape alone; how many a task takes.
    cdef Py_ssize_t positions = v.blocks.n * v.blocks.s, lanes = v.table.lanes, most
    v.strips = v.blocks.s < SMALL and 0 < positions <= RUN
    if v.strips:
        most = STRIP_BYTES // ((3 if v.backward else 2) * positions * v.table.itemsize)
        most = min(<Py_ssize_t>STRIP, most, v.blocks.c // (4 * threads))
        v.width = min(v.blocks.c, (max(<Py_ssize_t>4, most // lanes) | 1) * lanes)   # rows of odd length fill all of a cache


cdef void strip_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Both passes over strips of channels.
    cdef const Norm* v = <const Norm*>context
    cdef char* buffer = slot_of(&v.team, slot)
    cdef Norm own
    cdef norm_pair rows
    cdef Py_ssize_t task, sample
    for task in range(first, last):
        own = strip_of(v, task * v.width, min(v.width, v.blocks.c - task * v.width))
        set_memory(&own, buffer + v.scratch_bytes)
        if v.backward:
            find_lost(&own, buffer)
        if v.given:
            take_given(&own)
        else:
            rows = sum_columns(&own, 0, own.width, 0, buffer)
        finish_columns(&own, buffer)
        if v.blocks.s > 1:
            for sample in range(v.blocks.n):
                map_planes(&own, sample, buffer)
        elif own.scaled or v.given:
            map_samples(&own, 0, v.blocks.n, buffer)
        else:
            map_columns(&own, &rows)
    v.table.fence()


cdef void sum_and_map(Norm* v) noexcept nogil:
    cdef Py_ssize_t channel
    if v.backward:
        find_lost(v, slot_of(&v.team, 0))
    if choose_fused(v):
        team_run(&v.team, fused_tasks, v, ceil_div(v.blocks.c, v.fused), 2 * v.work)
        return
    team_run(&v.team, sum_tasks, v, group_count(v) * v.blocks.count, v.work)
    team_run(&v.team, finish_tasks, v, v.blocks.c, <double>v.blocks.c * (FINISH + FINISH_BLOCK * v.blocks.count))
    for channel in range(v.blocks.c):
        v.scaled |= v.units[2 * channel] != 1
    map_all(v)


cdef void set_given(Norm* v) noexcept nogil:
    # The terms of a mean and a variance that are given.
    cdef double mean, unit, largest = largest_mean(v.table)
    cdef Py_ssize_t channel
    for channel in range(v.blocks.c):
        mean = real_at(v.table, v.mean, channel)
        if fabs(mean) > largest:
            v.units[2 * channel], v.scaled = 0.25, True
        unit = v.units[2 * channel]
        set_terms(v, channel, mean * unit, real_at(v.table, v.variance, channel) * unit * unit)


cdef int normalise(Norm* v) except -1 nogil:
    cdef double elements = <double>v.blocks.n * v.blocks.c * v.blocks.s
    if v.blocks.c == 0:
        return 0
    v.work = work_of(v.table, FLOPS * elements, (3 if v.backward else 2) * elements * v.table.itemsize)
    choose_strips(v, threads_for(2 * v.work, v.blocks.c))
    begin_team(v, v.strips or not v.given)
    if v.strips:
        team_run(&v.team, strip_tasks, v, ceil_div(v.blocks.c, v.width), 2 * v.work)
    elif v.given:
        set_given(v)
        map_all(v)
    else:
        sum_and_map(v)
    team_end()
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
    begin_norm(&v, x, y)
    v.gamma, v.beta, v.eps = <const char*>cnp.PyArray_DATA(gamma), <const char*>cnp.PyArray_DATA(beta), eps
    v.mean, v.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    with nogil:
        normalise(&v)


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
    begin_norm(&v, x, y)
    v.gamma, v.beta, v.eps = <const char*>cnp.PyArray_DATA(gamma), <const char*>cnp.PyArray_DATA(beta), eps
    v.mean, v.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    v.given = True
    with nogil:
        normalise(&v)


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
    begin_norm(&v, x, dx)
    set_channels(&v.blocks, &v.dy, dy)
    v.backward = True
    v.gamma, v.eps = <const char*>cnp.PyArray_DATA(gamma), eps
    v.mean, v.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    v.dgamma, v.dbeta = <char*>cnp.PyArray_DATA(dgamma), <char*>cnp.PyArray_DATA(dbeta)
    with nogil:
        normalise(&v)
