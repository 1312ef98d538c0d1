"""Layer normalisation: each row of the last axis by its own moments, and the gradient.

A row is read in place where it is contiguous, and else gathered. Long rows have the moments of blocks, put together in
order; dgamma and dbeta sum blocks of rows, and these in double precision. All blocks depend on the shape alone.

    rows  | block 0 | dgamma, dbeta of the block, in the number type where it has few rows,
          | block 1 | else in double precision over sums of SHORT_ROWS
          | ...     | then columns of all blocks together: a piece of dgamma or dbeta is a task
"""
from libc.math cimport INFINITY
from libc.string cimport memcmp, memset
cimport numpy as cnp

from npkernels._kernels.layout cimport MOST_AXES, read_strides
from npkernels._kernels.primitives cimport primitives, strided
from npkernels._kernels.runtime cimport Team, primitives_for, slot_of, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport ceil_div, put, real_at, round_to_line
from npkernels._kernels.strided cimport merge_axes, offset_of
from npkernels._kernels.units cimport large_unit, root_in, scale_to, unit_for

cnp.import_array()

cdef enum:
    BLOCK = 4096             # elements whose sum is taken in the number type
    SHORT_ROWS = 64          # rows whose dgamma and dbeta are
    MOST_BLOCKS = 64         # of rows
    FLOPS = 16               # of an element
    BLOCK_ELEMENTS = 1 << 14    # of a block of rows, at least
    LEAST_ROWS = 8           # of a block: the sums of fewer would be as much memory as the rows
    PIECE = 512              # of dgamma and dbeta

cdef struct Rows:
    # (rows, d): the rows by any strides
    strided rows
    Py_ssize_t step

cdef struct Norm:
    const primitives* table
    Py_ssize_t rows, d, blocks
    Rows x, dy
    const char* gamma
    const char* beta
    char* mean               # (rows,)
    char* variance
    double eps
    char* y                  # (rows, d), C-contiguous
    char* dgamma             # (d,)
    char* dbeta
    bint wide                # the sums of blocks are in double precision
    char* sums               # (blocks, 2): dgamma and dbeta of blocks of rows, `sum_bytes` apart
    size_t sum_bytes
    size_t row_bytes
    double work
    Team team                # a thread has rows of x and dy, and sums of short blocks


cdef void set_rows(Rows* a, cnp.ndarray x) noexcept:
    cdef int last = cnp.PyArray_NDIM(x) - 1
    cdef cnp.npy_intp strides[MOST_AXES]
    read_strides(x, strides)
    merge_axes(&a.rows, <char*>cnp.PyArray_DATA(x), last, cnp.PyArray_DIMS(x), strides)
    a.step = strides[last]


cdef void begin_norm(Norm* norm, cnp.ndarray x, cnp.ndarray gamma, double eps, cnp.ndarray y, cnp.ndarray mean,
                     cnp.ndarray variance) noexcept:
    norm.table = primitives_for(cnp.PyArray_TYPE(x))
    norm.rows, norm.d, norm.eps = cnp.PyArray_SIZE(mean), cnp.PyArray_DIMS(x)[cnp.PyArray_NDIM(x) - 1], eps
    set_rows(&norm.x, x)
    norm.gamma, norm.y = <const char*>cnp.PyArray_DATA(gamma), <char*>cnp.PyArray_DATA(y)
    norm.mean, norm.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    norm.work = work_of(norm.table, <double>FLOPS * norm.rows * norm.d, <double>3 * norm.rows * norm.d * norm.table.itemsize)
    norm.row_bytes = round_to_line(<size_t>(norm.d * norm.table.itemsize))


cdef inline const char* row_of(const Norm* norm, const Rows* a, Py_ssize_t row, char* buffer) noexcept nogil:
    cdef const char* at = a.rows.data + offset_of(&a.rows, row)
    if a.step == norm.table.itemsize or norm.d == 1:
        return at
    norm.table.pack.rows(1, norm.d, at, 0, a.step, buffer)
    return buffer


