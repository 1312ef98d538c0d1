"""Convolution and its gradients as products with patches that are never stored, im2col and col2im.

A window slides over every image; patch[(c, a, b), (n, i, j)] is what its element (c, a, b) sees at position (i, j) of
image n (kernels/simd/conv.h). Groups are products of their own.

    y[n, oc, i, j]  = bias[oc] + sum over (c, a, b) of  w[oc, (c, a, b)] patch[(c, a, b), (n, i, j)]
    dw'[(c, a, b), oc]         = sum over (n, i, j) of  patch[(c, a, b), (n, i, j)] dy[n, oc, i, j]
"""
cimport numpy as cnp

from npkernels._primitives cimport START_ROW_BIAS, panel_count, panel_start, primitives, windows
from npkernels._product cimport Product, ceil_div, product_begin, product_run
from npkernels._runtime cimport num_threads, parallel_for, primitives_for

cnp.import_array()

cdef struct Convolution:
    windows patches
    char* y                                                       # images of the result, or of dy
    Py_ssize_t y_image, y_channel, y_row, y_column                # bytes


cdef int set_windows(windows* v, cnp.ndarray x, Py_ssize_t channel, tuple geometry) except -1:
    # The windows over the images of x (n, c, h, w) from a channel on.
    cdef cnp.npy_intp* s = cnp.PyArray_STRIDES(x)
    v.x = <const char*>cnp.PyArray_DATA(x) + channel * s[1]
    v.image_stride, v.channel_stride, v.row_stride, v.column_stride = s[0], s[1], s[2], s[3]
    v.h, v.w = cnp.PyArray_DIMS(x)[2], cnp.PyArray_DIMS(x)[3]
    v.kh, v.kw, v.sh, v.sw, v.dh, v.dw, v.top, v.left, v.oh, v.ow = geometry


cdef void set_result(Convolution* conv, cnp.ndarray y, Py_ssize_t channel) noexcept:
    cdef cnp.npy_intp* s = cnp.PyArray_STRIDES(y)
    conv.y = <char*>cnp.PyArray_DATA(y) + channel * s[1]
    conv.y_image, conv.y_channel, conv.y_row, conv.y_column = s[0], s[1], s[2], s[3]


cdef void pack_patches(const Product* g, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                       char* to) noexcept nogil:
    g.table.conv.patch_block(&(<const Convolution*>g.context).patches, p0, k_count, j0, columns, to)


cdef char* place(const Product* g, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t* stride) noexcept nogil:
    # A block of columns inside one image whose plane is contiguous is written straight to y.
    cdef const Convolution* conv = <const Convolution*>g.context
    cdef Py_ssize_t ow = conv.patches.ow, plane = conv.patches.oh * ow, image = j0 // plane, size = g.table.itemsize
    if (j0 + columns - 1) // plane != image or conv.y_column != size or conv.y_row != ow * size:
        return NULL
    stride[0] = conv.y_channel
    return conv.y + image * conv.y_image + (j0 - image * plane) * size


cdef void store(const Product* g, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns, char* c,
                Py_ssize_t stride) noexcept nogil:
    # Columns j are (n, i, j) of y: row by row of its images.
    cdef const Convolution* conv = <const Convolution*>g.context
    cdef Py_ssize_t ow = conv.patches.ow, oh = conv.patches.oh, size = g.table.itemsize, done = 0, count, n, i, j
    cdef char* to
    while done < columns:
        j = (j0 + done) % ow
        i = (j0 + done) // ow % oh
        n = (j0 + done) // ow // oh
        if conv.y_row == ow * conv.y_column:          # rows of the plane follow each other
            count = min(columns - done, (oh - i) * ow - j)
        else:
            count = min(columns - done, ow - j)
        to = conv.y + i0 * conv.y_channel + n * conv.y_image + i * conv.y_row + j * conv.y_column
        g.table.pack.scatter(rows, count, c + done * size, stride, to, conv.y_channel, conv.y_column)
        done += count


def forward(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray w,           # IN (oc, c/groups * kh * kw)
    cnp.ndarray bias,        # IN (oc,), contiguous, or None
    cnp.ndarray y,           # OUT (n, oc, oh, ow), any strides, fully overwritten
    tuple geometry,          # kh, kw, sh, sw, dh, dw, top, left, oh, ow
    Py_ssize_t groups=1,
    int activation=-1,
):
    cdef Py_ssize_t m = cnp.PyArray_DIMS(y)[1] // groups, c = cnp.PyArray_DIMS(x)[1] // groups, group
    cdef Py_ssize_t n = cnp.PyArray_DIMS(y)[0] * cnp.PyArray_DIMS(y)[2] * cnp.PyArray_DIMS(y)[3]
    cdef Convolution conv
    cdef Product g
    for group in range(groups):
        product_begin(&g, cnp.PyArray_TYPE(x), m, n, cnp.PyArray_DIMS(w)[1])
        set_windows(&conv.patches, x, group * c, geometry)
        set_result(&conv, y, group * m)
        g.a = <const char*>cnp.PyArray_DATA(w) + group * m * cnp.PyArray_STRIDES(w)[0]
        g.a_row, g.a_k = cnp.PyArray_STRIDES(w)[0], cnp.PyArray_STRIDES(w)[1]
        g.pack_b, g.place, g.epilogue, g.split_k, g.context = pack_patches, place, store, True, &conv
        if bias is not None:
            g.bias, g.start = <const char*>cnp.PyArray_DATA(bias) + group * m * g.table.itemsize, START_ROW_BIAS
        if activation >= 0:
            g.activation = g.table.activation.forward[activation]
        with nogil:
            product_run(&g)


