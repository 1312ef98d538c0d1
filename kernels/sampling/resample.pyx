"""Images of another size by lists of taps (axes.pyx): interpolation, padding, and their gradients.

Units of work are rows of the result, which depend on the input alone, so that any split into tasks gives the same bits. Planes
whose columns are contiguous are read in place, and so are channels that lie next to each other, which then lie in the lanes;
those of the result do, too. Few of them, without a gap, make a row of numbers, which are columns of their own. Other planes are
gathered first. Planes of a few pixels are turned, so that channels lie in the lanes, and back.
"""
cimport numpy as cnp
from libc.stdint cimport int32_t
from libc.string cimport memcpy

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport column_group, primitives, resampling, pixel_list
from npkernels._kernels.runtime cimport (
    Team, empty_array, primitives_for, slot_of, team_begin, team_end, team_run, work_of,
)
from npkernels._kernels.scalars cimport ceil_div, put, real_at, round_to_line

cnp.import_array()

cdef enum:
    LINE_BYTES = 1 << 15                    # of channels side by side that are combined at once
    FEW = 256                               # pixels of a plane that is turned
    FAR = (<unsigned int>-1) >> 1           # bytes that an offset reaches

cdef enum:
    IN_PLACE                                # columns are contiguous
    GATHERED                                # planes are copied first
    ADJACENT                                # channels lie next to each other, in x and in y
    TURNED                                  # a group of planes is copied, so that they do
    ALONE                                   # a channel at a time, its columns any step apart

cdef struct Walk:
    const primitives* table
    resampling r
    int form
    const char* x
    char* y
    Py_ssize_t channels, height, rows       # of x, of y
    Py_ssize_t image, channel, row, column  # bytes
    Py_ssize_t group, groups                # channels of a unit, units of a row of an image
    size_t line_bytes
    Team team


cdef void set_list(pixel_list* to, tuple taps):
    to.start, to.pixel = <const Py_ssize_t*>cnp.PyArray_DATA(taps[0]), <const Py_ssize_t*>cnp.PyArray_DATA(taps[1])
    to.weight = cnp.PyArray_DATA(taps[2])


cdef void measure(const pixel_list* taps, Py_ssize_t first, Py_ssize_t last, column_group* g, Py_ssize_t* span) noexcept nogil:
    # Of results first .. last: the most taps, the first pixel that they see, and how many from there to the last one.
    cdef Py_ssize_t i, t, most = -1
    g.taps, g.base = 0, 0
    for i in range(first, last):
        g.taps = max(g.taps, taps.start[i + 1] - taps.start[i])
        for t in range(taps.start[i], taps.start[i + 1]):
            g.base = taps.pixel[t] if most < 0 else min(g.base, taps.pixel[t])
            most = max(most, taps.pixel[t])
    span[0] = most + 1 - g.base


