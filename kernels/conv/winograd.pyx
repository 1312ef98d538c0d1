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
    const winograd_primitives* transforms
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


cdef void divide_tiles(Winograd* form, int threads) noexcept nogil:
    cdef const primitives* t = form.table
    cdef Py_ssize_t size = t.itemsize, widest = t.lanes * t.tile.vectors, all_tiles
    form.padded = ceil_div(form.channels, t.lanes) * t.lanes
    form.room = min(<Py_ssize_t>MOST_BYTES, max(cache_sizes().l2, cache_sizes().l3))
    set_strips(&form.strips, form.images, form.x.oh, form.x.ow, form.step)
    form.v_tile, form.channel_block = form.padded, form.channels
    form.pixel_bytes = round_to_line(<size_t>max(<Py_ssize_t>(WINOGRAD_PIXELS + WINOGRAD_TILES * WINOGRAD_PARTS) * t.lanes,
                                                 PACKED_CHANNELS * form.taps * widest) * size)
    all_tiles = first_tile(&form.strips, form.strips.count)
    # U does not fit beside a block, but V of all tiles does beside a panel's U.
    form.by_outputs = (WINOGRAD_PLANES * form.channels * form.outputs * size > form.room // 2
                       and WINOGRAD_PLANES * odd_lines(all_tiles * form.v_tile) * size <= form.room * 4 // 7)
    if form.by_outputs:
        plan_outputs(form, threads, all_tiles)
    else:
        plan_tiles(form, threads)
    form.m_plane = odd_lines(form.tiles * form.part)
    form.u_plane = odd_lines(form.channel_block * form.count)
    form.v_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * form.v_plane * size))
    form.m_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * form.m_plane * size))
    form.u_bytes = round_to_line(<size_t>(WINOGRAD_PLANES * form.u_plane * size))
    form.extent_bytes = round_to_line(<size_t>(2 * ceil_div(form.channels, PACKED_CHANNELS) * form.count * size))
    form.shared_bytes = form.v_bytes if form.by_outputs else form.u_bytes + form.extent_bytes
    form.slot_bytes = (form.u_bytes + form.extent_bytes if form.by_outputs else form.v_bytes) + form.m_bytes + form.pixel_bytes


