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


cdef inline Norm strip_of(const Norm* v, Py_ssize_t channel, Py_ssize_t channels) noexcept nogil:
    # Channels channel .. channel + channels as a batch normalisation, still without memory for sums and terms.
    cdef Norm own = v[0]
    cdef Py_ssize_t skipped = channel * v.table.itemsize
    own.width = channels
    own.x.positions.data += channel * v.x.stride
    own.y += skipped * v.blocks.s
    own.gamma += skipped
    own.mean += skipped
    own.variance += skipped
    if v.backward:
        own.dy.positions.data += channel * v.dy.stride
        own.dgamma += skipped
        own.dbeta += skipped
    else:
        own.beta += skipped
    return own


cdef inline const char* columns_of(const Norm* v, const Channels* a, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t first,
                                   Py_ssize_t count, char* buffer, Py_ssize_t* pitch) noexcept nogil:
    # Positions first .. first + count as rows of channels: in place where channels lie side by side, and positions a constant
    # step apart. Many rows that lie pages apart are copied: they would be walked down three times.
    cdef Py_ssize_t size = v.table.itemsize, done = 0, run
    cdef Py_ssize_t width = (channels + v.table.lanes - 1) // v.table.lanes * v.table.lanes
    cdef const char* at = a.positions.data + channel * a.stride
    if a.stride == size and a.positions.axes == 1 and (count <= FEW or a.step * 2 <= PAGE):
        pitch[0] = a.step
        return at + first * a.step
    while done < count:
        run = min(count - done, a.run - (first + done) % a.run)
        v.table.pack.panel(run, channels, width, at + offset_of(&a.positions, first + done), a.step, a.stride,
                           buffer + done * width * size)
        done += run
    pitch[0] = width * size
    return buffer


cdef inline norm_pair sum_columns(const Norm* v, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t block,
                                  char* buffer) noexcept nogil:
    # The sums of a block of some channels; returns the rows of channels that were summed, where none has a unit of its own.
    cdef Py_ssize_t first = block_start(&v.blocks, block), count = block_start(&v.blocks, block + 1) - first
    cdef double* sum = v.sums[0] + block * v.pitch + channel
    cdef double* product = v.sums[1] + block * v.pitch + channel
    cdef norm_pair rows
    rows.x = columns_of(v, &v.x, channel, channels, first, count, buffer, &rows.x_stride)
    rows.dy, rows.dy_stride = rows.x, rows.x_stride
    if v.backward:
        rows.dy = columns_of(v, &v.dy, channel, channels, first, count, buffer + v.scratch_bytes // 2, &rows.dy_stride)
        v.table.norm.column_gradient_sums(channels, count, &rows, v.mean + channel * v.table.itemsize, sum, product)
        correct_sums(v, channel, channels, block, buffer)
    else:
        v.table.norm.column_moments(channels, count, rows.x, rows.x_stride, sum, product)
    return rows


cdef inline void take_given(const Norm* v) noexcept nogil:
    memset(v.sums[0], 0, <size_t>v.width * sizeof(double))
    memset(v.sums[1], 0, <size_t>v.width * sizeof(double))
    v.table.rows.add_to_doubles(v.width, v.mean, v.sums[0])
    v.table.rows.add_to_doubles(v.width, v.variance, v.sums[1])


cdef inline void finish_moments(Norm* v, char* buffer) noexcept nogil:
    # All channels as if their moments were ordinary, and then those whose moments are not.
    cdef norm_channels to
    cdef Py_ssize_t channel
    cdef double unit, mean, variance, largest = largest_mean(v.table)
    to.scale, to.other, to.first, to.second = v.gamma, v.beta, v.mean, v.variance
    if v.given:
        to.first, to.second = buffer, buffer + v.scratch_bytes // 2    # nobody wants them
    if not v.table.norm.finish(v.width, <const double**>v.sums, v.eps, &to, v.terms, v.width):
        return
    for channel in range(v.width):
        mean, variance = v.sums[0][channel], v.sums[1][channel]
        if not v.given:
            unit = unit_for(v.table, mean, variance)
            if unit != 1:
                finish_forward(v, channel, buffer)
        elif fabs(mean) > largest:
            v.units[2 * channel] = unit = 0.25
            set_terms(v, channel, mean * unit, variance * unit * unit)
        v.scaled |= v.units[2 * channel] != 1


cdef inline void finish_columns(Norm* v, char* buffer) noexcept nogil:
    cdef norm_channels to
    cdef Py_ssize_t channel
    if not v.backward:
        finish_moments(v, buffer)
        return
    to.scale, to.other, to.first, to.second = v.gamma, v.variance, v.dbeta, v.dgamma
    v.table.norm.finish_gradient(v.width, <const double**>v.sums, <double>(v.blocks.n * v.blocks.s), v.eps, &to, v.terms, v.width)
    for channel in range(v.width if v.scaled else 0):
        if v.units[2 * channel] != 1:
            finish_backward(v, channel)


cdef inline void map_columns(const Norm* v, const norm_pair* rows) noexcept nogil:
    # y where a plane is one element, from the rows of channels that were summed.
    cdef norm_pair some = rows[0]
    cdef Py_ssize_t pitch = v.blocks.c * v.table.itemsize, first = 0, count
    while first < v.blocks.n:
        count = min(<Py_ssize_t>SAMPLES, v.blocks.n - first)
        if v.backward:
            v.table.norm.gradient_columns(v.width, count, &some, &v.gradient, v.y + first * pitch, pitch)
        else:
            v.table.norm.columns(v.width, count, some.x, some.x_stride, &v.map, v.y + first * pitch, pitch)
        some.x = <const char*>some.x + count * some.x_stride
        some.dy = <const char*>some.dy + count * some.dy_stride
        first += count
