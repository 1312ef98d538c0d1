"""The gradients of layer_norm, rms_norm, and group_norm where planes are a few elements (norm_rows.pxd).

dgamma and dbeta sum blocks of samples, and these in double precision. All blocks depend on the shape alone.

    samples  | block 0 | dgamma, dbeta of the block, in the number type where it has few samples,
             | block 1 | else in double precision over sums of SHORT_ROWS
             | ...     | then columns of all blocks together: a piece of dgamma or dbeta is a task

    few, so that there is one block:
             | piece 0 | piece 1 | ...  of columns; each is a task, which adds the terms of all samples, and
             |         |         |      leaves what its piece of a row adds to the two sums of that row
"""
from libc.math cimport INFINITY
from libc.string cimport memcpy, memset
cimport numpy as cnp

from npkernels._kernels.norm_rows cimport Norm, begin_norm, data_of, read, row_moments
from npkernels._kernels.primitives cimport NORM_ROWS, norm_row_operands
from npkernels._kernels.runtime cimport slot_of, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport ceil_div, real_at, round_to_line
from npkernels._kernels.strided cimport merge_array
from npkernels._kernels.units cimport large_unit, root_in, scale_to

cnp.import_array()

cdef enum:
    ROW_PIECE = 2048         # elements of a row whose sums are taken in the number type: a task where samples are few
    SHORT_ROWS = 64          # samples whose dgamma and dbeta are
    MOST_BLOCKS = 64         # of samples
    BLOCK_ELEMENTS = 1 << 14    # of a block of samples, at least
    LEAST_ROWS = 8           # of a block: the sums of fewer would be as much memory as the samples
    PIECE = 512              # of dgamma and dbeta


cdef inline void given(const Norm* norm, Py_ssize_t row, double* mean, double* variance) noexcept nogil:
    mean[0] = 0 if norm.mean == NULL else real_at(norm.table, norm.mean, row)
    variance[0] = real_at(norm.table, norm.variance, row)


cdef inline void add_piece(const Norm* norm, Py_ssize_t column, Py_ssize_t rows, Py_ssize_t count,
                           const norm_row_operands* operands, double* sums, char* dgamma, char* dbeta) noexcept nogil:
    # A piece of some rows, from an element of gamma on
    cdef Py_ssize_t at = column * norm.table.itemsize
    norm.table.row_norm.row_gradient_sums(rows, count, operands, norm.gamma + at, sums, dgamma + at,
                                      NULL if dbeta == NULL else dbeta + at)


cdef inline double begin_row(const Norm* norm, Py_ssize_t row, norm_row_operands* operands, Py_ssize_t r,
                             char* buffer) noexcept nogil:
    # Row r of the operands; returns its unit. A variance that is infinite left the dtype and is taken anew.
    cdef const char* x = read(norm, &norm.x, row * norm.d, norm.d, buffer)
    cdef double mean, variance, unit = 1
    given(norm, row, &mean, &variance)
    if variance == INFINITY:
        unit = large_unit(norm.table)
        x = scale_to(norm.table, x, norm.d, unit, buffer)
        row_moments(norm, x, &mean, &variance)
    operands.x[r], operands.dy[r] = x, read(norm, &norm.dy, row * norm.d, norm.d, buffer + norm.row_bytes)
    operands.mean[r], operands.scale[r] = mean, 1 / root_in(unit, variance, norm.eps)
    return unit


cdef void backward_rows(const Norm* norm, Py_ssize_t sample, Py_ssize_t rows, Py_ssize_t group, char* buffer, char* dgamma,
                        char* dbeta) noexcept nogil:
    # Row `group` of some samples. With t = (x - mean) scale and g = dy gamma: dx = scale (g - mean(g) - t mean(g t)). Ba, Kiros,
    # Hinton, "Layer normalization", 2016. Without a mean of x there is none of g: Zhang, Sennrich, "Root mean square layer
    # normalization", 2019.
    cdef norm_row_operands all, part
    cdef double sums[2 * NORM_ROWS]
    cdef double units[NORM_ROWS]
    cdef Py_ssize_t first = 0, r, size = norm.table.itemsize, column = group * norm.d
    cdef char* dx
    memset(sums, 0, sizeof(sums))
    for r in range(rows):
        units[r] = begin_row(norm, (sample + r) * norm.groups + group, &all, r, buffer + 2 * r * norm.row_bytes)
    part = all
    while first < norm.d:
        add_piece(norm, column + first, rows, min(norm.d - first, <Py_ssize_t>ROW_PIECE), &part, sums, dgamma, dbeta)
        first += ROW_PIECE
        for r in range(rows):
            part.x[r], part.dy[r] = <const char*>part.x[r] + ROW_PIECE * size, <const char*>part.dy[r] + ROW_PIECE * size
    for r in range(rows):
        dx = norm.y + ((sample + r) * norm.groups + group) * norm.d * size
        norm.table.row_norm.row_gradient(norm.d, all.dy[r], all.x[r], norm.gamma + column * size, all.mean[r], all.scale[r],
                                     sums[2 * r] / norm.d, sums[2 * r + 1] / norm.d, dx)
        if units[r] != 1:
            norm.table.optim.scale(norm.d, dx, units[r])