cdef void row_moments(const Norm* norm, const char* x, double* mean, double* variance) noexcept nogil:
    # Blocks are added one by one: with shares w of the elements seen, mean += w d and variance = (1 - w) variance +
    # w (variance_b + (1 - w) d^2), d = mean_b - mean. Chan, Golub, LeVeque, The American Statistician 37(3), 1983.
    cdef Py_ssize_t first = BLOCK, count
    cdef double near, spread, share, d
    norm.table.norm.moments(1, min(norm.d, <Py_ssize_t>BLOCK), x, 0, mean, variance)
    while first < norm.d:
        count = min(norm.d - first, <Py_ssize_t>BLOCK)
        norm.table.norm.moments(1, count, x + first * norm.table.itemsize, 0, &near, &spread)
        share, d = <double>count / (first + count), near - mean[0]
        mean[0] = mean[0] + share * d if d - d == 0 else mean[0] + near
        variance[0] = (1 - share) * variance[0] + share * (spread + (1 - share) * d * d)
        first += count


cdef inline bint is_constant(const Norm* norm, const char* x) noexcept nogil:
    # Are all numbers of a row the same, such as zeros?
    return memcmp(x, x + norm.table.itemsize, <size_t>((norm.d - 1) * norm.table.itemsize)) == 0


