"""Convolution as a product with patches that are never stored; the gradient of the image is one too.

A window slides over every image; patch[(c, a, b), (n, i, j)] is what its element (c, a, b) sees at position (i, j) of
image n (kernels/conv/conv.h). Groups are products of their own.

    y[n, oc, i, j]  = bias[oc] + sum over (c, a, b) of  w[oc, (c, a, b)] patch[(c, a, b), (n, i, j)]
"""
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.lanes cimport Lanes, lanes_begin, lanes_run
from npkernels._kernels.plain cimport is_plain, plain_positions, plain_size
from npkernels._kernels.primitives cimport START_ROW_BIAS, flat_layout, flat_layout_of, panel_count, panel_start, windows
from npkernels._kernels.product cimport (
    SERIAL_FLOP, SUM_BLOCK, Product, ceil_div, product_begin, product_plan, product_run, product_serial,
)
from npkernels._kernels.runtime cimport cache_sizes, empty_array, num_threads, parallel_for, workspace, workspace_done
from npkernels._kernels.stack cimport Stack, stack_run
from npkernels._kernels.windows cimport set_images, set_windows

cnp.import_array()

cdef enum:
    FEWEST_CHANNELS = 16
    PLANE_VECTORS = 4            # of a plane that is one matrix of a stack
    PLANE_CHANNELS = 96          # from so many on, each a plane apart, gathering a little of each is slower

cdef enum:
    FLAT, PATCHES, LANES, ANY    # forms: places in an array of costs
WINOGRAD_CHANNELS = FEWEST_CHANNELS          # below, the direct form is the only one that pays
FORMS = {"flat": FLAT, "patches": PATCHES, "lanes": LANES, "any": ANY}

cdef struct Convolution:
    windows patches
    char* y                                                       # images of the result, or of dy
    Py_ssize_t y_image, y_channel, y_row, y_column                # bytes
    flat_layout flat
    Py_ssize_t start                                              # flat place of the first column


cdef void set_result(Convolution* conv, cnp.ndarray y, Py_ssize_t channel) noexcept:
    cdef cnp.npy_intp s[4]
    read_strides(y, s)
    conv.y = <char*>cnp.PyArray_DATA(y) + channel * s[1]
    conv.y_image, conv.y_channel, conv.y_row, conv.y_column = s[0], s[1], s[2], s[3]


cdef inline bint pixels_are_rows(const windows* v, Py_ssize_t size) noexcept nogil:
    # Is the image (h w, c) in memory, channels last, and a patch a pixel?
    return (v.channel_stride == size and v.row_stride == v.w * v.column_stride and v.kh * v.kw == 1
            and v.oh == v.h and v.ow == v.w and v.top == 0 and v.left == 0)


cdef void pack_patches(const Product* g, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                       char* to) noexcept nogil:
    cdef const windows* v = &(<const Convolution*>g.context).patches
    cdef Py_ssize_t lanes = g.table.lanes, size = g.table.itemsize, vectors = ceil_div(columns, lanes), plane = v.h * v.w
    cdef Py_ssize_t panels = panel_count(vectors, g.table.tile.vectors), q, start, end, count, pixel
    cdef char* panel
    if not pixels_are_rows(v, size):
        g.table.conv.patch_block(v, p0, k_count, j0, columns, to)
        return
    for q in range(panels):
        start, end = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
        count, pixel, panel = min(end, columns) - start, (j0 + start) % plane, to + start * k_count * size
        if pixel + count <= plane:
            g.table.pack.panel(k_count, count, end - start, v.x + (j0 + start) // plane * v.image_stride
                               + p0 * size + pixel * v.column_stride, size, v.column_stride, panel)
        else:
            g.table.conv.patch_block(v, p0, k_count, j0 + start, count, panel)


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
        # to the end of the plane if its rows follow each other
        count = min(columns - done, ((oh - i) * ow if conv.y_row == ow * conv.y_column else ow) - j)
        to = conv.y + i0 * conv.y_channel + n * conv.y_image + i * conv.y_row + j * conv.y_column
        g.table.pack.scatter(rows, count, c + done * size, stride, to, conv.y_channel, conv.y_column)
        done += count


