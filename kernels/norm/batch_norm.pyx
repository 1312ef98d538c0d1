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
    FLOPS = 8                # of an element in a pass: counted
    FINISH = 64              # nanoseconds that the sums of a channel take (a root, divisions in double: an estimate), and
    FINISH_BLOCK = 4         # for each of its blocks (two loads, six operations: an estimate)
    TERMS = 4                # numbers that the map has for each channel
    STRIP = 1 << 10          # the most channels of a strip, and
    STRIP_BYTES = 1 << 19    # of x, dy and what is written in it


cdef void begin_norm(Norm* norm, cnp.ndarray x, cnp.ndarray y) noexcept:
    norm.table = primitives_for(cnp.PyArray_TYPE(x))
    set_blocks(&norm.blocks, norm.table, x)
    set_channels(&norm.blocks, &norm.x, x)
    norm.y, norm.width, norm.backward, norm.given, norm.scaled = <char*>cnp.PyArray_DATA(y), norm.blocks.c, False, False, False


cdef void map_rows(const Norm* norm, Py_ssize_t sample, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t first,
                   Py_ssize_t count, char* buffer) noexcept nogil:
    # y[sample, channel .. channel + channels, first .. first + count]
    cdef Py_ssize_t pitch, dy_pitch, size = norm.table.itemsize, start = sample * norm.blocks.s + first, i
    cdef char* y = norm.y + ((sample * norm.blocks.c + channel) * norm.blocks.s + first) * size
    cdef const char* x
    cdef const char* dy
    if norm.scaled and channels > 1:
        for i in range(channels):
            map_rows(norm, sample, channel + i, 1, first, count, buffer)
        return
    if norm.scaled and norm.units[2 * channel] != 1:
        x, pitch = scaled_run(norm, channel, start, count, buffer), 0
    else:
        x = read(&norm.blocks, &norm.x, channel, channels, start, count, buffer, &pitch)
    if norm.backward:
        dy = read(&norm.blocks, &norm.dy, channel, channels, start, count, buffer + norm.scratch_bytes // 2, &dy_pitch)
        norm.table.norm.gradient_rows(channels, count, dy, dy_pitch, x, pitch, &norm.gradient, channel, y, norm.blocks.s * size)
    else:
        norm.table.norm.rows(channels, count, x, pitch, &norm.map, channel, y, norm.blocks.s * size)


cdef inline Py_ssize_t group_count(const Norm* norm) noexcept nogil:
    return ceil_div(norm.blocks.c, norm.blocks.group)


cdef void fused_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Both passes over groups of channels.
    cdef Norm own = (<const Norm*>context)[0]
    cdef Norm* norm = &own
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef Py_ssize_t task, block, channel, channels, start
    for task in range(first, last):
        channel = task * norm.fused
        channels = min(norm.fused, norm.blocks.c - channel)
        for block in range(norm.blocks.count):
            sum_block(norm, channel, channels, block, buffer)
        norm.scaled = finish(norm, channel, channel + channels, buffer) or (norm.backward and norm.scaled)
        for block in range(norm.blocks.count):
            start = block_start(&norm.blocks, block)
            map_rows(norm, block // norm.blocks.parts, channel, channels, start % norm.blocks.s,
                     block_start(&norm.blocks, block + 1) - start, buffer)
    norm.table.fence()


cdef inline Py_ssize_t block_of(const Norm* norm, Py_ssize_t task, Py_ssize_t* channel) noexcept nogil:
    # Large planes in the order of memory, (n, groups, parts), and tiny ones, (blocks, groups), else (groups, blocks).
    cdef Py_ssize_t groups = group_count(norm)
    if norm.blocks.s < SMALL:
        channel[0] = task % groups * norm.blocks.group
        return task // groups
    if norm.blocks.parts == 0:
        channel[0] = task // norm.blocks.count * norm.blocks.group
        return task % norm.blocks.count
    channel[0] = task // norm.blocks.parts % groups * norm.blocks.group
    return task // norm.blocks.parts // groups * norm.blocks.parts + task % norm.blocks.parts


cdef void sum_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Blocks of groups of channels.
    cdef const Norm* norm = <const Norm*>context
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef Py_ssize_t task, channel, block
    for task in range(first, last):
        block = block_of(norm, task, &channel)
        if norm.blocks.s < SMALL:
            sum_columns(norm, channel, min(norm.blocks.group, norm.blocks.c - channel), block, buffer)
        else:
            sum_block(norm, channel, min(norm.blocks.group, norm.blocks.c - channel), block, buffer)


cdef void finish_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* norm = <const Norm*>context
    finish(norm, first, last, slot_of(&norm.team, slot))


cdef const char* row_of(const Norm* norm, const Channels* a, Py_ssize_t sample, char* buffer) noexcept nogil:
    # Row `sample` of channels that are one element each, in place where these lie side by side.
    cdef const char* at = a.positions.data + sample * a.step
    if a.stride == norm.table.itemsize:
        return at
    norm.table.pack.rows(1, norm.width, at, 0, a.stride, buffer)
    return buffer


cdef void map_samples(const Norm* norm, Py_ssize_t first, Py_ssize_t last, char* buffer) noexcept nogil:
    # y[first .. last] where a plane is one element: rows of channels, several while their terms are in registers.
    cdef Py_ssize_t size = norm.table.itemsize, pitch = norm.blocks.c * size, rows = SAMPLES, channel
    cdef norm_pair pair
    cdef bint in_place = norm.x.stride == size and not norm.scaled and (not norm.backward or norm.dy.stride == size)
    pair.x_stride, pair.dy_stride = norm.x.step, norm.dy.step
    while first < last:
        rows = min(rows, last - first) if in_place else 1
        pair.x = row_of(norm, &norm.x, first, buffer)
        if norm.scaled:
            if pair.x != buffer:
                memcpy(buffer, pair.x, <size_t>(norm.width * size))
            pair.x = buffer
            for channel in range(norm.width):
                put(norm.table, buffer, channel, real_at(norm.table, buffer, channel) * norm.units[2 * channel])
        if norm.backward:
            pair.dy = row_of(norm, &norm.dy, first, buffer + norm.scratch_bytes // 2)
            norm.table.norm.gradient_columns(norm.width, rows, &pair, &norm.gradient, norm.y + first * pitch, pitch)
        else:
            norm.table.norm.columns(norm.width, rows, pair.x, pair.x_stride, &norm.map, norm.y + first * pitch, pitch)
        first += rows


cdef void map_planes(const Norm* norm, Py_ssize_t sample, char* buffer) noexcept nogil:
    # y[sample] where planes are small
    cdef Py_ssize_t channel = 0, group = norm.width if norm.blocks.whole else norm.blocks.group
    while channel < norm.width:
        map_rows(norm, sample, channel, min(group, norm.width - channel), 0, norm.blocks.s, buffer)
        channel += group


cdef void map_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Samples of small planes; parts of large ones, (n, groups, parts).
    cdef const Norm* norm = <const Norm*>context
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef Py_ssize_t task, channel, block, start
    if norm.blocks.s == 1:
        map_samples(norm, first, last, buffer)
    for task in range(first, last if norm.blocks.s > 1 else first):
        if norm.blocks.parts == 0:
            map_planes(norm, task, buffer)
        else:
            block = block_of(norm, task, &channel)
            start = block_start(&norm.blocks, block)
            map_rows(norm, block // norm.blocks.parts, channel, min(norm.blocks.group, norm.blocks.c - channel),
                     start % norm.blocks.s, block_start(&norm.blocks, block + 1) - start, buffer)
    norm.table.fence()


cdef size_t memory_bytes(const Norm* norm, bint sums) noexcept nogil:
    # Of terms, units and sums of `width` channels.
    cdef size_t doubles = 2 + (2 * <size_t>norm.blocks.count if sums else 0)
    return <size_t>norm.pitch * (<size_t>(TERMS * norm.table.itemsize) + doubles * sizeof(double))


cdef void set_memory(Norm* norm, char* memory) noexcept nogil:
    cdef Py_ssize_t channel, row = norm.width * norm.table.itemsize
    norm.terms = memory
    norm.units = <double*>(norm.terms + TERMS * norm.pitch * norm.table.itemsize)
    for channel in range(norm.width):
        norm.units[2 * channel] = 1
    norm.sums[0] = norm.units + 2 * norm.pitch
    norm.sums[1] = norm.sums[0] + norm.pitch * norm.blocks.count
    norm.map.mean, norm.map.rest = norm.terms, norm.terms + row
    norm.map.scale, norm.map.shift = norm.terms + 2 * row, norm.terms + 3 * row
    norm.gradient.weight, norm.gradient.mean, norm.gradient.offset = NULL, norm.mean, norm.terms
    norm.gradient.slope, norm.gradient.scale = norm.terms + row, norm.terms + 2 * row


cdef int begin_team(Norm* norm, bint sums) except -1 nogil:
    # Scratch of each thread; what channels need for all of them or, in strips, for each thread.
    cdef Py_ssize_t bytes = norm.blocks.n * norm.blocks.c * norm.blocks.s * norm.table.itemsize, elements
    cdef size_t held
    elements = norm.blocks.group * (<Py_ssize_t>(BLOCK if norm.blocks.parts > 0 else RUN) + norm.table.lanes)
    if norm.strips:
        elements = max(elements, (norm.width + norm.table.lanes) * norm.blocks.n * norm.blocks.s)
    elif norm.blocks.s == 1:
        elements = max(elements, norm.blocks.c)
    norm.scratch_bytes = 2 * round_to_line(<size_t>(elements * norm.table.itemsize))
    norm.pitch = <Py_ssize_t>round_to_line(<size_t>norm.width)
    held = memory_bytes(norm, sums)
    team_begin(&norm.team, 2 * norm.work, norm.blocks.n * norm.blocks.c, 0 if norm.strips else held,
               norm.scratch_bytes + (held if norm.strips else 0))
    if not norm.strips:
        set_memory(norm, norm.team.shared)
    norm.map.streamed = norm.gradient.streamed = norm.y != norm.x.positions.data and worth_streaming(
        (3 if norm.backward else 2) * bytes, norm.y, bytes)
    return 0


cdef void map_all(Norm* norm) noexcept nogil:
    team_run(&norm.team, map_tasks, norm, norm.blocks.n if norm.blocks.parts == 0
             else norm.blocks.n * group_count(norm) * norm.blocks.parts, norm.work)


cdef bint choose_fused(Norm* norm) noexcept nogil:
    # Whether tasks take channels through both passes while the cache holds them, so that memory is read once.
    cdef Py_ssize_t channel = norm.blocks.n * norm.blocks.s * norm.table.itemsize, fused = norm.blocks.group
    cdef int threads = norm.team.threads
    norm.fused = 0
    if norm.blocks.parts == 0 or fused * channel > FUSED_MOST:
        return False
    if norm.blocks.group == 1 and norm.blocks.whole:
        fused = max(<Py_ssize_t>1, min(norm.blocks.c // (4 * threads), FUSED_BYTES // ((3 if norm.backward else 2) * channel)))
    if fused * norm.blocks.s * norm.table.itemsize < FUSED_RUN or (norm.blocks.c < 4 * threads * fused and threads > 1):
        return False
    norm.fused = fused
    return True


cdef void find_lost(Norm* norm, char* buffer) noexcept nogil:
    # Backward: a variance that is infinite left the dtype and is taken anew.
    cdef Py_ssize_t channel, size = norm.table.itemsize
    cdef char* means = norm.terms + 3 * norm.width * size
    cdef double mean, variance
    norm.table.rows.maxima(1, norm.width, norm.variance, 0, buffer)
    if isfinite(real_at(norm.table, buffer, 0)):
        return
    for channel in range(norm.width):
        put(norm.table, means, channel, real_at(norm.table, norm.mean, channel))
        if real_at(norm.table, norm.variance, channel) == INFINITY and norm.blocks.count > 0:
            take_anew(norm, channel, large_unit(norm.table), &mean, &variance, buffer)
            put(norm.table, means, channel, mean)
            norm.gradient.mean, norm.scaled = means, True


cdef void choose_strips(Norm* norm, int threads) noexcept nogil:
    # Whether channels have few positions, which depends on the shape alone; how many a task takes.
    cdef Py_ssize_t positions = norm.blocks.n * norm.blocks.s, lanes = norm.table.lanes, most
    norm.strips = norm.blocks.s < SMALL and 0 < positions <= RUN
    if norm.strips:
        most = STRIP_BYTES // ((3 if norm.backward else 2) * positions * norm.table.itemsize)
        most = min(<Py_ssize_t>STRIP, most, norm.blocks.c // (4 * threads))
        norm.width = min(norm.blocks.c, (max(<Py_ssize_t>4, most // lanes) | 1) * lanes)   # odd rows fill all of a cache


cdef void strip_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Both passes over strips of channels.
    cdef const Norm* norm = <const Norm*>context
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef Norm own
    cdef norm_pair rows
    cdef Py_ssize_t task, sample
    for task in range(first, last):
        own = strip_of(norm, task * norm.width, min(norm.width, norm.blocks.c - task * norm.width))
        set_memory(&own, buffer + norm.scratch_bytes)
        if norm.backward:
            find_lost(&own, buffer)
        if norm.given:
            take_given(&own)
        else:
            rows = sum_columns(&own, 0, own.width, 0, buffer)
        finish_columns(&own, buffer)
        if norm.blocks.s > 1:
            for sample in range(norm.blocks.n):
                map_planes(&own, sample, buffer)
        elif own.scaled or norm.given:
            map_samples(&own, 0, norm.blocks.n, buffer)
        else:
            map_columns(&own, &rows)
    norm.table.fence()


cdef void sum_and_map(Norm* norm) noexcept nogil:
    cdef Py_ssize_t channel
    if norm.backward:
        find_lost(norm, slot_of(&norm.team, 0))
    if choose_fused(norm):
        team_run(&norm.team, fused_tasks, norm, ceil_div(norm.blocks.c, norm.fused), 2 * norm.work)
        return
    team_run(&norm.team, sum_tasks, norm, group_count(norm) * norm.blocks.count, norm.work)
    team_run(&norm.team, finish_tasks, norm, norm.blocks.c, <double>norm.blocks.c * (FINISH + FINISH_BLOCK * norm.blocks.count))
    for channel in range(norm.blocks.c):
        norm.scaled |= norm.units[2 * channel] != 1
    map_all(norm)


cdef void set_given(Norm* norm) noexcept nogil:
    # The terms of a mean and a variance that are given.
    cdef double mean, unit, largest = largest_mean(norm.table)
    cdef Py_ssize_t channel
    for channel in range(norm.blocks.c):
        mean = real_at(norm.table, norm.mean, channel)
        if fabs(mean) > largest:
            norm.units[2 * channel], norm.scaled = 0.25, True
        unit = norm.units[2 * channel]
        set_terms(norm, channel, mean * unit, real_at(norm.table, norm.variance, channel) * unit * unit)


cdef int normalise(Norm* norm) except -1 nogil:
    cdef double elements = <double>norm.blocks.n * norm.blocks.c * norm.blocks.s
    if norm.blocks.c == 0:
        return 0
    norm.work = work_of(norm.table, FLOPS * elements, (3 if norm.backward else 2) * elements * norm.table.itemsize)
    choose_strips(norm, threads_for(2 * norm.work, norm.blocks.c))
    begin_team(norm, norm.strips or not norm.given)
    if norm.strips:
        team_run(&norm.team, strip_tasks, norm, ceil_div(norm.blocks.c, norm.width), 2 * norm.work)
    elif norm.given:
        set_given(norm)
        map_all(norm)
    else:
        sum_and_map(norm)
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
    cdef Norm norm
    begin_norm(&norm, x, y)
    norm.gamma, norm.beta, norm.eps = <const char*>cnp.PyArray_DATA(gamma), <const char*>cnp.PyArray_DATA(beta), eps
    norm.mean, norm.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    with nogil:
        normalise(&norm)


def inference(
    cnp.ndarray x,             # IN (n, c, *spatial)
    cnp.ndarray gamma,         # IN (c,), C-contiguous, and the three below
    cnp.ndarray beta,
    cnp.ndarray mean,
    cnp.ndarray variance,
    double eps,
    cnp.ndarray y,             # OUT shape of x, C-contiguous; may be x
):
    cdef Norm norm
    begin_norm(&norm, x, y)
    norm.gamma, norm.beta, norm.eps = <const char*>cnp.PyArray_DATA(gamma), <const char*>cnp.PyArray_DATA(beta), eps
    norm.mean, norm.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    norm.given = True
    with nogil:
        normalise(&norm)


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
    cdef Norm norm
    begin_norm(&norm, x, dx)
    set_channels(&norm.blocks, &norm.dy, dy)
    norm.backward = True
    norm.gamma, norm.eps = <const char*>cnp.PyArray_DATA(gamma), eps
    norm.mean, norm.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    norm.dgamma, norm.dbeta = <char*>cnp.PyArray_DATA(dgamma), <char*>cnp.PyArray_DATA(dbeta)
    with nogil:
        normalise(&norm)