cdef void backward_samples(const Norm* norm, Py_ssize_t first, Py_ssize_t last, char* buffer, char* dgamma,
                           char* dbeta) noexcept nogil:
    cdef size_t bytes = <size_t>(norm.groups * norm.d * norm.table.itemsize)
    cdef Py_ssize_t group, sample
    memset(dgamma, 0, bytes)
    if dbeta != NULL:
        memset(dbeta, 0, bytes)
    for group in range(norm.groups):
        sample = first
        while sample < last:
            backward_rows(norm, sample, min(norm.tile, last - sample), group, buffer, dgamma, dbeta)
            sample += norm.tile


cdef void backward_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* norm = <const Norm*>context
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef char* dgamma = norm.dgamma
    cdef char* dbeta = norm.dbeta
    cdef char* sums
    cdef Py_ssize_t block, start, end
    for block in range(first, last):
        sums = norm.sums + 2 * <size_t>block * norm.sum_bytes
        if norm.wide:
            memset(sums, 0, 2 * norm.sum_bytes)
        if norm.wide or norm.blocks > 1:           # else these are the results
            dgamma = buffer + 2 * norm.tile * norm.row_bytes if norm.wide else sums
            dbeta = dgamma + norm.width_bytes if norm.dbeta != NULL else NULL
        start, end = block * norm.samples // norm.blocks, (block + 1) * norm.samples // norm.blocks
        while start < end:
            backward_samples(norm, start, min(start + SHORT_ROWS, end), buffer, dgamma, dbeta)
            if norm.wide:
                norm.table.rows.add_to_doubles(norm.groups * norm.d, dgamma, <double*>sums)
                if dbeta != NULL:
                    norm.table.rows.add_to_doubles(norm.groups * norm.d, dbeta, <double*>(sums + norm.sum_bytes))
            start += SHORT_ROWS


