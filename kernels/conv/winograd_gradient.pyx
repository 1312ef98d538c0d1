"""The gradient of 3x3 or 5x5 kernels at stride 1 by fewer multiplications (kernels/conv/winograd.h).

    V[f, t, c] = (B' d[t, c] B)[f]                  tiles t of 6 x 6 pixels of the image
    U[f, t, o] = (G dy[t, o] G')[f]                 tiles of 4 x 4 or 2 x 2 pixels of dy
    M[f, c, o] = sum over t of V[f, t, c] U[f, t, o]     36 products, the inner axis over the tiles of all images
    dw'[c, o]  = A' M[., c, o] A                    3 x 3 or 5 x 5 taps

V and U are held for a group of tiles, M for a range of channels and one of outputs: all threads transform a group's tiles, then
all add its products to M, and so on. Every element of M is one chain of multiply-adds over the tiles in their order, or chains
of some groups that are added in double where tiles are many: neither groups nor ranges nor threads change a bit.

The taps of a kernel share their rounding errors, which are relative to the largest tile. A tap that does not see it, because its
partners are 0, suffers from it, so that this form is left to even batches, in which no tile of a channel outweighs others: its
norm, the root of its sum of squares, is at most the sum of those of all other tiles, the mean of all channels. Tiles of the image
overlap: a pixel counts in up to `copies` of them.
"""
from libc.math cimport ldexp
from libc.string cimport memset

from npkernels._kernels.convolution cimport Convolution, windows_of_y
from npkernels._kernels.primitives cimport (
    START_C, START_ZERO, WINOGRAD_PARTS, WINOGRAD_PIXELS, WINOGRAD_PLANES, WINOGRAD_TILES, panel_count, panel_start,
    primitives, windows, winograd_primitives,
)
from npkernels._kernels.product cimport SUM_BLOCK
from npkernels._kernels.runtime cimport Team, slot_of, team_begin, team_end, team_run, threads_for, work_of
from npkernels._kernels.scalars cimport ceil_div, odd_lines, round_to_line, round_up
from npkernels._kernels.strips cimport Strips, first_tile, locate, set_strips
from npkernels._kernels.winograd cimport winograd_work

cdef enum:
    # Chains end with groups of tiles, so that these are part of what dw is and follow no machine.
    GROUP_BYTES = 7 << 19            # of V and U
    SUM_BYTES = 7 << 19              # of M
    TAP_CHANNELS = 16                # whose taps are transformed at a time
    TRANSFORM_BYTES = 4              # that are copied in the time in which a byte of U, V or M is transformed

# The largest norm of a tile of a channel, and the sum of all
cdef struct Extent:
    double largest, sum


cdef struct Gradient:
    const primitives* table
    const winograd_primitives* form
    Py_ssize_t step, taps                               # pixels of dy in a tile, one way; taps of a kernel
    windows x, dy
    Py_ssize_t images, channels, outputs
    char* dw                                            # (oc, c * taps)
    Strips strips
    Py_ssize_t channel_count, output_count, strip_count  # in a range or a group, the last of which may be shorter
    Py_ssize_t chain                                    # strips of a chain: whole groups
    Py_ssize_t c0, c1, o0, o1, s0, s1                   # the range and the group at hand
    bint keep                                           # V is that of this group already
    Py_ssize_t v_tile, u_tile, v_plane, u_plane, m_plane
    Py_ssize_t slices                                   # of the channels of a range, for the threads
    char* v
    char* u
    char* m
    double* totals                                      # of chains of M, or NULL: M is one
    Team team
    size_t slot_bytes
    Extent* extents                                      # of the strips of each range of x, then of dy
    Py_ssize_t ranges_of_x


