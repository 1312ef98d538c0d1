"""The sums of batch normalisation: moments and gradients of the blocks of each channel (channels.pxd), put together in order in
double precision, and what the map over the elements takes from them.

Channels whose squares overflow or vanish have a unit of their own (units.pxd), in which copies of their blocks are summed.
"""
from libc.math cimport sqrt

from npkernels._kernels.channels cimport Blocks, Channels, block_start, read, read_planes
from npkernels._kernels.primitives cimport norm_gradient_terms, norm_terms, primitives
from npkernels._kernels.runtime cimport Team
from npkernels._kernels.scalars cimport put, real_at
from npkernels._kernels.units cimport root_in, scale_to, unit_for

cdef enum:
    AHEAD = 1 << 12          # bytes between what is read and what is fetched in long runs; else the next sample's plane is

cdef struct Norm:
    const primitives* table
    Blocks blocks
    Py_ssize_t fused         # channels that a task takes through both passes, 0: none
    Py_ssize_t width         # channels whose sums and terms are held: all, or those of a task
    bint backward, given     # given: the moments are
    Channels x, dy           # dy: backward
    char* y                  # (n, c, s), C-contiguous
    double* sums[2]          # (blocks, pitch): mean and variance, or sums of dy and dy (x - mean)
    Py_ssize_t pitch         # width, rounded up to whole vectors
    char* terms              # (TERMS, width)
    double* units            # (width, 2): the unit of each channel, and if it is not 1 sqrt(variance + eps) in that unit
    bint scaled              # is any of them not 1?
    const char* gamma
    const char* beta
    char* mean               # (c,)
    char* variance
    char* dgamma
    char* dbeta
    double eps
    norm_terms map
    norm_gradient_terms gradient
    bint strips              # tasks take `width` channels (batch_columns.pxd), with memory of their own
    double work              # of a pass
    Team team                # a thread has two halves for x and dy, and for strips sums and terms behind them
    size_t scratch_bytes     # of both halves


cdef inline const char* scaled_run(const Norm* v, Py_ssize_t channel, Py_ssize_t first, Py_ssize_t count,
                                   char* buffer) noexcept nogil:
    # Positions first .. first + count of a channel in its unit.
    cdef Py_ssize_t pitch
    return scale_to(v.table, read(&v.blocks, &v.x, channel, 1, first, count, buffer, &pitch), count, v.units[2 * channel], buffer)


