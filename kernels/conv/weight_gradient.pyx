"""The gradient of a convolution's weights.

    dw'[(c, a, b), o] = sum over (n, i, j) of  patch[(c, a, b), (n, i, j)] dy[n, o, i, j]

The sum of dw' is a product whose inner axis runs over pixels. Its B is dy transposed into panels; rows of its A are
channels, read in the image where it lies, tap by tap, over the windows whose tap lies inside it. Where channels are few,
rows are channels and taps, read from flat copies of the image with its padding (kernels/conv/flat.h), one for all taps.
Left out are products with zeros alone, so that both give the same bits. Where the result is small the images are split
into parts, as many as its shape says, which are added at the end; every part is one chain of multiply-adds, or chains of
up to SUM_BLOCK pixels that are added in double, so that neither threads nor blocks change a bit.
"""
from libc.math cimport isfinite
from libc.string cimport memset

from npkernels._kernels.axis cimport inside, interval
from npkernels._kernels.convolution cimport Convolution, Images, convolution_work
from npkernels._kernels.primitives cimport (
    START_C, START_ZERO, flat_layout, flat_layout_of, panel_count, panel_start, picture_pixels, primitives, windows,
)
from npkernels._kernels.product cimport SUM_BLOCK
from npkernels._kernels.runtime cimport Team, cache_sizes, slot_of, team_begin, team_end, team_run, threads_for, work_of
from npkernels._kernels.scalars cimport ceil_div, round_to_line, round_up

cdef enum:
    BLOCK_PIXELS = 768            # of the inner axis in a block
    FEW_CHANNELS = 7              # make low tiles; copies pay if they serve several taps
    TILE_CHANNELS = 8             # of a tile of the widest vectors: parts are sums of their own, which follow no machine
    TILE_OUTPUTS = 48
    SMALL_RESULT = 32             # tiles below which the images are split,
    PART_PIXELS = 2048            # or if the parts are long
    PARTS_BYTES = 1 << 20         # and their sums small, into so many
    MOST_PARTS = 8
    MOST_WIDTH = 512              # of a block, in windows of a row
    MOST_EXTRA = 1 << 16          # numbers of a flat copy beyond its windows
    TASK_ROWS = 64                # of dw' in a task
    CHECK_BYTES = 64              # a line of the cache: each thread writes its own

cdef struct WeightGradient:
    const primitives* table
    windows x
    Images dy
    Py_ssize_t groups, images, channels, outputs, taps        # channels and outputs of a group
    char* sums                                                # (parts, groups, channels * taps, outputs)
    double* totals                                            # the same where a part has more pixels than a chain, else NULL
    char* dw                                                  # (groups, outputs, channels * taps)
    # blocks: lines x width of the windows of some images; blocks, or images, of a chain; channels whose copies fit into L1;
    # outputs whose panels fit into L2
    Py_ssize_t parts, pictures, lines, width, chain, channel_block, output_block, channel_ranges, tap_ranges, output_ranges
    bint in_place                                             # the image is read where it lies, tap by tap;
    bint flat                                                 # else from copies; else every tap is gathered
    flat_layout layout
    Py_ssize_t run_length, line                               # of a copy; between its lines
    Py_ssize_t* runs                                          # (channel_block, taps): where the taps begin, or channels
    Team team                                                 # a slot begins with a check: not finite if a dy was not
    size_t a_bytes, slot_bytes


