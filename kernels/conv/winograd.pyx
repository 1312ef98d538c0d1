"""Convolution with 3x3 or 5x5 kernels at stride 1 by fewer multiplications (kernels/conv/winograd.h).

    U[f, c, o] = (G w[o, c] G')[f]                  kernels, for a range of outputs
    V[f, t, c] = (B' d[t, c] B)[f]                  tiles t of 6 x 6 pixels, for a block of them
    M[f, t, o] = sum over c of V[f, t, c] U[f, c, o]     36 products
    y          = A' M[., t, o] A + bias             4 x 4 or 2 x 2 pixels of every tile

A strip is up to 16 neighbouring tiles of one image; a block of strips may be of several images. Where the tiles are many, a
block is a task, and U is held for as many outputs as the cache takes. Where they are few beside the kernels, V is held for
all of them, and a panel of outputs is a task: no kernel is transformed twice, and a thread reads its own kernels only. Every
sum is one chain of multiply-adds over c either way, so that an image's result depends on that image only. Whether an image or
the kernels are even enough for this form (kernels/conv/winograd.h) is found out on the way.
"""
from libc.string cimport memset

from npkernels._kernels.convolution cimport Convolution, Images, Weights, multiply_adds
from npkernels._kernels.primitives cimport (
    START_C, START_ZERO, WINOGRAD_PARTS, WINOGRAD_PIXELS, WINOGRAD_PLANES, WINOGRAD_TILES, activation_fn, panel_count,
    panel_start, primitives, windows, winograd_primitives,
)
from npkernels._kernels.runtime cimport Team, cache_sizes, slot_of, team_begin, team_end, team_run, threads_for, work_of
from npkernels._kernels.scalars cimport ceil_div, odd_lines, round_to_line
from npkernels._kernels.strips cimport Strips, first_tile, locate, set_strips

cdef enum:
    BLOCK_TILES = 64                 # the most in a block
    MOST_BYTES = 8 << 20             # of U, V, M and pixels of a thread: what it may hold of the last cache
    PACKED_CHANNELS = 16             # of the kernels that are packed at a time
    TRANSFORM_BYTES = 4              # that are copied in the time in which a byte of U or V is made

cdef struct Winograd:
    const primitives* table
    const winograd_primitives* form
    Py_ssize_t step, taps            # pixels of the result from tile to tile, one way; taps of a kernel
    windows x
    Images y
    Weights w                        # from the first channel whose U is held on
    bint by_outputs
    const char* bias
    activation_fn activation
    Py_ssize_t images, channels, padded, outputs       # padded to whole vectors
    Py_ssize_t all_channels
    Py_ssize_t room                  # bytes of U, V, M and pixels that a thread holds
    Py_ssize_t channel_block, first_channel            # whose U is held at a time; of which it is the first
    Strips strips
    Py_ssize_t block, tiles                            # strips and tiles in a block
    Py_ssize_t first, count, panels, part              # the range of outputs; outputs whose M is held at a time
    Py_ssize_t u_plane, v_plane, v_tile, m_plane       # elements
    char* u                          # for every thread its own if by_outputs, else shared
    char* tiles_of_all               # V if by_outputs
    Team team
    size_t slot_bytes, shared_bytes, u_bytes, v_bytes, m_bytes
    size_t pixel_bytes               # of the pixels of a strip and its energies, or of the kernels that are packed
    char* extents                    # of the kernels of the range: (ranges of channels, 2, count), as U shared or not
    size_t extent_bytes
    char* uneven_strips
    char* uneven_panels              # if by_outputs