cdef void add_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Pieces of dgamma, and then those of dbeta.
    cdef const Norm* norm = <const Norm*>context
    cdef double totals[PIECE]
    cdef const char* sums
    cdef Py_ssize_t task, start, count, block, i, width = norm.groups * norm.d, pieces = ceil_div(width, PIECE)
    for task in range(first, last):
        start = task % pieces * PIECE
        count = min(width - start, <Py_ssize_t>PIECE)
        memset(totals, 0, sizeof(totals))
        for block in range(norm.blocks):
            sums = norm.sums + <size_t>(2 * block + task // pieces) * norm.sum_bytes
            if norm.wide:
                for i in range(count):
                    totals[i] += (<const double*>sums)[start + i]
            else:
                norm.table.rows.add_to_doubles(count, sums + start * norm.table.itemsize, totals)
        norm.table.rows.narrow(count, totals, (norm.dbeta if task >= pieces else norm.dgamma) + start * norm.table.itemsize)


cdef void sum_piece(const Norm* norm, Py_ssize_t group, Py_ssize_t piece, char* buffer) noexcept nogil:
    # Of few samples: a piece of dgamma and dbeta, and what it adds to the sums of the rows.
    cdef norm_row_operands some
    cdef double sums[2 * NORM_ROWS]
    cdef double mean, variance
    cdef Py_ssize_t start = piece * ROW_PIECE, count = min(norm.d - start, <Py_ssize_t>ROW_PIECE), sample = 0
    cdef Py_ssize_t rows, r, row
    cdef Py_ssize_t column = group * norm.d + start, bytes = count * norm.table.itemsize
    memset(norm.dgamma + column * norm.table.itemsize, 0, <size_t>bytes)
    if norm.dbeta != NULL:
        memset(norm.dbeta + column * norm.table.itemsize, 0, <size_t>bytes)
    while sample < norm.samples:
        rows = min(<Py_ssize_t>NORM_ROWS, norm.samples - sample)
        memset(sums, 0, sizeof(sums))
        for r in range(rows):
            row = (sample + r) * norm.groups + group
            some.x[r] = read(norm, &norm.x, row * norm.d + start, count, buffer + 2 * r * bytes)
            some.dy[r] = read(norm, &norm.dy, row * norm.d + start, count, buffer + (2 * r + 1) * bytes)
            given(norm, row, &mean, &variance)
            some.mean[r], some.scale[r] = mean, 1 / root_in(1, variance, norm.eps)
        add_piece(norm, column, rows, count, &some, sums, norm.dgamma, norm.dbeta)
        for r in range(rows):
            memcpy(norm.row_sums + 2 * (((sample + r) * norm.groups + group) * norm.pieces + piece), sums + 2 * r,
                   2 * sizeof(double))
        sample += NORM_ROWS


cdef void sum_pieces(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* norm = <const Norm*>context
    cdef Py_ssize_t task
    for task in range(first, last):
        sum_piece(norm, task // norm.pieces, task % norm.pieces, slot_of(&norm.team, slot))


cdef void map_pieces(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # dx of pieces of rows, in the order of memory
    cdef const Norm* norm = <const Norm*>context
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef Py_ssize_t task, row, start, count, size = norm.table.itemsize
    cdef const char* x
    cdef const char* dy
    cdef double mean, variance
    cdef double* sums
    for task in range(first, last):
        row, start = task // norm.pieces, task % norm.pieces * ROW_PIECE
        count = min(norm.d - start, <Py_ssize_t>ROW_PIECE)
        x = read(norm, &norm.x, row * norm.d + start, count, buffer)
        dy = read(norm, &norm.dy, row * norm.d + start, count, buffer + ROW_PIECE * size)
        given(norm, row, &mean, &variance)
        sums = norm.row_sums + 2 * row * norm.pieces
        norm.table.row_norm.row_gradient(count, dy, x, norm.gamma + (row % norm.groups * norm.d + start) * size, mean,
                                     1 / root_in(1, variance, norm.eps), sums[0] / norm.d, sums[1] / norm.d,
                                     norm.y + (row * norm.d + start) * size)


cdef void few_samples(Norm* norm) noexcept nogil:
    # The same sums in the same order as backward_row takes.
    cdef Py_ssize_t row, piece, rows = norm.samples * norm.groups
    cdef double* sums = norm.row_sums
    team_run(&norm.team, sum_pieces, norm, norm.groups * norm.pieces, norm.work)
    for row in range(rows):
        for piece in range(1, norm.pieces):
            sums[0] += sums[2 * piece]
            sums[1] += sums[2 * piece + 1]
        sums += 2 * norm.pieces
    team_run(&norm.team, map_pieces, norm, rows * norm.pieces, norm.work)


cdef bint is_ordinary(const Norm* norm) noexcept nogil:
    # Is no variance to be taken anew?
    cdef Py_ssize_t row
    for row in range(norm.samples * norm.groups):
        if real_at(norm.table, norm.variance, row) == INFINITY:
            return False
    return True


cdef Py_ssize_t block_count(Py_ssize_t samples, Py_ssize_t width) noexcept nogil:
    # Enough for the threads of most machines, each worth a task.
    cdef Py_ssize_t count = min(samples // LEAST_ROWS, min(<Py_ssize_t>MOST_BLOCKS, samples * width // BLOCK_ELEMENTS))
    return max(<Py_ssize_t>1, count) if samples > 0 else 0


cdef int gradients(Norm* norm) except -1 nogil:
    cdef double work
    cdef size_t shared, slot
    cdef bint few
    cdef Py_ssize_t width = norm.groups * norm.d
    norm.blocks = block_count(norm.samples, width)
    norm.wide = norm.samples > norm.blocks * SHORT_ROWS
    few = norm.blocks == 1 and not norm.wide
    norm.tile = NORM_ROWS if norm.d <= ROW_PIECE else 1
    norm.pieces = ceil_div(norm.d, ROW_PIECE)
    norm.sum_bytes = round_to_line(<size_t>width * sizeof(double)) if norm.wide else norm.width_bytes
    shared = 2 * <size_t>norm.blocks * norm.sum_bytes
    if few:
        shared = 2 * <size_t>(norm.samples * norm.groups * norm.pieces) * sizeof(double)
    slot = 2 * norm.tile * norm.row_bytes + (2 * norm.width_bytes if norm.wide else 0)
    if few:
        slot = max(slot, 2 * NORM_ROWS * ROW_PIECE * <size_t>norm.table.itemsize)
    team_begin(&norm.team, norm.work, norm.groups * norm.pieces if few else norm.blocks, shared, slot)
    norm.sums, norm.row_sums = norm.team.shared, <double*>norm.team.shared
    if few and norm.team.threads > 1 and is_ordinary(norm):
        few_samples(norm)
    else:
        team_run(&norm.team, backward_blocks, norm, norm.blocks, norm.work)
    if not few:
        work = work_of(norm.table, 0, 4. * norm.blocks * norm.sum_bytes)
        team_run(&norm.team, add_blocks, norm, ceil_div(width, PIECE) * (1 if norm.dbeta == NULL else 2), work)
    team_end()
    return 0


def backward(
    cnp.ndarray dy,            # IN (samples, groups, d) by any axes; with one group: (..., d)
    cnp.ndarray x,             # IN the same shape
    cnp.ndarray gamma,         # IN (groups, d), C-contiguous
    Py_ssize_t groups,
    object mean,               # IN (samples, groups), C-contiguous, or None
    cnp.ndarray variance,      # IN (samples, groups), C-contiguous, or the mean square
    double eps,
    cnp.ndarray dx,            # OUT shape of x, C-contiguous
    cnp.ndarray dgamma,        # OUT (groups, d), C-contiguous
    object dbeta,              # OUT the same, or None
):
    cdef Norm norm
    begin_norm(&norm, x, gamma, groups, eps, dx, mean, variance)
    merge_array(&norm.dy, dy)
    norm.dgamma, norm.dbeta = <char*>cnp.PyArray_DATA(dgamma), data_of(dbeta)
    if norm.d == 0:
        return
    with nogil:
        gradients(&norm)