cdef inline Py_ssize_t even_part(Py_ssize_t count, Py_ssize_t most, Py_ssize_t unit) noexcept nogil:
    # The size of parts of at most `most`, all alike, in whole units
    cdef Py_ssize_t parts = ceil_div(count, max(most // unit * unit, unit))
    return round_up(ceil_div(count, parts), unit)


cdef void plan(Gradient* v, int threads) noexcept nogil:
    cdef const primitives* t = v.table
    cdef Py_ssize_t plane = WINOGRAD_PLANES * t.itemsize, widest = t.lanes * t.tile.vectors, chunk, tiles
    set_strips(&v.strips, v.images, v.dy.h, v.dy.w, v.step)
    chunk = v.strips.longest
    v.channel_count = even_part(v.channels, SUM_BYTES // (plane * widest), t.lanes)
    v.output_count = even_part(v.outputs, SUM_BYTES // (plane * v.channel_count), widest)
    v.v_tile, v.u_tile = v.channel_count, v.output_count
    v.strip_count = even_part(v.strips.count, GROUP_BYTES // (plane * (v.v_tile + v.u_tile) * chunk), 1)
    tiles = v.strip_count * chunk
    v.chain = max(1, SUM_BLOCK // tiles) * v.strip_count
    v.v_plane, v.u_plane = odd_lines(tiles * v.v_tile), odd_lines(tiles * v.u_tile)
    v.m_plane = odd_lines(v.channel_count * v.output_count)
    v.slices = max(1, min(ceil_div(3 * threads, WINOGRAD_PLANES), v.channel_count // (2 * t.tile.rows)))
    v.slot_bytes = <size_t>(max(<Py_ssize_t>(WINOGRAD_PIXELS + WINOGRAD_TILES * WINOGRAD_PARTS), TAP_CHANNELS * v.taps)
                            * t.lanes * t.itemsize)
    v.ranges_of_x = ceil_div(v.channels, v.channel_count)


cdef void transform_strip(Gradient* v, Py_ssize_t strip, bint of_dy, char* pixels) noexcept nogil:
    # V, or U, of one strip of the group
    cdef Py_ssize_t image, row, column, tiles, lanes = v.table.lanes
    cdef Py_ssize_t c = v.o0 if of_dy else v.c0, end = v.o1 if of_dy else v.c1, size = v.table.itemsize
    cdef Py_ssize_t place = first_tile(&v.strips, strip) - first_tile(&v.strips, v.s0)
    cdef char* to = v.u + place * v.u_tile * size if of_dy else v.v + place * v.v_tile * size
    cdef windows x = v.dy if of_dy else v.x
    cdef char* energies = pixels + WINOGRAD_PIXELS * lanes * size
    cdef Extent* extent = v.extents + (v.ranges_of_x + c // v.output_count if of_dy else c // v.channel_count) * v.strips.count
    extent += strip
    extent.largest = extent.sum = 0
    locate(&v.strips, strip, &image, &row, &column, &tiles)
    x.x += image * x.image_stride + c * x.channel_stride
    while c < end:
        memset(energies, 0, <size_t>(tiles * WINOGRAD_PARTS * lanes * size))
        if of_dy:
            v.form.gradient(&x, v.step * row, v.step * column, min(lanes, end - c), tiles, pixels, to, v.u_plane, v.u_tile,
                            energies)
            v.form.gradient_extent(tiles, energies, &extent.largest, &extent.sum)
        else:
            v.form.input(&x, v.step * row - x.top, v.step * column - x.left, min(lanes, end - c), tiles, pixels, to, v.v_plane,
                         v.v_tile, energies)
            v.form.pixel_extent(tiles, energies, &extent.largest, &extent.sum)
        c += lanes
        x.x += lanes * x.channel_stride
        to += lanes * size


cdef void transform(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef Gradient* v = <Gradient*>context
    cdef Py_ssize_t task
    for task in range(first, last):
        transform_strip(v, v.s0 + task % (v.s1 - v.s0), task < v.s1 - v.s0, slot_of(&v.team, slot))


cdef void multiply(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A slice of the channels of one plane of M
    cdef const Gradient* v = <const Gradient*>context
    cdef const primitives* t = v.table
    cdef Py_ssize_t task, f, c, end, s, i, rows, slivers, q, j, columns, size = t.itemsize, lanes = t.lanes
    cdef Py_ssize_t tiles = first_tile(&v.strips, v.s1) - first_tile(&v.strips, v.s0), vectors = ceil_div(v.o1 - v.o0, lanes)
    cdef Py_ssize_t panels = panel_count(vectors, t.tile.vectors), start = START_ZERO if v.s0 % v.chain == 0 else START_C
    for task in range(first, last):
        f = task // v.slices
        c = (v.c1 - v.c0) * (task % v.slices) // v.slices
        end = (v.c1 - v.c0) * (task % v.slices + 1) // v.slices
        slivers = ceil_div(end - c, t.tile.rows)
        for s in range(slivers):
            i = c + (end - c) * s // slivers
            rows = c + (end - c) * (s + 1) // slivers - i
            for q in range(panels):
                j, columns = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
                columns -= j
                t.tile.tiles[(rows - 1) * t.tile.vectors + columns // lanes - 1](
                    tiles, v.v + (f * v.v_plane + i) * size, 1, v.v_tile, v.u + (f * v.u_plane + j) * size, v.u_tile,
                    v.m + (f * v.m_plane + i * v.output_count + j) * size, v.output_count, columns, <int>start, NULL)
        if v.totals != NULL:
            end_chain(v, f, c, end)


cdef void end_chain(const Gradient* v, Py_ssize_t f, Py_ssize_t c, Py_ssize_t end) noexcept nogil:
    # Of a slice: a chain that ends here is added to the totals; after the last group, these are M.
    cdef Py_ssize_t at = f * v.m_plane + c * v.output_count, count = (end - c) * v.output_count
    cdef char* m = v.m + at * v.table.itemsize
    if v.s0 < v.chain:
        memset(v.totals + at, 0, <size_t>count * sizeof(double))
    if v.s1 % v.chain == 0 or v.s1 == v.strips.count:
        v.table.rows.add_to_doubles(count, m, v.totals + at)
    if v.s1 == v.strips.count:
        v.table.rows.narrow(count, v.totals + at, m)


cdef void store(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # The taps of a vector of outputs and a few channels
    cdef const Gradient* v = <const Gradient*>context
    cdef Py_ssize_t parts = ceil_div(v.c1 - v.c0, TAP_CHANNELS), lanes = v.table.lanes, size = v.table.itemsize, task, o, c
    cdef Py_ssize_t channels, row = v.channels * v.taps
    cdef char* taps = slot_of(&v.team, slot)
    for task in range(first, last):
        o, c = task // parts * lanes, task % parts * TAP_CHANNELS
        channels = min(<Py_ssize_t>TAP_CHANNELS, v.c1 - v.c0 - c)
        v.form.weights(channels, v.m + (c * v.output_count + o) * size, v.m_plane, v.output_count, taps)
        v.table.pack.transpose(channels * v.taps, min(lanes, v.o1 - v.o0 - o), taps, lanes,
                               v.dw + ((v.o0 + o) * row + (v.c0 + c) * v.taps) * size, row)


cdef void run_range(Gradient* v, double work) noexcept nogil:
    cdef Py_ssize_t count, tasks = ceil_div(v.o1 - v.o0, v.table.lanes) * ceil_div(v.c1 - v.c0, TAP_CHANNELS)
    cdef double part, numbers = WINOGRAD_PLANES * v.table.itemsize * TRANSFORM_BYTES
    v.s0 = 0
    while v.s0 < v.strips.count:
        v.s1 = min(v.s0 + v.strip_count, v.strips.count)
        count = v.s1 - v.s0
        part = <double>count * v.strips.longest * ((0 if v.keep else v.c1 - v.c0) + v.o1 - v.o0)
        team_run(&v.team, transform, v, count if v.keep else 2 * count, work_of(v.table, 0, part * numbers))
        v.keep = count == v.strips.count
        team_run(&v.team, multiply, v, WINOGRAD_PLANES * v.slices, work * count / v.strips.count)
        v.s0 = v.s1
    team_run(&v.team, store, v, tasks, work_of(v.table, 0, <double>(v.c1 - v.c0) * (v.o1 - v.o0) * numbers))


cdef bint even(const Gradient* v, const Extent* extents, Py_ssize_t count, Py_ssize_t channels, Py_ssize_t copies) noexcept nogil:
    # Also: finite, and of a size with which no transform overflows or underflows
    cdef double largest = 0, sum = 0, bound = ldexp(1, 50 if v.table.itemsize == sizeof(float) else 450)
    cdef Py_ssize_t i
    for i in range(count):
        largest, sum = max(largest, extents[i].largest), sum + extents[i].sum
    return 1 / bound <= largest <= bound and copies * largest * channels <= sum - copies * largest


cdef int run(Gradient* v, double work) except -1 nogil:
    # Whether the pixels are even
    cdef size_t size = <size_t>v.table.itemsize, v_bytes, u_bytes, m_bytes, extent_bytes, total_bytes = 0
    cdef Py_ssize_t of_x, of_dy, copies = ceil_div(6, v.step) * ceil_div(6, v.step)
    cdef bint good
    plan(v, threads_for(work, v.channels * v.outputs))
    of_x, of_dy = v.ranges_of_x * v.strips.count, ceil_div(v.outputs, v.output_count) * v.strips.count
    extent_bytes = <size_t>(of_x + of_dy) * sizeof(Extent)
    v_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * v.v_plane) * size)
    u_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * v.u_plane) * size)
    m_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * v.m_plane) * size)
    if v.strips.count > v.chain:
        total_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * v.m_plane) * sizeof(double))
    team_begin(&v.team, work, WINOGRAD_PLANES * v.slices, v_bytes + u_bytes + m_bytes + total_bytes + extent_bytes, v.slot_bytes)
    v.v, v.u, v.m = v.team.shared, v.team.shared + v_bytes, v.team.shared + v_bytes + u_bytes
    v.totals = <double*>(v.m + m_bytes) if total_bytes > 0 else NULL
    v.extents = <Extent*>(v.m + m_bytes + total_bytes)
    v.c0 = 0
    while v.c0 < v.channels:
        v.c1, v.o0, v.keep = min(v.c0 + v.channel_count, v.channels), 0, False
        while v.o0 < v.outputs:
            v.o1 = min(v.o0 + v.output_count, v.outputs)
            run_range(v, work * (v.c1 - v.c0) / v.channels * (v.o1 - v.o0) / v.outputs)
            v.o0 = v.o1
        v.c0 = v.c1
    good = even(v, v.extents, of_x, v.channels, copies) and even(v, v.extents + of_x, of_dy, v.outputs, 1)
    team_end()
    return good


cdef int winograd_weights_run(const Convolution* conv) except -1 nogil:
    cdef Gradient v
    memset(&v, 0, sizeof(Gradient))
    v.table, v.x, v.dw = conv.table, conv.x, conv.w.data
    v.dy = windows_of_y(conv)
    v.form, v.step, v.taps = &v.table.winograd[v.x.kh == 5], 7 - v.x.kh, v.x.kh * v.x.kw
    v.images, v.channels, v.outputs = conv.images, conv.channels, conv.outputs
    return run(&v, winograd_work(conv))
