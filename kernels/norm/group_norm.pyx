"""Group normalisation of (n, c, *spatial) whose planes are not tiny, and its gradient; for tiny ones see layer_norm.pyx.

A task takes a group of channels of a sample through all passes, while the cache holds it, or a bundle of small ones. A group is
cut into pieces:

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
    FLOPS = 16               # of an element in all passes: counted, of vectors that stay in registers
    COLUMNS = 512            # of dgamma and dbeta that a task adds up
    TERMS = 4                # that the map has for each channel, at the most

cdef struct Norm:
    const primitives* table
    Blocks blocks            # the sizes of x
    Channels x, dy           # dy: backward
    Py_ssize_t groups, width    # width: channels of a group
    Py_ssize_t planes        # of a piece, at the most
    Py_ssize_t parts         # of a plane: where there are several, a piece is one of them
    Py_ssize_t pieces        # of a group
    Py_ssize_t bundle        # groups that are mapped at a time: several where a group is no more than a piece
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

cdef struct Groups:
    # Groups first .. first + count of a sample
    Py_ssize_t sample, first, count

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
    norm.pieces = norm.width * norm.parts if norm.parts > 1 else ceil_div(norm.width, norm.planes)
    norm.bundle = 1
    if norm.pieces == 1:
        norm.bundle = max(<Py_ssize_t>1, min(norm.groups, BLOCK // (norm.width * norm.blocks.s)))
    norm.gamma, norm.eps, norm.y = <const char*>cnp.PyArray_DATA(gamma), eps, <char*>cnp.PyArray_DATA(y)
    norm.mean, norm.variance = <char*>cnp.PyArray_DATA(mean), <char*>cnp.PyArray_DATA(variance)
    norm.terms_bytes = round_to_line(<size_t>(TERMS * norm.bundle * norm.width * norm.table.itemsize))
    padded = min(norm.blocks.s, <Py_ssize_t>BLOCK) + norm.table.lanes
    norm.piece_bytes = round_to_line(<size_t>(norm.bundle * norm.planes * padded * norm.table.itemsize))


cdef inline Groups groups_of(const Norm* norm, Py_ssize_t task) noexcept nogil:
    cdef Groups some
    cdef Py_ssize_t bundles = ceil_div(norm.groups, norm.bundle)
    some.sample, some.first = task // bundles, task % bundles * norm.bundle
    some.count = min(norm.bundle, norm.groups - some.first)
    return some


cdef inline Groups one_of(const Groups* some, Py_ssize_t k) noexcept nogil:
    cdef Groups one
    one.sample, one.first, one.count = some.sample, some.first + k, 1
    return one


cdef inline Piece piece_of(const Norm* norm, const Groups* some, Py_ssize_t i) noexcept nogil:
    cdef Piece piece
    piece.channel = some.first * norm.width
    if norm.parts > 1:
        piece.channel += i // norm.parts
        piece.channels = 1
        piece.first = i % norm.parts * norm.blocks.s // norm.parts
        piece.count = (i % norm.parts + 1) * norm.blocks.s // norm.parts - piece.first
        return piece
    piece.channel += i * norm.planes
    piece.channels = min(norm.planes * some.count, (some.first + some.count) * norm.width - piece.channel)
    piece.first, piece.count = 0, norm.blocks.s
    return piece


cdef inline const char* read_piece(const Norm* norm, const Channels* a, const Piece* piece, Py_ssize_t sample, double unit,
                                   char* buffer, Py_ssize_t* pitch) noexcept nogil:
    # A row for each channel, `pitch` bytes apart, in a unit
    cdef Py_ssize_t i, lanes = norm.table.lanes, own = (piece.count + lanes - 1) // lanes * lanes * norm.table.itemsize
    cdef const char* at = a.positions.data + piece.channel * a.stride + sample * a.sample + piece.first * norm.table.itemsize
    pitch[0] = a.stride
    if not a.whole:
        at = read(&norm.blocks, a, piece.channel, piece.channels, sample * norm.blocks.s + piece.first, piece.count, buffer,
                  pitch)
    if unit == 1:
        return at
    for i in range(piece.channels):
        scale_to(norm.table, at + i * pitch[0], piece.count, unit, buffer + i * own)
    pitch[0] = own
    return buffer


cdef inline char* place_of(const Norm* norm, const Piece* piece, Py_ssize_t sample) noexcept nogil:
    return norm.y + ((sample * norm.blocks.c + piece.channel) * norm.blocks.s + piece.first) * norm.table.itemsize


cdef void group_moments(const Norm* norm, const Groups* one, double unit, char* buffer, double* mean,
                        double* variance) noexcept nogil:
    cdef Py_ssize_t i, pitch, seen = 0
    cdef Piece piece
    cdef double near, spread
    cdef const char* x
    for i in range(norm.pieces):
        piece = piece_of(norm, one, i)
        x = read_piece(norm, &norm.x, &piece, one.sample, unit, buffer, &pitch)
        norm.table.norm.moments(piece.channels, piece.count, x, pitch if piece.channels > 1 else <Py_ssize_t>AHEAD, &near,
                                &spread)
        add_moments(mean, variance, seen, piece.channels * piece.count, near, spread)
        seen += piece.channels * piece.count


cdef inline void fill(const Norm* norm, char* terms, Py_ssize_t k, double value) noexcept nogil:
    # Of group k of a bundle: the same for every channel of a piece
    cdef Py_ssize_t i
    for i in range(norm.planes):
        put(norm.table, terms, k * norm.width + i, value)


cdef void map_groups(const Norm* norm, const Groups* some, double unit, char* memory) noexcept nogil:
    # y = ((x - mean) - rest) (gamma scale) + beta
    cdef norm_terms terms
    cdef Py_ssize_t size = norm.table.itemsize, row = norm.bundle * norm.width * size, i, pitch
    cdef Piece piece
    cdef const char* x
    terms.mean, terms.rest, terms.streamed = memory, memory + row, norm.streamed
    for i in range(norm.pieces):
        piece = piece_of(norm, some, i)
        x = read_piece(norm, &norm.x, &piece, some.sample, unit, memory + norm.terms_bytes, &pitch)
        terms.scale = memory + 2 * row + (piece.channel - some.first * norm.width) * size
        terms.shift = norm.beta + piece.channel * size
        norm.table.norm.rows(piece.channels, piece.count, x, pitch, &terms, 0, place_of(norm, &piece, some.sample),
                             norm.blocks.s * size)


cdef void forward_bundle(const Norm* norm, const Groups* some, char* memory) noexcept nogil:
    # Groups that need a unit of their own are taken one by one.
    cdef Py_ssize_t k, i, group, row = norm.bundle * norm.width * norm.table.itemsize
    cdef double mean, variance, scale, unit = 1
    cdef char* buffer = memory + norm.terms_bytes
    cdef Groups one
    for k in range(some.count):
        one = one_of(some, k)
        group_moments(norm, &one, 1, buffer, &mean, &variance)
        unit = unit_for(norm.table, mean, variance)
        if unit != 1 and some.count > 1:
            break
        if unit != 1:
            group_moments(norm, &one, unit, buffer, &mean, &variance)
        group = some.sample * norm.groups + one.first
        put(norm.table, norm.mean, group, mean / unit)
        put(norm.table, norm.variance, group, variance / unit / unit)
        scale = 1 / root_in(unit, variance, norm.eps)
        fill(norm, memory, k, mean)
        fill(norm, memory + row, k, mean - real_at(norm.table, memory, k * norm.width))
        for i in range(k * norm.width, (k + 1) * norm.width):
            put(norm.table, memory + 2 * row, i, real_at(norm.table, norm.gamma, some.first * norm.width + i) * scale)
    if some.count == 1 or unit == 1:
        map_groups(norm, some, unit, memory)
        return
    for k in range(some.count):
        one = one_of(some, k)
        forward_bundle(norm, &one, memory)


cdef void forward_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* norm = <const Norm*>context
    cdef Py_ssize_t task
    cdef Groups some
    for task in range(first, last):
        some = groups_of(norm, task)
        forward_bundle(norm, &some, slot_of(&norm.team, slot))
    norm.table.fence()


cdef inline Py_ssize_t task_count(const Norm* norm) noexcept nogil:
    return norm.blocks.n * ceil_div(norm.groups, norm.bundle)


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
    cdef Py_ssize_t tasks
    begin_norm(&norm, x, gamma, eps, y, mean, variance)
    tasks = task_count(&norm)
    norm.beta = <const char*>cnp.PyArray_DATA(beta)
    norm.work = work_of(norm.table, <double>FLOPS * cnp.PyArray_SIZE(x), <double>2 * cnp.PyArray_NBYTES(x))
    norm.streamed = worth_streaming(2 * cnp.PyArray_NBYTES(x), norm.y, cnp.PyArray_NBYTES(x))
    with nogil:
        team_begin(&norm.team, norm.work, tasks, 0, norm.terms_bytes + norm.piece_bytes)
        team_run(&norm.team, forward_groups, &norm, tasks, norm.work)
        team_end()


cdef inline double* sums_of(const Norm* norm, const Groups* some, Py_ssize_t channel) noexcept nogil:
    return norm.sums + 2 * (some.sample * norm.blocks.c + channel)


cdef void sum_planes(const Norm* norm, const Groups* some, double unit, const char* means, char* buffer) noexcept nogil:
    # S1 and S2 of the planes of some groups
    cdef Py_ssize_t i, pitch, dy_pitch
    cdef Piece piece
    cdef const char* x
    cdef const char* dy
    memset(sums_of(norm, some, some.first * norm.width), 0, 2 * <size_t>(some.count * norm.width) * sizeof(double))
    for i in range(norm.pieces):
        piece = piece_of(norm, some, i)
        x = read_piece(norm, &norm.x, &piece, some.sample, unit, buffer, &pitch)
        dy = read_piece(norm, &norm.dy, &piece, some.sample, 1, buffer + norm.piece_bytes, &dy_pitch)
        norm.table.norm.plane_gradient_sums(piece.channels, piece.count, dy, dy_pitch, x, pitch, means,
                                            sums_of(norm, some, piece.channel))


cdef void set_terms(const Norm* norm, const Groups* some, Py_ssize_t k, double unit, double scale, char* terms) noexcept nogil:
    # From the sums of the planes of a group: dx = scale (g - mean(g) - t mean(g t)) with t = (x - mean) scale and g = dy gamma.
    # Wu, He, "Group normalization", ECCV 2018.
    cdef Py_ssize_t first = (some.first + k) * norm.width, row = norm.bundle * norm.width * norm.table.itemsize, i
    cdef double* sums = sums_of(norm, some, first)
    cdef double g, total = 0, product = 0, share = 1 / (<double>norm.width * norm.blocks.s)
    for i in range(norm.width):
        g = real_at(norm.table, norm.gamma, first + i)
        sums[2 * i + 1] *= scale
        total += g * sums[2 * i]
        product += g * sums[2 * i + 1]
    fill(norm, terms, k, total * share)
    fill(norm, terms + row, k, product * share * scale)
    fill(norm, terms + 2 * row, k, scale * unit)


cdef void map_gradients(const Norm* norm, const Groups* some, double unit, char* memory) noexcept nogil:
    cdef norm_gradient_terms terms
    cdef Py_ssize_t size = norm.table.itemsize, row = norm.bundle * norm.width * size, i, pitch, dy_pitch
    cdef Piece piece
    cdef const char* x
    cdef const char* dy
    terms.mean, terms.offset, terms.slope, terms.scale = memory, memory + row, memory + 2 * row, memory + 3 * row
    terms.streamed = norm.streamed
    for i in range(norm.pieces):
        piece = piece_of(norm, some, i)
        x = read_piece(norm, &norm.x, &piece, some.sample, unit, memory + norm.terms_bytes, &pitch)
        dy = read_piece(norm, &norm.dy, &piece, some.sample, 1, memory + norm.terms_bytes + norm.piece_bytes, &dy_pitch)
        terms.weight = norm.gamma + piece.channel * size
        norm.table.norm.gradient_rows(piece.channels, piece.count, dy, dy_pitch, x, pitch, &terms, 0,
                                      place_of(norm, &piece, some.sample), norm.blocks.s * size)


cdef void backward_bundle(const Norm* norm, const Groups* some, char* memory) noexcept nogil:
    # A variance that is infinite left the dtype and is taken anew, one group at a time.
    cdef Py_ssize_t k, group = some.sample * norm.groups + some.first
    cdef double mean, variance, unit = 1
    cdef Groups one
    for k in range(some.count):
        mean, variance = real_at(norm.table, norm.mean, group + k), real_at(norm.table, norm.variance, group + k)
        if variance == INFINITY:
            unit = large_unit(norm.table)
            if some.count > 1:
                break
            group_moments(norm, some, unit, memory + norm.terms_bytes, &mean, &variance)
        fill(norm, memory, k, mean)
    if unit != 1 and some.count > 1:
        for k in range(some.count):
            one = one_of(some, k)
            backward_bundle(norm, &one, memory)
        return
    sum_planes(norm, some, unit, memory, memory + norm.terms_bytes)
    for k in range(some.count):
        if unit == 1:
            variance = real_at(norm.table, norm.variance, group + k)
        set_terms(norm, some, k, unit, 1 / root_in(unit, variance, norm.eps),
                  memory + norm.bundle * norm.width * norm.table.itemsize)
    map_gradients(norm, some, unit, memory)


cdef void backward_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* norm = <const Norm*>context
    cdef Py_ssize_t task
    cdef Groups some
    for task in range(first, last):
        some = groups_of(norm, task)
        backward_bundle(norm, &some, slot_of(&norm.team, slot))
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
    cdef Py_ssize_t tasks, bytes = cnp.PyArray_NBYTES(x)
    cdef size_t held
    begin_norm(&norm, x, gamma, eps, dx, mean, variance)
    tasks = task_count(&norm)
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
