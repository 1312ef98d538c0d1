"""im2col and col2im: the patches under a sliding window as columns, and their sum at their places."""
cimport numpy as cnp

from npkernels._kernels.convolution cimport set_windows
from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport patch_columns, primitives, windows
from npkernels._kernels.runtime cimport Team, primitives_for, team_begin, team_end, team_run, work_of

cnp.import_array()


cdef struct Columns:
    const primitives* table
    windows patches
    char* x                                  # planes (h, w), contiguous
    char* cols
    Py_ssize_t channels, image, row, column  # strides of cols in bytes


cdef void unfold_channels(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # cols[n, (c, .), :] for the channels (n, c) of one image after the other
    cdef const Columns* v = <const Columns*>context
    cdef Py_ssize_t taps = v.patches.kh * v.patches.kw, plane = v.patches.oh * v.patches.ow, channels
    while first < last:
        channels = min(last - first, v.channels - first % v.channels)
        v.table.conv.patch_rows(&v.patches, first % v.channels * taps, channels * taps, first // v.channels * plane, plane,
                                v.cols + first * taps * plane * v.table.itemsize, plane)
        first += channels


def unfold(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray cols,        # OUT (n, c * kh * kw, oh * ow), C-contiguous
    object geometry,
):
    cdef Columns v
    cdef Team team
    cdef double work
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_windows(&v.patches, x, geometry)
    v.channels, v.cols = cnp.PyArray_DIMS(x)[1], <char*>cnp.PyArray_DATA(cols)
    work = work_of(v.table, 0, 2. * cnp.PyArray_NBYTES(cols))
    with nogil:
        team_begin(&team, work, cnp.PyArray_DIMS(x)[0] * v.channels, 0, 0)
        team_run(&team, unfold_channels, &v, cnp.PyArray_DIMS(x)[0] * v.channels, work)
        team_end()


cdef void fold_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Whole images together, and what is left of the first and the last
    cdef const Columns* v = <const Columns*>context
    cdef Py_ssize_t images, channels, plane = v.patches.h * v.patches.w * v.table.itemsize
    cdef patch_columns cols
    cols.image, cols.channel, cols.tap, cols.column = v.image, v.patches.kh * v.patches.kw * v.row, v.row, v.column
    while first < last:
        images, channels = 1, min(last - first, v.channels - first % v.channels)
        if channels == v.channels:
            images = (last - first) // channels
        cols.x = v.cols + first // v.channels * cols.image + first % v.channels * cols.channel
        v.table.conv.patch_sums(&v.patches, images, channels, &cols, NULL, v.x + first * plane, v.channels * plane, plane)
        first += images * channels


def fold(
    cnp.ndarray cols,        # IN (n, c * kh * kw, oh * ow)
    cnp.ndarray x,           # OUT (n, c, h, w), C-contiguous
    object geometry,
):
    cdef Columns v
    cdef cnp.npy_intp s[3]
    cdef Py_ssize_t planes = cnp.PyArray_DIMS(x)[0] * cnp.PyArray_DIMS(x)[1]
    cdef Team team
    cdef double work
    read_strides(cols, s)
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_windows(&v.patches, x, geometry)
    v.channels = max(1, cnp.PyArray_DIMS(x)[1])
    v.x, v.cols = <char*>cnp.PyArray_DATA(x), <char*>cnp.PyArray_DATA(cols)
    v.image, v.row, v.column = s[0], s[1], s[2]
    work = work_of(v.table, 0, 2. * cnp.PyArray_NBYTES(cols))
    with nogil:
        team_begin(&team, work, planes, 0, 0)
        team_run(&team, fold_planes, &v, planes, work)
        team_end()
