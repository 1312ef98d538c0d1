"""Convolution as a product with patches that are never stored: the direct forms.

A window slides over every image; patch[(c, a, b), (n, i, j)] is what its element (c, a, b) sees at position (i, j) of
image n (kernels/conv/conv.h). Groups are products of their own.

    y[n, oc, i, j]  = bias[oc] + sum over (c, a, b) of  w[oc, (c, a, b)] patch[(c, a, b), (n, i, j)]
"""
from npkernels._kernels.convolution cimport Convolution, group_of, image_of, step_of_rows
from npkernels._kernels.primitives cimport START_ROW_BIAS, flat_layout, flat_layout_of, panel_count, panel_start, windows
from npkernels._kernels.product cimport (
    SUM_BLOCK, Product, product_begin, product_plan, product_run, product_serial,
)
from npkernels._kernels.runtime cimport slot_of, team_begin, team_end, team_run, threads_for, work_of
from npkernels._kernels.scalars cimport ceil_div, round_up
from npkernels._kernels.stack cimport Stack, stack_run

cdef struct Direct:
    Product g                     # of a group; flat: of one image
    Convolution conv
    flat_layout flat
    Py_ssize_t start              # flat place of the first column
    Py_ssize_t bands, rows        # flat: tasks of an image, ranges of its places and of its outputs


cdef inline bint pixels_are_rows(const windows* v, Py_ssize_t size) noexcept nogil:
    # Is the image (h w, c) in memory, channels last, and a patch a pixel?
    return (v.channel_stride == size and v.row_stride == v.w * v.column_stride and v.kh * v.kw == 1
            and v.oh == v.h and v.ow == v.w and v.top == 0 and v.left == 0)


cdef void pack_patches(const Product* g, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                       char* to) noexcept nogil:
    cdef const windows* v = &(<const Direct*>g.context).conv.x
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
    cdef const Direct* form = <const Direct*>g.context
    cdef const Convolution* conv = &form.conv
    cdef Py_ssize_t ow = conv.x.ow, plane = conv.x.oh * ow, image = j0 // plane, size = g.table.itemsize
    if (j0 + columns - 1) // plane != image or conv.y.column != size or conv.y.row != ow * size:
        return NULL
    stride[0] = conv.y.channel
    return conv.y.data + image * conv.y.image + (j0 - image * plane) * size


cdef void store(const Product* g, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns, char* c,
                Py_ssize_t stride) noexcept nogil:
    # Columns j are (n, i, j) of y: row by row of its images.
    cdef const Direct* form = <const Direct*>g.context
    cdef const Convolution* conv = &form.conv
    cdef Py_ssize_t ow = conv.x.ow, oh = conv.x.oh, size = g.table.itemsize, done = 0, count, n, i, j
    cdef char* to
    while done < columns:
        j = (j0 + done) % ow
        i = (j0 + done) // ow % oh
        n = (j0 + done) // ow // oh
        # to the end of the plane if its rows follow each other
        count = min(columns - done, ((oh - i) * ow if conv.y.row == ow * conv.y.column else ow) - j)
        to = conv.y.data + i0 * conv.y.channel + n * conv.y.image + i * conv.y.row + j * conv.y.column
        g.table.pack.scatter(rows, count, c + done * size, stride, to, conv.y.channel, conv.y.column)
        done += count


