"""Which pixels of an axis a result sees, and how much of each: the lists of taps that `resample` works with.

A list is three arrays: the taps of result i are start[i] <= t < start[i + 1], of pixel[t] with weight[t]. Coordinates are
computed in the dtype of the images, as PyTorch does, so that a result sees the same pixels.
"""
cimport numpy as cnp
from libc.math cimport ceil, floorf

from npkernels._kernels.runtime cimport empty_array

cnp.import_array()

ctypedef fused floating:
    float
    double

CONSTANT, REFLECT, REPLICATE, CIRCULAR = range(4)

cdef enum:
    _CONSTANT
    _REFLECT
    _REPLICATE
    _CIRCULAR


cdef tuple new_list(Py_ssize_t count, Py_ssize_t taps, int typenum):
    cdef cnp.npy_intp starts = count + 1, entries = taps
    return (empty_array(1, &starts, cnp.NPY_INTP), empty_array(1, &entries, cnp.NPY_INTP), empty_array(1, &entries, typenum))


cdef void put_linear(Py_ssize_t size, Py_ssize_t count, floating scale, bint align_corners, Py_ssize_t* start, Py_ssize_t* pixel,
                     floating* weight) noexcept:
    cdef Py_ssize_t i, at
    cdef floating place, rest, half = 0.5
    for i in range(count):
        at, rest = i, 0
        if size != count:
            place = scale * <floating>i if align_corners else max(scale * (<floating>i + half) - half, <floating>0)
            at = min(<Py_ssize_t>place, size - 1)
            rest = min(max(place - <floating>at, <floating>0), <floating>1)
        start[i] = 2 * i
        pixel[2 * i] = at
        pixel[2 * i + 1] = at + 1 if size != count and at < size - 1 else at
        weight[2 * i], weight[2 * i + 1] = 1 - rest, rest
    start[count] = 2 * count


cdef void put_smooth(Py_ssize_t size, Py_ssize_t count, floating scale, Py_ssize_t* start, Py_ssize_t* pixel,
                     floating* weight) noexcept:
    # A triangle as wide as two pixels of the smaller image, around the centre of the result; weights sum to 1.
    cdef Py_ssize_t i, p, first, last, t = 0
    cdef floating centre, total, half = 0.5, support = max(scale, <floating>1), steep = 1 / support
    for i in range(count):
        start[i] = t
        if size == count:
            pixel[t], weight[t] = i, 1
            t += 1
            continue
        centre = scale * (<floating>i + half)
        first = max(<Py_ssize_t>(centre - support + half), <Py_ssize_t>0)
        last = min(<Py_ssize_t>(centre + support + half), size)
        total = 0
        for p in range(first, last):
            pixel[t] = p
            weight[t] = max(1 - abs(<floating>p - centre + half) * steep, <floating>0)
            total += weight[t]
            t += 1
        for p in range(start[i], t):
            weight[p] = weight[p] / total if total != 0 else 0
    start[count] = t


cdef floating scale_of(Py_ssize_t size, Py_ssize_t count, double factor, bint align_corners, floating like) noexcept:
    # Pixels from one result to the next; factor 0: that of the sizes
    if align_corners:
        return <floating>(size - 1) / <floating>(count - 1) if count > 1 else <floating>0
    return <floating>(1 / factor) if factor > 0 else <floating>size / <floating>count


def interpolating(Py_ssize_t size, Py_ssize_t count, double factor, bint align_corners, bint antialias, int typenum):
    """`count` results between `size` pixels, each of its two neighbours, or of all that `antialias` smooths over."""
    cdef Py_ssize_t most = 2
    cdef tuple made
    if antialias:
        most = 2 * <Py_ssize_t>ceil(max(scale_of[double](size, count, factor, align_corners, 0), 1.)) + 3
    made = new_list(count, count * most, typenum)
    cdef Py_ssize_t* start = <Py_ssize_t*>cnp.PyArray_DATA(made[0])
    cdef Py_ssize_t* pixel = <Py_ssize_t*>cnp.PyArray_DATA(made[1])
    cdef void* weight = cnp.PyArray_DATA(made[2])
    cdef float single = scale_of[float](size, count, factor, align_corners, 0)
    cdef double scale = scale_of[double](size, count, factor, align_corners, 0)
    if typenum == cnp.NPY_FLOAT32 and antialias:
        put_smooth(size, count, single, start, pixel, <float*>weight)
    elif typenum == cnp.NPY_FLOAT32:
        put_linear(size, count, single, align_corners, start, pixel, <float*>weight)
    elif antialias:
        put_smooth(size, count, scale, start, pixel, <double*>weight)
    else:
        put_linear(size, count, scale, align_corners, start, pixel, <double*>weight)
    return made


