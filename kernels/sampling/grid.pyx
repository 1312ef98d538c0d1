"""Images sampled at the places of a grid, and the gradients.

Images are read where they lie if columns or channels lie next to each other, else from a copy. Samples and the gradient of the
grid are made for a chunk of positions at a time. A task of the gradient of the images owns a group of channels in a band of
rows, and adds up all that the positions give to these, in their order, whatever the number of threads.
"""
cimport numpy as cnp
from libc.string cimport memset

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport (
    GRID_BORDER, GRID_REFLECTION, GRID_ZEROS, primitives, sampling,
)
from npkernels._kernels.runtime cimport (
    Team, primitives_for, slot_of, team_begin, team_end, team_run, threads_for, work_of,
)
from npkernels._kernels.scalars cimport ceil_div

cnp.import_array()

PADDINGS = {"zeros": GRID_ZEROS, "border": GRID_BORDER, "reflection": GRID_REFLECTION}
MOST_PIXELS = 1 << 30           # of a plane: their numbers and coordinates are 32 bits wide

cdef enum:
    FLOPS = 32                  # of a result, with its share of the places
    CHUNK = 512                 # positions of a task
    CHANNELS = 64               # of a task, where they are planes: more than enough for what all share
    TOGETHER = 4                # channels that lie side by side and still have positions in the lanes

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
    Py_ssize_t image                               # of x, in bytes
    Py_ssize_t grid_image, grid_line, dy_image, dy_line
    Py_ssize_t lines, positions                    # runs of positions a constant step apart in all arrays; of a run
    Py_ssize_t group, groups                       # of channels
    Py_ssize_t chunks, bands                       # of a run; of an image
    bint last                                      # channels of y or dx lie side by side
    Team team


