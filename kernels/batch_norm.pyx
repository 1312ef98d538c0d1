"""Batch normalisation of (n, c, *spatial) and its gradient: sums over the positions of each channel, then a map.

The positions of a channel are cut into blocks (channels.pxd), whose sums are put together in order in double precision:
neither strides nor threads change a bit.

Where planes are large and channels many, a task takes some channels through both passes: they fit the cache. Else there
is one pass over the blocks of all channels for the sums and one over the samples for the map.
"""
from libc.math cimport sqrt
cimport numpy as cnp

from npkernels._channels cimport RUN, BLOCK, Blocks, Channels, block_start, read, read_planes, set_blocks, set_channels
from npkernels._primitives cimport norm_gradient_terms, norm_terms, primitives
from npkernels._runtime cimport num_threads, parallel_for, primitives_for, workspace, workspace_done, worth_streaming
from npkernels._scalars cimport put, real_at, round_to_line
from npkernels._strided cimport offset_of

cnp.import_array()

cdef enum:
    TASK = 1 << 15           # elements that a task takes at least
    FUSED_MOST = 1 << 19     # bytes of x in the channels that a task takes through both passes
    FUSED_BYTES = 1 << 20    # of x, dy and what is written, if it takes several
    FUSED_RUN = 1 << 11      # bytes of x that lie together: shorter runs are better read in the order of memory, twice
    AHEAD = 1 << 12          # bytes between what is read and what is fetched in long runs; else the next sample's plane is
    TERMS = 4                # numbers that the map has for each channel

cdef struct Norm:
    const primitives* table
    Blocks blocks
    Py_ssize_t fused         # channels that a task takes through both passes, 0: none
    bint backward
    Channels x, dy           # dy: backward
    char* y                  # (n, c, s), C-contiguous
    double* sums             # (c, blocks, 2): mean and variance, or sums of dy and dy (x - mean)
    char* terms              # (TERMS, c)
    const char* gamma
    const char* beta
    char* mean               # (c,)
    char* variance
    char* dgamma
    char* dbeta
    double eps
    norm_terms map
    norm_gradient_terms gradient
    char* scratch
    size_t scratch_bytes


cdef void begin(Norm* v, cnp.ndarray x, cnp.ndarray y) noexcept:
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_blocks(&v.blocks, v.table, x)
    set_channels(&v.blocks, &v.x, x)
    v.y, v.backward = <char*>cnp.PyArray_DATA(y), False


cdef void sum_block(const Norm* v, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t block, char* buffer) noexcept nogil:
    cdef Py_ssize_t first = block_start(&v.blocks, block), count = block_start(&v.blocks, block + 1) - first
    cdef Py_ssize_t size = v.table.itemsize, i
    cdef Py_ssize_t planes = 1, pitch, dy_pitch, sample = v.blocks.s * size, dy_sample = sample
    cdef const char* x
    cdef const char* dy
    cdef double* sums
    if v.blocks.planes == 0:                 # where to fetch ahead
        sample = dy_sample = AHEAD
        if v.fused > 0 and v.blocks.s * size < 2 * AHEAD:
            sample, dy_sample = v.x.sample, v.dy.sample
    x = read_planes(&v.blocks, &v.x, channel, channels, first, count, buffer, &pitch, &sample)
    if v.blocks.planes > 0:
        planes = count // v.blocks.s
        count = v.blocks.s
    if not v.backward:
        for i in range(channels):
            sums = v.sums + 2 * ((channel + i) * v.blocks.count + block)
            v.table.norm.moments(planes, count, x + i * pitch, sample, &sums[0], &sums[1])
        return
    dy = read_planes(&v.blocks, &v.dy, channel, channels, first, planes * count, buffer + v.scratch_bytes // 2, &dy_pitch,
                     &dy_sample)
    for i in range(channels):
        v.table.norm.gradient_sums(planes, count, dy + i * dy_pitch, dy_sample, x + i * pitch, sample,
                                   v.mean + (channel + i) * size, v.sums + 2 * ((channel + i) * v.blocks.count + block))


