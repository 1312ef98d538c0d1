"""Planes of a few pixels, a constant step apart: groups of them are transposed, so that each lane holds a plane."""
cimport numpy as cnp
from libc.string cimport memcpy

from npkernels._kernels.planes cimport POOL_GRAIN, Planes
from npkernels._kernels.primitives cimport pooling, primitives
from npkernels._kernels.runtime cimport num_threads, parallel_for

cdef enum:
    TINY = 64                                # the most pixels of such a plane, and windows
    FEW_TINY = 64                            # planes that are not worth it
    TINY_DOUBLES = 1 << 11                   # that hold the pixels and windows of a group

cdef struct Tiny:
    const primitives* table
    pooling g
    Planes planes                            # of what is read
    Py_ssize_t count, group                  # of all planes, of those taken at a time
    Py_ssize_t inputs, outputs               # elements of a plane that is read, and of one that is written
    char* to                                 # where planes are written, one behind the other
    int* places                              # of the maxima, or NULL
    bint mean, backward, include_pad


cdef inline bint are_tiny(Tiny* v, Py_ssize_t images, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t outputs) noexcept nogil:
    # Whether planes of rows x columns elements are to be taken so; sets the group.
    cdef const Planes* x = &v.planes
    cdef Py_ssize_t most, lanes = v.table.lanes
    v.count, v.inputs, v.outputs = images * x.channels, rows * columns, outputs
    if v.count < FEW_TINY or v.inputs > TINY or v.outputs > TINY or v.inputs < 1:
        return False
    if x.row != columns * x.column or x.image != x.channels * x.channel:
        return False
    most = TINY_DOUBLES * 8 // ((v.inputs + v.outputs) * v.table.itemsize)
    v.group = max(lanes, most // lanes * lanes)
    return True


cdef inline void pool_tiny(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Tiny* v = <const Tiny*>context
    cdef double memory[3 * TINY_DOUBLES]
    cdef Py_ssize_t group, planes, width, lanes = v.table.lanes, size = v.table.itemsize
    cdef char* pixels = <char*>memory
    cdef char* results
    cdef char* places
    cdef char* turned
    cdef char* to
    for group in range(first, last):
        planes = min(v.group, v.count - group * v.group)
        width = (planes + lanes - 1) // lanes * lanes
        v.table.pack.panel(v.inputs, planes, width, v.planes.data + group * v.group * v.planes.channel, v.planes.column,
                           v.planes.channel, pixels)
        results, to = pixels + v.inputs * width * size, v.to + group * v.group * v.outputs * size
        if v.backward:
            v.table.tiny_pool.mean_backward(&v.g, v.include_pad, width, pixels, results)
        elif v.mean:
            v.table.tiny_pool.mean(&v.g, v.include_pad, width, pixels, results)
        elif v.places != NULL:
            places = results + v.outputs * width * size
            turned = places + v.outputs * width * size
            v.table.tiny_pool.indices(&v.g, width, pixels, results, places)
            v.table.pack.transpose(v.outputs, planes, places, width, turned, v.outputs)
            v.table.tiny_pool.to_integers(planes * v.outputs, turned, v.places + group * v.group * v.outputs)
        else:
            v.table.tiny_pool.max(&v.g, width, pixels, results)
        if v.outputs == 1:
            memcpy(to, results, <size_t>(planes * size))
        else:
            v.table.pack.transpose(v.outputs, planes, results, width, to, v.outputs)


cdef inline void pool_tiny_planes(Tiny* v) noexcept nogil:
    cdef Py_ssize_t grain = POOL_GRAIN // (v.group * max(v.inputs, v.outputs))
    parallel_for(pool_tiny, v, (v.count + v.group - 1) // v.group, max(<Py_ssize_t>1, grain), num_threads())
