"""The gradient of an image as the columns of a product, summed at their places while they are in cache.

    cols[(c, a, b), (n, i, j)] = sum over o of  w[o, (c, a, b)] dy[n, o, i, j]
    dx[n, c, .]                = bias[c] + the sum of cols[(c, a, b), (n, i, j)] over the windows that see the pixel

The other form (conv.pyx) is a convolution of dy for each phase of the stride. It has no columns to sum, but computes with
the zeros around dy, which are many where images are small, and has rows of a tile for the channels of x only, which may
be few. Its kernels are made here.
"""
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport patch_columns, primitives, windows
from npkernels._kernels.product cimport SERIAL_FLOP, Product, ceil_div, odd_lines, product_begin, product_plan, product_serial
from npkernels._kernels.runtime cimport (
    cache_sizes, empty_array, num_threads, parallel_for, primitives_for, workspace, workspace_done,
)
from npkernels._kernels.windows cimport set_windows

cnp.import_array()

cdef enum:
    BLOCK_PIXELS = 512            # of dy in a block of images, or one image

cdef struct Gradient:
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


cdef void pack_pixels(const Product* g, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                      char* to) noexcept nogil:
    g.table.conv.patch_block(<const windows*>g.context, p0, k_count, j0, columns, to)


cdef void run(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Blocks of channels of a block of images of a group
    cdef const Gradient* v = <const Gradient*>context
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
        scratch = g.scratch + <size_t>slot * (g.scratch_bytes + v.cols_bytes)
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


cdef void plan(Gradient* v, Py_ssize_t groups, int threads) noexcept nogil:
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


def by_columns(
    cnp.ndarray dy,          # IN (n, oc, oh, ow), any strides
    cnp.ndarray w,           # IN (oc, c/groups * kh * kw)
    cnp.ndarray bias,        # IN (c,), contiguous, or None
    cnp.ndarray dx,          # OUT (n, c, h, w), C-contiguous, fully overwritten
    tuple geometry,          # of the convolution: kh, kw, sh, sw, dh, dw, top, left, oh, ow
    Py_ssize_t groups,
):
    cdef Gradient v
    cdef Product* g = &v.g
    cdef int threads = num_threads()
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(dy)
    cdef cnp.npy_intp strides[2]
    set_windows(&v.x, dx, 0, geometry)
    set_windows(&v.dy, dy, 0, (1, 1, 1, 1, 1, 1, 0, 0, shape[2], shape[3]))
    v.images, v.outputs, v.channels, v.taps = shape[0], shape[1] // groups, cnp.PyArray_DIMS(dx)[1] // groups, v.x.kh * v.x.kw
    v.dx, v.dx_image, v.dx_channel = <char*>cnp.PyArray_DATA(dx), v.x.image_stride, v.x.channel_stride
    v.bias = NULL
    if bias is not None:
        v.bias = <const char*>cnp.PyArray_DATA(bias)
    product_begin(g, cnp.PyArray_TYPE(dx), 0, 0, v.outputs)
    read_strides(w, strides)
    g.a, g.a_row, g.a_k = <const char*>cnp.PyArray_DATA(w), strides[1], strides[0]
    if 2.0 * cnp.PyArray_SIZE(dy) * v.channels * v.taps < SERIAL_FLOP:
        threads = 1
    with nogil:
        plan(&v, groups, threads)
        threads = <int>min(<Py_ssize_t>threads, groups * v.image_blocks * v.channel_blocks)
        g.scratch = <char*>workspace((g.scratch_bytes + v.cols_bytes) * <size_t>threads)
        if g.scratch == NULL:
            raise MemoryError("no memory for the columns of an image's gradient")
        parallel_for(run, &v, groups * v.image_blocks * v.channel_blocks, 1, threads)
        workspace_done()


cdef struct Taps:
    const primitives* table
    const char* w
    Py_ssize_t output, channel               # strides of w in bytes
    char* to
    Py_ssize_t row                           # of the result, in elements
    Py_ssize_t outputs, channels, count      # of a group; taps
    Py_ssize_t* offsets                      # of the taps in bytes, in the order of the result


cdef void turn_channels(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # 16 channels of a group at a time
    cdef const Taps* v = <const Taps*>context
    cdef Py_ssize_t blocks = ceil_div(v.channels, 16), block, group, c, size = v.table.itemsize
    for block in range(first, last):
        group, c = block // blocks, block % blocks * 16
        v.table.pack.turn(v.outputs, min(16, v.channels - c), v.count, v.w + group * v.outputs * v.output + c * v.channel,
                          v.output, v.channel, v.offsets, v.to + (group * v.channels + c) * v.row * size, v.row)


def turned_weights(
    cnp.ndarray w,           # IN (oc, c/groups, kh, kw)
    Py_ssize_t groups,
    tuple rows,              # start, stop, step of the taps taken, in the order of w
    tuple columns,
):
    """turned[g c + i, (o, t)] = w[g oc + o, i, a, b], the taps t = (a, b) from the last to the first."""
    cdef Taps v
    cdef cnp.ndarray turned
    cdef cnp.npy_intp s[4]
    cdef cnp.npy_intp shape[2]
    cdef Py_ssize_t a, b, t
    read_strides(w, s)
    v.table, v.w, v.output, v.channel = primitives_for(cnp.PyArray_TYPE(w)), <const char*>cnp.PyArray_DATA(w), s[0], s[1]
    v.outputs, v.channels = cnp.PyArray_DIMS(w)[0] // groups, cnp.PyArray_DIMS(w)[1]
    v.count = len(range(*rows)) * len(range(*columns))
    shape[0], shape[1] = groups * v.channels, odd_lines(v.outputs * v.count)
    turned = empty_array(2, shape, cnp.PyArray_TYPE(w))
    v.to, v.row = <char*>cnp.PyArray_DATA(turned), shape[1]
    v.offsets = <Py_ssize_t*>workspace(<size_t>max(1, v.count) * sizeof(Py_ssize_t))
    if v.offsets == NULL:
        raise MemoryError("no memory for the places of a kernel's taps")
    t = v.count
    for a in range(rows[0], rows[1], rows[2]):
        for b in range(columns[0], columns[1], columns[2]):
            t -= 1
            v.offsets[t] = a * s[2] + b * s[3]
    with nogil:
        parallel_for(turn_channels, &v, groups * ceil_div(v.channels, 16), max(1, 4096 // max(1, v.outputs * v.count)),
                     num_threads())
        workspace_done()
    return turned[:, :v.outputs * v.count]