cdef void run_forward(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A unit is a chunk of a run of positions of an image, for a group of channels.
    cdef const Walk* w = <const Walk*>context
    cdef sampling s = w.s
    cdef Py_ssize_t unit, run, image, start, line, channel, all_positions = w.lines * w.positions
    for unit in range(first, last):
        run, start = unit // w.chunks, unit % w.chunks * CHUNK
        image, line = run // (w.groups * w.lines), run % w.lines
        channel = run // w.lines % w.groups * w.group
        s.channels = min(w.group, w.channels - channel)
        w.table.grid.forward(
            &s, min(w.positions - start, <Py_ssize_t>CHUNK),
            w.grid + image * w.grid_image + line * w.grid_line + start * s.position, w.x + image * w.image + channel * s.channel,
            w.y + (image * w.channels * all_positions + channel * s.y_channel + (line * w.positions + start) * s.y_position)
            * w.table.itemsize)


cdef void run_places(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A unit is a chunk of a run of positions of an image.
    cdef const Walk* w = <const Walk*>context
    cdef Py_ssize_t unit, run, image, start, line
    for unit in range(first, last):
        run, start = unit // w.chunks, unit % w.chunks * CHUNK
        image, line = run // w.lines, run % w.lines
        w.table.grid_gradient.places(
            &w.s, min(w.positions - start, <Py_ssize_t>CHUNK),
            w.grid + image * w.grid_image + line * w.grid_line + start * w.s.position, w.x + image * w.image,
            w.dy + image * w.dy_image + line * w.dy_line + start * w.s.dy_position,
            w.dgrid + (run * w.positions + start) * 2 * w.table.itemsize)


cdef void move(const Walk* w, Py_ssize_t count, double* sums, char* to) noexcept nogil:
    # to = sums; sums = 0
    cdef Py_ssize_t start = 0, part
    while start < count:
        part = min(count - start, <Py_ssize_t>CHUNK)
        w.table.rows.narrow(part, sums + start, to + start * w.table.itemsize)
        memset(sums + start, 0, <size_t>part * sizeof(double))
        start += part


cdef void put_band(const Walk* w, const sampling* s, Py_ssize_t image, Py_ssize_t channel, double* sums) noexcept nogil:
    # The sums of a band are the rows of dx, and become 0 again.
    cdef Py_ssize_t plane = s.h * s.w, start = s.top * s.w, pixels = (s.bottom - s.top) * s.w, size = w.table.itemsize, i
    cdef char* dx = w.dx + image * w.channels * plane * size
    if w.last and s.channels == w.channels:
        move(w, pixels * s.channels, sums, dx + start * s.channels * size)
    elif w.last:
        for i in range(pixels):
            move(w, s.channels, sums + i * s.channels, dx + ((start + i) * w.channels + channel) * size)
    elif s.channels == w.table.lanes:
        w.table.grid_gradient.turn(pixels, sums, dx + (channel * plane + start) * size, plane)
        memset(sums, 0, <size_t>(pixels * s.channels) * sizeof(double))
    else:
        for i in range(s.channels):
            move(w, pixels, sums + i * pixels, dx + ((channel + i) * plane + start) * size)


cdef void run_images(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A unit is a band of rows of a group of channels of an image.
    cdef const Walk* w = <const Walk*>context
    cdef sampling s = w.s
    cdef Py_ssize_t unit, image, channel, line, pixels
    cdef double* sums = <double*>slot_of(&w.team, slot)
    s.line = s.w
    for unit in range(first, last):
        image, channel = unit // (w.groups * w.bands), unit // w.bands % w.groups * w.group
        s.channels = min(w.group, w.channels - channel)
        s.top, s.bottom = s.h * (unit % w.bands) // w.bands, s.h * (unit % w.bands + 1) // w.bands
        pixels = (s.bottom - s.top) * s.w
        if w.last or s.channels == w.table.lanes:
            s.sum_pixel, s.sum_channel = s.channels, 1
        else:
            s.sum_pixel, s.sum_channel = 1, pixels
        for line in range(w.lines):
            w.table.grid_gradient.image(
                &s, w.positions, w.grid + image * w.grid_image + line * w.grid_line,
                w.dy + image * w.dy_image + channel * s.dy_channel + line * w.dy_line, sums)
        put_band(w, &s, image, channel, sums)


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
        w.dy, w.dy_image, w.dy_line = <const char*>cnp.PyArray_DATA(dy), d[0], d[2]
        w.s.dy_position, w.s.dy_channel = d[3], d[1]
        flat = flat and d[2] == shape[2] * d[3]
    w.lines = 1 if flat else shape[1]
    w.positions = shape[1] * shape[2] if flat else shape[2]
    w.chunks = ceil_div(w.positions, CHUNK)


cdef Py_ssize_t line_of(const cnp.npy_intp* s, Py_ssize_t h) noexcept:
    # Pixels from a row to the next one, 0 where that is no whole number, or so large that the number of a pixel, rows beyond the
    # image included, takes more than 30 bits.
    cdef Py_ssize_t line = s[2] // s[3] if s[3] != 0 and s[2] % s[3] == 0 else 0
    return line if abs(line) < (1 << 30) // (h + 3) - 1 else 0


cdef bint lies_last(cnp.ndarray images) noexcept:
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(images)
    return cnp.PyArray_DIM(images, 1) > 1 and cnp.PyArray_STRIDE(images, 1) == size != cnp.PyArray_STRIDE(images, 3)


cdef cnp.ndarray readable(cnp.ndarray x, bint last):
    # x, or a copy whose channels lie next to each other if `last` or if there is but one column, else its columns.
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(x)
    cdef cnp.npy_intp s[4]
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    read_strides(x, s)
    if line_of(s, shape[2]) != 0 or shape[2] == 1:
        if s[1] == size and shape[1] > 1 or s[3] == size and shape[3] > 1:
            return x
    return x.transpose(0, 2, 3, 1).copy(order="C").transpose(0, 3, 1, 2) if last or shape[3] == 1 else x.copy(order="C")


cdef void set_images(Walk* w, cnp.ndarray x):
    # x is readable.
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(x)
    cdef cnp.npy_intp s[4]
    read_strides(x, s)
    w.table = primitives_for(cnp.PyArray_TYPE(x))
    w.x, w.channels = <const char*>cnp.PyArray_DATA(x), shape[1]
    w.s.h, w.s.w, w.s.top, w.s.bottom = shape[2], shape[3], 0, shape[2]
    w.image, w.s.channel, w.s.pixel, w.s.line = s[0], s[1], s[3], line_of(s, shape[2])
    if w.s.w > 1 and s[3] == w.table.itemsize:
        w.s.together = 1
    elif 1 < w.channels <= TOGETHER and s[3] == w.channels * s[1] and w.s.w > 1:
        w.s.together = w.channels
    else:
        w.s.together = 0
    w.s.channels = w.channels


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
    x = readable(x, lies_last(y))
    set_images(&w, x)
    set_grid(&w, grid, None)
    set_space(&w, nearest, padding, align_corners)
    w.y, w.last = <char*>cnp.PyArray_DATA(y), lies_last(y)
    w.s.y_position = w.channels if w.last else 1
    w.s.y_channel = 1 if w.last else cnp.PyArray_DIM(y, 2) * cnp.PyArray_DIM(y, 3)
    w.group = min(w.channels, <Py_ssize_t>CHANNELS) if w.s.together == 1 else w.channels
    w.groups = ceil_div(w.channels, w.group)
    work = work_of(w.table, <double>FLOPS * cnp.PyArray_SIZE(y), cnp.PyArray_NBYTES(y) + cnp.PyArray_NBYTES(x))
    units = w.images * w.groups * w.lines * w.chunks
    team_begin(&w.team, work, units, 0, 0)
    with nogil:
        team_run(&w.team, run_forward, &w, units, work)
    team_end()


cdef int grid_gradient(Walk* w, double work) except -1:
    cdef Py_ssize_t units = w.images * w.lines * w.chunks
    team_begin(&w.team, work, units, 0, 0)
    with nogil:
        team_run(&w.team, run_places, w, units, work)
    team_end()
    return 0


cdef int image_gradient(Walk* w, double work) except -1:
    # Where there are fewer images and groups than threads, these share the rows.
    cdef Py_ssize_t units, rows
    w.group = min(w.channels, w.table.lanes) if w.last or w.channels >= w.table.lanes else 1
    w.groups = ceil_div(w.channels, w.group)
    units = w.images * w.groups
    w.bands = max(min(ceil_div(threads_for(work, units * w.s.h), units), w.s.h), <Py_ssize_t>1)
    rows = ceil_div(w.s.h, w.bands)
    units *= w.bands
    team_begin(&w.team, work, units, 0, <size_t>(rows * w.s.w * w.group) * sizeof(double))
    with nogil:
        memset(w.team.slots, 0, <size_t>w.team.threads * w.team.slot_bytes)
        team_run(&w.team, run_images, w, units, work)
    team_end()
    return 0


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
    if dgrid is not None and (nearest or cnp.PyArray_SIZE(dy) == 0):
        dgrid.fill(0)
        dgrid = None
    if dx is not None and cnp.PyArray_SIZE(dy) == 0:
        dx.fill(0)
        dx = None
    if dgrid is not None:
        x = readable(x, False)
    set_images(&w, x)
    set_grid(&w, grid, dy)
    set_space(&w, nearest, padding, align_corners)
    work = work_of(w.table, <double>FLOPS * cnp.PyArray_SIZE(dy), cnp.PyArray_NBYTES(dy) + cnp.PyArray_NBYTES(x))
    if dgrid is not None:
        w.dgrid = <char*>cnp.PyArray_DATA(dgrid)
        grid_gradient(&w, work)
    if dx is not None:
        w.dx, w.last = <char*>cnp.PyArray_DATA(dx), lies_last(dx)
        image_gradient(&w, 2 * work)


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