cdef void pack_runs(const Product* g, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                    char* to) noexcept nogil:
    cdef const Direct* form = <const Direct*>g.context
    cdef const Convolution* conv = &form.conv
    cdef const windows* v = &conv.x
    cdef Py_ssize_t taps = v.kh * v.kw, channel, row, column
    cdef Py_ssize_t count = min(g.run_length, round_up(columns, g.table.lanes) + g.run_extra)
    for channel in range(p0 // taps, (p0 + k_count) // taps):
        for row in range(form.flat.phases_h):
            for column in range(form.flat.phases_w):
                g.table.flat.fill(v, form.flat.pitch, channel, row * v.dh % v.sh, column * v.dw % v.sw, form.start + j0,
                                  count, g.run_length, to)
                to += g.run_length * g.table.itemsize


cdef char* place_flat(const Product* g, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t* stride) noexcept nogil:
    cdef const Direct* form = <const Direct*>g.context
    cdef const Convolution* conv = &form.conv
    cdef Py_ssize_t size = g.table.itemsize
    if form.flat.pitch != conv.x.ow or conv.y.column != size or conv.y.row != form.flat.pitch * size:
        return NULL
    stride[0] = conv.y.channel
    return conv.y.data + (form.start + j0) * size


cdef void store_flat(const Product* g, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns, char* c,
                     Py_ssize_t stride) noexcept nogil:
    cdef const Direct* form = <const Direct*>g.context
    cdef const Convolution* conv = &form.conv
    g.table.flat.store(rows, form.start + j0, columns, form.flat.pitch, conv.x.ow, c, stride,
                       conv.y.data + i0 * conv.y.channel, conv.y.channel, conv.y.row, conv.y.column)


cdef void set_direct(Direct* form, const Convolution* conv) noexcept nogil:
    cdef Product* g = &form.g
    cdef Py_ssize_t taps = conv.x.kh * conv.x.kw
    form.conv = conv[0]
    product_begin(g, conv.typenum, conv.outputs, 0, conv.channels * taps)
    g.table = conv.table
    g.a, g.a_row, g.a_k = conv.w.data, conv.w.output, step_of_rows(conv)
    if conv.bias != NULL:
        g.bias, g.start = conv.bias, START_ROW_BIAS
    g.activation = conv.activation
    if g.k > g.sum_block and taps <= SUM_BLOCK:      # a long sum: of whole channels, that all forms cut alike
        g.sum_block = SUM_BLOCK // taps * taps


cdef void set_runs(Direct* form, Py_ssize_t columns) noexcept nogil:
    # The product with so many places of an image.
    form.flat = flat_layout_of(&form.conv.x)
    form.g.n, form.g.pack_b, form.g.place, form.g.epilogue = columns, pack_runs, place_flat, store_flat
    form.g.k_unit = form.conv.x.kh * form.conv.x.kw
    form.g.unit_runs, form.g.run_extra = form.flat.phases_h * form.flat.phases_w, form.flat.extra
    product_plan(&form.g, 1)


cdef Py_ssize_t flat_blocks(const Convolution* conv) noexcept nogil:
    cdef Direct form
    set_direct(&form, conv)
    set_runs(&form, flat_layout_of(&conv.x).length)
    return ceil_div(form.g.n, form.g.column_block)


cdef void run_flat(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # One product for each group, image, band of its flat places and range of its outputs
    cdef const Direct* v = <const Direct*>context
    cdef Py_ssize_t task, band, row, i, j
    cdef Direct form
    cdef Product* g = &form.g
    for task in range(first, last):
        row, band = task % v.rows, task // v.rows % v.bands
        form = v[0]
        form.conv = group_of(&v.conv, task // v.rows // v.bands // v.conv.images)
        form.conv = image_of(&form.conv, task // v.rows // v.bands % v.conv.images)
        i, j = g.m * row // v.rows, v.flat.length * band // v.bands
        form.start, g.n = j, v.flat.length * (band + 1) // v.bands - j
        form.conv.y.data += i * form.conv.y.channel
        g.a, g.context = form.conv.w.data + i * g.a_row, &form
        if g.bias != NULL:
            g.bias = form.conv.bias + i * g.table.itemsize
        g.m = v.g.m * (row + 1) // v.rows - i
        product_serial(g, slot_of(&v.g.team, slot))


cdef void locate_taps(const Direct* form, Py_ssize_t* runs) noexcept nogil:
    # Where the row of B of each tap begins, channel by channel
    cdef const windows* x = &form.conv.x
    cdef const flat_layout* flat = &form.flat
    cdef Py_ssize_t taps = x.kh * x.kw, length = form.g.run_length, a, b, p
    for a in range(x.kh):
        for b in range(x.kw):
            runs[a * x.kw + b] = (a % flat.steps_h * flat.phases_w + b % flat.steps_w) * length
            runs[a * x.kw + b] += a * x.dh // x.sh * flat.pitch + b * x.dw // x.sw
    for p in range(taps, form.g.k_block):
        runs[p] = runs[p - taps] + form.g.unit_runs * length


cdef int flat_run(const Convolution* conv) except -1 nogil:
    cdef Direct form
    cdef Product* g = &form.g
    cdef Py_ssize_t tasks = conv.groups * conv.images, wanted
    cdef double work
    set_direct(&form, conv)
    form.flat = flat_layout_of(&conv.x)
    form.bands = form.rows = 1
    work = work_of(g.table, 2. * g.m * form.flat.length * g.k * tasks, <double>(g.m + g.k) * form.flat.length * tasks)
    wanted = 3 * threads_for(work, tasks * g.m * form.flat.length)
    if wanted > 3 and tasks < wanted:
        form.bands = max(1, min(ceil_div(wanted, tasks), form.flat.length // max(4 * g.table.lanes, 2 * form.flat.extra)))
        form.rows = max(1, min(ceil_div(wanted, tasks * form.bands), g.m // (2 * g.table.tile.rows)))
    tasks *= form.bands * form.rows
    set_runs(&form, ceil_div(form.flat.length, form.bands))
    team_begin(&g.team, work, tasks, <size_t>g.k_block * sizeof(Py_ssize_t), g.scratch_bytes)
    g.runs = <Py_ssize_t*>g.team.shared
    locate_taps(&form, <Py_ssize_t*>g.team.shared)
    team_run(&g.team, run_flat, &form, tasks, work)
    team_end()
    return 0


cdef int patches_run(const Convolution* conv) except -1 nogil:
    cdef Direct form
    cdef Convolution one
    cdef Py_ssize_t group
    for group in range(conv.groups):
        one = group_of(conv, group)
        set_direct(&form, &one)
        form.g.n = conv.images * conv.x.oh * conv.x.ow
        form.g.pack_b, form.g.place, form.g.epilogue, form.g.context = pack_patches, place, store, &form
        product_run(&form.g)
    return 0


cdef int planes_run(const Convolution* conv) except -1 nogil:
    cdef Direct form
    cdef Convolution one
    cdef Stack s
    cdef Py_ssize_t group
    for group in range(conv.groups):
        one = group_of(conv, group)
        set_direct(&form, &one)
        s.g = form.g
        s.a.axes, s.a.shape[0], s.a.strides[0], s.a.data = 1, conv.images, 0, one.w.data
        s.b.axes, s.b.shape[0], s.b.strides[0], s.b.data = 1, conv.images, conv.x.image_stride, <char*>one.x.x
        s.g.n, s.g.b_k, s.g.b_column = conv.x.h * conv.x.w, conv.x.channel_stride, s.g.table.itemsize
        s.g.c, s.g.c_row, s.c_bytes = one.y.data, one.y.channel, one.y.image
        stack_run(&s, conv.images)
    return 0