cdef void set_terms(const Norm* v, Py_ssize_t channel, double mean, double variance) noexcept nogil:
    # y = ((x - mean) - rest) scale + shift
    cdef Py_ssize_t row = v.blocks.c * v.table.itemsize
    put(v.table, v.terms, channel, mean)
    put(v.table, v.terms + row, channel, mean - real_at(v.table, v.terms, channel))
    put(v.table, v.terms + 2 * row, channel, real_at(v.table, v.gamma, channel) / sqrt(variance + v.eps))
    put(v.table, v.terms + 3 * row, channel, real_at(v.table, v.beta, channel))


cdef void finish_forward(const Norm* v, Py_ssize_t channel) noexcept nogil:
    # mean = sum of w_b mean_b and variance = sum of w_b (variance_b + (mean_b - mean)^2), w_b the share of block b in the
    # positions; what the mean is off by is found on the way, as in a block.
    cdef const double* sums = v.sums + 2 * channel * v.blocks.count
    cdef double mean = 0, off = 0, variance = 0, share, d
    cdef Py_ssize_t b, positions = v.blocks.n * v.blocks.s
    for b in range(v.blocks.count):
        share = <double>(block_start(&v.blocks, b + 1) - block_start(&v.blocks, b)) / positions
        mean += share * sums[2 * b]
    for b in range(v.blocks.count):
        share = <double>(block_start(&v.blocks, b + 1) - block_start(&v.blocks, b)) / positions
        d = sums[2 * b] - mean
        off += share * d
        variance += share * (sums[2 * b + 1] + d * d)
    if off - off == 0:
        mean += off
        variance = max(0.0, variance - off * off)
    put(v.table, v.mean, channel, mean)
    put(v.table, v.variance, channel, variance)
    set_terms(v, channel, mean, variance)


cdef void finish_backward(const Norm* v, Py_ssize_t channel) noexcept nogil:
    # With t = (x - mean) scale, scale = 1 / sqrt(variance + eps): dbeta = sum of dy, dgamma = sum of dy t,
    # dx = gamma scale (dy - mean(dy) - t mean(dy t)). Ioffe and Szegedy, "Batch normalization", ICML 2015.
    cdef const double* sums = v.sums + 2 * channel * v.blocks.count
    cdef double dbeta = 0, total = 0, scale = 1 / sqrt(real_at(v.table, v.variance, channel) + v.eps)
    cdef Py_ssize_t b, row = v.blocks.c * v.table.itemsize
    for b in range(v.blocks.count):
        dbeta += sums[2 * b]
        total += sums[2 * b + 1]
    put(v.table, v.dbeta, channel, dbeta)
    put(v.table, v.dgamma, channel, total * scale)
    put(v.table, v.terms, channel, dbeta / (v.blocks.n * v.blocks.s))
    put(v.table, v.terms + row, channel, total / (v.blocks.n * v.blocks.s) * scale * scale)
    put(v.table, v.terms + 2 * row, channel, real_at(v.table, v.gamma, channel) * scale)


cdef inline void finish(const Norm* v, Py_ssize_t channel) noexcept nogil:
    if v.backward:
        finish_backward(v, channel)
    else:
        finish_forward(v, channel)