cdef void pack_patch_rows(const Product* g, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t p0, Py_ssize_t k_count,
                          char* to) noexcept nogil:
    cdef const Convolution* conv = <const Convolution*>g.context
    g.table.conv.patch_rows(&conv.patches, i0, rows, p0, k_count, to, k_count)


cdef void pack_gradient(const Product* g, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                        char* to) noexcept nogil:
    # B[(n, i, j), oc] = dy[n, oc, i, j]: k runs over pixels, row by row where the plane of dy is not contiguous.
    cdef const Convolution* conv = <const Convolution*>g.context
    cdef Py_ssize_t lanes = g.table.lanes, vectors = ceil_div(columns, lanes), q, start, end, p, count, i, j
    cdef Py_ssize_t ow = conv.patches.ow, oh = conv.patches.oh, panels = panel_count(vectors, g.table.tile.vectors)
    for q in range(panels):
        start, end = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
        p = p0
        while p < p0 + k_count:
            i, j = p // ow % oh, p % ow
            if conv.y_row == ow * conv.y_column:
                count = min(p0 + k_count - p, (oh - i) * ow - j)
            else:
                count = min(p0 + k_count - p, ow - j)
            g.table.pack.panel(
                count, min(end, columns) - start, end - start,
                conv.y + (j0 + start) * conv.y_channel + p // ow // oh * conv.y_image + i * conv.y_row + j * conv.y_column,
                conv.y_column, conv.y_channel, to + (start * k_count + (p - p0) * (end - start)) * g.table.itemsize)
            p += count


cdef struct Transposition:
    const primitives* table
    const char* x            # (groups, rows, columns), C-contiguous
    char* to                 # (groups, columns, rows), C-contiguous
    Py_ssize_t rows, columns