cdef void plan_blocks(WeightGradient* v, int threads) noexcept nogil:
    cdef const primitives* t = v.table
    cdef windows* x = &v.x
    cdef Py_ssize_t size = t.itemsize, panel = t.lanes * t.tile.vectors, k = v.channels * v.taps, tiles, copies, wanted
    tiles = v.groups * ceil_div(k, TILE_CHANNELS) * ceil_div(v.outputs, TILE_OUTPUTS)
    v.parts = min(v.images * x.oh * x.ow // PART_PIXELS, PARTS_BYTES // (v.groups * k * v.outputs * size))
    v.parts = max(1, min(v.images, max(SMALL_RESULT // tiles, min(MOST_PARTS, v.parts))))
    v.width = min(x.ow, <Py_ssize_t>MOST_WIDTH)
    v.flat = v.layout.pitch <= 2 * x.ow + 64 and v.layout.extra <= MOST_EXTRA
    v.lines = max(1, min(x.oh, BLOCK_PIXELS // v.width)) if v.width == x.ow else 1
    # A chain is whole blocks, or whole images where it can be: as many however the image is read.
    v.pictures = max(1, BLOCK_PIXELS // (x.oh * x.ow))
    v.chain = max(1, SUM_BLOCK // (v.pictures * x.oh * x.ow)) * v.pictures
    if x.oh * x.ow > SUM_BLOCK:
        v.chain = SUM_BLOCK // (v.lines * v.width)
    copies = v.layout.phases_h * v.layout.phases_w if v.flat else v.taps
    v.line = v.layout.pitch if v.flat else v.width
    v.run_length = (v.lines - 1) * v.line + v.width + (v.layout.extra if v.flat else 0)
    v.run_length = (v.run_length // t.lanes + 1 | 1) * t.lanes
    v.channel_block = max(1, min(cache_sizes().l1d // 2 // (copies * v.run_length * size), v.channels))
    if v.in_place:
        copies, v.channel_block = 0, v.channels
    v.pictures = min(v.pictures, ceil_div(v.images, v.parts)) if v.in_place else 1
    v.output_block = max(1, cache_sizes().l2 // 2 // (v.pictures * v.lines * v.width * size * panel)) * panel
    v.output_ranges = ceil_div(v.outputs, v.output_block)
    # Tasks are ranges of channels, which pack dy anew, if there are enough; else also of outputs, which copy the image anew.
    wanted = ceil_div(3 * threads, v.parts * v.groups) if threads > 1 else 1
    if 3 * v.output_ranges * (v.channels * v.taps // TASK_ROWS) < 2 * wanted:
        v.output_ranges = max(v.output_ranges, min(wanted, ceil_div(v.outputs, panel)))
    v.output_block = round_up(ceil_div(v.outputs, v.output_ranges), t.lanes)
    v.output_ranges = ceil_div(v.outputs, v.output_block)
    v.channel_ranges, v.tap_ranges = max(1, min(ceil_div(wanted, v.output_ranges), v.channels * v.taps // TASK_ROWS)), 1
    if v.in_place and v.channels < v.channel_ranges * t.tile.rows:         # which would leave low tiles
        wanted, v.channel_ranges = v.channel_ranges, max(1, v.channels // t.tile.rows)
        v.tap_ranges = min(v.taps, ceil_div(wanted, v.channel_ranges))
    v.a_bytes = round_to_line(<size_t>(v.channel_block * copies * v.run_length * size))
    v.slot_bytes = CHECK_BYTES + round_to_line(v.a_bytes + <size_t>(v.pictures * v.lines * v.width * v.output_block * size))


cdef void locate_taps(WeightGradient* v) noexcept nogil:
    cdef windows* x = &v.x
    cdef Py_ssize_t r, a, b, phase
    for r in range(v.channel_block * v.taps):
        if v.in_place:
            v.runs[r] = r * (x.channel_stride // v.table.itemsize)
            continue
        if not v.flat:
            v.runs[r] = r * v.run_length
            continue
        a, b = r % v.taps // x.kw, r % x.kw
        phase = (r // v.taps * v.layout.phases_h + a % v.layout.steps_h) * v.layout.phases_w + b % v.layout.steps_w
        v.runs[r] = phase * v.run_length + a * x.dh // x.sh * v.layout.pitch + b * x.dw // x.sw


cdef void copy_channels(const WeightGradient* v, const windows* x, Py_ssize_t channel, Py_ssize_t count, Py_ssize_t i,
                        Py_ssize_t j, Py_ssize_t lines, Py_ssize_t width, char* to) noexcept nogil:
    # What the windows (i, j) .. (i + lines - 1, j + width - 1) of one image see of some channels
    cdef Py_ssize_t size = v.table.itemsize, c, row, column
    cdef Py_ssize_t places = min(v.run_length, (lines - 1) * v.line + width + v.layout.extra)
    if not v.flat:
        v.table.conv.patch_rows(x, channel * v.taps, count * v.taps, i * x.ow + j, lines * width, to, v.run_length)
        return
    for c in range(channel, channel + count):
        for row in range(v.layout.phases_h):
            for column in range(v.layout.phases_w):
                v.table.flat.fill(x, v.layout.pitch, c, row * x.dh % x.sh, column * x.dw % x.sw, i * v.layout.pitch + j,
                                  places, v.run_length, to)
                to += v.run_length * size


cdef double pack_gradient(const WeightGradient* v, const char* dy, Py_ssize_t pictures, Py_ssize_t outputs, Py_ssize_t lines,
                          Py_ssize_t width, char* to) noexcept nogil:
    # Panels of dy (pictures, outputs, lines, width), pixels by outputs, one after the other. Returns their sum if taps may
    # be skipped.
    cdef Py_ssize_t lanes = v.table.lanes, size = v.table.itemsize, vectors = ceil_div(outputs, lanes), q, start, end, i, n
    cdef Py_ssize_t panels = panel_count(vectors, v.table.tile.vectors)
    cdef bint whole = v.dy.row == width * v.dy.column
    cdef char* panel
    for q in range(panels):
        start, end = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
        for n in range(pictures):
            for i in range(1 if whole else lines):
                panel = to + (start * pictures + n * (end - start)) * lines * width * size
                v.table.pack.panel(lines * width if whole else width, min(end, outputs) - start, end - start,
                                   dy + n * v.dy.image + start * v.dy.channel + i * v.dy.row, v.dy.column, v.dy.channel,
                                   panel + i * width * (end - start) * size)
    return v.table.rows.sum(pictures * vectors * lanes * lines * width, to) if v.in_place else 0


cdef void multiply(const WeightGradient* v, Py_ssize_t rows, Py_ssize_t outputs, Py_ssize_t lines, Py_ssize_t width,
                   const char* a, const char* b, char* c, int start) noexcept nogil:
    # c (rows, outputs), a row every v.outputs, = or += the copies times the panels
    cdef Py_ssize_t lanes = v.table.lanes, size = v.table.itemsize, vectors = ceil_div(outputs, lanes), s, q, i, first, end
    cdef Py_ssize_t panels = panel_count(vectors, v.table.tile.vectors), slivers = ceil_div(rows, v.table.tile.rows), height
    cdef picture_pixels pixels
    pixels.pictures, pixels.lines, pixels.width, pixels.a_line, pixels.a_column = 1, lines, width, v.line, 1
    pixels.a_picture = pixels.b_picture = 0
    for s in range(slivers):
        i = rows * s // slivers
        height = rows * (s + 1) // slivers - i
        for q in range(panels):
            first, end = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
            pixels.b_line, pixels.b_column = width * (end - first), end - first
            v.table.tile.lines[(height - 1) * v.table.tile.vectors + (end - first) // lanes - 1](
                &pixels, a, v.runs + i, b + first * lines * width * size, c + (i * v.outputs + first) * size, v.outputs,
                min(end, outputs) - first, start)


cdef struct Block:
    # Windows (i, j) .. (i + lines - 1, j + width - 1) of some images, the channels and outputs of a task
    windows x                                # over the first of the images and a group
    Py_ssize_t pictures, i, j, lines, width, first_channel, channels, first_tap, taps, outputs
    const char* b                            # the panels of dy
    char* c                                  # of the first channel and the first output


cdef void multiply_tap(const WeightGradient* v, const Block* block, Py_ssize_t tap, Py_ssize_t channel, Py_ssize_t rows,
                       Py_ssize_t first, Py_ssize_t end, int start) noexcept nogil:
    # Of the windows whose tap lies inside the image
    cdef const windows* x = &block.x
    cdef Py_ssize_t size = v.table.itemsize, width = end - first, lanes = v.table.lanes
    cdef Py_ssize_t top = tap // x.kw * x.dh - x.top, left = tap % x.kw * x.dw - x.left
    cdef interval down = inside(x.h, top, x.sh, x.oh), along = inside(x.w, left, x.sw, x.ow)
    cdef Py_ssize_t i = max(block.i, down.first), j = max(block.j, along.first)
    cdef picture_pixels pixels
    pixels.pictures = block.pictures
    pixels.lines = max(0, min(block.i + block.lines, down.last) - i)
    pixels.width = max(0, min(block.j + block.width, along.last) - j)
    pixels.a_picture, pixels.a_line = x.image_stride // size, x.sh * x.row_stride // size
    pixels.a_column, pixels.b_column = x.sw * x.column_stride // size, width
    pixels.b_line, pixels.b_picture = block.width * width, block.lines * block.width * width
    v.table.tile.lines[(rows - 1) * v.table.tile.vectors + width // lanes - 1](
        &pixels,
        x.x + channel * x.channel_stride + (i * x.sh + top) * x.row_stride + (j * x.sw + left) * x.column_stride,
        v.runs, block.b + (first * block.pictures * block.lines * block.width
                           + ((i - block.i) * block.width + j - block.j) * width) * size,
        block.c + (((channel - block.first_channel) * v.taps + tap) * v.outputs + first) * size, v.taps * v.outputs,
        min(end, block.outputs) - first, start)


cdef void multiply_in_place(const WeightGradient* v, const Block* block, int start) noexcept nogil:
    cdef Py_ssize_t lanes = v.table.lanes, vectors = ceil_div(block.outputs, lanes), q, s, c, rows, tap
    cdef Py_ssize_t panels = panel_count(vectors, v.table.tile.vectors), slivers = ceil_div(block.channels, v.table.tile.rows)
    for q in range(panels):
        for s in range(slivers):
            c = block.channels * s // slivers
            rows = block.channels * (s + 1) // slivers - c
            for tap in range(block.first_tap, block.first_tap + block.taps):
                multiply_tap(v, block, tap, block.first_channel + c, rows, panel_start(vectors, panels, q) * lanes,
                             panel_start(vectors, panels, q + 1) * lanes, start)


cdef void multiply_copies(const WeightGradient* v, const Block* block, char* a, int start) noexcept nogil:
    cdef Py_ssize_t c = 0, count, size = v.table.itemsize
    while c < block.channels:
        count = min(v.channel_block, block.channels - c)
        copy_channels(v, &block.x, block.first_channel + c, count, block.i, block.j, block.lines, block.width, a)
        multiply(v, count * v.taps, block.outputs, block.lines, block.width, a, block.b,
                 block.c + c * v.taps * v.outputs * size, start)
        c += count


cdef inline bint chains_in_images(const WeightGradient* v) noexcept nogil:
    return v.x.oh * v.x.ow > SUM_BLOCK


cdef void end_chain(const WeightGradient* v, const Block* block, bint grown, bint last) noexcept nogil:
    # The sums of a chain that has grown are added to the totals; after the last one, these are the sums.
    cdef Py_ssize_t channel, tap, row, size = v.table.itemsize
    cdef double* totals = v.totals + (block.c - v.sums) // size
    for channel in range(block.channels):
        for tap in range(block.first_tap, block.first_tap + block.taps):
            row = (channel * v.taps + tap) * v.outputs
            if grown:
                v.table.rows.add_to_doubles(block.outputs, block.c + row * size, totals + row)
            if last:
                v.table.rows.narrow(block.outputs, totals + row, block.c + row * size)


cdef void sum_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const WeightGradient* v = <const WeightGradient*>context
    cdef Py_ssize_t size = v.table.itemsize, k = v.channels * v.taps, task, part, group, c, o, image, end, length
    cdef int start
    cdef Block block
    cdef const char* dy
    cdef double* check = <double*>slot_of(&v.team, slot)
    cdef char* a = <char*>check + CHECK_BYTES
    cdef char* b = a + v.a_bytes
    block.b = b
    for task in range(first, last):
        o = task % v.output_ranges * v.output_block
        block.outputs = min(v.output_block, v.outputs - o)
        c = task // v.output_ranges % v.channel_ranges
        block.first_channel = v.channels * c // v.channel_ranges
        block.channels = v.channels * (c + 1) // v.channel_ranges - block.first_channel
        part = task // v.output_ranges // v.channel_ranges
        block.first_tap = v.taps * (part % v.tap_ranges) // v.tap_ranges
        block.taps = v.taps * (part % v.tap_ranges + 1) // v.tap_ranges - block.first_tap
        part = part // v.tap_ranges
        part, group = part // v.groups, part % v.groups
        block.c = v.sums + (((part * v.groups + group) * k + block.first_channel * v.taps) * v.outputs + o) * size
        start, length = START_ZERO, 0
        image, end = v.images * part // v.parts, v.images * (part + 1) // v.parts
        while image < end:
            block.x, block.pictures = v.x, min(v.pictures, end - image)
            block.x.x += image * v.x.image_stride + group * v.channels * v.x.channel_stride
            block.i = block.j = 0
            while block.i < v.x.oh:
                block.lines, block.width = min(v.lines, v.x.oh - block.i), min(v.width, v.x.ow - block.j)
                dy = (v.dy.data + image * v.dy.image + (group * v.outputs + o) * v.dy.channel + block.i * v.dy.row
                      + block.j * v.dy.column)
                check[0] += pack_gradient(v, dy, block.pictures, block.outputs, block.lines, block.width, b)
                if v.in_place:
                    multiply_in_place(v, &block, start)
                else:
                    multiply_copies(v, &block, a, start)
                start = START_C
                block.j += block.width
                if block.j == v.x.ow:
                    block.i, block.j = block.i + block.lines, 0
                if chains_in_images(v):
                    length += 1
                elif block.i == v.x.oh:
                    length += block.pictures
                if v.totals != NULL and length == v.chain:
                    end_chain(v, &block, True, False)
                    start, length = START_ZERO, 0
            image += block.pictures
        if v.totals != NULL:
            end_chain(v, &block, start == START_C, True)


cdef void add_and_transpose(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # 16 outputs at a time, over all groups: the parts are added to the first, which is then transposed to dw
    cdef const WeightGradient* v = <const WeightGradient*>context
    cdef Py_ssize_t blocks = ceil_div(v.outputs, 16), size = v.table.itemsize, k = v.channels * v.taps, block, group, o, p, r
    cdef Py_ssize_t count, plane = k * v.outputs
    cdef char* sums
    for block in range(first, last):
        group, o = block // blocks, block % blocks * 16
        count = min(16, v.outputs - o)
        sums = v.sums + (group * plane + o) * size
        for p in range(1, v.parts):
            for r in range(k):
                v.table.rows.add(count, sums + (p * v.groups * plane + r * v.outputs) * size, sums + r * v.outputs * size)
        v.table.pack.transpose(k, count, sums, v.outputs, v.dw + (group * plane + o * k) * size, k)


cdef int add_up(WeightGradient* v, double work) except -1 nogil:
    # False if taps outside the image were skipped and a dy is not finite, whose product with 0 is NaN
    cdef int slot
    cdef Py_ssize_t tasks, blocks, k = v.channels * v.taps, sums
    cdef size_t sum_bytes, run_bytes, total_bytes = 0
    cdef double check = 0
    plan_blocks(v, threads_for(work, v.images * v.groups * k * v.outputs))
    tasks, sums = v.parts * v.groups * v.channel_ranges * v.tap_ranges * v.output_ranges, v.parts * v.groups * k * v.outputs
    sum_bytes = round_to_line(<size_t>(sums * v.table.itemsize))
    run_bytes = round_to_line(<size_t>(v.channel_block * v.taps) * sizeof(Py_ssize_t))
    blocks = ceil_div(v.x.oh, v.lines) * ceil_div(v.x.ow, v.width) if chains_in_images(v) else 1
    if ceil_div(v.images, v.parts) * blocks > v.chain:
        total_bytes = <size_t>sums * sizeof(double)
    team_begin(&v.team, work, tasks, sum_bytes + run_bytes + total_bytes, v.slot_bytes)
    v.sums, v.runs = v.team.shared, <Py_ssize_t*>(v.team.shared + sum_bytes)
    v.totals = <double*>(v.sums + sum_bytes + run_bytes) if total_bytes > 0 else NULL
    memset(v.sums + sum_bytes + run_bytes, 0, total_bytes)
    for slot in range(v.team.threads):
        (<double*>slot_of(&v.team, slot))[0] = 0
    locate_taps(v)
    team_run(&v.team, sum_tasks, v, tasks, work)
    for slot in range(v.team.threads):
        check += (<double*>slot_of(&v.team, slot))[0]
    if isfinite(check):
        team_run(&v.team, add_and_transpose, v, v.groups * ceil_div(v.outputs, 16), work_of(v.table, 0, sum_bytes))
    team_end()
    return isfinite(check) != 0


cdef int sums_run(const Convolution* conv) except -1 nogil:
    cdef WeightGradient v
    v.table, v.x, v.dy, v.dw = conv.table, conv.x, conv.y, conv.w.data
    v.images, v.groups, v.channels, v.outputs = conv.images, conv.groups, conv.channels, conv.outputs
    v.taps, v.layout = v.x.kh * v.x.kw, flat_layout_of(&v.x)
    v.in_place = ((v.channels >= FEW_CHANNELS or v.layout.phases_h * v.layout.phases_w == v.taps)
                  and (v.x.image_stride | v.x.channel_stride | v.x.row_stride | v.x.column_stride) % v.table.itemsize == 0)
    if not add_up(&v, convolution_work(conv)):
        v.in_place = False
        add_up(&v, convolution_work(conv))
    return 0