cdef void map_rows(const Norm* v, Py_ssize_t sample, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t first,
                   Py_ssize_t count, char* buffer) noexcept nogil:
    # y[sample, channel .. channel + channels, first .. first + count]
    cdef Py_ssize_t pitch, dy_pitch, size = v.table.itemsize, start = sample * v.blocks.s + first
    cdef char* y = v.y + ((sample * v.blocks.c + channel) * v.blocks.s + first) * size
    cdef const char* x = read(&v.blocks, &v.x, channel, channels, start, count, buffer, &pitch)
    cdef const char* dy
    if v.backward:
        dy = read(&v.blocks, &v.dy, channel, channels, start, count, buffer + v.scratch_bytes // 2, &dy_pitch)
        v.table.norm.gradient_rows(channels, count, dy, dy_pitch, x, pitch, &v.gradient, channel, y, v.blocks.s * size)
    else:
        v.table.norm.rows(channels, count, x, pitch, &v.map, channel, y, v.blocks.s * size)


cdef inline Py_ssize_t group_count(const Norm* v) noexcept nogil:
    return (v.blocks.c + v.blocks.group - 1) // v.blocks.group


cdef void fused_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Both passes over groups of channels.
    cdef const Norm* v = <const Norm*>context
    cdef char* buffer = v.scratch + <size_t>slot * v.scratch_bytes
    cdef Py_ssize_t task, block, channel, channels, i, start
    for task in range(first, last):
        channel = task * v.fused
        channels = min(v.fused, v.blocks.c - channel)
        for block in range(v.blocks.count):
            sum_block(v, channel, channels, block, buffer)
        for i in range(channels):
            finish(v, channel + i)
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
    cdef Py_ssize_t channel
    for channel in range(first, last):
        finish(<const Norm*>context, channel)


cdef void map_sample(const Norm* v, Py_ssize_t sample, char* buffer) noexcept nogil:
    # y[sample] where a plane is one element: a row of channels.
    cdef Py_ssize_t size = v.table.itemsize
    cdef char* y = v.y + sample * v.blocks.c * size
    cdef const char* x = v.x.positions.data + offset_of(&v.x.positions, sample)
    cdef const char* dy
    if v.x.stride != size:
        v.table.pack.rows(1, v.blocks.c, x, 0, v.x.stride, buffer)
        x = buffer
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
    # Terms and sums of all channels, and for each thread a buffer for the operands.
    cdef size_t terms = round_to_line(<size_t>(TERMS * v.blocks.c * v.table.itemsize))
    cdef size_t sum_bytes = <size_t>(v.blocks.c * v.blocks.count * 2) * sizeof(double) if sums else 0
    cdef Py_ssize_t bytes, block = v.blocks.group * (<Py_ssize_t>(BLOCK if v.blocks.parts > 0 else RUN) + v.table.lanes)
    v.scratch_bytes = <size_t>(2 * max(block, v.blocks.c if v.blocks.s == 1 else 1) * v.table.itemsize + 127) & ~<size_t>127
    v.terms = <char*>workspace(terms + sum_bytes + v.scratch_bytes * <size_t>threads)
    if v.terms == NULL:
        raise MemoryError("no memory for the sums of batch normalisation")
    v.sums = <double*>(v.terms + terms)
    v.scratch = v.terms + terms + sum_bytes
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


cdef int run(Norm* v) except -1 nogil:
    cdef Py_ssize_t groups = group_count(v)
    cdef int threads = num_threads() if v.blocks.n * v.blocks.c * v.blocks.s > TASK else 1
    if v.blocks.c == 0:
        return 0
    set_memory(v, threads, True)
    if plan_fused(v, threads):
        share(v, fused_tasks, (v.blocks.c + v.fused - 1) // v.fused, threads)
    else:
        if v.blocks.count > 0:
            share(v, sum_tasks, groups * v.blocks.count, threads)
        parallel_for(finish_tasks, v, v.blocks.c, 256, threads)
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
    cdef Py_ssize_t channel
    begin(&v, x, y)
    v.gamma, v.beta, v.eps = <const char*>cnp.PyArray_DATA(gamma), <const char*>cnp.PyArray_DATA(beta), eps
    v.mean, v.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    with nogil:
        threads = num_threads() if v.blocks.n * v.blocks.c * v.blocks.s > TASK else 1
        set_memory(&v, threads, False)
        for channel in range(v.blocks.c):
            set_terms(&v, channel, real_at(v.table, v.mean, channel), real_at(v.table, v.variance, channel))
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
