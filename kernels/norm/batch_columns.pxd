"""Batch normalisation of channels that have few positions, side by side: each lane of a vector is a channel.

A task takes a strip of channels through both passes. It is a batch normalisation of fewer channels, with sums and terms of its
own: those of a million channels would be several times as much memory as x. Bits do not depend on where strips begin.
"""
from libc.math cimport fabs
from libc.string cimport memset

from npkernels._kernels.batch_sums cimport Norm, correct_sums, finish_backward, finish_forward, set_terms
from npkernels._kernels.channels cimport Channels, block_start
from npkernels._kernels.primitives cimport norm_channels, norm_pair
from npkernels._kernels.strided cimport offset_of
from npkernels._kernels.units cimport largest_mean, unit_for

cdef enum:
    FEW = 32                 # rows of channels that are read where they lie, however far apart
    PAGE = 1 << 12
    SAMPLES = 4              # that the map takes at a time, while its terms are in registers


cdef inline Norm strip_of(const Norm* norm, Py_ssize_t channel, Py_ssize_t channels) noexcept nogil:
    # Channels channel .. channel + channels as a batch normalisation, still without memory for sums and terms.
    cdef Norm own = norm[0]
    cdef Py_ssize_t skipped = channel * norm.table.itemsize
    own.width = channels
    own.x.positions.data += channel * norm.x.stride
    own.y += skipped * norm.blocks.s
    own.gamma += skipped
    own.mean += skipped
    own.variance += skipped
    if norm.backward:
        own.dy.positions.data += channel * norm.dy.stride
        own.dgamma += skipped
        own.dbeta += skipped
    else:
        own.beta += skipped
    return own


cdef inline const char* columns_of(const Norm* norm, const Channels* a, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t first,
                                   Py_ssize_t count, char* buffer, Py_ssize_t* pitch) noexcept nogil:
    # Positions first .. first + count as rows of channels: in place where channels lie side by side, and positions a constant
    # step apart. Many rows that lie pages apart are copied: they would be walked down three times.
    cdef Py_ssize_t size = norm.table.itemsize, done = 0, run
    cdef Py_ssize_t width = (channels + norm.table.lanes - 1) // norm.table.lanes * norm.table.lanes
    cdef const char* at = a.positions.data + channel * a.stride
    if a.stride == size and a.positions.axes == 1 and (count <= FEW or a.step * 2 <= PAGE):
        pitch[0] = a.step
        return at + first * a.step
    while done < count:
        run = min(count - done, a.run - (first + done) % a.run)
        norm.table.pack.panel(run, channels, width, at + offset_of(&a.positions, first + done), a.step, a.stride,
                              buffer + done * width * size)
        done += run
    pitch[0] = width * size
    return buffer


cdef inline norm_pair sum_columns(const Norm* norm, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t block,
                                  char* buffer) noexcept nogil:
    # The sums of a block of some channels; returns the rows of channels that were summed, where none has a unit of its own.
    cdef Py_ssize_t first = block_start(&norm.blocks, block), count = block_start(&norm.blocks, block + 1) - first
    cdef double* sum = norm.sums[0] + block * norm.pitch + channel
    cdef double* product = norm.sums[1] + block * norm.pitch + channel
    cdef norm_pair rows
    rows.x = columns_of(norm, &norm.x, channel, channels, first, count, buffer, &rows.x_stride)
    rows.dy, rows.dy_stride = rows.x, rows.x_stride
    if norm.backward:
        rows.dy = columns_of(norm, &norm.dy, channel, channels, first, count, buffer + norm.scratch_bytes // 2, &rows.dy_stride)
        norm.table.norm.column_gradient_sums(channels, count, &rows, norm.mean + channel * norm.table.itemsize, sum, product)
        correct_sums(norm, channel, channels, block, buffer)
    else:
        norm.table.norm.column_moments(channels, count, rows.x, rows.x_stride, sum, product)
    return rows


cdef inline void take_given(const Norm* norm) noexcept nogil:
    memset(norm.sums[0], 0, <size_t>norm.width * sizeof(double))
    memset(norm.sums[1], 0, <size_t>norm.width * sizeof(double))
    norm.table.rows.add_to_doubles(norm.width, norm.mean, norm.sums[0])
    norm.table.rows.add_to_doubles(norm.width, norm.variance, norm.sums[1])


cdef inline void finish_moments(Norm* norm, char* buffer) noexcept nogil:
    # All channels as if their moments were ordinary, and then those whose moments are not.
    cdef norm_channels to
    cdef Py_ssize_t channel
    cdef double unit, mean, variance, largest = largest_mean(norm.table)
    to.scale, to.other, to.first, to.second = norm.gamma, norm.beta, norm.mean, norm.variance
    if norm.given:
        to.first, to.second = buffer, buffer + norm.scratch_bytes // 2    # nobody wants them
    if not norm.table.norm.finish(norm.width, <const double**>norm.sums, norm.eps, &to, norm.terms, norm.width):
        return
    for channel in range(norm.width):
        mean, variance = norm.sums[0][channel], norm.sums[1][channel]
        if not norm.given:
            unit = unit_for(norm.table, mean, variance)
            if unit != 1:
                finish_forward(norm, channel, buffer)
        elif fabs(mean) > largest:
            norm.units[2 * channel] = unit = 0.25
            set_terms(norm, channel, mean * unit, variance * unit * unit)
        norm.scaled |= norm.units[2 * channel] != 1


cdef inline void finish_columns(Norm* norm, char* buffer) noexcept nogil:
    cdef norm_channels to
    cdef Py_ssize_t channel
    if not norm.backward:
        finish_moments(norm, buffer)
        return
    to.scale, to.other, to.first, to.second = norm.gamma, norm.variance, norm.dbeta, norm.dgamma
    norm.table.norm.finish_gradient(norm.width, <const double**>norm.sums, <double>(norm.blocks.n * norm.blocks.s), norm.eps,
                                    &to, norm.terms, norm.width)
    for channel in range(norm.width if norm.scaled else 0):
        if norm.units[2 * channel] != 1:
            finish_backward(norm, channel)


cdef inline void map_columns(const Norm* norm, const norm_pair* rows) noexcept nogil:
    # y where a plane is one element, from the rows of channels that were summed.
    cdef norm_pair some = rows[0]
    cdef Py_ssize_t pitch = norm.blocks.c * norm.table.itemsize, first = 0, count
    while first < norm.blocks.n:
        count = min(<Py_ssize_t>SAMPLES, norm.blocks.n - first)
        if norm.backward:
            norm.table.norm.gradient_columns(norm.width, count, &some, &norm.gradient, norm.y + first * pitch, pitch)
        else:
            norm.table.norm.columns(norm.width, count, some.x, some.x_stride, &norm.map, norm.y + first * pitch, pitch)
        some.x = <const char*>some.x + count * some.x_stride
        some.dy = <const char*>some.dy + count * some.dy_stride
        first += count