cdef void plan(Winograd* v, int threads) noexcept nogil:
    cdef const primitives* t = v.table
    cdef Py_ssize_t size = t.itemsize, widest = t.lanes * t.tile.vectors, all_tiles
    v.padded = ceil_div(v.channels, t.lanes) * t.lanes
    v.room = min(<Py_ssize_t>MOST_BYTES, max(cache_sizes().l2, cache_sizes().l3))
    set_strips(&v.strips, v.images, v.x.oh, v.x.ow, v.step)
    v.v_tile, v.channel_block = v.padded, v.channels
    v.pixel_bytes = round_to_line(<size_t>max(<Py_ssize_t>(WINOGRAD_PIXELS + WINOGRAD_TILES * WINOGRAD_PARTS) * t.lanes,
                                              PACKED_CHANNELS * v.taps * widest) * size)
    all_tiles = first_tile(&v.strips, v.strips.count)
    # U does not fit beside a block, but V of all tiles does beside a panel's U.
    v.by_outputs = (WINOGRAD_PLANES * v.channels * v.outputs * size > v.room // 2
                    and WINOGRAD_PLANES * odd_lines(all_tiles * v.v_tile) * size <= v.room * 4 // 7)
    if v.by_outputs:
        plan_outputs(v, threads, all_tiles)
    else:
        plan_tiles(v, threads)
    v.m_plane = odd_lines(v.tiles * v.part)
    v.u_plane = odd_lines(v.channel_block * v.count)
    v.v_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * v.v_plane * size))
    v.m_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * v.m_plane * size))
    v.u_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * v.u_plane * size))
    v.extent_bytes = round_to_line(<size_t>(2 * ceil_div(v.channels, PACKED_CHANNELS) * v.count * size))
    v.shared_bytes = v.v_bytes if v.by_outputs else v.u_bytes + v.extent_bytes
    v.slot_bytes = (v.u_bytes + v.extent_bytes if v.by_outputs else v.v_bytes) + v.m_bytes + v.pixel_bytes