cdef void transpose_lines(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # 16 lines of the result at a time, over all groups
    cdef const Transposition* v = <const Transposition*>context
    cdef Py_ssize_t parts = ceil_div(v.columns, 16), part, group, j, size = v.table.itemsize, plane = v.rows * v.columns
    for part in range(first, last):
        group, j = part // parts, part % parts * 16
        v.table.pack.transpose(v.rows, min(16, v.columns - j), v.x + (group * plane + j) * size, v.columns,
                               v.to + (group * plane + j * v.rows) * size, v.rows)


def weight_gradient(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray dy,          # IN (n, oc, oh, ow)
    cnp.ndarray dw,          # OUT (groups, oc/groups, c/groups * kh * kw), C-contiguous
    cnp.ndarray transposed,  # SCRATCH (groups, c/groups * kh * kw, oc/groups), C-contiguous
    tuple geometry,          # as in `forward`
):
    # The patches are A, packed by rows, and dy is B: so the product is dw', which is transposed at the end.
    cdef Py_ssize_t groups = cnp.PyArray_DIMS(dw)[0], m = cnp.PyArray_DIMS(dw)[2], n = cnp.PyArray_DIMS(dw)[1], group
    cdef Py_ssize_t c = cnp.PyArray_DIMS(x)[1] // max(1, groups)
    cdef Py_ssize_t pixels = cnp.PyArray_DIMS(dy)[0] * cnp.PyArray_DIMS(dy)[2] * cnp.PyArray_DIMS(dy)[3]
    cdef Transposition v
    cdef Convolution conv
    cdef Product g
    v.table, v.rows, v.columns = primitives_for(cnp.PyArray_TYPE(x)), m, n
    v.x, v.to = <const char*>cnp.PyArray_DATA(transposed), <char*>cnp.PyArray_DATA(dw)
    for group in range(groups):
        product_begin(&g, cnp.PyArray_TYPE(x), m, n, pixels)
        set_windows(&conv.patches, x, group * c, geometry)
        set_result(&conv, dy, group * n)
        g.pack_a, g.pack_b, g.context = pack_patch_rows, pack_gradient, &conv
        g.c_row = n * g.table.itemsize
        g.c = <char*>cnp.PyArray_DATA(transposed) + group * m * g.c_row
        with nogil:
            product_run(&g)
    with nogil:
        parallel_for(transpose_lines, &v, groups * ceil_div(n, 16), max(1, 4096 // max(1, m)), num_threads())


cdef struct Bias:
    const primitives* table
    windows pixels                           # 1 x 1 windows: patch[c, (n, i, j)] = dy[n, c, i, j]
    Py_ssize_t count                         # of (n, i, j)
    char* db
    bint single


cdef void sum_channels(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # db[c] = sum over pieces of a fixed length, each gathered into L1, of their sums
    cdef const Bias* v = <const Bias*>context
    cdef double piece[1024]
    cdef double total
    cdef Py_ssize_t c, done, count
    for c in range(first, last):
        total, done = 0, 0
        while done < v.count:
            count = min(1024, v.count - done)
            v.table.conv.patch_rows(&v.pixels, c, 1, done, count, piece, count)
            total += v.table.rows.sum(count, piece)
            done += count
        if v.single:
            (<float*>v.db)[c] = <float>total
        else:
            (<double*>v.db)[c] = total


def bias_gradient(
    cnp.ndarray dy,          # IN (n, oc, oh, ow)
    cnp.ndarray db,          # OUT (oc,), C-contiguous
):
    cdef Bias v
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(dy)
    set_windows(&v.pixels, dy, 0, (1, 1, 1, 1, 1, 1, 0, 0, shape[2], shape[3]))
    if v.pixels.row_stride == shape[3] * v.pixels.column_stride:      # a plane is one long row
        v.pixels.h, v.pixels.w = 1, shape[2] * shape[3]
        v.pixels.oh, v.pixels.ow = 1, v.pixels.w
    v.table, v.single = primitives_for(cnp.PyArray_TYPE(dy)), cnp.PyArray_TYPE(dy) == cnp.NPY_FLOAT
    v.count, v.db = shape[0] * shape[2] * shape[3], <char*>cnp.PyArray_DATA(db)
    with nogil:
        parallel_for(sum_channels, &v, shape[1], max(1, 65536 // max(1, v.count)), num_threads())


cdef struct Columns:
    const primitives* table
    windows patches
    char* x                                  # planes (h, w), contiguous
    char* cols
    Py_ssize_t channels, image, row, column  # strides of cols in bytes


cdef void unfold_rows(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # cols[n, p, :] for one (n, p) after the other
    cdef const Columns* v = <const Columns*>context
    cdef Py_ssize_t k = v.channels * v.patches.kh * v.patches.kw, plane = v.patches.oh * v.patches.ow, r
    for r in range(first, last):
        v.table.conv.patch_rows(&v.patches, r % k, 1, r // k * plane, plane,
                                v.cols + r * plane * v.table.itemsize, plane)


def unfold(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray cols,        # OUT (n, c * kh * kw, oh * ow), C-contiguous
    tuple geometry,
):
    cdef Columns v
    cdef Py_ssize_t rows = cnp.PyArray_DIMS(cols)[0] * cnp.PyArray_DIMS(cols)[1], grain
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_windows(&v.patches, x, 0, geometry)
    v.channels, v.cols = cnp.PyArray_DIMS(x)[1], <char*>cnp.PyArray_DATA(cols)
    grain = max(1, 65536 // max(1, cnp.PyArray_DIMS(cols)[2]))
    with nogil:
        parallel_for(unfold_rows, &v, rows, grain, num_threads())


cdef void fold_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Columns* v = <const Columns*>context
    cdef Py_ssize_t r, taps = v.patches.kh * v.patches.kw
    for r in range(first, last):
        v.table.conv.patch_sum(
            &v.patches, v.cols + r // v.channels * v.image + r % v.channels * taps * v.row, v.row, v.column,
            v.x + r * v.patches.h * v.patches.w * v.table.itemsize)


def fold(
    cnp.ndarray cols,        # IN (n, c * kh * kw, oh * ow)
    cnp.ndarray x,           # OUT (n, c, h, w), C-contiguous
    tuple geometry,
):
    cdef Columns v
    cdef cnp.npy_intp* s = cnp.PyArray_STRIDES(cols)
    cdef Py_ssize_t planes = cnp.PyArray_DIMS(x)[0] * cnp.PyArray_DIMS(x)[1], grain
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_windows(&v.patches, x, 0, geometry)
    v.channels = max(1, cnp.PyArray_DIMS(x)[1])
    v.x, v.cols = <char*>cnp.PyArray_DATA(x), <char*>cnp.PyArray_DATA(cols)
    v.image, v.row, v.column = s[0], s[1], s[2]
    grain = max(1, 65536 // max(1, cnp.PyArray_DIMS(cols)[2] * v.patches.kh * v.patches.kw))
    with nogil:
        parallel_for(fold_planes, &v, planes, grain, num_threads())
