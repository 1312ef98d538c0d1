"""Group normalisation of (n, c, *spatial) whose planes are not tiny, and its gradient; for tiny ones see layer_norm.pyx.

A task takes a group of channels of a sample through all passes, while the cache holds it. It is cut into pieces:

    planes of a channel   | 0 | 1 | 2 | 3 | 4 |        one mean and one variance
    pieces                |   0   |   1   | 2 |        several small planes, or
                          |0|1|2|...                   parts of planes that are longer than BLOCK

Pieces have the moments (channels.pxd reads them, norm.c sums them), which are put together in order in double precision; the map
has terms of each channel, as in batch normalisation. Backward, each plane has two sums, S1 of dy and S2 of dy (x - mean):

    mean(g) and mean(g t)   sums over the channels of a group of S1 and S2, times gamma
    dbeta and dgamma        sums over the samples of S1 and S2 scale, a piece of channels a task
"""
from libc.math cimport INFINITY
from libc.string cimport memset
cimport numpy as cnp

from npkernels._kernels.channels cimport BLOCK, Blocks, Channels, read, set_blocks, set_channels
from npkernels._kernels.moments cimport add_moments
from npkernels._kernels.primitives cimport norm_gradient_terms, norm_terms, primitives
from npkernels._kernels.runtime cimport (
    Team, primitives_for, slot_of, team_begin, team_end, team_run, work_of, worth_streaming,
)
from npkernels._kernels.scalars cimport ceil_div, put, real_at, round_to_line
from npkernels._kernels.units cimport large_unit, root_in, scale_to, unit_for

cnp.import_array()

cdef enum:
    AHEAD = 1 << 12          # bytes between what is read and what is fetched in long runs
    FLOPS = 16               # of an element
    COLUMNS = 512            # of dgamma and dbeta that a task adds up
    TERMS = 4                # that the map has for each channel, at the most

cdef struct Norm:
    const primitives* table
    Blocks blocks            # the sizes of x
    Channels x, dy           # dy: backward
    Py_ssize_t groups, width # channels of a group
    Py_ssize_t planes        # of a piece, at the most
    Py_ssize_t parts         # of a plane: where there are several, a piece is one of them
    const char* gamma        # (c,)
    const char* beta
    char* mean               # (n, groups)
    char* variance
    double eps
    char* y                  # (n, c, s), C-contiguous
    char* dgamma             # (c,)
    char* dbeta
    double* sums             # (n, c, 2): S1 and, times scale, S2
    bint streamed
    double work
    Team team                # a thread has the terms of a group, and pieces of x and dy
    size_t terms_bytes, piece_bytes

cdef struct Piece:
    # Elements first .. first + count of the planes of some channels
    Py_ssize_t channel, channels, first, count


