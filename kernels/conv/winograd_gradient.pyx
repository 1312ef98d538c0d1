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
    const winograd_primitives* transforms
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


cdef void divide_tiles(Gradient* form, int threads) noexcept nogil:
    cdef const primitives* t = form.table
    cdef Py_ssize_t plane = WINOGRAD_PLANES * t.itemsize, widest = t.lanes * t.tile.vectors, chunk, tiles
    set_strips(&form.strips, form.images, form.dy.h, form.dy.w, form.step)
    chunk = form.strips.longest
    form.channel_count = even_part(form.channels, SUM_BYTES // (plane * widest), t.lanes)
    form.output_count = even_part(form.outputs, SUM_BYTES // (plane * form.channel_count), widest)
    form.v_tile, form.u_tile = form.channel_count, form.output_count
    form.strip_count = even_part(form.strips.count, GROUP_BYTES // (plane * (form.v_tile + form.u_tile) * chunk), 1)
    tiles = form.strip_count * chunk
    form.chain = max(1, SUM_BLOCK // tiles) * form.strip_count
    form.v_plane, form.u_plane = odd_lines(tiles * form.v_tile), odd_lines(tiles * form.u_tile)
    form.m_plane = odd_lines(form.channel_count * form.output_count)
    form.slices = max(1, min(ceil_div(3 * threads, WINOGRAD_PLANES), form.channel_count // (2 * t.tile.rows)))
    form.slot_bytes = <size_t>(max(<Py_ssize_t>(WINOGRAD_PIXELS + WINOGRAD_TILES * WINOGRAD_PARTS), TAP_CHANNELS * form.taps)
                               * t.lanes * t.itemsize)
    form.ranges_of_x = ceil_div(form.channels, form.channel_count)


cdef void transform_strip(Gradient* form, Py_ssize_t strip, bint of_dy, char* pixels) noexcept nogil:
    # V, or U, of one strip of the group
    cdef Py_ssize_t image, row, column, tiles, lanes = form.table.lanes
    cdef Py_ssize_t c = form.o0 if of_dy else form.c0, end = form.o1 if of_dy else form.c1, size = form.table.itemsize
    cdef Py_ssize_t place = first_tile(&form.strips, strip) - first_tile(&form.strips, form.s0)
    cdef char* to = form.u + place * form.u_tile * size if of_dy else form.v + place * form.v_tile * size
    cdef windows x = form.dy if of_dy else form.x
    cdef char* energies = pixels + WINOGRAD_PIXELS * lanes * size
    cdef Py_ssize_t part_of = form.ranges_of_x + c // form.output_count if of_dy else c // form.channel_count
    cdef Extent* extent = form.extents + part_of * form.strips.count
    extent += strip
    extent.largest = extent.sum = 0
    locate(&form.strips, strip, &image, &row, &column, &tiles)
    x.x += image * x.image_stride + c * x.channel_stride
    while c < end:
        memset(energies, 0, <size_t>(tiles * WINOGRAD_PARTS * lanes * size))
        if of_dy:
            form.transforms.gradient(&x, form.step * row, form.step * column, min(lanes, end - c), tiles, pixels, to,
                                     form.u_plane, form.u_tile, energies)
            form.transforms.gradient_extent(tiles, energies, &extent.largest, &extent.sum)
        else:
            form.transforms.input(&x, form.step * row - x.top, form.step * column - x.left, min(lanes, end - c), tiles, pixels,
                                  to, form.v_plane, form.v_tile, energies)
            form.transforms.pixel_extent(tiles, energies, &extent.largest, &extent.sum)
        c += lanes
        x.x += lanes * x.channel_stride
        to += lanes * size


cdef void transform(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef Gradient* form = <Gradient*>context
    cdef Py_ssize_t task
    for task in range(first, last):
        transform_strip(form, form.s0 + task % (form.s1 - form.s0), task < form.s1 - form.s0, slot_of(&form.team, slot))


cdef void multiply(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A slice of the channels of one plane of M
    cdef const Gradient* form = <const Gradient*>context
    cdef const primitives* t = form.table
    cdef Py_ssize_t task, f, c, end, s, i, rows, slivers, q, j, columns, size = t.itemsize, lanes = t.lanes
    cdef Py_ssize_t tiles = first_tile(&form.strips, form.s1) - first_tile(&form.strips,
                                                                           form.s0), vectors = ceil_div(form.o1 - form.o0, lanes)
    cdef Py_ssize_t panels = panel_count(vectors, t.tile.vectors), start = START_ZERO if form.s0 % form.chain == 0 else START_C
    for task in range(first, last):
        f = task // form.slices
        c = (form.c1 - form.c0) * (task % form.slices) // form.slices
        end = (form.c1 - form.c0) * (task % form.slices + 1) // form.slices
        slivers = ceil_div(end - c, t.tile.rows)
        for s in range(slivers):
            i = c + (end - c) * s // slivers
            rows = c + (end - c) * (s + 1) // slivers - i
            for q in range(panels):
                j, columns = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
                columns -= j
                t.tile.tiles[(rows - 1) * t.tile.vectors + columns // lanes - 1](
                    tiles, form.v + (f * form.v_plane + i) * size, 1, form.v_tile,
                    form.u + (f * form.u_plane + j) * size, form.u_tile,
                    form.m + (f * form.m_plane + i * form.output_count + j) * size, form.output_count, columns, <int>start, NULL)
        if form.totals != NULL:
            end_chain(form, f, c, end)


cdef void end_chain(const Gradient* form, Py_ssize_t f, Py_ssize_t c, Py_ssize_t end) noexcept nogil:
    # Of a slice: a chain that ends here is added to the totals; after the last group, these are M.
    cdef Py_ssize_t at = f * form.m_plane + c * form.output_count, count = (end - c) * form.output_count
    cdef char* m = form.m + at * form.table.itemsize
    if form.s0 < form.chain:
        memset(form.totals + at, 0, <size_t>count * sizeof(double))
    if form.s1 % form.chain == 0 or form.s1 == form.strips.count:
        form.table.rows.add_to_doubles(count, m, form.totals + at)
    if form.s1 == form.strips.count:
        form.table.rows.narrow(count, form.totals + at, m)


cdef void store(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # The taps of a vector of outputs and a few channels
    cdef const Gradient* form = <const Gradient*>context
    cdef Py_ssize_t parts = ceil_div(form.c1 - form.c0,
                                     TAP_CHANNELS), lanes = form.table.lanes, size = form.table.itemsize, task, o, c
    cdef Py_ssize_t channels, row = form.channels * form.taps
    cdef char* taps = slot_of(&form.team, slot)
    for task in range(first, last):
        o, c = task // parts * lanes, task % parts * TAP_CHANNELS
        channels = min(<Py_ssize_t>TAP_CHANNELS, form.c1 - form.c0 - c)
        form.transforms.weights(channels, form.m + (c * form.output_count + o) * size, form.m_plane, form.output_count, taps)
        form.table.pack.transpose(channels * form.taps, min(lanes, form.o1 - form.o0 - o), taps, lanes,
                                  form.dw + ((form.o0 + o) * row + (form.c0 + c) * form.taps) * size, row)


cdef void run_range(Gradient* form, double work) noexcept nogil:
    cdef Py_ssize_t count, tasks = ceil_div(form.o1 - form.o0, form.table.lanes) * ceil_div(form.c1 - form.c0, TAP_CHANNELS)
    cdef double part, numbers = WINOGRAD_PLANES * form.table.itemsize * TRANSFORM_BYTES
    form.s0 = 0
    while form.s0 < form.strips.count:
        form.s1 = min(form.s0 + form.strip_count, form.strips.count)
        count = form.s1 - form.s0
        part = <double>count * form.strips.longest * ((0 if form.keep else form.c1 - form.c0) + form.o1 - form.o0)
        team_run(&form.team, transform, form, count if form.keep else 2 * count, work_of(form.table, 0, part * numbers))
        form.keep = count == form.strips.count
        team_run(&form.team, multiply, form, WINOGRAD_PLANES * form.slices, work * count / form.strips.count)
        form.s0 = form.s1
    team_run(&form.team, store, form, tasks, work_of(form.table, 0, <double>(form.c1 - form.c0) * (form.o1 - form.o0) * numbers))


cdef bint even(const Gradient* form, const Extent* extents, Py_ssize_t count, Py_ssize_t channels,
               Py_ssize_t copies) noexcept nogil:
    # Also: finite, and of a size with which no transform overflows or underflows
    cdef double largest = 0, sum = 0, bound = ldexp(1, 50 if form.table.itemsize == sizeof(float) else 450)
    cdef Py_ssize_t i
    for i in range(count):
        largest, sum = max(largest, extents[i].largest), sum + extents[i].sum
    return 1 / bound <= largest <= bound and copies * largest * channels <= sum - copies * largest


cdef int sum_all(Gradient* form, double work) except -1 nogil:
    # Whether the pixels are even
    cdef size_t size = <size_t>form.table.itemsize, v_bytes, u_bytes, m_bytes, extent_bytes, total_bytes = 0
    cdef Py_ssize_t of_x, of_dy, copies = ceil_div(6, form.step) * ceil_div(6, form.step)
    cdef bint good
    divide_tiles(form, threads_for(work, form.channels * form.outputs))
    of_x, of_dy = form.ranges_of_x * form.strips.count, ceil_div(form.outputs, form.output_count) * form.strips.count
    extent_bytes = <size_t>(of_x + of_dy) * sizeof(Extent)
    v_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * form.v_plane) * size)
    u_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * form.u_plane) * size)
    m_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * form.m_plane) * size)
    if form.strips.count > form.chain:
        total_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * form.m_plane) * sizeof(double))
    team_begin(&form.team, work, WINOGRAD_PLANES * form.slices, v_bytes + u_bytes + m_bytes + total_bytes + extent_bytes,
               form.slot_bytes)
    form.v, form.u, form.m = form.team.shared, form.team.shared + v_bytes, form.team.shared + v_bytes + u_bytes
    form.totals = <double*>(form.m + m_bytes) if total_bytes > 0 else NULL
    form.extents = <Extent*>(form.m + m_bytes + total_bytes)
    form.c0 = 0
    while form.c0 < form.channels:
        form.c1, form.o0, form.keep = min(form.c0 + form.channel_count, form.channels), 0, False
        while form.o0 < form.outputs:
            form.o1 = min(form.o0 + form.output_count, form.outputs)
            run_range(form, work * (form.c1 - form.c0) / form.channels * (form.o1 - form.o0) / form.outputs)
            form.o0 = form.o1
        form.c0 = form.c1
    good = even(form, form.extents, of_x, form.channels, copies) and even(form, form.extents + of_x, of_dy, form.outputs, 1)
    team_end()
    return good


cdef int winograd_weights_run(const Convolution* conv) except -1 nogil:
    cdef Gradient form
    memset(&form, 0, sizeof(Gradient))
    form.table, form.x, form.dw = conv.table, conv.x, conv.w.data
    form.dy = windows_of_y(conv)
    form.transforms, form.step, form.taps = &form.table.winograd[form.x.kh == 5], 7 - form.x.kh, form.x.kh * form.x.kw
    form.images, form.channels, form.outputs = conv.images, conv.channels, conv.outputs
    return sum_all(&form, winograd_work(conv))