cdef void plan_tiles(Winograd* form, int threads) noexcept nogil:
    cdef const primitives* t = form.table
    cdef Py_ssize_t size = t.itemsize, strips, chunk, widest = t.lanes * t.tile.vectors, ranges
    chunk, strips = form.strips.longest, form.strips.count
    form.tiles = max(16, min(<Py_ssize_t>BLOCK_TILES, form.room // 7 // (WINOGRAD_PLANES * form.padded * size)))
    form.block = max(1, min(form.tiles // chunk, strips // (3 * threads) if threads > 1 else strips))
    form.tiles = form.block * chunk
    form.count = max(widest, form.room // 2 // (WINOGRAD_PLANES * form.channels * size) // widest * widest)
    ranges = ceil_div(form.outputs, form.count)
    form.count = ceil_div(ceil_div(form.outputs, ranges), widest) * widest
    form.part = max(1, form.room // 7 // (WINOGRAD_PLANES * form.tiles * size) // widest) * widest
    form.v_plane = odd_lines(form.tiles * form.v_tile)


cdef void plan_outputs(Winograd* form, int threads, Py_ssize_t all_tiles) noexcept nogil:
    cdef const primitives* t = form.table
    cdef Py_ssize_t size = t.itemsize, vectors = ceil_div(form.outputs, t.lanes), chunk = form.strips.longest
    cdef Py_ssize_t most = form.room * 3 // 10 // (WINOGRAD_PLANES * size)          # numbers in a plane of a panel's U
    form.panels = min(vectors, ceil_div(panel_count(vectors, t.tile.vectors), threads) * threads)
    form.count = form.part = ceil_div(vectors, form.panels) * t.lanes
    form.v_plane = odd_lines(all_tiles * form.v_tile)
    form.block = max(1, BLOCK_TILES // chunk)
    if form.channels * form.count > most:          # then V's size says that tiles are few
        form.channel_block = max(1, most // form.count)
        form.channel_block = ceil_div(form.channels, ceil_div(form.channels, form.channel_block))
        form.channel_block = ceil_div(form.channel_block, PACKED_CHANNELS) * PACKED_CHANNELS
        form.block = form.strips.count
    form.tiles = min(form.block * chunk, all_tiles)


cdef inline Py_ssize_t range_vectors(const Winograd* form) noexcept nogil:
    return ceil_div(min(form.count, form.outputs - form.first), form.table.lanes)


cdef void transform_kernels(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A panel of outputs and a few channels at a time
    cdef const Winograd* form = <const Winograd*>context
    cdef Py_ssize_t lanes = form.table.lanes, size = form.table.itemsize, parts = ceil_div(form.channels, PACKED_CHANNELS), task
    cdef Py_ssize_t vectors = range_vectors(form), start, end, c, channels, part
    cdef char* taps = slot_of(&form.team, slot)
    for task in range(first, last):
        start = panel_start(vectors, form.panels, task // parts) * lanes
        end = panel_start(vectors, form.panels, task // parts + 1) * lanes
        c = task % parts * PACKED_CHANNELS
        channels = min(<Py_ssize_t>PACKED_CHANNELS, form.channels - c)
        pack_kernels(form, form.first + start, min(end, form.outputs - form.first) - start, end - start, c, channels, taps)
        part = (form.first_channel + c) // PACKED_CHANNELS
        form.transforms.kernels(channels, end - start, taps, form.w.turned,
                                form.u + (start * form.channels + c * (end - start)) * size, form.u_plane,
                                extents_of(form, start) + 2 * part * (end - start) * size)


cdef inline char* extents_of(const Winograd* form, Py_ssize_t start) noexcept nogil:
    # of the panel that begins at an output of the range: one behind the other
    return form.extents + 2 * ceil_div(form.all_channels, PACKED_CHANNELS) * start * form.table.itemsize


cdef bint even_kernels(const Winograd* form) noexcept nogil:
    cdef Py_ssize_t lanes = form.table.lanes, vectors = range_vectors(form), q, start, end
    for q in range(form.panels):
        start, end = panel_start(vectors, form.panels, q) * lanes, panel_start(vectors, form.panels, q + 1) * lanes
        if not form.transforms.even_kernels(ceil_div(form.all_channels, PACKED_CHANNELS), end - start, extents_of(form, start),
                                            min(end, form.outputs - form.first) - start):
            return False
    return True


cdef inline void pack_kernels(const Winograd* form, Py_ssize_t output, Py_ssize_t outputs, Py_ssize_t width, Py_ssize_t c,
                              Py_ssize_t channels, char* to) noexcept nogil:
    cdef const Weights* w = &form.w
    cdef const char* taps = w.data + output * w.output + c * w.channel
    if w.channel == form.taps * w.column:
        form.table.pack.panel(channels * form.taps, outputs, width, taps, w.column, w.output, to)
    else:
        form.table.pack.panels(channels, w.channel, form.taps, outputs, width, taps, w.column, w.output, to)


cdef Py_ssize_t transform_tiles(const Winograd* form, Py_ssize_t first, Py_ssize_t last, char* to, char* pixels) noexcept nogil:
    # V of the strips first .. last; the number of their tiles
    cdef Py_ssize_t strip, image, row, column, tiles, c, done = 0, size = form.table.itemsize, lanes = form.table.lanes
    cdef windows x
    cdef char* energies = pixels + WINOGRAD_PIXELS * lanes * size
    for strip in range(first, last):
        locate(&form.strips, strip, &image, &row, &column, &tiles)
        x = form.x
        x.x += image * x.image_stride
        memset(energies, 0, <size_t>(tiles * WINOGRAD_PARTS * lanes * size))
        c = 0
        while c < form.channels:
            form.transforms.input(&x, form.step * row - x.top, form.step * column - x.left, min(lanes, form.channels - c), tiles,
                                  pixels,
                                  to + (done * form.v_tile + c) * size, form.v_plane, form.v_tile, energies)
            x.x += lanes * x.channel_stride
            c += lanes
        form.uneven_strips[strip] = not form.transforms.even(&x, form.step * row, form.step * column, tiles, energies)
        done += tiles
    return done


cdef void multiply(const Winograd* form, Py_ssize_t tiles, Py_ssize_t q0, Py_ssize_t q1, const char* a, char* m,
                   int begin) noexcept nogil:
    # M of the panels q0 .. q1, = or += their sums over v.channels
    cdef Py_ssize_t lanes = form.table.lanes, size = form.table.itemsize, vectors = range_vectors(form)
    cdef Py_ssize_t f, s, q, i, rows, start, end
    cdef Py_ssize_t slivers = ceil_div(tiles, form.table.tile.rows), origin = panel_start(vectors, form.panels, q0) * lanes
    for f in range(WINOGRAD_PLANES):
        for s in range(slivers):
            i = tiles * s // slivers
            rows = tiles * (s + 1) // slivers - i
            for q in range(q0, q1):
                start, end = panel_start(vectors, form.panels, q) * lanes, panel_start(vectors, form.panels, q + 1) * lanes
                form.table.tile.tiles[(rows - 1) * form.table.tile.vectors + (end - start) // lanes - 1](
                    form.channels, a + (f * form.v_plane + i * form.v_tile) * size, form.v_tile, 1,
                    form.u + (f * form.u_plane + start * form.channels) * size, end - start,
                    m + (f * form.m_plane + i * form.part + start - origin) * size, form.part, end - start, begin, NULL)


cdef void store_tiles(const Winograd* form, Py_ssize_t first, Py_ssize_t last, Py_ssize_t o0, Py_ssize_t o1, const char* m,
                      char* pixels) noexcept nogil:
    # y of the outputs o0 .. o1 of the range
    cdef Py_ssize_t strip, image, row, column, tiles, o, output, count, done = 0
    cdef Py_ssize_t size = form.table.itemsize, lanes = form.table.lanes
    cdef char* y
    for strip in range(first, last):
        locate(&form.strips, strip, &image, &row, &column, &tiles)
        o = o0
        while o < min(o1, form.outputs - form.first):
            output = form.first + o
            count = min(lanes, form.outputs - output)
            form.transforms.output(tiles, m + (done * form.part + o - o0) * size, form.m_plane, form.part,
                                   form.bias + output * size if form.bias != NULL else NULL, count, pixels)
            if form.activation != NULL:
                form.activation(form.step * form.step * tiles * lanes, pixels, pixels, NULL)
            y = (form.y.data + image * form.y.image + output * form.y.channel
                 + form.step * (row * form.y.row + column * form.y.column))
            form.transforms.store(count, min(form.step, form.x.oh - form.step * row),
                                  min(form.step * tiles, form.x.ow - form.step * column),
                                  form.step * tiles, pixels, y, form.y.channel, form.y.row, form.y.column)
            o += lanes
        done += tiles


cdef void run_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Winograd* form = <const Winograd*>context
    cdef Py_ssize_t block, start, end, tiles, q0, q1, lanes = form.table.lanes, vectors = range_vectors(form)
    cdef Py_ssize_t held = form.part // (lanes * form.table.tile.vectors)
    cdef char* a = slot_of(&form.team, slot)
    cdef char* m = a + form.v_bytes
    cdef char* pixels = m + form.m_bytes
    for block in range(first, last):
        start, end = block * form.block, min((block + 1) * form.block, form.strips.count)
        tiles = transform_tiles(form, start, end, a, pixels)
        q0 = 0
        while q0 < form.panels:
            q1 = min(q0 + held, form.panels)
            multiply(form, tiles, q0, q1, a, m, START_ZERO)
            store_tiles(form, start, end, panel_start(vectors, form.panels, q0) * lanes,
                        panel_start(vectors, form.panels, q1) * lanes,
                        m, pixels)
            q0 = q1


cdef void transform_all_tiles(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Winograd* form = <const Winograd*>context
    cdef Py_ssize_t strip
    for strip in range(first, last):
        transform_tiles(form, strip, strip + 1,
                        form.tiles_of_all + first_tile(&form.strips, strip) * form.v_tile * form.table.itemsize,
                        slot_of(&form.team, slot))


cdef void multiply_blocks(const Winograd* form, const char* a, char* m, bint begins, bint ends) noexcept nogil:
    # One range of channels of one panel of outputs, for all tiles
    cdef Py_ssize_t start = 0, end, tile, strips = form.strips.count, size = form.table.itemsize
    while start < strips:
        end = min(start + form.block, strips)
        tile = first_tile(&form.strips, start)
        multiply(form, first_tile(&form.strips, end) - tile, 0, 1, a + tile * form.v_tile * size, m,
                 START_ZERO if begins else START_C)
        if ends:
            store_tiles(form, start, end, 0, form.count, m, form.team.slots)
        start = end


cdef void run_panels(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A panel is a range of outputs of its own, with its own U.
    cdef const Winograd* whole = <const Winograd*>context
    cdef Winograd form
    cdef Py_ssize_t task, c, size = whole.table.itemsize, lanes = whole.table.lanes, vectors = ceil_div(whole.outputs, lanes)
    cdef char* m
    for task in range(first, last):
        form = whole[0]
        form.u = slot_of(&whole.team, slot)
        form.extents = form.u + form.u_bytes
        m, form.team.slots = form.extents + form.extent_bytes, form.extents + form.extent_bytes + form.m_bytes    # a team of one
        form.first = panel_start(vectors, whole.panels, task) * lanes
        form.count = min(form.outputs, panel_start(vectors, whole.panels, task + 1) * lanes) - form.first
        form.panels = 1
        c = 0
        while c < whole.channels:
            form.channels, form.first_channel = min(whole.channel_block, whole.channels - c), c
            form.w.data = whole.w.data + c * form.w.channel
            transform_kernels(&form, 0, ceil_div(form.channels, PACKED_CHANNELS), 0)
            multiply_blocks(&form, form.tiles_of_all + c * size, m, c == 0, c + form.channels == whole.channels)
            c += form.channels
        form.uneven_panels[task] = not even_kernels(&form)


cdef int multiply_all(Winograd* form, double work, char* uneven) except -1 nogil:
    cdef Py_ssize_t strips, panels, i, image, row, column, tiles
    cdef size_t flag_bytes
    cdef double transforms, passes
    cdef bint even = True
    divide_tiles(form, threads_for(work, form.images * form.strips.count * form.outputs))
    strips, panels = form.strips.count, form.panels if form.by_outputs else 0
    flag_bytes = round_to_line(<size_t>(strips + panels))
    team_begin(&form.team, work, max(panels, ceil_div(strips, form.block)), flag_bytes + form.shared_bytes, form.slot_bytes)
    form.uneven_strips, form.uneven_panels = form.team.shared, form.team.shared + strips
    memset(form.team.shared, 0, flag_bytes)
    form.u = form.tiles_of_all = form.team.shared + flag_bytes
    form.extents = form.u + form.u_bytes
    if form.by_outputs:
        transforms = work_of(form.table, 0, <double>form.v_bytes * TRANSFORM_BYTES)
        team_run(&form.team, transform_all_tiles, form, strips, transforms)
        team_run(&form.team, run_panels, form, panels, work)
        for i in range(panels):
            even = even and not form.uneven_panels[i]
    while not form.by_outputs and form.first < form.outputs and even:
        form.panels = panel_count(range_vectors(form), form.table.tile.vectors)
        passes = <double>form.outputs / min(form.count, form.outputs - form.first)
        team_run(&form.team, transform_kernels, form, form.panels * ceil_div(form.channels, PACKED_CHANNELS),
                 work_of(form.table, 0, <double>form.u_bytes * TRANSFORM_BYTES))
        even = even_kernels(form)
        if even:
            team_run(&form.team, run_blocks, form, ceil_div(strips, form.block), work / passes)
        form.first += form.count
    for i in range(strips):
        locate(&form.strips, i, &image, &row, &column, &tiles)
        uneven[image] |= form.uneven_strips[i] | (not even)
    team_end()
    return 0


cdef double winograd_work(const Convolution* conv) noexcept nogil:
    # 36 products of a tile for the taps of its pixels
    cdef double tile = <double>(7 - conv.x.kh) * (7 - conv.x.kh) * conv.x.kh * conv.x.kw
    return work_of(conv.table, 2 * WINOGRAD_PLANES / tile * multiply_adds(conv), 0)


cdef int winograd_run(const Convolution* conv, char* uneven) except -1 nogil:
    cdef Winograd form
    memset(&form, 0, sizeof(Winograd))
    form.table, form.x, form.y, form.w = conv.table, conv.x, conv.y, conv.w
    form.transforms, form.step, form.taps = &form.table.winograd[form.x.kh == 5], 7 - form.x.kh, form.x.kh * form.x.kw
    form.images, form.channels, form.all_channels, form.outputs = conv.images, conv.channels, conv.channels, conv.outputs
    form.bias, form.activation = conv.bias, conv.activation
    return multiply_all(&form, winograd_work(conv), uneven)