cdef inline void sum_scaled(const Norm* v, Py_ssize_t channel, Py_ssize_t block, bint moments, char* buffer) noexcept nogil:
    # The sums of a block of one channel, in its unit.
    cdef Py_ssize_t first = block_start(&v.blocks, block), count = block_start(&v.blocks, block + 1) - first, pitch
    cdef const char* x = scaled_run(v, channel, first, count, buffer)
    cdef const char* dy
    cdef Py_ssize_t at = block * v.pitch + channel
    if moments:
        v.table.norm.moments(1, count, x, 0, v.sums[0] + at, v.sums[1] + at)
        return
    dy = read(&v.blocks, &v.dy, channel, 1, first, count, buffer + v.scratch_bytes // 2, &pitch)
    v.table.norm.gradient_sums(1, count, dy, 0, x, 0, v.gradient.mean + channel * v.table.itemsize, v.sums[0] + at,
                               v.sums[1] + at)


cdef inline void correct_sums(const Norm* v, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t block,
                              char* buffer) noexcept nogil:
    # Backward: the sums of channels that have a unit of their own.
    cdef Py_ssize_t i
    for i in range(channel, channel + channels if v.scaled else channel):
        if v.units[2 * i] != 1:
            sum_scaled(v, i, block, False, buffer)


cdef inline void sum_block(const Norm* v, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t block, char* buffer) noexcept nogil:
    cdef Py_ssize_t first = block_start(&v.blocks, block), count = block_start(&v.blocks, block + 1) - first
    cdef Py_ssize_t size = v.table.itemsize, i
    cdef Py_ssize_t planes = 1, pitch, dy_pitch, sample = v.blocks.s * size, dy_sample = sample
    cdef const char* x
    cdef const char* dy
    cdef double* first_sums = v.sums[0] + block * v.pitch + channel
    cdef double* second_sums = v.sums[1] + block * v.pitch + channel
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
            v.table.norm.moments(planes, count, x + i * pitch, sample, first_sums + i, second_sums + i)
        return
    dy = read_planes(&v.blocks, &v.dy, channel, channels, first, planes * count, buffer + v.scratch_bytes // 2, &dy_pitch,
                     &dy_sample)
    for i in range(channels):
        v.table.norm.gradient_sums(planes, count, dy + i * dy_pitch, dy_sample, x + i * pitch, sample,
                                   v.mean + (channel + i) * size, first_sums + i, second_sums + i)
    correct_sums(v, channel, channels, block, buffer)


cdef inline void set_terms(const Norm* v, Py_ssize_t channel, double mean, double variance) noexcept nogil:
    # y = ((x - mean) - rest) scale + shift, x in the unit of the channel
    cdef Py_ssize_t row = v.width * v.table.itemsize
    put(v.table, v.terms, channel, mean)
    put(v.table, v.terms + row, channel, mean - real_at(v.table, v.terms, channel))
    put(v.table, v.terms + 2 * row, channel, real_at(v.table, v.gamma, channel) / root_in(v.units[2 * channel], variance, v.eps))
    put(v.table, v.terms + 3 * row, channel, real_at(v.table, v.beta, channel))


cdef inline void put_together(const Norm* v, Py_ssize_t channel, double* mean_, double* variance_) noexcept nogil:
    # mean = sum of w_b mean_b and variance = sum of w_b (variance_b + (mean_b - mean)^2), w_b the share of block b in the
    # positions; what the mean is off by is found on the way, as in a block.
    cdef const double* means = v.sums[0] + channel
    cdef const double* variances = v.sums[1] + channel
    cdef double mean = 0, off = 0, variance = 0, share, d
    cdef Py_ssize_t b, positions = v.blocks.n * v.blocks.s
    for b in range(v.blocks.count):
        share = <double>(block_start(&v.blocks, b + 1) - block_start(&v.blocks, b)) / positions
        mean += share * means[b * v.pitch]
    for b in range(v.blocks.count):
        share = <double>(block_start(&v.blocks, b + 1) - block_start(&v.blocks, b)) / positions
        d = means[b * v.pitch] - mean
        off += share * d
        variance += share * (variances[b * v.pitch] + d * d)
    if off - off == 0:
        mean += off
        variance -= off * off
        if variance < 0:                     # by rounding; not where it is NaN because squares overflow
            variance = 0
    mean_[0], variance_[0] = mean, variance


cdef inline void take_anew(const Norm* v, Py_ssize_t channel, double unit, double* mean, double* variance,
                           char* buffer) noexcept nogil:
    # The moments of a channel in a unit.
    cdef Py_ssize_t block
    v.units[2 * channel] = unit
    for block in range(v.blocks.count):
        sum_scaled(v, channel, block, True, buffer)
    put_together(v, channel, mean, variance)
    v.units[2 * channel + 1] = root_in(unit, variance[0], v.eps)


cdef inline void finish_forward(const Norm* v, Py_ssize_t channel, char* buffer) noexcept nogil:
    cdef double mean, variance, unit
    put_together(v, channel, &mean, &variance)
    unit = unit_for(v.table, mean, variance)
    if unit != 1:
        take_anew(v, channel, unit, &mean, &variance, buffer)
    put(v.table, v.mean, channel, mean / unit)
    put(v.table, v.variance, channel, variance / unit / unit)
    set_terms(v, channel, mean, variance)


cdef inline void finish_backward(const Norm* v, Py_ssize_t channel) noexcept nogil:
    # With t = (x - mean) scale, scale = 1 / sqrt(variance + eps): dbeta = sum of dy, dgamma = sum of dy t,
    # dx = gamma scale (dy - mean(dy) - t mean(dy t)). Ioffe and Szegedy, "Batch normalization", ICML 2015.
    cdef double dbeta = 0, total = 0, unit = v.units[2 * channel], scale
    cdef Py_ssize_t b, row = v.width * v.table.itemsize
    scale = 1 / (sqrt(real_at(v.table, v.variance, channel) + v.eps) if unit == 1 else v.units[2 * channel + 1])
    for b in range(v.blocks.count):
        dbeta += v.sums[0][b * v.pitch + channel]
        total += v.sums[1][b * v.pitch + channel]
    put(v.table, v.dbeta, channel, dbeta)
    put(v.table, v.dgamma, channel, total * scale)
    put(v.table, v.terms, channel, dbeta / (v.blocks.n * v.blocks.s))
    put(v.table, v.terms + row, channel, total / (v.blocks.n * v.blocks.s) * scale * scale)
    put(v.table, v.terms + 2 * row, channel, real_at(v.table, v.gamma, channel) * scale * unit)


cdef inline bint finish(const Norm* v, Py_ssize_t first, Py_ssize_t last, char* buffer) noexcept nogil:
    # Returns whether any of these channels has a unit of its own.
    cdef Py_ssize_t channel
    cdef bint scaled = False
    for channel in range(first, last):
        if v.backward:
            finish_backward(v, channel)
        else:
            finish_forward(v, channel, buffer)
        scaled |= v.units[2 * channel] != 1
    return scaled