cdef void pack_runs(const Product* g, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                    char* to) noexcept nogil:
    cdef const Convolution* conv = <const Convolution*>g.context
    cdef const windows* v = &conv.patches
    cdef Py_ssize_t taps = v.kh * v.kw, channel, row, column
    cdef Py_ssize_t count = min(g.run_length, ceil_div(columns, g.table.lanes) * g.table.lanes + g.run_extra)
    for channel in range(p0 // taps, (p0 + k_count) // taps):
        for row in range(conv.flat.phases_h):
            for column in range(conv.flat.phases_w):
                g.table.flat.fill(v, conv.flat.pitch, channel, row * v.dh % v.sh, column * v.dw % v.sw, conv.start + j0,
                                  count, g.run_length, to)
                to += g.run_length * g.table.itemsize


cdef char* place_flat(const Product* g, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t* stride) noexcept nogil:
    cdef const Convolution* conv = <const Convolution*>g.context
    cdef Py_ssize_t size = g.table.itemsize
    if conv.flat.pitch != conv.patches.ow or conv.y_column != size or conv.y_row != conv.flat.pitch * size:
        return NULL
    stride[0] = conv.y_channel
    return conv.y + (conv.start + j0) * size


cdef void store_flat(const Product* g, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns, char* c,
                     Py_ssize_t stride) noexcept nogil:
    cdef const Convolution* conv = <const Convolution*>g.context
    g.table.flat.store(rows, conv.start + j0, columns, conv.flat.pitch, conv.patches.ow, c, stride,
                       conv.y + i0 * conv.y_channel, conv.y_channel, conv.y_row, conv.y_column)


cdef struct Flat:
    # y as one product for each group, image, band of its flat places and range of its channels
    Product g
    Convolution conv
    Py_ssize_t channels                      # of x in a group
    Py_ssize_t bands, rows, images


cdef inline void set_runs(Product* g, const Flat* f) noexcept nogil:
    g.k_unit = f.conv.patches.kh * f.conv.patches.kw
    g.unit_runs, g.run_extra = f.conv.flat.phases_h * f.conv.flat.phases_w, f.conv.flat.extra


cdef Py_ssize_t flat_blocks(const Flat* f) noexcept nogil:
    # Each block of columns fills runs of its own, which reach over the place of its last tap.
    cdef Product g = f.g
    g.n, g.pack_b = f.conv.flat.length, pack_runs
    set_runs(&g, f)
    product_plan(&g, 1)
    return ceil_div(g.n, g.column_block)


cdef double flat_cost(const Flat* f) noexcept nogil:
    # Multiply-adds of a lane for a channel of an image, fitted to times as all costs: the product with the places of no window,
    # the rows of the runs that are filled, windows brought to y, and weights, which come anew for each image from beyond L2.
    cdef const Product* g = &f.g
    cdef const windows* v = &f.conv.patches
    cdef double lanes = g.table.lanes, taps = <double>v.kh * v.kw, m = g.m, copies, images, blocks
    cdef double phases = <double>f.conv.flat.phases_h * f.conv.flat.phases_w
    cdef double places = ceil_div(f.conv.flat.length, g.table.lanes) * lanes
    if places > 2. * v.oh * v.ow or f.conv.flat.extra > 4096 + 4 * f.conv.flat.length:
        return 1e300
    blocks = flat_blocks(f)
    copies = phases * (210 * lanes * blocks + (63 if v.sw > 2 else 13) * (places + blocks * f.conv.flat.extra))
    images = 1 if m * g.k * g.table.itemsize > cache_sizes().l2 else f.images
    return 1.13 * taps * m * places + copies + m * (7.6 * places + 1.2 * v.oh * lanes) / f.channels + 5 * taps * m / images


cdef double patch_cost(const Flat* f) noexcept nogil:
    # The product alone, and the gathering of each tap, row by row of the windows.
    cdef const Product* g = &f.g
    cdef const windows* v = &f.conv.patches
    cdef double lanes = g.table.lanes, taps = <double>v.kh * v.kw, pixels = <double>v.oh * v.ow, gather
    if v.ow < g.table.conv.short_rows or (v.sw > 2 and g.table.conv.short_rows > 0):
        gather = lanes * (1.04 + 7. / f.channels)
    else:
        gather = 13.3 * ceil_div(v.ow, g.table.lanes) * lanes / v.ow * (1 if v.sw == 1 else 2)
    return taps * pixels * (1.1 * g.m + gather) + 12 * g.m * pixels / f.channels + 10 * taps * g.m / f.images


cdef void run_flat(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Flat* v = <const Flat*>context
    cdef Py_ssize_t task, band, row, image, group, i, j
    cdef Product g
    cdef Convolution conv
    for task in range(first, last):
        row, band = task % v.rows, task // v.rows % v.bands
        image, group = task // v.rows // v.bands % v.images, task // v.rows // v.bands // v.images
        g, conv = v.g, v.conv
        g.context = &conv
        i, j = g.m * row // v.rows, v.conv.flat.length * band // v.bands
        conv.start, g.n = j, v.conv.flat.length * (band + 1) // v.bands - j
        conv.patches.x += image * conv.patches.image_stride + group * v.channels * conv.patches.channel_stride
        conv.y += image * conv.y_image + (group * g.m + i) * conv.y_channel
        g.a += (group * g.m + i) * g.a_row
        if g.bias != NULL:
            g.bias += (group * g.m + i) * g.table.itemsize
        g.m = v.g.m * (row + 1) // v.rows - i
        product_serial(&g, g.scratch + <size_t>slot * g.scratch_bytes)


cdef int forward_flat(Flat* v, Py_ssize_t groups) except -1 nogil:
    cdef Product* g = &v.g
    cdef const windows* x = &v.conv.patches
    cdef flat_layout* flat = &v.conv.flat
    cdef Py_ssize_t wanted = 3 * num_threads(), tasks = groups * v.images, taps = x.kh * x.kw, p, a, b
    cdef int threads = num_threads()
    cdef Py_ssize_t* runs
    v.bands = v.rows = 1
    if 2.0 * g.m * flat.length * g.k * tasks < SERIAL_FLOP:
        threads = 1
    elif threads > 1 and tasks < wanted:
        v.bands = max(1, min(ceil_div(wanted, tasks), flat.length // max(4 * g.table.lanes, 2 * flat.extra)))
        v.rows = max(1, min(ceil_div(wanted, tasks * v.bands), g.m // (2 * g.table.tile.rows)))
    tasks *= v.bands * v.rows
    threads = <int>min(<Py_ssize_t>threads, tasks)
    g.n = ceil_div(flat.length, v.bands)
    g.pack_b, g.place, g.epilogue = pack_runs, place_flat, store_flat
    set_runs(g, v)
    product_plan(g, 1)
    runs = <Py_ssize_t*>workspace(<size_t>g.k_block * sizeof(Py_ssize_t) + g.scratch_bytes * <size_t>threads)
    if runs == NULL:
        raise MemoryError("no memory for the packed operands of a product")
    g.runs, g.scratch = runs, <char*>(runs + g.k_block)
    for a in range(x.kh):
        for b in range(x.kw):
            runs[a * x.kw + b] = (a % flat.steps_h * flat.phases_w + b % flat.steps_w) * g.run_length
            runs[a * x.kw + b] += a * x.dh // x.sh * flat.pitch + b * x.dw // x.sw
    for p in range(taps, g.k_block):         # the next channel
        runs[p] = runs[p - taps] + g.unit_runs * g.run_length
    parallel_for(run_flat, v, tasks, 1, threads)
    workspace_done()
    return 0


cdef int forward_patches(Flat* v, cnp.ndarray x, cnp.ndarray y, Py_ssize_t groups) except -1:
    cdef Product* g = &v.g
    cdef Product one
    cdef Py_ssize_t group
    g.n = v.images * v.conv.patches.oh * v.conv.patches.ow
    g.pack_b, g.place, g.epilogue, g.context = pack_patches, place, store, &v.conv
    for group in range(groups):
        one = g[0]
        set_images(&v.conv.patches, x, group * v.channels)
        set_result(&v.conv, y, group * g.m)
        one.a += group * g.m * g.a_row
        if g.bias != NULL:
            one.bias += group * g.m * g.table.itemsize
        with nogil:
            product_run(&one)
    return 0


cdef bint planes_are_rows(const Flat* v) noexcept nogil:
    # Does a product read the planes of x where they lie, and write those of y? Of few rows, or of many channels.
    cdef const windows* x = &v.conv.patches
    cdef Py_ssize_t size = v.g.table.itemsize
    return ((v.g.m <= 2 * v.g.table.tile.rows or v.channels >= PLANE_CHANNELS)
            and x.kh * x.kw * x.sh * x.sw == 1 and x.top == 0 and x.left == 0
            and x.oh == x.h and x.ow == x.w and x.h * x.w >= PLANE_VECTORS * v.g.table.lanes
            and x.column_stride == size and x.row_stride == x.w * size
            and v.conv.y_column == size and v.conv.y_row == x.w * size)


cdef int forward_planes(const Flat* v, Py_ssize_t groups) except -1 nogil:
    cdef Stack s
    cdef const windows* x = &v.conv.patches
    cdef Py_ssize_t group
    for group in range(groups):
        s.g = v.g
        s.a.axes, s.a.shape[0], s.a.strides[0], s.a.data = 1, v.images, 0, <char*>v.g.a + group * v.g.m * v.g.a_row
        s.b.axes, s.b.shape[0], s.b.strides[0] = 1, v.images, x.image_stride
        s.b.data = <char*>x.x + group * v.channels * x.channel_stride
        s.g.n, s.g.b_k, s.g.b_column = x.h * x.w, x.channel_stride, s.g.table.itemsize
        s.g.c, s.g.c_row, s.c_bytes = v.conv.y + group * v.g.m * v.conv.y_channel, v.conv.y_channel, v.conv.y_image
        if s.g.bias != NULL:
            s.g.bias += group * s.g.m * s.g.table.itemsize
        stack_run(&s, v.images)
    return 0


cdef void set_lanes(Lanes* v, const Flat* from_, Py_ssize_t groups) noexcept nogil:
    cdef const Product* g = &from_.g
    cdef const Convolution* conv = &from_.conv
    v.table, v.x, v.groups, v.images, v.channels, v.outputs = g.table, conv.patches, groups, from_.images, from_.channels, g.m
    v.w, v.w_row, v.w_k, v.bias, v.activation = g.a, g.a_row, g.a_k, g.bias, g.activation
    v.y, v.y_image, v.y_channel, v.y_row, v.y_column = conv.y, conv.y_image, conv.y_channel, conv.y_row, conv.y_column


cdef int convolve(
    Flat* v,                 # its windows are set
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray w,           # IN (oc, c/groups * kh * kw), or (oc, c/groups, kh, kw) C-contiguous
    cnp.ndarray bias,        # IN (oc,), contiguous, or None
    cnp.ndarray y,           # OUT (n, oc, oh, ow), any strides, fully overwritten
    Py_ssize_t groups,
    int activation,
    int form,
) except -1:
    cdef Product* g = &v.g
    cdef Lanes lanes
    cdef double costs[3]
    cdef cnp.npy_intp strides[4]
    cdef int done
    cdef Py_ssize_t taps = v.conv.patches.kh * v.conv.patches.kw
    v.images, v.channels = cnp.PyArray_DIMS(y)[0], cnp.PyArray_DIMS(x)[1] // groups
    product_begin(g, cnp.PyArray_TYPE(x), cnp.PyArray_DIMS(y)[1] // groups, 0, v.channels * taps)
    set_result(&v.conv, y, 0)
    read_strides(w, strides)
    g.a, g.a_row, g.a_k = <const char*>cnp.PyArray_DATA(w), strides[0], strides[cnp.PyArray_NDIM(w) - 1]
    if bias is not None:
        g.bias, g.start = <const char*>cnp.PyArray_DATA(bias), START_ROW_BIAS
    if activation >= 0:
        g.activation = g.table.activation.forward[activation]
    if g.m == 0 or v.images == 0:
        return 0
    if form == ANY and g.k > 0 and planes_are_rows(v):
        with nogil:
            forward_planes(v, groups)
        return 0
    if g.k > 0:
        v.conv.flat = flat_layout_of(&v.conv.patches)
        set_lanes(&lanes, v, groups)
        costs[FLAT], costs[PATCHES], costs[LANES] = flat_cost(v), patch_cost(v), lanes_begin(&lanes)
        if form != ANY:
            costs[form] = 0
        if g.k > g.sum_block:                # a long sum: of whole channels if it can be, whose blocks lanes do not know
            g.sum_block = SUM_BLOCK // taps * taps if taps <= SUM_BLOCK else <Py_ssize_t>SUM_BLOCK
            costs[LANES] = 1e300
            if taps > SUM_BLOCK:
                costs[FLAT] = 1e300
        if costs[LANES] < min(costs[FLAT], costs[PATCHES]):
            with nogil:
                done = lanes_run(&lanes)
            if done:
                return 0
        if costs[FLAT] < costs[PATCHES]:
            with nogil:
                forward_flat(v, groups)
            return 0
    return forward_patches(v, x, y, groups)


def forward(
    cnp.ndarray x,           # as in `convolve`
    cnp.ndarray w,
    cnp.ndarray bias,
    cnp.ndarray y,
    tuple geometry,          # kh, kw, sh, sw, dh, dw, top, left, oh, ow
    Py_ssize_t groups=1,
    int activation=-1,
    int form=ANY,            # one of FORMS, whatever it costs
):
    cdef Flat v
    set_windows(&v.conv.patches, x, 0, geometry)
    convolve(&v, x, w, bias, y, groups, activation, form)


cdef bint plain_weights(x, w, b) noexcept:
    # Are all arrays plain and alike, with contiguous weights and biases that fit the channels of x?
    cdef cnp.npy_intp* shape
    if not (is_plain(x) and is_plain(w)) or cnp.PyArray_NDIM(<cnp.ndarray>x) != 4 or cnp.PyArray_NDIM(<cnp.ndarray>w) != 4:
        return False
    shape = cnp.PyArray_DIMS(<cnp.ndarray>w)
    if (cnp.PyArray_TYPE(<cnp.ndarray>x) != cnp.PyArray_TYPE(<cnp.ndarray>w) or cnp.PyArray_DIMS(<cnp.ndarray>x)[1] != shape[1]
            or not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>w)):
        return False
    return b is None or (
        is_plain(b) and cnp.PyArray_TYPE(<cnp.ndarray>b) == cnp.PyArray_TYPE(<cnp.ndarray>w)
        and cnp.PyArray_NDIM(<cnp.ndarray>b) == 1 and cnp.PyArray_DIMS(<cnp.ndarray>b)[0] == shape[0]
        and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>b))


def conv2d_plain(x, w, b, stride, padding, dilation, groups, int activation):
    """The convolution as a new array if nothing needs a check or a conversion and few channels leave no form to choose,
    else None."""
    cdef Py_ssize_t step = plain_size(stride), pad = plain_size(padding), spread = plain_size(dilation)
    cdef cnp.npy_intp shape[4]
    cdef cnp.npy_intp* size
    cdef cnp.ndarray y
    cdef Flat v
    cdef windows* p = &v.conv.patches
    if not plain_weights(x, w, b) or plain_size(groups) != 1:
        return None
    if not 1 < cnp.PyArray_DIMS(<cnp.ndarray>x)[1] < FEWEST_CHANNELS:      # one may be a depthwise convolution
        return None
    size = cnp.PyArray_DIMS(<cnp.ndarray>w)
    set_images(p, <cnp.ndarray>x, 0)
    p.kh, p.kw, p.top, p.left = size[2], size[3], pad, pad
    p.sh, p.sw = min(step, p.h + 2 * pad), min(step, p.w + 2 * pad)
    p.dh, p.dw = spread if p.kh > 1 else 1, spread if p.kw > 1 else 1
    p.oh, p.ow = plain_positions(p.h, p.kh, step, pad, spread), plain_positions(p.w, p.kw, step, pad, spread)
    shape[0], shape[1], shape[2], shape[3] = cnp.PyArray_DIMS(<cnp.ndarray>x)[0], size[0], p.oh, p.ow
    if p.oh == 0 or p.ow == 0 or 2 * pad > min(p.h, p.w):                 # much padding: perhaps in parts
        return None
    try:
        y = empty_array(4, shape, cnp.PyArray_TYPE(<cnp.ndarray>x))
    except ValueError:                       # the checks say which size overflows
        return None
    convolve(&v, <cnp.ndarray>x, <cnp.ndarray>w, b, y, 1, activation, ANY)
    return y
