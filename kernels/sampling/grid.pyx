"""Images sampled at the places of a grid, and the gradients.

Channels lie in the lanes. Where they lie next to each other in x, it is read in place and positions are the tasks; other images
are copied, a group of channels at a time, and images and groups are the tasks. So they are in the gradients: a task adds up all
that the positions of an image give to a group of channels, in their order, whatever the number of threads.
"""
cimport numpy as cnp
from libc.string cimport memcpy, memset

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport (
    GRID_BORDER, GRID_REFLECTION, GRID_ZEROS, primitives, sampling,
)
from npkernels._kernels.runtime cimport (
    Team, primitives_for, slot_of, team_begin, team_end, team_run, work_of,
)
from npkernels._kernels.scalars cimport ceil_div, round_to_line

cnp.import_array()

PADDINGS = {"zeros": GRID_ZEROS, "border": GRID_BORDER, "reflection": GRID_REFLECTION}
MOST_PIXELS = 1 << 30           # of a plane: their numbers and coordinates are 32 bits wide

cdef enum:
    FLOPS = 16                  # of a result, with its share of the places
    GROUP_BYTES = 1 << 18       # of the copy of an image: it stays in L2
    CHUNK = 512                 # positions of a task

cdef struct Walk:
    const primitives* table
    sampling s
    const char* x
    const char* grid
    const char* dy
    char* y
    char* dx
    char* dgrid
    Py_ssize_t images, channels
    Py_ssize_t image, channel, row, column         # of x, in bytes
    Py_ssize_t grid_image, grid_line, dy_image, dy_channel, dy_line
    Py_ssize_t lines, positions                    # runs of positions a constant step apart in all arrays; of a run
    Py_ssize_t group, groups, chunks
    bint in_place, last                            # x is read in place; channels of y and dx lie side by side, too
    size_t image_bytes                             # of a copy of a group
    char* sums                                     # (images, groups, positions, 2), if there are groups and dgrid is wanted
    Team team


cdef void pack_image(const Walk* w, const char* x, Py_ssize_t channels, char* to) noexcept nogil:
    # to[pixel, channel]
    cdef Py_ssize_t i
    if w.row == w.s.w * w.column:
        w.table.pack.rows(w.s.h * w.s.w, channels, x, w.column, w.channel, to)
        return
    for i in range(w.s.h):
        w.table.pack.rows(w.s.w, channels, x + i * w.row, w.column, w.channel, to + i * w.s.w * channels * w.table.itemsize)


