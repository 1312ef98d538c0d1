"""Convolution with output channels in the lanes: the rows of a tile are windows, and their pixels are broadcast.

    y'[(n, i, j), o] = bias[o] + sum over p = (c, a, b) of  x[n, c, i*sh + a*dh - top, j*sw + b*dw - left] w'[p, o]

No patch is gathered: a tap lies at one distance from the first pixel of every window. The rows of a tile are windows of one
row, read in the image where no window leaves it, else in a copy with its padding; or they are the same window of several
images, where nothing is copied and no tap of the padding is computed. w' is packed into panels once a call; results are
transposed on their way to y. Left out are products with zeros alone, so that the sums are those of conv.pyx, bit by bit.
"""
from libc.math cimport isfinite
from libc.string cimport memcmp, memcpy, memset

from npkernels._kernels.axis cimport inside, interval
from npkernels._kernels.convolution cimport Convolution, Images, Weights, convolution_work, group_of, step_of_rows
from npkernels._kernels.primitives cimport (
    START_C, START_COLUMN_BIAS, flat_layout, flat_layout_of, panel_count, panel_start, primitives, tile_taps_fn, window_taps,
    windows,
)
from npkernels._kernels.product cimport SUM_BLOCK
from npkernels._kernels.runtime cimport Team, cache_sizes, slot_of, team_begin, team_end, team_run, threads_for, work_of
from npkernels._kernels.scalars cimport ceil_div, round_to_line
from npkernels._kernels.windows cimport pairs_inside

cdef enum:
    BLOCK_PIXELS = 192            # windows of several images that use a panel together
    PIECE_PIXELS = 64             # of an image that are finished together: stores wait while the next ones are computed
    PANELS_BYTES = 4 << 20        # the most of the weights that are packed at a time
    BAND_BYTES = 1 << 20          # the most of a row of windows and of what it sees
    GROUP_TAPS = 32               # of several channels that are listed
    PACK_BYTES = 4                # that are copied in the time in which a byte of the weights is packed

cdef struct Lanes:
    Convolution conv
    const primitives* table
    bint across, in_place                    # across: the rows of a tile are images; in place: no copy is read
    bint skips                               # some taps of the padding are left out
    windows dense                            # stride 1: their flat layout is that of the copies
    flat_layout layout
    Py_ssize_t line, column, plane, picture  # of what tiles read, in elements: rows, columns, channels, images
    Py_ssize_t k, channel_block, channel_group, range
    Py_ssize_t image_blocks, bands, piece_images, piece_rows
    double* sums                             # of the panels of a range of outputs
    char* biases                             # 0 up to whole vectors
    char* panels
    Team team
    size_t copy_bytes, c_bytes, slot_bytes
    Py_ssize_t first, count                  # the range of outputs of the group at work


cdef inline Py_ssize_t span(Py_ssize_t count, Py_ssize_t stride, Py_ssize_t kernel, Py_ssize_t dilation) noexcept nogil:
    # Elements from the first tap of the first of `count` windows to the last tap of the last one
    return (count - 1) * stride + (kernel - 1) * dilation + 1


cdef inline Py_ssize_t places_of(const Lanes* v, Py_ssize_t rows) noexcept nogil:
    # Elements from the first to the last that so many rows of windows see in the copy of a channel
    cdef const windows* x = &v.conv.x
    return (span(rows, x.sh, x.kh, x.dh) - 1) * v.layout.pitch + span(x.ow, x.sw, x.kw, x.dw)


