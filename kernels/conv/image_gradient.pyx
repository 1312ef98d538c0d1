"""The gradient of an image as the columns of a product, summed at their places while they are in cache.

    cols[(c, a, b), (n, i, j)] = sum over o of  w[o, (c, a, b)] dy[n, o, i, j]
    dx[n, c, .]                = bias[c] + the sum of cols[(c, a, b), (n, i, j)] over the windows that see the pixel

The other form is a convolution of dy for each phase of the stride. It has no columns to sum, but computes with the zeros
around dy, which are many where images are small, and has rows of a tile for the channels of x only, which may be few. Its
phases and their kernels are made here.
"""
cimport numpy as cnp

from npkernels._kernels.convolution cimport Convolution, convolution_work, step_of_rows, windows_of_y
from npkernels._kernels.primitives cimport patch_columns, windows
from npkernels._kernels.product cimport Product, product_begin, product_plan, product_serial
from npkernels._kernels.runtime cimport Team, cache_sizes, empty_array, slot_of, team_begin, team_end, team_run, threads_for
from npkernels._kernels.scalars cimport ceil_div, odd_lines

cnp.import_array()

cdef enum:
    BLOCK_PIXELS = 512            # of dy in a block of images, or one image


cdef inline Py_ssize_t gcd(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    while b:
        a, b = b, a % b
    return a


cdef struct ImageGradient:
    Product g                     # of a block
    windows dy                    # 1 x 1: its pixels
    windows x                     # what the windows see of dx
    patch_columns cols            # without a place
    const char* bias
    char* dx
    Py_ssize_t dx_image, dx_channel
    Py_ssize_t images, channels, outputs, taps        # channels and outputs of a group
    Py_ssize_t image_blocks, channel_blocks
    size_t cols_bytes
    Team team


cdef void pack_pixels(const Product* g, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                      char* to) noexcept nogil:
    g.table.conv.patch_block(<const windows*>g.context, p0, k_count, j0, columns, to)


cdef void sum_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Blocks of channels of a block of images of a group
    cdef const ImageGradient* v = <const ImageGradient*>context
    cdef Py_ssize_t task, block, group, n, n1, c, c1, size = v.g.table.itemsize, pixels = v.dy.oh * v.dy.ow
    cdef char* scratch
    cdef const char* bias
    cdef Product g
    cdef windows dy
    cdef patch_columns cols
    for task in range(first, last):
        block, group = task // v.channel_blocks % v.image_blocks, task // v.channel_blocks // v.image_blocks
        n, n1 = v.images * block // v.image_blocks, v.images * (block + 1) // v.image_blocks
        block = task % v.channel_blocks
        c, c1 = v.channels * block // v.channel_blocks, v.channels * (block + 1) // v.channel_blocks
        g, dy, cols = v.g, v.dy, v.cols
        scratch = slot_of(&v.team, slot)
        dy.x += n * dy.image_stride + group * v.outputs * dy.channel_stride
        g.a += group * v.outputs * g.a_k + c * v.taps * g.a_row
        g.m, g.n, g.context, g.c = (c1 - c) * v.taps, (n1 - n) * pixels, &dy, scratch + g.scratch_bytes
        product_serial(&g, scratch)
        c += group * v.channels
        cols.x, bias = g.c, NULL
        if v.bias != NULL:
            bias = v.bias + c * size
        g.table.conv.patch_sums(&v.x, n1 - n, g.m // v.taps, &cols, bias,
                                v.dx + n * v.dx_image + c * v.dx_channel, v.dx_image, v.dx_channel)


cdef void plan_blocks(ImageGradient* v, Py_ssize_t groups, int threads) noexcept nogil:
    cdef Product* g = &v.g
    cdef Py_ssize_t size = g.table.itemsize, pixels = v.dy.oh * v.dy.ow, wanted = 3 * threads if threads > 1 else 1, fit
    v.image_blocks = max(ceil_div(v.images, max(1, BLOCK_PIXELS // pixels)), min(v.images, ceil_div(wanted, groups)))
    g.n = ceil_div(v.images, v.image_blocks) * pixels
    g.c_row = odd_lines(g.n) * size
    fit = max(1, cache_sizes().l2 // 2 // (v.taps * g.c_row))
    v.channel_blocks = max(ceil_div(v.channels, fit), min(v.channels, ceil_div(wanted, groups * v.image_blocks)))
    g.m = ceil_div(v.channels, v.channel_blocks) * v.taps
    v.cols.image, v.cols.channel, v.cols.tap, v.cols.column = pixels * size, v.taps * g.c_row, g.c_row, size
    v.cols_bytes = <size_t>(g.m * g.c_row)
    g.pack_b, g.c = pack_pixels, <char*>g       # c: not NULL for the plan
    product_plan(g, 1)


cdef int columns_run(const Convolution* conv) except -1 nogil:
    cdef ImageGradient v
    cdef Product* g = &v.g
    cdef double work = convolution_work(conv)
    cdef Py_ssize_t tasks
    v.x, v.dy = conv.x, windows_of_y(conv)
    v.images, v.outputs, v.channels, v.taps = conv.images, conv.outputs, conv.channels, v.x.kh * v.x.kw
    v.dx, v.dx_image, v.dx_channel, v.bias = <char*>conv.x.x, v.x.image_stride, v.x.channel_stride, conv.bias
    product_begin(g, conv.typenum, 0, 0, v.outputs)
    g.table, g.a, g.a_row, g.a_k = conv.table, conv.w.data, step_of_rows(conv), conv.w.output
    plan_blocks(&v, conv.groups, threads_for(work, conv.groups * v.images * v.channels))
    tasks = conv.groups * v.image_blocks * v.channel_blocks
    team_begin(&v.team, work, tasks, 0, g.scratch_bytes + v.cols_bytes)
    team_run(&v.team, sum_blocks, &v, tasks, work)
    team_end()
    return 0


cdef struct Turn:
    Convolution conv                         # whose weights are read
    char* to
    Py_ssize_t row                           # of the result, in elements
    Py_ssize_t taps
    Py_ssize_t* offsets                      # of the taps in bytes, in the order of the result


cdef void turn_channels(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # 16 outputs of a group at a time
    cdef const Turn* v = <const Turn*>context
    cdef const Convolution* conv = &v.conv
    cdef Py_ssize_t blocks = ceil_div(conv.outputs, 16), block, group, o, size = conv.table.itemsize
    for block in range(first, last):
        group, o = block // blocks, block % blocks * 16
        conv.table.pack.turn(conv.channels, min(16, conv.outputs - o), v.taps,
                             conv.w.data + group * conv.w.group + o * conv.w.output, conv.w.channel, conv.w.output, v.offsets,
                             v.to + (group * conv.outputs + o) * v.row * size, v.row)


cdef cnp.ndarray weights_as_rows(Convolution* conv):
    cdef Turn v
    cdef Team team
    cdef double work
    cdef cnp.ndarray rows
    cdef cnp.npy_intp shape[2]
    cdef Py_ssize_t a, b, t, kw = conv.x.kw, size = conv.table.itemsize
    v.conv, v.taps = conv[0], conv.x.kh * kw
    shape[0], shape[1] = conv.groups * conv.outputs, odd_lines(conv.channels * v.taps)
    rows = empty_array(2, shape, conv.typenum)
    v.to, v.row = <char*>cnp.PyArray_DATA(rows), shape[1]
    work = 0.5 * shape[0] * shape[1]         # numbers come one by one
    team_begin(&team, work, conv.groups * ceil_div(conv.outputs, 16), <size_t>v.taps * sizeof(Py_ssize_t), 0)
    v.offsets = <Py_ssize_t*>team.shared
    for a in range(conv.x.kh):
        for b in range(kw):
            t = a * kw + b
            v.offsets[v.taps - 1 - t if conv.w.turned else t] = a * conv.w.row + b * conv.w.column
    with nogil:
        team_run(&team, turn_channels, &v, conv.groups * ceil_div(conv.outputs, 16), work)
        team_end()
    conv.w.data, conv.w.output, conv.w.turned = v.to, v.row * size, False
    conv.w.group, conv.w.channel, conv.w.row, conv.w.column = conv.outputs * v.row * size, v.taps * size, kw * size, size
    return rows


cdef Py_ssize_t phases_of(const windows* x, bint columns, Phase* phases) noexcept nogil:
    """Those that meet a tap, along the rows of x or along its columns; `phases` has room for min(kernel, stride).

    x at row i s + t d - pad meets tap t in y[i], so dx at row r collects w[t] dy[i] for all t with r + pad - t d = i s. Rows of
    the same phase (r + pad) mod s share their taps t, which lie s / gcd(s, d) apart and meet rows of dy that lie
    d / gcd(s, d) apart: each phase is one convolution of stride 1.
    """
    cdef Py_ssize_t size = x.w if columns else x.h, kernel = x.kw if columns else x.kh, stride = x.sw if columns else x.sh
    cdef Py_ssize_t dilation = x.dw if columns else x.dh, pad = x.left if columns else x.top
    cdef Py_ssize_t common = gcd(stride, dilation), step = stride // common, count = 0, tap, first, taps
    for tap in range(min(kernel, step)):
        first = (tap * dilation - pad) % stride
        first += stride if first < 0 else 0
        if first < size:
            # Row i of the phase and tap + t step meet row (first + pad - tap dilation) / stride + i - t spread of dy. The
            # flipped taps begin with the largest t.
            taps = (kernel - 1 - tap) // step + 1
            phases[count].first, phases[count].size = first, (size - 1 - first) // stride + 1
            phases[count].tap, phases[count].step, phases[count].taps = tap, step, taps
            phases[count].dilation = dilation // common
            phases[count].pad = (taps - 1) * phases[count].dilation - (first + pad - tap * dilation) // stride
            count += 1
    return count


cdef Convolution phase_of(const Convolution* conv, const Phase* row, const Phase* column) noexcept nogil:
    # The convolution of dy that gives the pixels of a phase of rows and one of columns
    cdef Convolution phase = conv[0]
    cdef windows* v = &phase.x
    cdef const windows* dx = &conv.x
    phase.channels, phase.outputs, phase.x = conv.outputs, conv.channels, windows_of_y(conv)
    v.kh, v.dh, v.top, v.oh = row.taps, row.dilation if row.taps > 1 else 1, row.pad, row.size
    v.kw, v.dw, v.left, v.ow = column.taps, column.dilation if column.taps > 1 else 1, column.pad, column.size
    phase.y.data = <char*>dx.x + row.first * dx.row_stride + column.first * dx.column_stride
    phase.y.image, phase.y.channel = dx.image_stride, dx.channel_stride
    phase.y.row, phase.y.column = dx.sh * dx.row_stride, dx.sw * dx.column_stride
    phase.w.data += row.tap * conv.w.row + column.tap * conv.w.column
    phase.w.output, phase.w.channel, phase.w.turned = conv.w.channel, conv.w.output, True
    phase.w.row, phase.w.column = row.step * conv.w.row, column.step * conv.w.column
    return phase