def nearest(Py_ssize_t size, Py_ssize_t count, double factor, int typenum):
    """`count` results, each the pixel floor(i scale) of `size`: the scale and the product are float32, whatever the dtype."""
    cdef tuple made = new_list(count, count, typenum)
    cdef Py_ssize_t* start = <Py_ssize_t*>cnp.PyArray_DATA(made[0])
    cdef Py_ssize_t* pixel = <Py_ssize_t*>cnp.PyArray_DATA(made[1])
    cdef float scale = scale_of[float](size, count, factor, False, 0)
    cdef Py_ssize_t i
    for i in range(count):
        start[i] = i
        if count == size:
            pixel[i] = i
        elif count == 2 * size:
            pixel[i] = i // 2
        else:
            pixel[i] = min(<Py_ssize_t>floorf(<float>i * scale), size - 1)
    start[count] = count
    made[2].fill(1)
    return made


def padding(Py_ssize_t size, Py_ssize_t before, Py_ssize_t after, int mode, int typenum):
    """`size` pixels and what is before and after them; a constant is a result without a tap."""
    cdef Py_ssize_t count = before + size + after, i, at, t = 0
    cdef tuple made = new_list(count, size if mode == _CONSTANT else count, typenum)
    cdef Py_ssize_t* start = <Py_ssize_t*>cnp.PyArray_DATA(made[0])
    cdef Py_ssize_t* pixel = <Py_ssize_t*>cnp.PyArray_DATA(made[1])
    for i in range(count):
        start[i] = t
        at = i - before
        if at < 0:
            at = -at if mode == _REFLECT else at + size if mode == _CIRCULAR else 0 if mode == _REPLICATE else -1
        elif at >= size:
            at = 2 * size - 2 - at if mode == _REFLECT else at - size if mode == _CIRCULAR else at
            at = size - 1 if mode == _REPLICATE else -1 if mode == _CONSTANT else at
        if at >= 0:
            pixel[t] = at
            t += 1
    start[count] = t
    made[2].fill(1)
    return made


def adjoint(tuple taps, Py_ssize_t size):
    """The list of the gradient: result p, one of `size`, is the sum of what saw pixel p, in the order of the results."""
    cdef Py_ssize_t count = cnp.PyArray_DIM(taps[0], 0) - 1, i, t, p
    cdef Py_ssize_t* start = <Py_ssize_t*>cnp.PyArray_DATA(taps[0])
    cdef Py_ssize_t* pixel = <Py_ssize_t*>cnp.PyArray_DATA(taps[1])
    cdef tuple made = new_list(size, start[count], cnp.PyArray_TYPE(taps[2]))
    cdef Py_ssize_t* ends = <Py_ssize_t*>cnp.PyArray_DATA(made[0])
    cdef Py_ssize_t* results = <Py_ssize_t*>cnp.PyArray_DATA(made[1])
    cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(taps[2])
    cdef const char* weight = <const char*>cnp.PyArray_DATA(taps[2])
    cdef char* weights = <char*>cnp.PyArray_DATA(made[2])
    for p in range(size + 1):
        ends[p] = 0
    for t in range(start[count]):
        ends[pixel[t] + 1] += 1
    for p in range(size):
        ends[p + 1] += ends[p]
    # ends[p] is where the next tap of p goes; in the end where those of p + 1 begin
    for i in range(count):
        for t in range(start[i], start[i + 1]):
            p = ends[pixel[t]]
            ends[pixel[t]] += 1
            results[p] = i
            if itemsize == sizeof(float):
                (<float*>weights)[p] = (<const float*>weight)[t]
            else:
                (<double*>weights)[p] = (<const double*>weight)[t]
    for p in range(size, 0, -1):
        ends[p] = ends[p - 1]
    ends[0] = 0
    return made
