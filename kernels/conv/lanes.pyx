"""Convolution with output channels in the lanes: the rows of a tile are windows, and their pixels are broadcast.

    y'[(n, i, j), o] = bias[o] + sum over p = (c, a, b) of  x[n, c, i*sh + a*dh - top, j*sw + b*dw - left] w'[p, o]

    the image, once       packed weights            a tile of y': windows x outputs, in registers
    x[c, i, :]            w'[p, 0 .. lanes)
    . . # # # . .         [ o0 o1 o2 ... ]           window j      x[j + b]      * w'[p]   one tap p = (c, a, b) is one
      ^ ^ ^                                          window j + 1  x[j + sw + b] * w'[p]   multiply-add of each row:
      j j+1 j+2   (sw = 1: taps b of                 window j + 2  ...                     a pixel broadcast, a vector
                   neighbouring windows                                                    of weights
                   are neighbouring pixels)

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


cdef inline Py_ssize_t places_of(const Lanes* form, Py_ssize_t rows) noexcept nogil:
    # Elements from the first to the last that so many rows of windows see in the copy of a channel
    cdef const windows* x = &form.conv.x
    return (span(rows, x.sh, x.kh, x.dh) - 1) * form.layout.pitch + span(x.ow, x.sw, x.kw, x.dw)


cdef inline Py_ssize_t plane_of(const Lanes* form, Py_ssize_t rows) noexcept nogil:
    # Elements of the copy of a channel for so many rows of windows; odd: no two planes share a cache set
    return (places_of(form, rows) // form.table.lanes + 1 | 1) * form.table.lanes


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
    cdef Lanes form
    cdef Py_ssize_t k = conv.channels * x.kh * x.kw, panel = conv.table.lanes * conv.table.tile.vectors * conv.table.itemsize
    if k > SUM_BLOCK or k * panel > PANELS_BYTES or x.ow * panel > BAND_BYTES:
        return False
    if across:
        return steps_are_elements(conv) and x.oh * x.ow <= PIECE_PIXELS * PIECE_PIXELS
    set_lanes(&form, conv, False)
    return form.in_place or conv.channels * plane_of(&form, 1) * conv.table.itemsize <= BAND_BYTES


cdef inline windows dense_windows(const windows* x) noexcept nogil:
    cdef windows dense = x[0]
    dense.sh = dense.sw = 1
    dense.oh, dense.ow = (x.oh - 1) * x.sh + 1, (x.ow - 1) * x.sw + 1
    return dense


cdef void set_lanes(Lanes* form, const Convolution* conv, bint across) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef Py_ssize_t down = pairs_inside(x.oh, x.sh, x.kh, x.dh, x.top, x.h)
    form.conv, form.table, form.across = conv[0], conv.table, across
    form.k, form.dense = conv.channels * x.kh * x.kw, dense_windows(x)
    form.layout = flat_layout_of(&form.dense)
    form.in_place = across or lanes_read_in_place(conv)
    form.skips = down * (pairs_inside(x.ow, x.sw, x.kw, x.dw, x.left, x.w) if across else x.ow * x.kw) < x.kh * x.kw * x.oh * x.ow


cdef void plan_blocks(Lanes* form, int threads) noexcept nogil:
    cdef windows* x = &form.conv.x
    cdef Py_ssize_t size = form.table.itemsize, widest = form.table.lanes * form.table.tile.vectors, taps = x.kh * x.kw
    cdef Py_ssize_t budget = cache_sizes().l2 // 2, wanted = 3 * threads, images, rows = x.oh
    form.channel_group = max(1, GROUP_TAPS // taps)
    form.channel_block = max(1, budget // (widest * taps * size))
    form.channel_block = ceil_div(form.conv.channels, ceil_div(form.conv.channels, form.channel_block))
    form.range = PANELS_BYTES // (form.k * widest * size) * widest
    # What is read by all panels stays in L2.
    images = max(1, min(budget // (form.conv.channels * plane_of(form, x.oh) * size), ceil_div(BLOCK_PIXELS, x.oh * x.ow)))
    if form.across:
        images = ceil_div(images, form.table.tile.rows) * form.table.tile.rows
    elif images == 1:
        while rows > 1 and form.conv.channels * plane_of(form, rows) * size > budget:
            rows = ceil_div(rows, 2)
    form.image_blocks, form.bands = ceil_div(form.conv.images, images), ceil_div(x.oh, rows)
    if threads > 1 and form.image_blocks * form.bands < wanted:
        form.image_blocks = min(ceil_div(form.conv.images, form.table.tile.rows) if form.across else form.conv.images, wanted)
        form.bands = max(form.bands, min(x.oh, ceil_div(wanted, form.image_blocks)))
    images, rows = ceil_div(form.conv.images, form.image_blocks), ceil_div(x.oh, form.bands)
    form.piece_rows = max(1, min(rows, PIECE_PIXELS // x.ow))
    form.piece_images = min(images, form.table.tile.rows if form.across else max(1, PIECE_PIXELS // (x.oh * x.ow)))
    if form.in_place:
        form.line, form.column = x.row_stride // size, x.column_stride // size
        form.plane, form.picture = x.channel_stride // size, x.image_stride // size
    else:
        form.line, form.column, form.plane = form.layout.pitch, 1, plane_of(form, rows)
        form.picture = form.conv.channels * form.plane
    form.copy_bytes = 0 if form.in_place else round_to_line(<size_t>(images * form.picture * size))
    form.c_bytes = round_to_line(<size_t>(form.piece_images * form.piece_rows * x.ow * widest * size))
    form.slot_bytes = (form.copy_bytes + 2 * form.c_bytes
                       + round_to_line(<size_t>(2 * form.channel_group * taps) * sizeof(Py_ssize_t)))


cdef void pack_weights(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Lanes* form = <const Lanes*>context
    cdef Py_ssize_t lanes = form.table.lanes, size = form.table.itemsize, vectors = ceil_div(form.count, lanes), q, start, end
    cdef Py_ssize_t panels = panel_count(vectors, form.table.tile.vectors)
    cdef const Weights* w = &form.conv.w
    for q in range(first, last):
        start, end = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
        form.table.pack.panel(form.k, min(end, form.count) - start, end - start, w.data + (form.first + start) * w.output,
                              step_of_rows(&form.conv), w.output, form.panels + start * form.k * size)
        form.sums[q] = form.table.rows.sum(form.k * (end - start), form.panels + start * form.k * size) if form.skips else 0


cdef void copy_images(const Lanes* form, const char* x, Py_ssize_t images, Py_ssize_t i, Py_ssize_t rows,
                      char* to) noexcept nogil:
    # What some rows of windows see of all channels of a group
    cdef windows image = form.dense
    cdef Py_ssize_t n, c, start = i * form.conv.x.sh * form.layout.pitch, count = places_of(form, rows)
    for n in range(images):
        image.x = x + n * form.conv.x.image_stride
        for c in range(form.conv.channels):
            form.table.flat.fill(&image, form.layout.pitch, c, 0, 0, start, count, form.plane, to)
            to += form.plane * form.table.itemsize


cdef struct Piece:
    Py_ssize_t image, images, row, rows
    const char* a                # window (row, 0) of the first image
    char* c                      # (images, rows, ow, width)
    Py_ssize_t* places           # of the taps of a group of channels; then their lines in a panel


cdef void list_taps(const Lanes* form, const interval* seen, Py_ssize_t width, window_taps* taps,
                    Py_ssize_t* to) noexcept nogil:
    # The taps (a, b), a of seen[0], b of seen[1]
    cdef Py_ssize_t c, a, b, t = 0
    cdef const windows* x = &form.conv.x
    cdef Py_ssize_t* lines = to + form.channel_group * x.kh * x.kw
    taps.places, taps.lines, taps.group = to, lines, form.channel_group
    taps.a_group, taps.b_group = form.channel_group * form.plane, form.channel_group * x.kh * x.kw * width
    taps.count = (seen[0].last - seen[0].first) * (seen[1].last - seen[1].first)
    for c in range(form.channel_group):
        for a in range(seen[0].first, seen[0].last):
            for b in range(seen[1].first, seen[1].last):
                to[t] = c * form.plane + a * x.dh * form.line + b * x.dw * form.column
                lines[t] = ((c * x.kh + a) * x.kw + b) * width
                t += 1


cdef void multiply(const Lanes* form, const Piece* piece, Py_ssize_t channel, const char* panel, Py_ssize_t width,
                   const char* bias) noexcept nogil:
    # c = or += a block of channels
    cdef const windows* x = &form.conv.x
    cdef Py_ssize_t size = form.table.itemsize, ow = x.ow, step = x.sw * form.column, i, j, n, s, top, left
    cdef Py_ssize_t slivers, base, extra, first, rows
    cdef Py_ssize_t inner = ow if form.across else 1, outer = 1 if form.across else piece.images
    cdef Py_ssize_t a_row = form.picture if form.across else step, c_row = (piece.rows * ow if form.across else 1) * width
    cdef Py_ssize_t count = piece.images if form.across else ow
    cdef const tile_taps_fn* tiles = form.table.tile.taps + width // form.table.lanes - 1
    cdef const char* a = piece.a + channel * form.plane * size
    cdef window_taps taps
    cdef interval[2] seen, listed
    listed[0].first, slivers = -1, ceil_div(count, form.table.tile.rows)
    base, extra = count // slivers, count % slivers
    seen[1].first, seen[1].last = 0, x.kw
    taps.channels = min(form.channel_block, form.conv.channels - channel)
    panel += channel * x.kh * x.kw * width * size
    for i in range(piece.rows):
        top = (piece.row + i) * x.sh - x.top
        seen[0] = inside(x.h, top, x.dh, x.kh)
        for j in range(inner):
            left = j * x.sw - x.left
            if form.across:
                seen[1] = inside(x.w, left, x.dw, x.kw)
            if memcmp(seen, listed, sizeof(seen)) != 0:
                list_taps(form, seen, width, &taps, piece.places)
                memcpy(listed, seen, sizeof(seen))
            for n in range(outer):
                first = 0
                for s in range(slivers):
                    rows = base + (s < extra)
                    tiles[(rows - 1) * form.table.tile.vectors](
                        &taps, a + (n * form.picture + i * x.sh * form.line + j * step + first * a_row) * size, a_row, panel,
                        piece.c + (((n * piece.rows + i) * ow + j) * width + first * c_row) * size, c_row,
                        START_COLUMN_BIAS if channel == 0 else START_C, bias)
                    first += rows


cdef void store(const Lanes* form, const Piece* piece, Py_ssize_t output, Py_ssize_t outputs, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t size = form.table.itemsize, ow = form.conv.x.ow, n, i
    cdef char* c = piece.c
    cdef char* rows = c + form.c_bytes           # for a y whose rows are apart
    cdef const Images* y = &form.conv.y
    cdef char* to
    if form.conv.activation != NULL:
        form.conv.activation(piece.images * piece.rows * ow * width, c, c, NULL)
    for n in range(piece.image, piece.image + piece.images):
        to = y.data + n * y.image + output * y.channel + piece.row * y.row
        if y.column == size and y.row == ow * size:
            form.table.pack.transpose(piece.rows * ow, outputs, c, width, to, y.channel // size)
        else:
            form.table.pack.transpose(piece.rows * ow, outputs, c, width, rows, piece.rows * ow)
            for i in range(piece.rows):
                form.table.pack.scatter(outputs, ow, rows + i * ow * size, piece.rows * ow, to + i * y.row, y.channel, y.column)
        c += piece.rows * ow * width * size


cdef void run_panel(const Lanes* form, Piece block, Py_ssize_t start, Py_ssize_t width) noexcept nogil:
    # Some outputs of a block, piece by piece
    cdef Py_ssize_t n = 0, i, channel, size = form.table.itemsize
    cdef Piece piece = block
    while n < block.images:
        i = 0
        while i < block.rows:
            piece.image, piece.images = block.image + n, min(form.piece_images, block.images - n)
            piece.row, piece.rows = block.row + i, min(form.piece_rows, block.rows - i)
            piece.a = block.a + (n * form.picture + i * form.conv.x.sh * form.line) * size
            channel = 0
            while channel < form.conv.channels:
                multiply(form, &piece, channel, form.panels + start * form.k * size, width, form.biases + start * size)
                channel += form.channel_block
            store(form, &piece, form.first + start, min(width, form.count - start), width)
            i += piece.rows
        n += piece.images


cdef void run_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Lanes* form = <const Lanes*>context
    cdef const windows* x = &form.conv.x
    cdef Py_ssize_t lanes = form.table.lanes, vectors = ceil_div(form.count, lanes), task, q, start, images = form.conv.images
    cdef Py_ssize_t panels = panel_count(vectors, form.table.tile.vectors)
    cdef char* copies = slot_of(&form.team, slot)
    cdef Piece block
    block.c = copies + form.copy_bytes
    block.places = <Py_ssize_t*>(block.c + 2 * form.c_bytes)
    for task in range(first, last):
        block.image = images * (task // form.bands) // form.image_blocks
        block.images = images * (task // form.bands + 1) // form.image_blocks - block.image
        block.row = x.oh * (task % form.bands) // form.bands
        block.rows = x.oh * (task % form.bands + 1) // form.bands - block.row
        block.a = x.x + block.image * x.image_stride
        if form.in_place:
            block.a += (block.row * x.sh - x.top) * x.row_stride - x.left * x.column_stride
        else:
            copy_images(form, block.a, block.images, block.row, block.rows, copies)
            block.a = copies
        for q in range(panels):
            start = panel_start(vectors, panels, q) * lanes
            run_panel(form, block, start, panel_start(vectors, panels, q + 1) * lanes - start)


cdef int run_range(Lanes* form, double work) noexcept nogil:
    # Whether taps may be skipped: 0 times an infinite weight is NaN.
    cdef Py_ssize_t size = form.table.itemsize, panels = panel_count(ceil_div(form.count, form.table.lanes),
                                                                     form.table.tile.vectors), q
    if form.conv.bias != NULL:
        memcpy(form.biases, form.conv.bias + form.first * size, form.count * size)
    team_run(&form.team, pack_weights, form, panels, work_of(form.table, 0, <double>form.count * form.k * size * PACK_BYTES))
    for q in range(panels):
        if not isfinite(form.sums[q]):
            return False
    team_run(&form.team, run_blocks, form, form.image_blocks * form.bands, work)
    return True


cdef int lanes_run(const Convolution* conv, bint across) except -1 nogil:
    cdef double work = convolution_work(conv)
    cdef int done = True
    cdef Py_ssize_t size = conv.table.itemsize, outputs, vectors, group
    cdef size_t bias_bytes, panel_bytes, sum_bytes
    cdef Lanes form
    set_lanes(&form, conv, across)
    plan_blocks(&form, threads_for(work, conv.images * conv.x.oh))
    vectors = ceil_div(min(form.range, conv.outputs), form.table.lanes)
    outputs, sum_bytes = vectors * form.table.lanes, round_to_line(<size_t>vectors * sizeof(double))
    bias_bytes, panel_bytes = round_to_line(<size_t>(outputs * size)), round_to_line(<size_t>(outputs * form.k * size))
    team_begin(&form.team, work, form.image_blocks * form.bands, sum_bytes + bias_bytes + panel_bytes, form.slot_bytes)
    form.sums, form.biases = <double*>form.team.shared, form.team.shared + sum_bytes
    form.panels = form.biases + bias_bytes
    memset(form.biases, 0, bias_bytes)
    for group in range(conv.groups):
        form.conv, form.first = group_of(conv, group), 0
        while form.first < conv.outputs and done:
            form.count = min(form.range, conv.outputs - form.first)
            done = run_range(&form, work / conv.groups * form.count / conv.outputs)
            form.first += form.count
    team_end()
    return done