cdef void plan_tiles(Winograd* v, int threads) noexcept nogil:
    cdef const primitives* t = v.table
    cdef Py_ssize_t size = t.itemsize, strips, chunk, widest = t.lanes * t.tile.vectors, ranges
    chunk, strips = v.strips.longest, v.strips.count
    v.tiles = max(16, min(<Py_ssize_t>BLOCK_TILES, v.room // 7 // (WINOGRAD_PLANES * v.padded * size)))
    v.block = max(1, min(v.tiles // chunk, strips // (3 * threads) if threads > 1 else strips))
    v.tiles = v.block * chunk
    v.count = max(widest, v.room // 2 // (WINOGRAD_PLANES * v.channels * size) // widest * widest)
    ranges = ceil_div(v.outputs, v.count)
    v.count = ceil_div(ceil_div(v.outputs, ranges), widest) * widest
    v.part = max(1, v.room // 7 // (WINOGRAD_PLANES * v.tiles * size) // widest) * widest
    v.v_plane = odd_lines(v.tiles * v.v_tile)


cdef void plan_outputs(Winograd* v, int threads, Py_ssize_t all_tiles) noexcept nogil:
    cdef const primitives* t = v.table
    cdef Py_ssize_t size = t.itemsize, vectors = ceil_div(v.outputs, t.lanes), chunk = v.strips.longest
    cdef Py_ssize_t most = v.room * 3 // 10 // (WINOGRAD_PLANES * size)          # numbers in a plane of a panel's U
    v.panels = min(vectors, ceil_div(panel_count(vectors, t.tile.vectors), threads) * threads)
    v.count = v.part = ceil_div(vectors, v.panels) * t.lanes
    v.v_plane = odd_lines(all_tiles * v.v_tile)
    v.block = max(1, BLOCK_TILES // chunk)
    if v.channels * v.count > most:          # then V's size says that tiles are few
        v.channel_block = max(1, most // v.count)
        v.channel_block = ceil_div(v.channels, ceil_div(v.channels, v.channel_block))
        v.channel_block = ceil_div(v.channel_block, PACKED_CHANNELS) * PACKED_CHANNELS
        v.block = v.strips.count
    v.tiles = min(v.block * chunk, all_tiles)


cdef inline Py_ssize_t range_vectors(const Winograd* v) noexcept nogil:
    return ceil_div(min(v.count, v.outputs - v.first), v.table.lanes)


cdef void transform_kernels(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A panel of outputs and a few channels at a time
    cdef const Winograd* v = <const Winograd*>context
    cdef Py_ssize_t lanes = v.table.lanes, size = v.table.itemsize, parts = ceil_div(v.channels, PACKED_CHANNELS), task
    cdef Py_ssize_t vectors = range_vectors(v), start, end, c, channels, part
    cdef char* taps = slot_of(&v.team, slot)
    for task in range(first, last):
        start = panel_start(vectors, v.panels, task // parts) * lanes
        end = panel_start(vectors, v.panels, task // parts + 1) * lanes
        c = task % parts * PACKED_CHANNELS
        channels = min(<Py_ssize_t>PACKED_CHANNELS, v.channels - c)
        pack_kernels(v, v.first + start, min(end, v.outputs - v.first) - start, end - start, c, channels, taps)
        part = (v.first_channel + c) // PACKED_CHANNELS
        v.form.kernels(channels, end - start, taps, v.w.turned, v.u + (start * v.channels + c * (end - start)) * size, v.u_plane,
                       extents_of(v, start) + 2 * part * (end - start) * size)


cdef inline char* extents_of(const Winograd* v, Py_ssize_t start) noexcept nogil:
    # of the panel that begins at an output of the range: one behind the other
    return v.extents + 2 * ceil_div(v.all_channels, PACKED_CHANNELS) * start * v.table.itemsize


cdef bint even_kernels(const Winograd* v) noexcept nogil:
    cdef Py_ssize_t lanes = v.table.lanes, vectors = range_vectors(v), q, start, end
    for q in range(v.panels):
        start, end = panel_start(vectors, v.panels, q) * lanes, panel_start(vectors, v.panels, q + 1) * lanes
        if not v.form.even_kernels(ceil_div(v.all_channels, PACKED_CHANNELS), end - start, extents_of(v, start),
                                   min(end, v.outputs - v.first) - start):
            return False
    return True


cdef inline void pack_kernels(const Winograd* v, Py_ssize_t output, Py_ssize_t outputs, Py_ssize_t width, Py_ssize_t c,
                              Py_ssize_t channels, char* to) noexcept nogil:
    cdef const Weights* w = &v.w
    cdef const char* taps = w.data + output * w.output + c * w.channel
    if w.channel == v.taps * w.column:
        v.table.pack.panel(channels * v.taps, outputs, width, taps, w.column, w.output, to)
    else:
        v.table.pack.panels(channels, w.channel, v.taps, outputs, width, taps, w.column, w.output, to)


cdef Py_ssize_t transform_tiles(const Winograd* v, Py_ssize_t first, Py_ssize_t last, char* to, char* pixels) noexcept nogil:
    # V of the strips first .. last; the number of their tiles
    cdef Py_ssize_t strip, image, row, column, tiles, c, done = 0, size = v.table.itemsize, lanes = v.table.lanes
    cdef windows x
    cdef char* energies = pixels + WINOGRAD_PIXELS * lanes * size
    for strip in range(first, last):
        locate(&v.strips, strip, &image, &row, &column, &tiles)
        x = v.x
        x.x += image * x.image_stride
        memset(energies, 0, <size_t>(tiles * WINOGRAD_PARTS * lanes * size))
        c = 0
        while c < v.channels:
            v.form.input(&x, v.step * row - x.top, v.step * column - x.left, min(lanes, v.channels - c), tiles, pixels,
                         to + (done * v.v_tile + c) * size, v.v_plane, v.v_tile, energies)
            x.x += lanes * x.channel_stride
            c += lanes
        v.uneven_strips[strip] = not v.form.even(&x, v.step * row, v.step * column, tiles, energies)
        done += tiles
    return done


cdef void multiply(const Winograd* v, Py_ssize_t tiles, Py_ssize_t q0, Py_ssize_t q1, const char* a, char* m,
                   int begin) noexcept nogil:
    # M of the panels q0 .. q1, = or += their sums over v.channels
    cdef Py_ssize_t lanes = v.table.lanes, size = v.table.itemsize, vectors = range_vectors(v), f, s, q, i, rows, start, end
    cdef Py_ssize_t slivers = ceil_div(tiles, v.table.tile.rows), origin = panel_start(vectors, v.panels, q0) * lanes
    for f in range(WINOGRAD_PLANES):
        for s in range(slivers):
            i = tiles * s // slivers
            rows = tiles * (s + 1) // slivers - i
            for q in range(q0, q1):
                start, end = panel_start(vectors, v.panels, q) * lanes, panel_start(vectors, v.panels, q + 1) * lanes
                v.table.tile.tiles[(rows - 1) * v.table.tile.vectors + (end - start) // lanes - 1](
                    v.channels, a + (f * v.v_plane + i * v.v_tile) * size, v.v_tile, 1,
                    v.u + (f * v.u_plane + start * v.channels) * size, end - start,
                    m + (f * v.m_plane + i * v.part + start - origin) * size, v.part, end - start, begin, NULL)


cdef void store_tiles(const Winograd* v, Py_ssize_t first, Py_ssize_t last, Py_ssize_t o0, Py_ssize_t o1, const char* m,
                      char* pixels) noexcept nogil:
    # y of the outputs o0 .. o1 of the range
    cdef Py_ssize_t strip, image, row, column, tiles, o, output, count, done = 0, size = v.table.itemsize, lanes = v.table.lanes
    cdef char* y
    for strip in range(first, last):
        locate(&v.strips, strip, &image, &row, &column, &tiles)
        o = o0
        while o < min(o1, v.outputs - v.first):
            output = v.first + o
            count = min(lanes, v.outputs - output)
            v.form.output(tiles, m + (done * v.part + o - o0) * size, v.m_plane, v.part,
                          v.bias + output * size if v.bias != NULL else NULL, count, pixels)
            if v.activation != NULL:
                v.activation(v.step * v.step * tiles * lanes, pixels, pixels, NULL)
            y = v.y.data + image * v.y.image + output * v.y.channel + v.step * (row * v.y.row + column * v.y.column)
            v.form.store(count, min(v.step, v.x.oh - v.step * row), min(v.step * tiles, v.x.ow - v.step * column),
                         v.step * tiles, pixels, y, v.y.channel, v.y.row, v.y.column)
            o += lanes
        done += tiles


cdef void run_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Winograd* v = <const Winograd*>context
    cdef Py_ssize_t block, start, end, tiles, q0, q1, lanes = v.table.lanes, vectors = range_vectors(v)
    cdef Py_ssize_t held = v.part // (lanes * v.table.tile.vectors)
    cdef char* a = slot_of(&v.team, slot)
    cdef char* m = a + v.v_bytes
    cdef char* pixels = m + v.m_bytes
    for block in range(first, last):
        start, end = block * v.block, min((block + 1) * v.block, v.strips.count)
        tiles = transform_tiles(v, start, end, a, pixels)
        q0 = 0
        while q0 < v.panels:
            q1 = min(q0 + held, v.panels)
            multiply(v, tiles, q0, q1, a, m, START_ZERO)
            store_tiles(v, start, end, panel_start(vectors, v.panels, q0) * lanes, panel_start(vectors, v.panels, q1) * lanes,
                        m, pixels)
            q0 = q1


cdef void transform_all_tiles(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Winograd* v = <const Winograd*>context
    cdef Py_ssize_t strip
    for strip in range(first, last):
        transform_tiles(v, strip, strip + 1, v.tiles_of_all + first_tile(&v.strips, strip) * v.v_tile * v.table.itemsize,
                        slot_of(&v.team, slot))


cdef void multiply_blocks(const Winograd* v, const char* a, char* m, bint begins, bint ends) noexcept nogil:
    # One range of channels of one panel of outputs, for all tiles
    cdef Py_ssize_t start = 0, end, tile, strips = v.strips.count, size = v.table.itemsize
    while start < strips:
        end = min(start + v.block, strips)
        tile = first_tile(&v.strips, start)
        multiply(v, first_tile(&v.strips, end) - tile, 0, 1, a + tile * v.v_tile * size, m, START_ZERO if begins else START_C)
        if ends:
            store_tiles(v, start, end, 0, v.count, m, v.team.slots)
        start = end


cdef void run_panels(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A panel is a range of outputs of its own, with its own U.
    cdef const Winograd* whole = <const Winograd*>context
    cdef Winograd v
    cdef Py_ssize_t task, c, size = whole.table.itemsize, lanes = whole.table.lanes, vectors = ceil_div(whole.outputs, lanes)
    cdef char* m
    for task in range(first, last):
        v = whole[0]
        v.u = slot_of(&whole.team, slot)
        v.extents = v.u + v.u_bytes
        m, v.team.slots = v.extents + v.extent_bytes, v.extents + v.extent_bytes + v.m_bytes    # a team of one
        v.first = panel_start(vectors, whole.panels, task) * lanes
        v.count = min(v.outputs, panel_start(vectors, whole.panels, task + 1) * lanes) - v.first
        v.panels = 1
        c = 0
        while c < whole.channels:
            v.channels, v.first_channel = min(whole.channel_block, whole.channels - c), c
            v.w.data = whole.w.data + c * v.w.channel
            transform_kernels(&v, 0, ceil_div(v.channels, PACKED_CHANNELS), 0)
            multiply_blocks(&v, v.tiles_of_all + c * size, m, c == 0, c + v.channels == whole.channels)
            c += v.channels
        v.uneven_panels[task] = not even_kernels(&v)


cdef int run(Winograd* v, double work, char* uneven) except -1 nogil:
    cdef Py_ssize_t strips, panels, i, image, row, column, tiles
    cdef size_t flag_bytes
    cdef double transforms, passes
    cdef bint even = True
    plan(v, threads_for(work, v.images * v.strips.count * v.outputs))
    strips, panels = v.strips.count, v.panels if v.by_outputs else 0
    flag_bytes = round_to_line(<size_t>(strips + panels))
    team_begin(&v.team, work, max(panels, ceil_div(strips, v.block)), flag_bytes + v.shared_bytes, v.slot_bytes)
    v.uneven_strips, v.uneven_panels = v.team.shared, v.team.shared + strips
    memset(v.team.shared, 0, flag_bytes)
    v.u = v.tiles_of_all = v.team.shared + flag_bytes
    v.extents = v.u + v.u_bytes
    if v.by_outputs:
        transforms = work_of(v.table, 0, <double>v.v_bytes * TRANSFORM_BYTES)
        team_run(&v.team, transform_all_tiles, v, strips, transforms)
        team_run(&v.team, run_panels, v, panels, work)
        for i in range(panels):
            even = even and not v.uneven_panels[i]
    while not v.by_outputs and v.first < v.outputs and even:
        v.panels = panel_count(range_vectors(v), v.table.tile.vectors)
        passes = <double>v.outputs / min(v.count, v.outputs - v.first)
        team_run(&v.team, transform_kernels, v, v.panels * ceil_div(v.channels, PACKED_CHANNELS),
                 work_of(v.table, 0, <double>v.u_bytes * TRANSFORM_BYTES))
        even = even_kernels(v)
        if even:
            team_run(&v.team, run_blocks, v, ceil_div(strips, v.block), work / passes)
        v.first += v.count
    for i in range(strips):
        locate(&v.strips, i, &image, &row, &column, &tiles)
        uneven[image] |= v.uneven_strips[i] | (not even)
    team_end()
    return 0


cdef double winograd_work(const Convolution* conv) noexcept nogil:
    # 36 products of a tile for the taps of its pixels
    cdef double tile = <double>(7 - conv.x.kh) * (7 - conv.x.kh) * conv.x.kh * conv.x.kw
    return work_of(conv.table, 2 * WINOGRAD_PLANES / tile * multiply_adds(conv), 0)


cdef int winograd_run(const Convolution* conv, char* uneven) except -1 nogil:
    cdef Winograd v
    memset(&v, 0, sizeof(Winograd))
    v.table, v.x, v.y, v.w = conv.table, conv.x, conv.y, conv.w
    v.form, v.step, v.taps = &v.table.winograd[v.x.kh == 5], 7 - v.x.kh, v.x.kh * v.x.kw
    v.images, v.channels, v.all_channels, v.outputs = conv.images, conv.channels, conv.channels, conv.outputs
    v.bias, v.activation = conv.bias, conv.activation
    return run(&v, winograd_work(conv), uneven)