cdef inline Py_ssize_t plane_of(const Lanes* v, Py_ssize_t rows) noexcept nogil:
    # Elements of the copy of a channel for so many rows of windows; odd: no two planes share a cache set
    return (places_of(v, rows) // v.table.lanes + 1 | 1) * v.table.lanes


cdef bint lanes_read_in_place(const Convolution* conv) noexcept nogil:
    # Does no window leave the image, in whole elements?
    cdef const windows* x = &conv.x
    return (steps_are_elements(conv) and x.top <= 0 and x.left <= 0 and span(x.oh, x.sh, x.kh, x.dh) - x.top <= x.h
            and span(x.ow, x.sw, x.kw, x.dw) - x.left <= x.w)


cdef inline bint steps_are_elements(const Convolution* conv) noexcept nogil:
    cdef const windows* x = &conv.x
    return (x.image_stride | x.channel_stride | x.row_stride | x.column_stride) % conv.table.itemsize == 0


cdef Py_ssize_t lanes_pitch(const Convolution* conv) noexcept nogil:
    cdef windows dense = dense_windows(&conv.x)
    return flat_layout_of(&dense).pitch


cdef bint lanes_fit(const Convolution* conv, bint across) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef Lanes v
    cdef Py_ssize_t k = conv.channels * x.kh * x.kw, panel = conv.table.lanes * conv.table.tile.vectors * conv.table.itemsize
    if k > SUM_BLOCK or k * panel > PANELS_BYTES or x.ow * panel > BAND_BYTES:
        return False
    if across:
        return steps_are_elements(conv) and x.oh * x.ow <= PIECE_PIXELS * PIECE_PIXELS
    begin(&v, conv, False)
    return v.in_place or conv.channels * plane_of(&v, 1) * conv.table.itemsize <= BAND_BYTES


cdef inline windows dense_windows(const windows* x) noexcept nogil:
    cdef windows dense = x[0]
    dense.sh = dense.sw = 1
    dense.oh, dense.ow = (x.oh - 1) * x.sh + 1, (x.ow - 1) * x.sw + 1
    return dense


cdef void begin(Lanes* v, const Convolution* conv, bint across) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef Py_ssize_t down = pairs_inside(x.oh, x.sh, x.kh, x.dh, x.top, x.h)
    v.conv, v.table, v.across = conv[0], conv.table, across
    v.k, v.dense = conv.channels * x.kh * x.kw, dense_windows(x)
    v.layout = flat_layout_of(&v.dense)
    v.in_place = across or lanes_read_in_place(conv)
    v.skips = down * (pairs_inside(x.ow, x.sw, x.kw, x.dw, x.left, x.w) if across else x.ow * x.kw) < x.kh * x.kw * x.oh * x.ow


cdef void plan_blocks(Lanes* v, int threads) noexcept nogil:
    cdef windows* x = &v.conv.x
    cdef Py_ssize_t size = v.table.itemsize, widest = v.table.lanes * v.table.tile.vectors, taps = x.kh * x.kw
    cdef Py_ssize_t budget = cache_sizes().l2 // 2, wanted = 3 * threads, images, rows = x.oh
    v.channel_group = max(1, GROUP_TAPS // taps)
    v.channel_block = max(1, budget // (widest * taps * size))
    v.channel_block = ceil_div(v.conv.channels, ceil_div(v.conv.channels, v.channel_block))
    v.range = PANELS_BYTES // (v.k * widest * size) * widest
    # What is read by all panels stays in L2.
    images = max(1, min(budget // (v.conv.channels * plane_of(v, x.oh) * size), ceil_div(BLOCK_PIXELS, x.oh * x.ow)))
    if v.across:
        images = ceil_div(images, v.table.tile.rows) * v.table.tile.rows
    elif images == 1:
        while rows > 1 and v.conv.channels * plane_of(v, rows) * size > budget:
            rows = ceil_div(rows, 2)
    v.image_blocks, v.bands = ceil_div(v.conv.images, images), ceil_div(x.oh, rows)
    if threads > 1 and v.image_blocks * v.bands < wanted:
        v.image_blocks = min(ceil_div(v.conv.images, v.table.tile.rows) if v.across else v.conv.images, wanted)
        v.bands = max(v.bands, min(x.oh, ceil_div(wanted, v.image_blocks)))
    images, rows = ceil_div(v.conv.images, v.image_blocks), ceil_div(x.oh, v.bands)
    v.piece_rows = max(1, min(rows, PIECE_PIXELS // x.ow))
    v.piece_images = min(images, v.table.tile.rows if v.across else max(1, PIECE_PIXELS // (x.oh * x.ow)))
    if v.in_place:
        v.line, v.column = x.row_stride // size, x.column_stride // size
        v.plane, v.picture = x.channel_stride // size, x.image_stride // size
    else:
        v.line, v.column, v.plane = v.layout.pitch, 1, plane_of(v, rows)
        v.picture = v.conv.channels * v.plane
    v.copy_bytes = 0 if v.in_place else round_to_line(<size_t>(images * v.picture * size))
    v.c_bytes = round_to_line(<size_t>(v.piece_images * v.piece_rows * x.ow * widest * size))
    v.slot_bytes = v.copy_bytes + 2 * v.c_bytes + round_to_line(<size_t>(2 * v.channel_group * taps) * sizeof(Py_ssize_t))


cdef void pack_weights(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Lanes* v = <const Lanes*>context
    cdef Py_ssize_t lanes = v.table.lanes, size = v.table.itemsize, vectors = ceil_div(v.count, lanes), q, start, end
    cdef Py_ssize_t panels = panel_count(vectors, v.table.tile.vectors)
    cdef const Weights* w = &v.conv.w
    for q in range(first, last):
        start, end = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
        v.table.pack.panel(v.k, min(end, v.count) - start, end - start, w.data + (v.first + start) * w.output,
                           step_of_rows(&v.conv), w.output, v.panels + start * v.k * size)
        v.sums[q] = v.table.rows.sum(v.k * (end - start), v.panels + start * v.k * size) if v.skips else 0


cdef void copy_images(const Lanes* v, const char* x, Py_ssize_t images, Py_ssize_t i, Py_ssize_t rows, char* to) noexcept nogil:
    # What some rows of windows see of all channels of a group
    cdef windows image = v.dense
    cdef Py_ssize_t n, c, start = i * v.conv.x.sh * v.layout.pitch, count = places_of(v, rows)
    for n in range(images):
        image.x = x + n * v.conv.x.image_stride
        for c in range(v.conv.channels):
            v.table.flat.fill(&image, v.layout.pitch, c, 0, 0, start, count, v.plane, to)
            to += v.plane * v.table.itemsize


cdef struct Piece:
    Py_ssize_t image, images, row, rows
    const char* a                # window (row, 0) of the first image
    char* c                      # (images, rows, ow, width)
    Py_ssize_t* places           # of the taps of a group of channels; then their lines in a panel


cdef void list_taps(const Lanes* v, const interval* seen, Py_ssize_t width, window_taps* taps,
                    Py_ssize_t* to) noexcept nogil:
    # The taps (a, b), a of seen[0], b of seen[1]
    cdef Py_ssize_t c, a, b, t = 0
    cdef const windows* x = &v.conv.x
    cdef Py_ssize_t* lines = to + v.channel_group * x.kh * x.kw
    taps.places, taps.lines, taps.group = to, lines, v.channel_group
    taps.a_group, taps.b_group = v.channel_group * v.plane, v.channel_group * x.kh * x.kw * width
    taps.count = (seen[0].last - seen[0].first) * (seen[1].last - seen[1].first)
    for c in range(v.channel_group):
        for a in range(seen[0].first, seen[0].last):
            for b in range(seen[1].first, seen[1].last):
                to[t] = c * v.plane + a * x.dh * v.line + b * x.dw * v.column
                lines[t] = ((c * x.kh + a) * x.kw + b) * width
                t += 1


cdef void multiply(const Lanes* v, const Piece* piece, Py_ssize_t channel, const char* panel, Py_ssize_t width,
                   const char* bias) noexcept nogil:
    # c = or += a block of channels
    cdef const windows* x = &v.conv.x
    cdef Py_ssize_t size = v.table.itemsize, ow = x.ow, step = x.sw * v.column, i, j, n, s, top, left
    cdef Py_ssize_t slivers, base, extra, first, rows
    cdef Py_ssize_t inner = ow if v.across else 1, outer = 1 if v.across else piece.images
    cdef Py_ssize_t a_row = v.picture if v.across else step, c_row = (piece.rows * ow if v.across else 1) * width
    cdef Py_ssize_t count = piece.images if v.across else ow
    cdef const tile_taps_fn* tiles = v.table.tile.taps + width // v.table.lanes - 1
    cdef const char* a = piece.a + channel * v.plane * size
    cdef window_taps taps
    cdef interval[2] seen, listed
    listed[0].first, slivers = -1, ceil_div(count, v.table.tile.rows)
    base, extra = count // slivers, count % slivers
    seen[1].first, seen[1].last = 0, x.kw
    taps.channels = min(v.channel_block, v.conv.channels - channel)
    panel += channel * x.kh * x.kw * width * size
    for i in range(piece.rows):
        top = (piece.row + i) * x.sh - x.top
        seen[0] = inside(x.h, top, x.dh, x.kh)
        for j in range(inner):
            left = j * x.sw - x.left
            if v.across:
                seen[1] = inside(x.w, left, x.dw, x.kw)
            if memcmp(seen, listed, sizeof(seen)) != 0:
                list_taps(v, seen, width, &taps, piece.places)
                memcpy(listed, seen, sizeof(seen))
            for n in range(outer):
                first = 0
                for s in range(slivers):
                    rows = base + (s < extra)
                    tiles[(rows - 1) * v.table.tile.vectors](
                        &taps, a + (n * v.picture + i * x.sh * v.line + j * step + first * a_row) * size, a_row, panel,
                        piece.c + (((n * piece.rows + i) * ow + j) * width + first * c_row) * size, c_row,
                        START_COLUMN_BIAS if channel == 0 else START_C, bias)
                    first += rows


cdef void store(const Lanes* v, const Piece* piece, Py_ssize_t output, Py_ssize_t outputs, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t size = v.table.itemsize, ow = v.conv.x.ow, n, i
    cdef char* c = piece.c
    cdef char* rows = c + v.c_bytes           # for a y whose rows are apart
    cdef const Images* y = &v.conv.y
    cdef char* to
    if v.conv.activation != NULL:
        v.conv.activation(piece.images * piece.rows * ow * width, c, c, NULL)
    for n in range(piece.image, piece.image + piece.images):
        to = y.data + n * y.image + output * y.channel + piece.row * y.row
        if y.column == size and y.row == ow * size:
            v.table.pack.transpose(piece.rows * ow, outputs, c, width, to, y.channel // size)
        else:
            v.table.pack.transpose(piece.rows * ow, outputs, c, width, rows, piece.rows * ow)
            for i in range(piece.rows):
                v.table.pack.scatter(outputs, ow, rows + i * ow * size, piece.rows * ow, to + i * y.row, y.channel, y.column)
        c += piece.rows * ow * width * size


cdef void run_panel(const Lanes* v, Piece block, Py_ssize_t start, Py_ssize_t width) noexcept nogil:
    # Some outputs of a block, piece by piece
    cdef Py_ssize_t n = 0, i, channel, size = v.table.itemsize
    cdef Piece piece = block
    while n < block.images:
        i = 0
        while i < block.rows:
            piece.image, piece.images = block.image + n, min(v.piece_images, block.images - n)
            piece.row, piece.rows = block.row + i, min(v.piece_rows, block.rows - i)
            piece.a = block.a + (n * v.picture + i * v.conv.x.sh * v.line) * size
            channel = 0
            while channel < v.conv.channels:
                multiply(v, &piece, channel, v.panels + start * v.k * size, width, v.biases + start * size)
                channel += v.channel_block
            store(v, &piece, v.first + start, min(width, v.count - start), width)
            i += piece.rows
        n += piece.images


cdef void run_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Lanes* v = <const Lanes*>context
    cdef const windows* x = &v.conv.x
    cdef Py_ssize_t lanes = v.table.lanes, vectors = ceil_div(v.count, lanes), task, q, start, images = v.conv.images
    cdef Py_ssize_t panels = panel_count(vectors, v.table.tile.vectors)
    cdef char* copies = slot_of(&v.team, slot)
    cdef Piece block
    block.c = copies + v.copy_bytes
    block.places = <Py_ssize_t*>(block.c + 2 * v.c_bytes)
    for task in range(first, last):
        block.image = images * (task // v.bands) // v.image_blocks
        block.images = images * (task // v.bands + 1) // v.image_blocks - block.image
        block.row = x.oh * (task % v.bands) // v.bands
        block.rows = x.oh * (task % v.bands + 1) // v.bands - block.row
        block.a = x.x + block.image * x.image_stride
        if v.in_place:
            block.a += (block.row * x.sh - x.top) * x.row_stride - x.left * x.column_stride
        else:
            copy_images(v, block.a, block.images, block.row, block.rows, copies)
            block.a = copies
        for q in range(panels):
            start = panel_start(vectors, panels, q) * lanes
            run_panel(v, block, start, panel_start(vectors, panels, q + 1) * lanes - start)


cdef int run_range(Lanes* v, double work) noexcept nogil:
    # Whether taps may be skipped: 0 times an infinite weight is NaN.
    cdef Py_ssize_t size = v.table.itemsize, panels = panel_count(ceil_div(v.count, v.table.lanes), v.table.tile.vectors), q
    if v.conv.bias != NULL:
        memcpy(v.biases, v.conv.bias + v.first * size, v.count * size)
    team_run(&v.team, pack_weights, v, panels, work_of(v.table, 0, <double>v.count * v.k * size * PACK_BYTES))
    for q in range(panels):
        if not isfinite(v.sums[q]):
            return False
    team_run(&v.team, run_blocks, v, v.image_blocks * v.bands, work)
    return True


cdef int lanes_run(const Convolution* conv, bint across) except -1 nogil:
    cdef double work = convolution_work(conv)
    cdef int done = True
    cdef Py_ssize_t size = conv.table.itemsize, outputs, vectors, group
    cdef size_t bias_bytes, panel_bytes, sum_bytes
    cdef Lanes v
    begin(&v, conv, across)
    plan_blocks(&v, threads_for(work, conv.images * conv.x.oh))
    vectors = ceil_div(min(v.range, conv.outputs), v.table.lanes)
    outputs, sum_bytes = vectors * v.table.lanes, round_to_line(<size_t>vectors * sizeof(double))
    bias_bytes, panel_bytes = round_to_line(<size_t>(outputs * size)), round_to_line(<size_t>(outputs * v.k * size))
    team_begin(&v.team, work, v.image_blocks * v.bands, sum_bytes + bias_bytes + panel_bytes, v.slot_bytes)
    v.sums, v.biases = <double*>v.team.shared, v.team.shared + sum_bytes
    v.panels = v.biases + bias_bytes
    memset(v.biases, 0, bias_bytes)
    for group in range(conv.groups):
        v.conv, v.first = group_of(conv, group), 0
        while v.first < conv.outputs and done:
            v.count = min(v.range, conv.outputs - v.first)
            done = run_range(&v, work / conv.groups * v.count / conv.outputs)
            v.first += v.count
    team_end()
    return done
