"""The gradients of a convolution's weights and bias.

    dw'[(c, a, b), o] = sum over (n, i, j) of  patch[(c, a, b), (n, i, j)] dy[n, o, i, j]
    db[o]             = sum over (n, i, j) of  dy[n, o, i, j]

The sum of dw' is a product whose inner axis runs over pixels. Its A, the patches, is read from flat copies of the image
(kernels/simd/flat.h), one for all taps; its B is dy transposed into panels. Windows alone take part, not the places
between them. Where the result is small the images are split into parts, as many as its shape says, which are added at
the end; every part is one chain of multiply-adds, so that neither threads nor blocks change a bit.
"""
cimport numpy as cnp
from libc.stdlib cimport free, malloc

from npkernels._primitives cimport (
    START_C, START_ZERO, flat_layout, flat_layout_of, panel_count, panel_start, primitives, windows,
)
from npkernels._product cimport SERIAL_FLOP, ceil_div
from npkernels._runtime cimport cache_sizes, num_threads, parallel_for, primitives_for, workspace, workspace_done
from npkernels._scalars cimport put, round_to_line
from npkernels._windows cimport set_windows

cnp.import_array()

cdef enum:
    BLOCK_PIXELS = 384            # of the inner axis in a block,
    TAP_PIXELS = 96               # or where each tap is gathered, so that several channels fit into L1
    SMALL_RESULT = 32             # tiles below which the images are split,
    PART_PIXELS = 2048            # or if the parts are long
    PARTS_BYTES = 1 << 20         # and their sums small

cdef struct Gradient:
    const primitives* table
    windows x
    const char* dy
    Py_ssize_t dy_image, dy_channel, dy_row, dy_column
    Py_ssize_t groups, images, channels, outputs, taps        # channels and outputs of a group
    char* sums                                                # (parts, groups, channels * taps, outputs)
    char* dw                                                  # (groups, outputs, channels * taps)
    # blocks: lines x width of the windows of an image; channels whose copies fit into L1; outputs whose panels fit into L2
    Py_ssize_t parts, lines, width, channel_block, output_block, channel_ranges, output_ranges
    bint flat                                                 # else every tap is gathered
    flat_layout layout
    Py_ssize_t run_length, line                               # of a copy; between its lines
    Py_ssize_t* runs                                          # (channel_block, taps): where the taps begin
    char* scratch
    size_t a_bytes, slot_bytes