cdef void run_positions(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A unit is a chunk of a run of positions of an image.
    cdef const Walk* w = <const Walk*>context
    cdef Py_ssize_t unit, run, image, start, line, all_positions = w.lines * w.positions
    for unit in range(first, last):
        run, start = unit // w.chunks, unit % w.chunks * CHUNK
        image, line = run // w.lines, run % w.lines
        w.table.grid.forward(
            &w.s, min(w.positions - start, <Py_ssize_t>CHUNK),
            w.grid + image * w.grid_image + line * w.grid_line + start * w.s.position, w.x + image * w.image,
            w.y + (image * w.channels * all_positions + (line * w.positions + start) * w.s.y_position) * w.table.itemsize)


cdef const char* image_of(const Walk* w, sampling* s, Py_ssize_t image, Py_ssize_t channel, char* copy) noexcept nogil:
    # Where a group of channels of x lies, or its copy, and how many they are.
    cdef const char* x = w.x + image * w.image + channel * w.channel
    s.channels = min(w.group, w.channels - channel)
    if w.in_place:
        return x
    s.pixel = s.channels * w.table.itemsize
    pack_image(w, x, s.channels, copy)
    return copy


cdef void run_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Walk* w = <const Walk*>context
    cdef sampling s = w.s
    cdef Py_ssize_t unit, image, channel, line
    cdef const char* x
    cdef char* y
    for unit in range(first, last):
        image, channel = unit // w.groups, unit % w.groups * w.group
        x = image_of(w, &s, image, channel, slot_of(&w.team, slot))
        y = w.y + (image * w.channels * w.lines * w.positions + channel * s.y_channel) * w.table.itemsize
        for line in range(w.lines):
            w.table.grid.forward(&s, w.positions, w.grid + image * w.grid_image + line * w.grid_line, x,
                                 y + line * w.positions * s.y_position * w.table.itemsize)


cdef void run_gradients(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Walk* w = <const Walk*>context
    cdef sampling s = w.s
    cdef Py_ssize_t unit, image, channel, line, i, size = w.table.itemsize, pixels = s.h * s.w
    cdef bint turned = w.dx != NULL and not w.last
    cdef char* dx = slot_of(&w.team, slot) if turned else NULL
    cdef char* copy = slot_of(&w.team, slot) + (w.image_bytes if turned else 0)
    cdef char* dgrid = NULL
    cdef const char* x = NULL
    cdef const char* dy
    for unit in range(first, last):
        image, channel = unit // w.groups, unit % w.groups * w.group
        s.channels = min(w.group, w.channels - channel)
        if w.dgrid != NULL:
            x = image_of(w, &s, image, channel, copy)
            dgrid = w.sums if w.sums != NULL else w.dgrid
            dgrid += unit * w.lines * w.positions * 2 * size
        s.dx_pixel = w.channels if w.last else s.channels
        if turned:
            memset(dx, 0, <size_t>(pixels * s.channels * size))
        elif w.dx != NULL:
            dx = w.dx + (image * pixels * w.channels + channel) * size
            for i in range(pixels):
                memset(dx + i * w.channels * size, 0, <size_t>(s.channels * size))
        dy = w.dy + image * w.dy_image + channel * w.dy_channel
        for line in range(w.lines):
            w.table.grid.backward(&s, w.positions, w.grid + image * w.grid_image + line * w.grid_line, x,
                                  dy + line * w.dy_line, dx, dgrid)
            if dgrid != NULL:
                dgrid += w.positions * 2 * size
        if turned:
            w.table.pack.transpose(pixels, s.channels, dx, s.channels, w.dx + (image * w.channels + channel) * pixels * size,
                                   pixels)


cdef void run_sums(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # dgrid of an image: the sums of its groups, in their order
    cdef const Walk* w = <const Walk*>context
    cdef Py_ssize_t image, group, count = w.lines * w.positions * 2
    cdef size_t bytes = <size_t>(count * w.table.itemsize)
    cdef char* to
    cdef const char* sums
    for image in range(first, last):
        to, sums = w.dgrid + image * bytes, w.sums + image * w.groups * bytes
        memcpy(to, sums, bytes)
        for group in range(1, w.groups):
            w.table.rows.add(count, sums + group * bytes, to)


cdef void set_grid(Walk* w, cnp.ndarray grid, cnp.ndarray dy):
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(grid)
    cdef cnp.npy_intp s[4]
    cdef cnp.npy_intp d[4]
    cdef bint flat
    read_strides(grid, s)
    w.images, w.grid = shape[0], <const char*>cnp.PyArray_DATA(grid)
    w.grid_image, w.grid_line, w.s.position, w.s.coordinate = s[0], s[1], s[2], s[3]
    flat = s[1] == shape[2] * s[2]
    if dy is not None:
        read_strides(dy, d)
        w.dy, w.dy_image, w.dy_channel, w.dy_line = <const char*>cnp.PyArray_DATA(dy), d[0], d[1], d[2]
        w.s.dy_position, w.s.dy_channel = d[3], d[1]
        flat = flat and d[2] == shape[2] * d[3]
    w.lines = 1 if flat else shape[1]
    w.positions = shape[1] * shape[2] if flat else shape[2]


cdef void set_images(Walk* w, cnp.ndarray x):
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(x)
    cdef cnp.npy_intp s[4]
    cdef Py_ssize_t size, lanes, line = 0
    read_strides(x, s)
    w.table = primitives_for(cnp.PyArray_TYPE(x))
    size, lanes = w.table.itemsize, w.table.lanes
    w.x, w.channels = <const char*>cnp.PyArray_DATA(x), shape[1]
    w.image, w.channel, w.row, w.column = s[0], s[1], s[2], s[3]
    w.s.h, w.s.w = shape[2], shape[3]
    w.in_place = w.column != 0 and w.row % w.column == 0 and (w.channels <= 1 or w.channel == size)
    if w.in_place:
        line = w.row // w.column
        w.in_place = -most_line(w) < line < most_line(w)
    w.s.line, w.s.pixel, w.s.channels = line if w.in_place else w.s.w, w.column, w.channels
    w.group = GROUP_BYTES // size // (w.s.h * w.s.w) // lanes * lanes
    w.group = max(min(min(w.group, 8 * lanes), w.channels), min(w.channels, lanes))
    w.groups = ceil_div(w.channels, max(w.group, <Py_ssize_t>1))
    w.image_bytes = round_to_line(<size_t>(w.s.h * w.s.w) * <size_t>w.group * <size_t>size)


cdef inline Py_ssize_t most_line(const Walk* w) noexcept:
    # so that no pixel's number, rows beyond the image included, takes more than 30 bits
    return (1 << 30) // (w.s.h + 3) - 1


cdef bint lies_last(const Walk* w, cnp.ndarray result) noexcept:
    return w.channels > 1 and cnp.PyArray_STRIDE(result, 1) == w.table.itemsize and w.channel == w.table.itemsize


cdef void set_space(Walk* w, bint nearest, int padding, bint align_corners):
    w.s.nearest, w.s.padding, w.s.align_corners = nearest, padding, align_corners


def forward(
    cnp.ndarray x,            # IN (n, c, h, w)
    cnp.ndarray grid,         # IN (n, oh, ow, 2)
    cnp.ndarray y,            # OUT (n, c, oh, ow), C-contiguous, or (n, oh, ow, c) is
    bint nearest,
    int padding,              # one of PADDINGS
    bint align_corners,
):
    # y[n, c, i, j] = x[n, c] between the pixels at grid[n, i, j]
    cdef Walk w
    cdef double work
    cdef Py_ssize_t units
    if cnp.PyArray_SIZE(y) == 0:
        return
    set_images(&w, x)
    set_grid(&w, grid, None)
    set_space(&w, nearest, padding, align_corners)
    w.y, w.last = <char*>cnp.PyArray_DATA(y), lies_last(&w, y)
    w.s.y_position = w.channels if w.last else 1
    w.s.y_channel = 1 if w.last else cnp.PyArray_DIM(y, 2) * cnp.PyArray_DIM(y, 3)
    w.chunks = ceil_div(w.positions, CHUNK)
    work = work_of(w.table, <double>FLOPS * cnp.PyArray_SIZE(y), cnp.PyArray_NBYTES(y) + cnp.PyArray_NBYTES(x))
    units = w.images * w.lines * w.chunks if w.in_place else w.images * w.groups
    team_begin(&w.team, work, units, 0, 0 if w.in_place else w.image_bytes)
    with nogil:
        if w.in_place:
            team_run(&w.team, run_positions, &w, units, work)
        else:
            team_run(&w.team, run_groups, &w, units, work)
    team_end()


def backward(
    cnp.ndarray dy,           # IN (n, c, oh, ow)
    cnp.ndarray x,            # IN (n, c, h, w)
    cnp.ndarray grid,         # IN (n, oh, ow, 2)
    cnp.ndarray dx,           # OUT shape of x, C-contiguous, or (n, h, w, c) is, or None
    cnp.ndarray dgrid,        # OUT shape of grid, C-contiguous, or None
    bint nearest,
    int padding,
    bint align_corners,
):
    # The adjoint of `forward` in x, and its derivative by grid.
    cdef Walk w
    cdef double work
    cdef Py_ssize_t units
    cdef size_t sums = 0
    if cnp.PyArray_SIZE(dy) == 0:
        for result in (dx, dgrid):
            if result is not None:
                result.fill(0)
        return
    set_images(&w, x)
    set_grid(&w, grid, dy)
    set_space(&w, nearest, padding, align_corners)
    w.dx = <char*>cnp.PyArray_DATA(dx) if dx is not None else NULL
    w.dgrid = <char*>cnp.PyArray_DATA(dgrid) if dgrid is not None else NULL
    w.last = dx is not None and lies_last(&w, dx)
    units = w.images * w.groups
    if w.dgrid != NULL and w.groups > 1:
        sums = <size_t>units * <size_t>(w.lines * w.positions) * 2 * <size_t>w.table.itemsize
    work = work_of(w.table, <double>(3 * FLOPS) * cnp.PyArray_SIZE(dy), cnp.PyArray_NBYTES(dy) + 2 * cnp.PyArray_NBYTES(x))
    team_begin(&w.team, work, units, sums,
               (w.image_bytes if w.dx != NULL and not w.last else 0)
               + (w.image_bytes if w.dgrid != NULL and not w.in_place else 0))
    w.sums = w.team.shared if sums else NULL
    with nogil:
        team_run(&w.team, run_gradients, &w, units, work)
        if sums:
            team_run(&w.team, run_sums, &w, w.images, work / 16)
    team_end()


def affine(
    cnp.ndarray theta,        # IN (n, 2, 3)
    cnp.ndarray columns,      # IN (ow, 2), C-contiguous: the coordinate of a column, twice
    cnp.ndarray lines,        # IN (oh,), float64, C-contiguous: that of a row
    cnp.ndarray grid,         # OUT (n, oh, ow, 2), C-contiguous
):
    # grid[n, i, j, k] = theta[n, k, 0] column j + theta[n, k, 1] row i + theta[n, k, 2]
    cdef const primitives* table = primitives_for(cnp.PyArray_TYPE(theta))
    cdef Py_ssize_t n, i, k, height = cnp.PyArray_DIM(grid, 1), width = cnp.PyArray_DIM(grid, 2)
    cdef const double* line = <const double*>cnp.PyArray_DATA(lines)
    cdef char* to = <char*>cnp.PyArray_DATA(grid)
    cdef cnp.ndarray wide = theta.astype("float64", order="C")
    cdef const double* t = <const double*>cnp.PyArray_DATA(wide)
    cdef double start[2]
    cdef double slope[2]
    with nogil:
        for n in range(cnp.PyArray_DIM(grid, 0)):
            for i in range(height):
                for k in range(2):
                    slope[k] = t[6 * n + 3 * k]
                    start[k] = t[6 * n + 3 * k + 1] * line[i] + t[6 * n + 3 * k + 2]
                table.grid.affine(width, cnp.PyArray_DATA(columns), slope, start, to)
                to += 2 * width * table.itemsize