cdef bint is_copy(const Walk* w, const pixel_list* taps, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    # Whether results first .. last are neighbouring pixels.
    cdef Py_ssize_t i, t, pixel = 0
    for i in range(first, last):
        t = taps.start[i]
        if i == first and taps.start[i + 1] > t:
            pixel = taps.pixel[t] - i
        if taps.start[i + 1] - t != 1 or taps.pixel[t] - i != pixel or real_at(w.table, <const char*>taps.weight, t) != 1:
            return False
    return True


cdef tuple vector_lists(Walk* w, const pixel_list* taps):
    """The taps of vectors of columns, as memory that lasts while the tuple does; None if columns lie too far apart."""
    cdef Py_ssize_t lanes = w.table.lanes, size = w.table.itemsize, pieces = w.table.resample.pieces, columns = w.r.columns
    cdef cnp.npy_intp count = ceil_div(columns, lanes), bytes = count * sizeof(column_group), entries = 0
    cdef Py_ssize_t q, j, span, room
    cdef cnp.ndarray groups = empty_array(1, &bytes, cnp.NPY_INT8), offsets, weights, masks
    cdef column_group* g = <column_group*>cnp.PyArray_DATA(groups)
    for q in range(count):
        measure(taps, q * lanes, min((q + 1) * lanes, columns), g + q, &span)
        if span * size > FAR:
            return None
        room = max(w.r.width - pieces, <Py_ssize_t>0)
        if pieces and g[q].taps and span + max(g[q].base - room, <Py_ssize_t>0) <= pieces:
            g[q].base, g[q].near = min(g[q].base, room), True
        else:
            g[q].near = False
        g[q].first = entries
        entries += g[q].taps
        g[q].copies = is_copy(w, taps, q * lanes, min((q + 1) * lanes, columns))
    for q in range(count - 1, -1, -1):
        if g[q].copies:
            g[q].base = taps.pixel[taps.start[q * lanes]]
            if q + 1 < count and g[q + 1].copies and g[q + 1].base == g[q].base + lanes:
                g[q].copies += g[q + 1].copies
    masks = empty_array(1, &entries, cnp.NPY_INT32)
    entries *= lanes
    offsets = empty_array(1, &entries, cnp.NPY_INT32)
    weights = empty_array(1, &entries, cnp.NPY_FLOAT32 if size == sizeof(float) else cnp.NPY_FLOAT64)
    for j in range(count * lanes):
        put_lane(w, taps, j, g + j // lanes, <int32_t*>cnp.PyArray_DATA(offsets), <char*>cnp.PyArray_DATA(weights),
                 <int32_t*>cnp.PyArray_DATA(masks))
    w.r.groups, w.r.offsets = g, <const int32_t*>cnp.PyArray_DATA(offsets)
    w.r.weights, w.r.masks = cnp.PyArray_DATA(weights), <const int32_t*>cnp.PyArray_DATA(masks)
    return groups, offsets, weights, masks


cdef void put_lane(const Walk* w, const pixel_list* taps, Py_ssize_t j, const column_group* g, int32_t* offsets, char* weights,
                   int32_t* masks) noexcept nogil:
    cdef Py_ssize_t lanes = w.table.lanes, lane = j % lanes, t, e, start = 0, count = 0
    cdef double weight
    if j < w.r.columns:
        start = taps.start[j]
        count = taps.start[j + 1] - start
    for t in range(g.taps):
        e = (g.first + t) * lanes + lane
        if lane == 0:
            masks[g.first + t] = 0
        offsets[e], weight = 0, -0. if t else 0.         # 0 times -0 changes no sum
        if t < count:
            offsets[e] = <int32_t>((taps.pixel[start + t] - g.base) * w.table.itemsize)
            masks[g.first + t] |= 1 << lane
            weight = real_at(w.table, <const char*>taps.weight, start + t)
        put(w.table, weights, e, weight)


cdef void run_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Walk* w = <const Walk*>context
    cdef Py_ssize_t plane, i, count, size = w.table.itemsize
    cdef const char* x
    cdef char* line = slot_of(&w.team, slot)
    while first < last:
        plane, i = first // w.rows, first % w.rows
        count = min(last - first, w.rows - i)
        x = w.x + plane // w.channels * w.image + plane % w.channels * w.channel
        w.table.resample.plane(&w.r, x, w.row, i, i + count, line, w.y + first * w.r.columns * size)
        first += count


cdef void run_gathered(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Walk* w = <const Walk*>context
    cdef Py_ssize_t plane, size = w.table.itemsize
    cdef char* line = slot_of(&w.team, slot)
    cdef char* copy = line + w.line_bytes
    cdef const char* x
    for plane in range(first, last):
        x = w.x + plane // w.channels * w.image + plane % w.channels * w.channel
        w.table.pack.rows(w.height, w.r.width, x, w.row, w.column, copy)
        w.table.resample.plane(&w.r, copy, w.r.width * size, 0, w.rows, line, w.y + plane * w.rows * w.r.columns * size)


cdef void run_images(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A unit is a row of a group of channels of an image.
    cdef const Walk* w = <const Walk*>context
    cdef Py_ssize_t part, i, count, image, channel, plane = w.rows * w.r.columns, pitch = w.channels, to
    cdef const char* x
    while first < last:
        part, i = first // w.rows, first % w.rows
        count = min(last - first, w.rows - i)
        image, channel = part // w.groups, part % w.groups * w.group
        x = w.x + image * w.image + channel * w.channel
        to = (image * plane + i * w.r.columns) * w.channels + channel
        if w.form == ALONE:
            to, pitch = first * w.r.columns, 1
        w.table.resample.image(&w.r, x, w.row, w.column, min(w.group, w.channels - channel), i, i + count,
                               slot_of(&w.team, slot), w.y + to * w.table.itemsize, pitch)
        first += count


cdef void run_turned(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A unit is a group of channels of an image.
    cdef const Walk* w = <const Walk*>context
    cdef Py_ssize_t unit, image, channel, channels, i, size = w.table.itemsize, plane = w.rows * w.r.columns
    cdef char* line = slot_of(&w.team, slot)
    cdef char* copy = line + w.line_bytes
    cdef char* made = copy + w.height * w.r.width * w.group * size
    cdef const char* x
    for unit in range(first, last):
        image, channel = unit // w.groups, unit % w.groups * w.group
        channels = min(w.group, w.channels - channel)
        x = w.x + image * w.image + channel * w.channel
        if w.row == w.r.width * w.column:
            w.table.pack.rows(w.height * w.r.width, channels, x, w.column, w.channel, copy)
        else:
            for i in range(w.height):
                w.table.pack.rows(w.r.width, channels, x + i * w.row, w.column, w.channel,
                                  copy + i * w.r.width * channels * size)
        w.table.resample.image(&w.r, copy, w.r.width * channels * size, channels * size, channels, 0, w.rows, line, made,
                               channels)
        w.table.pack.transpose(plane, channels, made, channels, w.y + (image * w.channels + channel) * plane * size, plane)


cdef tuple together(tuple taps, Py_ssize_t channels):
    """The list of the columns of channels that lie side by side, which are columns of their own."""
    cdef const Py_ssize_t* from_start = <const Py_ssize_t*>cnp.PyArray_DATA(taps[0])
    cdef const Py_ssize_t* from_pixel = <const Py_ssize_t*>cnp.PyArray_DATA(taps[1])
    cdef cnp.npy_intp columns = cnp.PyArray_DIM(taps[0], 0) - 1, starts = columns * channels + 1
    cdef cnp.npy_intp entries = from_start[columns] * channels
    cdef cnp.ndarray made_start = empty_array(1, &starts, cnp.NPY_INTP), made_pixel = empty_array(1, &entries, cnp.NPY_INTP)
    cdef cnp.ndarray made_weight = empty_array(1, &entries, cnp.PyArray_TYPE(taps[2]))
    cdef Py_ssize_t* start = <Py_ssize_t*>cnp.PyArray_DATA(made_start)
    cdef Py_ssize_t* pixel = <Py_ssize_t*>cnp.PyArray_DATA(made_pixel)
    cdef char* weight = <char*>cnp.PyArray_DATA(made_weight)
    cdef const char* from_weight = <const char*>cnp.PyArray_DATA(taps[2])
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(taps[2]), j, k, t, made = 0
    start[0] = 0
    for j in range(columns):
        for k in range(channels):
            for t in range(from_start[j], from_start[j + 1]):
                pixel[made] = from_pixel[t] * channels + k
                memcpy(weight + made * size, from_weight + t * size, size)
                made += 1
            start[j * channels + k + 1] = made
    return made_start, made_pixel, made_weight


cdef bint merges(const Walk* w, cnp.ndarray y) noexcept:
    # Whether a row of few channels is a row of numbers without gaps, in x and in y.
    cdef Py_ssize_t size = w.table.itemsize, pixel = w.channels * size
    return (1 < w.channels < w.table.lanes and w.channel == size and w.column == pixel and cnp.PyArray_STRIDE(y, 1) == size
            and cnp.PyArray_STRIDE(y, 3) == pixel)


cdef bint copies(const Walk* w) noexcept:
    # Whether rows of y are parts of rows of x.
    return w.r.rows.start[w.rows] <= w.rows and w.r.groups.copies * w.table.lanes >= w.r.columns


cdef void plan(Walk* w, cnp.ndarray y, bint near) noexcept:
    cdef Py_ssize_t size = w.table.itemsize, lanes = w.table.lanes, plane = w.rows * w.r.columns
    w.group = 1
    if w.channels > 1 and w.channel == size and cnp.PyArray_STRIDE(y, 1) == size:
        w.form, w.group = ADJACENT, w.channels
        if w.group * w.r.width > LINE_BYTES // size:
            w.group = min(w.group, max(LINE_BYTES // size // max(w.r.width, <Py_ssize_t>1) // lanes, <Py_ssize_t>1) * lanes)
    elif max(plane, w.height * w.r.width) <= FEW and 2 * w.channels >= lanes and not (near and copies(w)):
        w.form, w.group = TURNED, min(w.channels, lanes)
    elif not near:
        w.form = ALONE
    else:
        w.form = IN_PLACE if w.column == size else GATHERED
    w.groups = ceil_div(w.channels, w.group)
    w.line_bytes = round_to_line(<size_t>(w.r.width * w.group + w.table.resample.pieces) * <size_t>size)


def resample(
    cnp.ndarray x,            # IN (n, c, h, w)
    cnp.ndarray y,            # OUT (n, c, oh, ow), C-contiguous, or (n, oh, ow, c) is
    tuple rows,               # the taps of the oh rows, and
    tuple columns,            # of the ow columns (axes.pyx), weights of the dtype of x
    double fill,              # where there is no tap
):
    # y[n, c, i, j] = sum over the taps b of column j of v[b] (sum over the taps a of row i of u[a] x[n, c, row a, column b])
    cdef Walk w
    cdef cnp.npy_intp s[4]
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(x)
    cdef double work, taps
    cdef size_t copy = 0
    cdef Py_ssize_t units
    if cnp.PyArray_SIZE(y) == 0:
        return
    read_strides(x, s)
    w.table = primitives_for(cnp.PyArray_TYPE(x))
    w.x, w.y = <const char*>cnp.PyArray_DATA(x), <char*>cnp.PyArray_DATA(y)
    w.image, w.channel, w.row, w.column = s[0], s[1], s[2], s[3]
    w.channels, w.height, w.r.width = shape[1], shape[2], shape[3]
    w.rows, w.r.columns, w.r.fill = cnp.PyArray_DIM(y, 2), cnp.PyArray_DIM(y, 3), fill
    set_list(&w.r.rows, rows)
    if merges(&w, y):
        columns = together(columns, w.channels)
        w.r.width, w.r.columns, w.channels, w.column = w.r.width * w.channels, w.r.columns * w.channels, 1, w.channel
    set_list(&w.r.across, columns)
    kept = vector_lists(&w, &w.r.across)
    plan(&w, y, kept is not None)
    if w.form == GATHERED:
        copy = <size_t>w.height * <size_t>w.r.width * <size_t>w.table.itemsize
    elif w.form == TURNED:
        copy = <size_t>((w.height * w.r.width + w.rows * w.r.columns) * w.group * w.table.itemsize)
    taps = <double>w.r.across.start[w.r.columns] / w.r.columns + <double>w.r.rows.start[w.rows] / w.rows
    work = work_of(w.table, 2 * taps * cnp.PyArray_SIZE(y), cnp.PyArray_NBYTES(y) + cnp.PyArray_NBYTES(x))
    units = shape[0] * w.groups * (1 if w.form == GATHERED or w.form == TURNED else w.rows)
    team_begin(&w.team, work, units, 0, w.line_bytes + copy)
    with nogil:
        if w.form == GATHERED:
            team_run(&w.team, run_gathered, &w, units, work)
        elif w.form == TURNED:
            team_run(&w.team, run_turned, &w, units, work)
        elif w.form == IN_PLACE:
            team_run(&w.team, run_planes, &w, units, work)
        else:
            team_run(&w.team, run_images, &w, units, work)
    team_end()