cdef void plan(Gradient* v, int threads) noexcept nogil:
    cdef const primitives* t = v.table
    cdef windows* x = &v.x
    cdef Py_ssize_t size = t.itemsize, panel = t.lanes * t.tile.vectors, k = v.channels * v.taps, tiles, copies, wanted
    tiles = v.groups * ceil_div(k, 8) * ceil_div(v.outputs, 48)
    v.parts = min(v.images * x.oh * x.ow // PART_PIXELS, PARTS_BYTES // (v.groups * k * v.outputs * size))
    v.parts = max(1, min(v.images, max(SMALL_RESULT // tiles, min(8, v.parts))))
    v.width = min(x.ow, 512)
    v.layout = flat_layout_of(x)
    v.flat = v.layout.pitch <= 2 * x.ow + 64 and v.layout.extra <= 65536
    if v.layout.phases_h * v.layout.phases_w == v.taps and v.channels >= 4 and (
            x.sw > 2 or x.ow < t.conv.short_rows) and t.conv.short_rows > 0:
        v.flat = False                        # no copy would serve two taps, and covers make patches of many channels
    v.lines = max(1, min(x.oh, (BLOCK_PIXELS if v.flat else TAP_PIXELS) // v.width)) if v.width == x.ow else 1
    copies = v.layout.phases_h * v.layout.phases_w if v.flat else v.taps
    v.line = v.layout.pitch if v.flat else v.width
    v.run_length = (v.lines - 1) * v.line + v.width + (v.layout.extra if v.flat else 0)
    v.run_length = (v.run_length // t.lanes + 1 | 1) * t.lanes
    v.channel_block = max(1, min(cache_sizes().l1d // 2 // (copies * v.run_length * size), v.channels))
    v.output_block = max(1, cache_sizes().l2 // 2 // (v.lines * v.width * size * panel)) * panel
    v.output_ranges = ceil_div(v.outputs, v.output_block)
    # Tasks are ranges of channels, which pack dy anew, if there are enough; else also of outputs, which copy the image anew.
    wanted = ceil_div(3 * threads, v.parts * v.groups) if threads > 1 else 1
    if 3 * v.output_ranges * (v.channels * v.taps // 64) < 2 * wanted:
        v.output_ranges = max(v.output_ranges, min(wanted, ceil_div(v.outputs, panel)))
    v.output_block = ceil_div(ceil_div(v.outputs, v.output_ranges), t.lanes) * t.lanes
    v.output_ranges = ceil_div(v.outputs, v.output_block)
    v.channel_ranges = max(1, min(ceil_div(wanted, v.output_ranges), v.channels * v.taps // 64))
    v.a_bytes = round_to_line(<size_t>(v.channel_block * copies * v.run_length * size))
    v.slot_bytes = round_to_line(v.a_bytes + <size_t>(v.lines * v.width * v.output_block * size))


cdef void locate_taps(Gradient* v) noexcept nogil:
    cdef windows* x = &v.x
    cdef Py_ssize_t r, a, b, phase
    for r in range(v.channel_block * v.taps):
        if not v.flat:
            v.runs[r] = r * v.run_length
            continue
        a, b = r % v.taps // x.kw, r % x.kw
        phase = (r // v.taps * v.layout.phases_h + a % v.layout.steps_h) * v.layout.phases_w + b % v.layout.steps_w
        v.runs[r] = phase * v.run_length + a * x.dh // x.sh * v.layout.pitch + b * x.dw // x.sw


cdef void copy_channels(const Gradient* v, const windows* x, Py_ssize_t channel, Py_ssize_t count, Py_ssize_t i, Py_ssize_t j,
                        Py_ssize_t lines, Py_ssize_t width, char* to) noexcept nogil:
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


cdef void pack_gradient(const Gradient* v, const char* dy, Py_ssize_t outputs, Py_ssize_t lines, Py_ssize_t width,
                        char* to) noexcept nogil:
    # Panels of dy (outputs, lines, width), pixels by outputs, one after the other
    cdef Py_ssize_t lanes = v.table.lanes, size = v.table.itemsize, vectors = ceil_div(outputs, lanes), q, start, end, i
    cdef Py_ssize_t panels = panel_count(vectors, v.table.tile.vectors)
    cdef bint whole = v.dy_row == width * v.dy_column
    for q in range(panels):
        start, end = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
        for i in range(1 if whole else lines):
            v.table.pack.panel(lines * width if whole else width, min(end, outputs) - start, end - start,
                               dy + start * v.dy_channel + i * v.dy_row, v.dy_column, v.dy_channel,
                               to + (start * lines * width + i * width * (end - start)) * size)


cdef void multiply(const Gradient* v, Py_ssize_t rows, Py_ssize_t outputs, Py_ssize_t lines, Py_ssize_t width, const char* a,
                   const char* b, char* c, int start) noexcept nogil:
    # c (rows, outputs), a row every v.outputs, = or += the copies times the panels
    cdef Py_ssize_t lanes = v.table.lanes, size = v.table.itemsize, vectors = ceil_div(outputs, lanes), s, q, i, first, end
    cdef Py_ssize_t panels = panel_count(vectors, v.table.tile.vectors), slivers = ceil_div(rows, v.table.tile.rows), height
    if not v.flat:                            # the taps of all lines lie together
        lines, width = 1, lines * width
    for s in range(slivers):
        i = rows * s // slivers
        height = rows * (s + 1) // slivers - i
        for q in range(panels):
            first, end = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
            v.table.tile.lines[(height - 1) * v.table.tile.vectors + (end - first) // lanes - 1](
                lines, width, a, v.line, v.runs + i, b + first * lines * width * size, end - first,
                c + (i * v.outputs + first) * size, v.outputs, min(end, outputs) - first, start)


cdef void run(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Gradient* v = <const Gradient*>context
    cdef Py_ssize_t size = v.table.itemsize, k = v.channels * v.taps, task, part, group, c0, c1, o0, o1, image, i, j
    cdef Py_ssize_t lines, width, c, count
    cdef int start
    cdef windows x
    cdef const char* dy
    cdef char* a = v.scratch + <size_t>slot * v.slot_bytes
    cdef char* b = a + v.a_bytes
    cdef char* to
    for task in range(first, last):
        o0 = task % v.output_ranges * v.output_block
        o1 = min(v.outputs, o0 + v.output_block)
        c = task // v.output_ranges % v.channel_ranges
        c0, c1 = v.channels * c // v.channel_ranges, v.channels * (c + 1) // v.channel_ranges
        part = task // v.output_ranges // v.channel_ranges
        part, group = part // v.groups, part % v.groups
        to = v.sums + (((part * v.groups + group) * k) * v.outputs + o0) * size
        start = START_ZERO
        for image in range(v.images * part // v.parts, v.images * (part + 1) // v.parts):
            x = v.x
            x.x += image * x.image_stride + group * v.channels * x.channel_stride
            i = j = 0
            while i < x.oh:
                lines, width = min(v.lines, x.oh - i), min(v.width, x.ow - j)
                dy = (v.dy + image * v.dy_image + (group * v.outputs + o0) * v.dy_channel + i * v.dy_row + j * v.dy_column)
                pack_gradient(v, dy, o1 - o0, lines, width, b)
                c = c0
                while c < c1:
                    count = min(v.channel_block, c1 - c)
                    copy_channels(v, &x, c, count, i, j, lines, width, a)
                    multiply(v, count * v.taps, o1 - o0, lines, width, a, b, to + c * v.taps * v.outputs * size, start)
                    c += count
                start = START_C
                j += width
                if j == x.ow:
                    i, j = i + lines, 0


cdef void add_and_transpose(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # 16 outputs at a time, over all groups: the parts are added to the first, which is then transposed to dw
    cdef const Gradient* v = <const Gradient*>context
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


def weight_gradient(
    cnp.ndarray x,           # IN (n, c, h, w), n, c > 0
    cnp.ndarray dy,          # IN (n, oc, oh, ow), oc > 0
    cnp.ndarray dw,          # OUT (groups, oc/groups, c/groups * kh * kw), C-contiguous, fully overwritten
    tuple geometry,          # kh, kw, sh, sw, dh, dw, top, left, oh, ow
):
    cdef Gradient v
    cdef cnp.npy_intp* s = cnp.PyArray_STRIDES(dy)
    cdef int threads = num_threads()
    cdef Py_ssize_t tasks
    cdef size_t sum_bytes, run_bytes
    v.table, v.dw = primitives_for(cnp.PyArray_TYPE(x)), <char*>cnp.PyArray_DATA(dw)
    set_windows(&v.x, x, 0, geometry)
    v.dy, v.dy_image, v.dy_channel, v.dy_row, v.dy_column = <const char*>cnp.PyArray_DATA(dy), s[0], s[1], s[2], s[3]
    v.groups, v.outputs, v.taps = cnp.PyArray_DIMS(dw)[0], cnp.PyArray_DIMS(dw)[1], v.x.kh * v.x.kw
    v.images, v.channels = cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(dw)[2] // v.taps
    if 2.0 * cnp.PyArray_SIZE(dy) * cnp.PyArray_DIMS(dw)[2] < SERIAL_FLOP:
        threads = 1
    with nogil:
        plan(&v, threads)
        tasks = v.parts * v.groups * v.channel_ranges * v.output_ranges
        threads = <int>min(<Py_ssize_t>threads, tasks)
        sum_bytes = round_to_line(<size_t>(v.parts * v.groups * v.channels * v.taps * v.outputs * v.table.itemsize))
        run_bytes = round_to_line(<size_t>(v.channel_block * v.taps) * sizeof(Py_ssize_t))
        v.sums = <char*>workspace(sum_bytes + run_bytes + v.slot_bytes * <size_t>threads)
        if v.sums == NULL:
            raise MemoryError("no memory for the gradient of the weights")
        v.runs, v.scratch = <Py_ssize_t*>(v.sums + sum_bytes), v.sums + sum_bytes + run_bytes
        locate_taps(&v)
        parallel_for(run, &v, tasks, 1, threads)
        parallel_for(add_and_transpose, &v, v.groups * ceil_div(v.outputs, 16), 1, threads)
        workspace_done()


cdef struct Bias:
    const primitives* table
    windows pixels                           # 1 x 1 windows: patch[c, (n, i, j)] = dy[n, c, i, j]
    Py_ssize_t count, channels               # of (i, j); of dy
    bint contiguous                          # planes
    double* sums                             # (n, oc)


cdef void sum_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Plane by plane as they lie in memory, in pieces of a fixed length
    cdef const Bias* v = <const Bias*>context
    cdef double piece[1024]
    cdef double total
    cdef Py_ssize_t r, image, channel, done, count
    for r in range(first, last):
        image, channel, total, done = r // v.channels, r % v.channels, 0, 0
        while done < v.count:
            count = min(1024, v.count - done)
            if v.contiguous:
                total += v.table.rows.sum(count, v.pixels.x + image * v.pixels.image_stride
                                          + channel * v.pixels.channel_stride + done * v.table.itemsize)
            else:
                v.table.conv.patch_rows(&v.pixels, channel, 1, image * v.count + done, count, piece, count)
                total += v.table.rows.sum(count, piece)
            done += count
        v.sums[r] = total


def bias_gradient(
    cnp.ndarray dy,          # IN (n, oc, oh, ow)
    cnp.ndarray db,          # OUT (oc,), C-contiguous
):
    cdef Bias v
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(dy)
    cdef Py_ssize_t n = shape[0], planes = shape[0] * shape[1], i, c
    cdef double total
    cdef char* to = <char*>cnp.PyArray_DATA(db)
    v.table, v.count, v.channels = primitives_for(cnp.PyArray_TYPE(dy)), shape[2] * shape[3], shape[1]
    set_windows(&v.pixels, dy, 0, (1, 1, 1, 1, 1, 1, 0, 0, shape[2], shape[3]))
    v.contiguous = v.pixels.column_stride == v.table.itemsize and v.pixels.row_stride == shape[3] * v.table.itemsize
    v.sums = <double*>malloc(<size_t>max(1, planes) * sizeof(double))
    if v.sums == NULL:
        raise MemoryError("no memory for the gradient of the bias")
    with nogil:
        parallel_for(sum_planes, &v, planes, max(1, 65536 // max(1, v.count)), num_threads())
        for c in range(v.channels):
            total = 0
            for i in range(n):
                total += v.sums[i * v.channels + c]
            put(v.table, to, c, total)
    free(v.sums)
