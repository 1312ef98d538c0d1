"""An array (n, c, *spatial) of any strides as c channels of n * s positions, which are cut into blocks.

Blocks are parts of planes where planes are large, several small planes, or runs of positions where planes are only a
few. They depend on the shape alone. A block is read in place where it is contiguous, and else gathered, several channels
at a time where channels lie side by side.
"""
cimport numpy as cnp

from npkernels._kernels.layout cimport MOST_AXES, read_strides
from npkernels._kernels.primitives cimport primitives, strided
from npkernels._kernels.strided cimport merge_axes, offset_of

cdef enum:
    LARGE = 256              # elements of a plane from which on blocks are parts of planes
    SMALL = 16               # elements from which on blocks are several planes, below, runs of positions
    BLOCK = 4096             # the most elements of such a part: read twice, the second time from the first-level cache
    RUN = 1024               # the most positions of the other blocks

cdef struct Blocks:
    const primitives* table
    Py_ssize_t n, c, s       # s: elements of a plane
    Py_ssize_t parts         # of a plane, 0 where blocks hold several
    Py_ssize_t planes        # of a block, 0 where it is a run of positions
    Py_ssize_t count         # of blocks of a channel
    Py_ssize_t group         # channels that are gathered at a time, in lanes where planes are tiny
    bint whole               # no plane must be gathered

cdef struct Channels:
    strided positions        # their data are those of channel 0
    Py_ssize_t stride        # bytes between channels
    Py_ssize_t sample        # bytes between planes
    Py_ssize_t step, run     # the innermost axis of the positions: bytes between, and number of its elements
    bint whole               # planes are contiguous


cdef inline void set_blocks(Blocks* blocks, const primitives* table, cnp.ndarray x) noexcept:
    cdef int i
    blocks.table = table
    blocks.n, blocks.c, blocks.s = cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(x)[1], 1
    for i in range(2, cnp.PyArray_NDIM(x)):
        blocks.s *= cnp.PyArray_DIMS(x)[i]
    blocks.parts, blocks.planes, blocks.whole = 0, 0, True
    blocks.group = 5 * table.lanes if blocks.s < SMALL else 1      # rows of odd length use all of a cache
    if blocks.s >= LARGE:
        blocks.parts = (blocks.s + BLOCK - 1) // BLOCK
        blocks.count = blocks.n * blocks.parts
    elif blocks.s >= SMALL:
        blocks.planes = RUN // blocks.s
        blocks.count = (blocks.n + blocks.planes - 1) // blocks.planes
    else:
        blocks.count = (blocks.n * blocks.s + RUN - 1) // RUN


cdef inline void set_channels(Blocks* blocks, Channels* a, cnp.ndarray x) noexcept:
    cdef cnp.npy_intp shape[MOST_AXES]
    cdef cnp.npy_intp strides[MOST_AXES]
    cdef int i, axes = cnp.PyArray_NDIM(x) - 1
    read_strides(x, strides)
    a.sample, a.stride = strides[0], strides[1]
    for i in range(axes):
        shape[i] = cnp.PyArray_DIMS(x)[i + (i > 0)]
        strides[i] = strides[i + (i > 0)]
    merge_axes(&a.positions, <char*>cnp.PyArray_DATA(x), axes, shape, strides)
    a.step, a.run = a.positions.strides[a.positions.axes - 1], a.positions.shape[a.positions.axes - 1]
    a.whole = blocks.s == 1 or (a.step == blocks.table.itemsize and blocks.s > 0 and a.run % blocks.s == 0)
    blocks.whole = blocks.whole and a.whole
    if blocks.s >= SMALL and a.stride == blocks.table.itemsize and a.step != blocks.table.itemsize:
        blocks.group = blocks.table.lanes * (1 if blocks.parts > 0 else 4)


cdef inline Py_ssize_t block_start(const Blocks* blocks, Py_ssize_t block) noexcept nogil:
    # The first position of a block; that of block `blocks` is the number of positions.
    if blocks.parts > 0:
        return block // blocks.parts * blocks.s + block % blocks.parts * blocks.s // blocks.parts
    return min(block * (blocks.planes * blocks.s if blocks.planes > 0 else <Py_ssize_t>RUN), blocks.n * blocks.s)


cdef inline const char* read(const Blocks* blocks, const Channels* a, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t first,
                             Py_ssize_t count, char* buffer, Py_ssize_t* pitch) noexcept nogil:
    # Positions first .. first + count of some channels: a row for each channel, `pitch` bytes apart.
    cdef const char* at = a.positions.data + channel * a.stride
    cdef Py_ssize_t size = blocks.table.itemsize, lanes = blocks.table.lanes, i
    cdef Py_ssize_t width = (count + lanes - 1) // lanes * lanes
    cdef strided one
    if first // a.run == (first + count - 1) // a.run:
        at += offset_of(&a.positions, first)
        pitch[0] = a.stride
        if a.step == size or count == 1:
            return at
        pitch[0] = width * size
        blocks.table.pack.panel(channels, count, width, at, a.stride, a.step, buffer)
        return buffer
    pitch[0] = width * size
    one = a.positions
    for i in range(channels):
        one.data = <char*>at + i * a.stride
        blocks.table.strided.gather(&one, first, count, buffer + i * pitch[0])
    return buffer


cdef inline const char* read_planes(const Blocks* blocks, const Channels* a, Py_ssize_t channel, Py_ssize_t channels,
                                    Py_ssize_t first, Py_ssize_t count, char* buffer, Py_ssize_t* pitch,
                                    Py_ssize_t* sample) noexcept nogil:
    # The same for a block; planes that are contiguous each are read in place, `sample` bytes apart.
    if blocks.planes > 0 and a.whole:
        pitch[0], sample[0] = a.stride, a.sample
        return a.positions.data + channel * a.stride + first // blocks.s * a.sample
    return read(blocks, a, channel, channels, first, count, buffer, pitch)