cdef void begin_norm(Norm* norm, cnp.ndarray x, cnp.ndarray gamma, double eps, cnp.ndarray y, cnp.ndarray mean,
                     cnp.ndarray variance) noexcept:
    cdef Py_ssize_t padded
    norm.table = primitives_for(cnp.PyArray_TYPE(x))
    set_blocks(&norm.blocks, norm.table, x)
    set_channels(&norm.blocks, &norm.x, x)
    norm.groups = cnp.PyArray_DIMS(mean)[1]
    norm.width = norm.blocks.c // norm.groups
    norm.parts = ceil_div(norm.blocks.s, BLOCK)
    norm.planes = max(<Py_ssize_t>1, min(norm.width, <Py_ssize_t>BLOCK // norm.blocks.s))
    norm.gamma, norm.eps, norm.y = <const char*>cnp.PyArray_DATA(gamma), eps, <char*>cnp.PyArray_DATA(y)
    norm.mean, norm.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    norm.terms_bytes = round_to_line(<size_t>(TERMS * norm.width * norm.table.itemsize))
    padded = min(norm.blocks.s, <Py_ssize_t>BLOCK) + norm.table.lanes
    norm.piece_bytes = round_to_line(<size_t>(norm.planes * padded * norm.table.itemsize))


cdef inline Py_ssize_t piece_count(const Norm* norm) noexcept nogil:
    return norm.width * norm.parts if norm.parts > 1 else ceil_div(norm.width, norm.planes)


cdef inline Piece piece_of(const Norm* norm, Py_ssize_t group, Py_ssize_t i) noexcept nogil:
    cdef Piece piece
    if norm.parts > 1:
        piece.channel, piece.channels = group * norm.width + i // norm.parts, 1
        piece.first = i % norm.parts * norm.blocks.s // norm.parts
        piece.count = (i % norm.parts + 1) * norm.blocks.s // norm.parts - piece.first
        return piece
    piece.channel = group * norm.width + i * norm.planes
    piece.channels = min(norm.planes, (group + 1) * norm.width - piece.channel)
    piece.first, piece.count = 0, norm.blocks.s
    return piece


cdef inline const char* read_piece(const Norm* norm, const Channels* a, const Piece* piece, Py_ssize_t sample, double unit,
                                   char* buffer, Py_ssize_t* pitch) noexcept nogil:
    # A row for each channel, `pitch` bytes apart, in a unit
    cdef Py_ssize_t i, lanes = norm.table.lanes, own = (piece.count + lanes - 1) // lanes * lanes * norm.table.itemsize
    cdef const char* at = read(&norm.blocks, a, piece.channel, piece.channels, sample * norm.blocks.s + piece.first, piece.count,
                               buffer, pitch)
    if unit == 1:
        return at
    for i in range(piece.channels):
        scale_to(norm.table, at + i * pitch[0], piece.count, unit, buffer + i * own)
    pitch[0] = own
    return buffer


cdef inline char* place_of(const Norm* norm, const Piece* piece, Py_ssize_t sample) noexcept nogil:
    return norm.y + ((sample * norm.blocks.c + piece.channel) * norm.blocks.s + piece.first) * norm.table.itemsize


cdef void group_moments(const Norm* norm, Py_ssize_t sample, Py_ssize_t group, double unit, char* buffer, double* mean,
                        double* variance) noexcept nogil:
    cdef Py_ssize_t i, pitch, seen = 0
    cdef Piece piece
    cdef double near, spread
    cdef const char* x
    for i in range(piece_count(norm)):
        piece = piece_of(norm, group, i)
        x = read_piece(norm, &norm.x, &piece, sample, unit, buffer, &pitch)
        norm.table.norm.moments(piece.channels, piece.count, x, pitch if piece.channels > 1 else <Py_ssize_t>AHEAD, &near,
                                &spread)
        add_moments(mean, variance, seen, piece.channels * piece.count, near, spread)
        seen += piece.channels * piece.count


cdef inline void fill(const Norm* norm, char* terms, double value) noexcept nogil:
    # The same for every channel of a piece
    cdef Py_ssize_t i
    for i in range(norm.planes):
        put(norm.table, terms, i, value)


cdef void map_group(const Norm* norm, Py_ssize_t sample, Py_ssize_t group, double unit, double mean, double scale,
                    char* memory) noexcept nogil:
    # y = ((x - mean) - rest) (gamma scale) + beta
    cdef norm_terms terms
    cdef Py_ssize_t size = norm.table.itemsize, row = norm.width * size, first = group * norm.width, i, pitch
    cdef Piece piece
    cdef const char* x
    terms.mean, terms.rest, terms.streamed = memory, memory + row, norm.streamed
    fill(norm, memory, mean)
    fill(norm, memory + row, mean - real_at(norm.table, memory, 0))
    for i in range(norm.width):
        put(norm.table, memory + 2 * row, i, real_at(norm.table, norm.gamma, first + i) * scale)
    for i in range(piece_count(norm)):
        piece = piece_of(norm, group, i)
        x = read_piece(norm, &norm.x, &piece, sample, unit, memory + norm.terms_bytes, &pitch)
        terms.scale = memory + 2 * row + (piece.channel - first) * size
        terms.shift = norm.beta + piece.channel * size
        norm.table.norm.rows(piece.channels, piece.count, x, pitch, &terms, 0, place_of(norm, &piece, sample),
                             norm.blocks.s * size)


cdef void forward_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* norm = <const Norm*>context
    cdef char* memory = slot_of(&norm.team, slot)
    cdef Py_ssize_t task, sample, group
    cdef double mean, variance, unit
    for task in range(first, last):
        sample, group = task // norm.groups, task % norm.groups
        group_moments(norm, sample, group, 1, memory + norm.terms_bytes, &mean, &variance)
        unit = unit_for(norm.table, mean, variance)
        if unit != 1:
            group_moments(norm, sample, group, unit, memory + norm.terms_bytes, &mean, &variance)
        put(norm.table, norm.mean, task, mean / unit)
        put(norm.table, norm.variance, task, variance / unit / unit)
        map_group(norm, sample, group, unit, mean, 1 / root_in(unit, variance, norm.eps), memory)
    norm.table.fence()


def forward(
    cnp.ndarray x,             # IN (n, c, *spatial), planes are not empty
    cnp.ndarray gamma,         # IN (c,), C-contiguous
    cnp.ndarray beta,          # IN (c,), C-contiguous
    double eps,
    cnp.ndarray y,             # OUT shape of x, C-contiguous
    cnp.ndarray mean,          # OUT (n, groups), C-contiguous
    cnp.ndarray variance,      # OUT the same
):
    cdef Norm norm
    cdef Py_ssize_t tasks = cnp.PyArray_SIZE(mean)
    begin_norm(&norm, x, gamma, eps, y, mean, variance)
    norm.beta = <const char*>cnp.PyArray_DATA(beta)
    norm.work = work_of(norm.table, <double>FLOPS * cnp.PyArray_SIZE(x), <double>2 * cnp.PyArray_NBYTES(x))
    norm.streamed = worth_streaming(2 * cnp.PyArray_NBYTES(x), norm.y, cnp.PyArray_NBYTES(x))
    with nogil:
        team_begin(&norm.team, norm.work, tasks, 0, norm.terms_bytes + norm.piece_bytes)
        team_run(&norm.team, forward_groups, &norm, tasks, norm.work)
        team_end()


cdef void sum_group(const Norm* norm, Py_ssize_t sample, Py_ssize_t group, double unit, const char* mean,
                    char* buffer) noexcept nogil:
    # S1 and S2 of the planes of a group
    cdef double* sums = norm.sums + 2 * (sample * norm.blocks.c + group * norm.width)
    cdef Py_ssize_t i, k, pitch, dy_pitch
    cdef Piece piece
    cdef const char* x
    cdef const char* dy
    cdef double first, second
    memset(sums, 0, 2 * <size_t>norm.width * sizeof(double))
    for i in range(piece_count(norm)):
        piece = piece_of(norm, group, i)
        x = read_piece(norm, &norm.x, &piece, sample, unit, buffer, &pitch)
        dy = read_piece(norm, &norm.dy, &piece, sample, 1, buffer + norm.piece_bytes, &dy_pitch)
        for k in range(piece.channel - group * norm.width, piece.channel - group * norm.width + piece.channels):
            norm.table.norm.gradient_sums(1, piece.count, dy, AHEAD, x, AHEAD, mean, &first, &second)
            sums[2 * k] += first
            sums[2 * k + 1] += second
            x, dy = x + pitch, dy + dy_pitch


cdef void gradient_of(const Norm* norm, Py_ssize_t sample, Py_ssize_t group, double unit, double scale,
                      norm_gradient_terms* terms, char* memory) noexcept nogil:
    # From the sums of planes: dx = scale (g - mean(g) - t mean(g t)) with t = (x - mean) scale and g = dy gamma. Wu, He, "Group
    # normalization", ECCV 2018.
    cdef double* sums = norm.sums + 2 * (sample * norm.blocks.c + group * norm.width)
    cdef Py_ssize_t first = group * norm.width, size = norm.table.itemsize, row = norm.width * size, i, pitch, dy_pitch
    cdef double g, total = 0, product = 0, count = <double>norm.width * norm.blocks.s
    cdef Piece piece
    cdef const char* x
    cdef const char* dy
    for i in range(norm.width):
        g = real_at(norm.table, norm.gamma, first + i)
        sums[2 * i + 1] *= scale
        total += g * sums[2 * i]
        product += g * sums[2 * i + 1]
    terms.offset, terms.slope, terms.scale = memory + row, memory + 2 * row, memory + 3 * row
    fill(norm, memory + row, total / count)
    fill(norm, memory + 2 * row, product / count * scale)
    fill(norm, memory + 3 * row, scale * unit)
    terms.streamed = norm.streamed
    for i in range(piece_count(norm)):
        piece = piece_of(norm, group, i)
        x = read_piece(norm, &norm.x, &piece, sample, unit, memory + norm.terms_bytes, &pitch)
        dy = read_piece(norm, &norm.dy, &piece, sample, 1, memory + norm.terms_bytes + norm.piece_bytes, &dy_pitch)
        terms.weight = norm.gamma + piece.channel * size
        norm.table.norm.gradient_rows(piece.channels, piece.count, dy, dy_pitch, x, pitch, terms, 0,
                                      place_of(norm, &piece, sample), norm.blocks.s * size)


cdef void backward_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A variance that is infinite left the dtype and is taken anew.
    cdef const Norm* norm = <const Norm*>context
    cdef char* memory = slot_of(&norm.team, slot)
    cdef Py_ssize_t task, sample, group
    cdef double mean, variance, unit
    cdef norm_gradient_terms terms
    for task in range(first, last):
        sample, group, unit = task // norm.groups, task % norm.groups, 1
        mean, variance = real_at(norm.table, norm.mean, task), real_at(norm.table, norm.variance, task)
        if variance == INFINITY:
            unit = large_unit(norm.table)
            group_moments(norm, sample, group, unit, memory + norm.terms_bytes, &mean, &variance)
        terms.mean = memory
        fill(norm, memory, mean)
        sum_group(norm, sample, group, unit, memory, memory + norm.terms_bytes)
        gradient_of(norm, sample, group, unit, 1 / root_in(unit, variance, norm.eps), &terms, memory)
    norm.table.fence()


cdef void add_samples(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # dbeta and dgamma of pieces of the channels
    cdef const Norm* norm = <const Norm*>context
    cdef double totals[2 * COLUMNS]
    cdef const double* sums
    cdef Py_ssize_t task, sample, i, start, count
    for task in range(first, last):
        start = task * COLUMNS
        count = min(norm.blocks.c - start, <Py_ssize_t>COLUMNS)
        memset(totals, 0, sizeof(totals))
        for sample in range(norm.blocks.n):
            sums = norm.sums + 2 * (sample * norm.blocks.c + start)
            for i in range(2 * count):
                totals[i] += sums[i]
        for i in range(count):
            put(norm.table, norm.dbeta, start + i, totals[2 * i])
            put(norm.table, norm.dgamma, start + i, totals[2 * i + 1])


def backward(
    cnp.ndarray dy,            # IN (n, c, *spatial), planes are not empty
    cnp.ndarray x,             # IN the same shape
    cnp.ndarray gamma,         # IN (c,), C-contiguous
    cnp.ndarray mean,          # IN (n, groups), C-contiguous
    cnp.ndarray variance,      # IN the same
    double eps,
    cnp.ndarray dx,            # OUT shape of x, C-contiguous
    cnp.ndarray dgamma,        # OUT (c,), C-contiguous
    cnp.ndarray dbeta,         # OUT the same
):
    cdef Norm norm
    cdef Py_ssize_t tasks = cnp.PyArray_SIZE(mean), bytes = cnp.PyArray_NBYTES(x)
    cdef size_t held
    begin_norm(&norm, x, gamma, eps, dx, mean, variance)
    set_channels(&norm.blocks, &norm.dy, dy)
    norm.dgamma, norm.dbeta = <char*>cnp.PyArray_DATA(dgamma), <char*>cnp.PyArray_DATA(dbeta)
    norm.work = work_of(norm.table, <double>FLOPS * cnp.PyArray_SIZE(x), <double>3 * bytes)
    norm.streamed = worth_streaming(3 * bytes, norm.y, bytes)
    held = 2 * <size_t>(norm.blocks.n * norm.blocks.c) * sizeof(double)
    with nogil:
        team_begin(&norm.team, norm.work, tasks, held, norm.terms_bytes + 2 * norm.piece_bytes)
        norm.sums = <double*>norm.team.shared
        team_run(&norm.team, backward_groups, &norm, tasks, norm.work)
        team_run(&norm.team, add_samples, &norm, ceil_div(norm.blocks.c, COLUMNS), work_of(norm.table, 0, <double>held))
        team_end()
