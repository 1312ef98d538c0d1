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


cdef inline const char* scaled_run(const Norm* norm, Py_ssize_t channel, Py_ssize_t first, Py_ssize_t count,
                                   char* buffer) noexcept nogil:
    # Positions first .. first + count of a channel in its unit.
    cdef Py_ssize_t pitch
    return scale_to(norm.table, read(&norm.blocks, &norm.x, channel, 1, first, count, buffer, &pitch), count,
                    norm.units[2 * channel], buffer)


cdef inline void sum_scaled(const Norm* norm, Py_ssize_t channel, Py_ssize_t block, bint moments, char* buffer) noexcept nogil:
    # The sums of a block of one channel, in its unit.
    cdef Py_ssize_t first = block_start(&norm.blocks, block), count = block_start(&norm.blocks, block + 1) - first, pitch
    cdef const char* x = scaled_run(norm, channel, first, count, buffer)
    cdef const char* dy
    cdef Py_ssize_t at = block * norm.pitch + channel
    if moments:
        norm.table.norm.moments(1, count, x, 0, norm.sums[0] + at, norm.sums[1] + at)
        return
    dy = read(&norm.blocks, &norm.dy, channel, 1, first, count, buffer + norm.scratch_bytes // 2, &pitch)
    norm.table.norm.gradient_sums(1, count, dy, 0, x, 0, norm.gradient.mean + channel * norm.table.itemsize, norm.sums[0] + at,
                                  norm.sums[1] + at)


cdef inline void correct_sums(const Norm* norm, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t block,
                              char* buffer) noexcept nogil:
    # Backward: the sums of channels that have a unit of their own.
    cdef Py_ssize_t i
    for i in range(channel, channel + channels if norm.scaled else channel):
        if norm.units[2 * i] != 1:
            sum_scaled(norm, i, block, False, buffer)


cdef inline void sum_block(const Norm* norm, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t block,
                           char* buffer) noexcept nogil:
    cdef Py_ssize_t first = block_start(&norm.blocks, block), count = block_start(&norm.blocks, block + 1) - first
    cdef Py_ssize_t size = norm.table.itemsize, i
    cdef Py_ssize_t planes = 1, pitch, dy_pitch, sample = norm.blocks.s * size, dy_sample = sample
    cdef const char* x
    cdef const char* dy
    cdef double* first_sums = norm.sums[0] + block * norm.pitch + channel
    cdef double* second_sums = norm.sums[1] + block * norm.pitch + channel
    if norm.blocks.planes == 0:                 # where to fetch ahead
        sample = dy_sample = AHEAD
        if norm.fused > 0 and norm.blocks.s * size < 2 * AHEAD:
            sample, dy_sample = norm.x.sample, norm.dy.sample
    x = read_planes(&norm.blocks, &norm.x, channel, channels, first, count, buffer, &pitch, &sample)
    if norm.blocks.planes > 0:
        planes = count // norm.blocks.s
        count = norm.blocks.s
    if not norm.backward:
        for i in range(channels):
            norm.table.norm.moments(planes, count, x + i * pitch, sample, first_sums + i, second_sums + i)
        return
    dy = read_planes(&norm.blocks, &norm.dy, channel, channels, first, planes * count, buffer + norm.scratch_bytes // 2,
                     &dy_pitch, &dy_sample)
    for i in range(channels):
        norm.table.norm.gradient_sums(planes, count, dy + i * dy_pitch, dy_sample, x + i * pitch, sample,
                                      norm.mean + (channel + i) * size, first_sums + i, second_sums + i)
    correct_sums(norm, channel, channels, block, buffer)


cdef inline void set_terms(const Norm* norm, Py_ssize_t channel, double mean, double variance) noexcept nogil:
    # y = ((x - mean) - rest) scale + shift, x in the unit of the channel
    cdef Py_ssize_t row = norm.width * norm.table.itemsize
    cdef double root = root_in(norm.units[2 * channel], variance, norm.eps)
    put(norm.table, norm.terms, channel, mean)
    put(norm.table, norm.terms + row, channel, mean - real_at(norm.table, norm.terms, channel))
    put(norm.table, norm.terms + 2 * row, channel, real_at(norm.table, norm.gamma, channel) / root)
    put(norm.table, norm.terms + 3 * row, channel, real_at(norm.table, norm.beta, channel))


cdef inline void put_together(const Norm* norm, Py_ssize_t channel, double* mean_, double* variance_) noexcept nogil:
    # mean = sum of w_b mean_b and variance = sum of w_b (variance_b + (mean_b - mean)^2), w_b the share of block b in the
    # positions; what the mean is off by is found on the way, as in a block.
    cdef const double* means = norm.sums[0] + channel
    cdef const double* variances = norm.sums[1] + channel
    cdef double mean = 0, off = 0, variance = 0, share, d
    cdef Py_ssize_t b, positions = norm.blocks.n * norm.blocks.s
    for b in range(norm.blocks.count):
        share = <double>(block_start(&norm.blocks, b + 1) - block_start(&norm.blocks, b)) / positions
        mean += share * means[b * norm.pitch]
    for b in range(norm.blocks.count):
        share = <double>(block_start(&norm.blocks, b + 1) - block_start(&norm.blocks, b)) / positions
        d = means[b * norm.pitch] - mean
        off += share * d
        variance += share * (variances[b * norm.pitch] + d * d)
    if off - off == 0:
        mean += off
        variance -= off * off
        if variance < 0:                     # by rounding; not where it is NaN because squares overflow
            variance = 0
    mean_[0], variance_[0] = mean, variance


cdef inline void take_anew(const Norm* norm, Py_ssize_t channel, double unit, double* mean, double* variance,
                           char* buffer) noexcept nogil:
    # The moments of a channel in a unit.
    cdef Py_ssize_t block
    norm.units[2 * channel] = unit
    for block in range(norm.blocks.count):
        sum_scaled(norm, channel, block, True, buffer)
    put_together(norm, channel, mean, variance)
    norm.units[2 * channel + 1] = root_in(unit, variance[0], norm.eps)


cdef inline void finish_forward(const Norm* norm, Py_ssize_t channel, char* buffer) noexcept nogil:
    cdef double mean, variance, unit
    put_together(norm, channel, &mean, &variance)
    unit = unit_for(norm.table, mean, variance)
    if unit != 1:
        take_anew(norm, channel, unit, &mean, &variance, buffer)
    put(norm.table, norm.mean, channel, mean / unit)
    put(norm.table, norm.variance, channel, variance / unit / unit)
    set_terms(norm, channel, mean, variance)


cdef inline void finish_backward(const Norm* norm, Py_ssize_t channel) noexcept nogil:
    # With t = (x - mean) scale, scale = 1 / sqrt(variance + eps): dbeta = sum of dy, dgamma = sum of dy t,
    # dx = gamma scale (dy - mean(dy) - t mean(dy t)). Ioffe and Szegedy, "Batch normalization", ICML 2015.
    cdef double dbeta = 0, total = 0, unit = norm.units[2 * channel], scale
    cdef Py_ssize_t b, row = norm.width * norm.table.itemsize
    scale = 1 / (sqrt(real_at(norm.table, norm.variance, channel) + norm.eps) if unit == 1 else norm.units[2 * channel + 1])
    for b in range(norm.blocks.count):
        dbeta += norm.sums[0][b * norm.pitch + channel]
        total += norm.sums[1][b * norm.pitch + channel]
    put(norm.table, norm.dbeta, channel, dbeta)
    put(norm.table, norm.dgamma, channel, total * scale)
    put(norm.table, norm.terms, channel, dbeta / (norm.blocks.n * norm.blocks.s))
    put(norm.table, norm.terms + row, channel, total / (norm.blocks.n * norm.blocks.s) * scale * scale)
    put(norm.table, norm.terms + 2 * row, channel, real_at(norm.table, norm.gamma, channel) * scale * unit)


cdef inline bint finish(const Norm* norm, Py_ssize_t first, Py_ssize_t last, char* buffer) noexcept nogil:
    # Returns whether any of these channels has a unit of its own.
    cdef Py_ssize_t channel
    cdef bint scaled = False
    for channel in range(first, last):
        if norm.backward:
            finish_backward(norm, channel)
        else:
            finish_forward(norm, channel, buffer)
        scaled |= norm.units[2 * channel] != 1
    return scaled
