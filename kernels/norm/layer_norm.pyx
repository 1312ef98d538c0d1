"""Normalisation of rows: layer_norm, rms_norm, and group_norm where planes are a few elements (norm_rows.pxd)."""
from libc.string cimport memcmp
cimport numpy as cnp

from npkernels._kernels.norm_rows cimport Norm, begin_norm, data_of, read, row_moments
from npkernels._kernels.runtime cimport slot_of, team_begin, team_end, team_run
from npkernels._kernels.scalars cimport put, real_at
from npkernels._kernels.units cimport root_in, scale_to, unit_for

cnp.import_array()


cdef inline bint needs_no_unit(const Norm* norm, const char* x) noexcept nogil:
    # Are all numbers of a row the same, such as zeros? The mean square of such a row may need one all the same.
    return (memcmp(x, x + norm.table.itemsize, <size_t>((norm.d - 1) * norm.table.itemsize)) == 0
            and (norm.mean != NULL or real_at(norm.table, x, 0) == 0))


cdef inline double unit_of(const Norm* norm, Py_ssize_t row, const char* x, double mean, double variance) noexcept nogil:
    # A mean square of float32 is a double: whether its root is a number is seen when it has become a float32.
    cdef double unit
    if norm.mean == NULL:
        put(norm.table, norm.variance, row, variance)
        variance = real_at(norm.table, norm.variance, row)
    unit = unit_for(norm.table, mean, variance)
    return 1 if unit != 1 and needs_no_unit(norm, x) else unit


cdef void forward_rows(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* norm = <const Norm*>context
    cdef Py_ssize_t row, at
    cdef const char* x
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef double mean, variance, unit
    for row in range(first, last):
        x = read(norm, &norm.x, row * norm.d, norm.d, buffer)
        row_moments(norm, x, &mean, &variance)
        unit = unit_of(norm, row, x, mean, variance)
        if unit != 1:
            x = scale_to(norm.table, x, norm.d, unit, buffer)
            row_moments(norm, x, &mean, &variance)
        if norm.mean != NULL:
            put(norm.table, norm.mean, row, mean / unit)
        put(norm.table, norm.variance, row, variance / unit / unit)
        at = 0 if norm.groups == 1 else row % norm.groups * norm.d * norm.table.itemsize
        norm.table.row_norm.row(norm.d, x, mean, 1 / root_in(unit, variance, norm.eps), norm.gamma + at,
                                <const char*>NULL if norm.beta == NULL else norm.beta + at,
                                norm.y + row * norm.d * norm.table.itemsize)


def forward(
    cnp.ndarray x,             # IN (samples, groups, d) by any axes; with one group: (..., d)
    cnp.ndarray gamma,         # IN (groups, d), C-contiguous
    object beta,               # IN the same, or None
    Py_ssize_t groups,
    double eps,
    cnp.ndarray y,             # OUT shape of x, C-contiguous
    object mean,               # OUT (samples, groups), C-contiguous, or None: by the root mean square
    cnp.ndarray variance,      # OUT the same, or the mean square
):
    cdef Norm norm
    begin_norm(&norm, x, gamma, groups, eps, y, mean, variance)
    norm.beta = data_of(beta)
    if cnp.PyArray_SIZE(x) == 0:
        return
    with nogil:
        team_begin(&norm.team, norm.work, norm.samples * groups, 0, norm.row_bytes)
        team_run(&norm.team, forward_rows, &norm, norm.samples * groups, norm.work)
        team_end()