cdef void forward_rows(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* norm = <const Norm*>context
    cdef Py_ssize_t row
    cdef const char* x
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef double mean, variance, unit
    for row in range(first, last):
        x = row_of(norm, &norm.x, row, buffer)
        row_moments(norm, x, &mean, &variance)
        unit = unit_for(norm.table, mean, variance)
        if unit != 1 and is_constant(norm, x):
            unit = 1
        if unit != 1:
            x = scale_to(norm.table, x, norm.d, unit, buffer)
            row_moments(norm, x, &mean, &variance)
        put(norm.table, norm.mean, row, mean / unit)
        put(norm.table, norm.variance, row, variance / unit / unit)
        norm.table.norm.row(norm.d, x, mean, 1 / root_in(unit, variance, norm.eps), norm.gamma, norm.beta,
                            norm.y + row * norm.d * norm.table.itemsize)


def forward(
    cnp.ndarray x,             # IN (..., d)
    cnp.ndarray gamma,         # IN (d,), C-contiguous
    cnp.ndarray beta,          # IN (d,), C-contiguous
    double eps,
    cnp.ndarray y,             # OUT shape of x, C-contiguous
    cnp.ndarray mean,          # OUT (...), C-contiguous
    cnp.ndarray variance,      # OUT (...), C-contiguous
):
    cdef Norm norm
    begin_norm(&norm, x, gamma, eps, y, mean, variance)
    norm.beta = <const char*>cnp.PyArray_DATA(beta)
    if norm.rows == 0 or norm.d == 0:
        return
    with nogil:
        team_begin(&norm.team, norm.work, norm.rows, 0, norm.row_bytes)
        team_run(&norm.team, forward_rows, &norm, norm.rows, norm.work)
        team_end()


cdef void backward_row(const Norm* norm, Py_ssize_t row, char* buffer, char* dgamma, char* dbeta) noexcept nogil:
    # With t = (x - mean) scale and g = dy gamma: dx = scale (g - mean(g) - t mean(g t)). Ba, Kiros, Hinton, "Layer
    # normalization", 2016.
    # A variance that is infinite left the dtype and is taken anew.
    cdef double mean = real_at(norm.table, norm.mean, row), variance = real_at(norm.table, norm.variance, row), unit = 1, scale
    cdef double sums[2]
    cdef Py_ssize_t first = 0, count, size = norm.table.itemsize
    cdef const char* x = row_of(norm, &norm.x, row, buffer)
    cdef const char* dy = row_of(norm, &norm.dy, row, buffer + norm.row_bytes)
    cdef char* dx = norm.y + row * norm.d * size
    if variance == INFINITY:
        unit = large_unit(norm.table)
        x = scale_to(norm.table, x, norm.d, unit, buffer)
        row_moments(norm, x, &mean, &variance)
    scale = 1 / root_in(unit, variance, norm.eps)
    sums[0] = sums[1] = 0
    while first < norm.d:
        count = min(norm.d - first, <Py_ssize_t>BLOCK)
        norm.table.norm.row_gradient_sums(count, dy + first * size, x + first * size, norm.gamma + first * size, mean, scale,
                                          sums, dgamma + first * size, dbeta + first * size)
        first += count
    norm.table.norm.row_gradient(norm.d, dy, x, norm.gamma, mean, scale, sums[0] / norm.d, sums[1] / norm.d, dx)
    if unit != 1:
        norm.table.optim.scale(norm.d, dx, unit)


cdef void backward_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* norm = <const Norm*>context
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef char* dgamma = norm.dgamma
    cdef char* dbeta = norm.dbeta
    cdef char* sums
    cdef Py_ssize_t block, row, start, end
    for block in range(first, last):
        sums = norm.sums + 2 * <size_t>block * norm.sum_bytes
        if norm.wide:
            memset(sums, 0, 2 * norm.sum_bytes)
        if norm.wide or norm.blocks > 1:           # else these are the results
            dgamma = buffer + 2 * norm.row_bytes if norm.wide else sums
            dbeta = dgamma + norm.row_bytes
        start, end = block * norm.rows // norm.blocks, (block + 1) * norm.rows // norm.blocks
        while start < end:
            memset(dgamma, 0, <size_t>(norm.d * norm.table.itemsize))
            memset(dbeta, 0, <size_t>(norm.d * norm.table.itemsize))
            for row in range(start, min(start + SHORT_ROWS, end)):
                backward_row(norm, row, buffer, dgamma, dbeta)
            if norm.wide:
                norm.table.rows.add_to_doubles(norm.d, dgamma, <double*>sums)
                norm.table.rows.add_to_doubles(norm.d, dbeta, <double*>(sums + norm.sum_bytes))
            start += SHORT_ROWS


cdef void add_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Pieces of dgamma and of dbeta in turn.
    cdef const Norm* norm = <const Norm*>context
    cdef double totals[PIECE]
    cdef const char* sums
    cdef Py_ssize_t task, start, count, block, i
    for task in range(first, last):
        start = task // 2 * PIECE
        count = min(norm.d - start, <Py_ssize_t>PIECE)
        memset(totals, 0, sizeof(totals))
        for block in range(norm.blocks):
            sums = norm.sums + <size_t>(2 * block + task % 2) * norm.sum_bytes
            if norm.wide:
                for i in range(count):
                    totals[i] += (<const double*>sums)[start + i]
            else:
                norm.table.rows.add_to_doubles(count, sums + start * norm.table.itemsize, totals)
        norm.table.rows.narrow(count, totals, (norm.dbeta if task % 2 else norm.dgamma) + start * norm.table.itemsize)


cdef Py_ssize_t block_count(Py_ssize_t rows, Py_ssize_t d) noexcept nogil:
    # Enough for the threads of most machines, each worth a task.
    cdef Py_ssize_t count = min(rows // LEAST_ROWS, min(<Py_ssize_t>MOST_BLOCKS, rows * d // BLOCK_ELEMENTS))
    return max(<Py_ssize_t>1, count) if rows > 0 else 0


cdef int gradients(Norm* norm) except -1 nogil:
    cdef double work
    norm.blocks = block_count(norm.rows, norm.d)
    norm.wide = norm.rows > norm.blocks * SHORT_ROWS
    norm.sum_bytes = round_to_line(<size_t>norm.d * sizeof(double)) if norm.wide else norm.row_bytes
    team_begin(&norm.team, norm.work, norm.blocks, 2 * <size_t>norm.blocks * norm.sum_bytes,
               (4 if norm.wide else 2) * norm.row_bytes)
    norm.sums = norm.team.shared
    team_run(&norm.team, backward_blocks, norm, norm.blocks, norm.work)
    if norm.blocks != 1 or norm.wide:
        work = work_of(norm.table, 0, 4. * norm.blocks * norm.sum_bytes)
        team_run(&norm.team, add_blocks, norm, 2 * ceil_div(norm.d, PIECE), work)
    team_end()
    return 0


def backward(
    cnp.ndarray dy,            # IN (..., d)
    cnp.ndarray x,             # IN the same shape
    cnp.ndarray gamma,         # IN (d,), C-contiguous
    cnp.ndarray mean,          # IN (...), C-contiguous
    cnp.ndarray variance,      # IN (...), C-contiguous
    double eps,
    cnp.ndarray dx,            # OUT shape of x, C-contiguous
    cnp.ndarray dgamma,        # OUT (d,), C-contiguous
    cnp.ndarray dbeta,         # OUT (d,), C-contiguous
):
    cdef Norm norm
    begin_norm(&norm, x, gamma, eps, dx, mean, variance)
    set_rows(&norm.dy, dy)
    norm.dgamma, norm.dbeta = <char*>cnp.PyArray_DATA(dgamma), <char*>cnp.PyArray_DATA(dbeta)
    if norm.d == 0:
        return
    with nogil:
        gradients(&norm)
