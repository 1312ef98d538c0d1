"""Adaptive pooling: windows that share out the axes of a plane.

Rows are folded into lines, then pixels of lines into windows, with something in the lanes that never meets: the planes of a
group, where they are small and are turned; channels, where they lie next to each other; else lines of windows, each folded where
its plane lies, and then turned. What a window is made of comes in one order in all of them.
"""
cimport numpy as cnp

from npkernels._kernels.axis cimport interval
from npkernels._kernels.equal_parts cimport (
    TURNED_VECTORS, Turn, adaptive_work, is_turned, load_turned, longest, set_turn, set_windows, turned_planes,
)
from npkernels._kernels.planes cimport Planes, plane_at, set_planes
from npkernels._kernels.primitives cimport primitives
from npkernels._kernels.runtime cimport Team, primitives_for, slot_of, task_fn, team_begin, team_end, team_run
from npkernels._kernels.scalars cimport ceil_div, odd_lines, put, round_to_line, round_up

cnp.import_array()

cdef enum:
    # None of these was fitted.
    LINE_ELEMENTS = 1 << 16                  # of channels that are folded at once: they stay in L2, as in pool.pyx
    MOST_COLUMNS = 1 << 12                   # of a line that is turned with others: 16 lanes of 4 bytes are a quarter of L2
    FETCHED_BYTES = 1 << 14                  # of a group of planes that is fetched ahead: half of L1

cdef struct Adaptive:
    const primitives* table
    Planes x
    Turn turn
    Py_ssize_t images, h, w, oh, ow
    const interval* rows                     # the windows
    const interval* columns
    bint mean, gathered
    char* y                                  # contiguous, as are the indices
    int* indices                             # NULL if not wanted
    Py_ssize_t planes, parts                 # in the lanes at once; of an image
    Py_ssize_t pitch                         # elements of a line
    # Scratch: lines, their places, what they are in turned form, results, their places, both as they go to y and indices
    size_t line_bytes, turned_bytes, result_bytes, band_bytes
    Team team

cdef struct Scratch:
    char* line
    char* line_places
    char* turned
    char* turned_places
    char* results
    char* places
    char* wide                               # places on their way to int32
    char* band                               # rows that are gathered
    char* heights                            # of the windows in the lanes


cdef Scratch scratch_of(const Adaptive* a, int slot) noexcept nogil:
    cdef Scratch s
    cdef bint places = a.indices != NULL
    s.heights = slot_of(&a.team, slot)
    s.line = s.heights + round_to_line(a.table.lanes * a.table.itemsize)
    s.line_places = s.line + a.line_bytes
    s.turned = s.line_places + places * a.line_bytes
    s.turned_places = s.turned + a.turned_bytes
    s.results = s.turned_places + places * a.turned_bytes
    s.places = s.results + a.result_bytes
    s.wide = s.places + places * a.result_bytes
    s.band = s.wide + places * a.result_bytes
    return s


cdef size_t scratch_bytes(const Adaptive* a) noexcept nogil:
    cdef double all = 2. * a.line_bytes + 2. * a.turned_bytes + 3. * a.result_bytes + a.band_bytes
    if all > <double>(<size_t>1 << 60):
        return <size_t>-1
    if a.indices == NULL:
        return round_to_line(a.table.lanes * a.table.itemsize) + a.line_bytes + a.turned_bytes + a.result_bytes + a.band_bytes
    return (round_to_line(a.table.lanes * a.table.itemsize) + 2 * a.line_bytes + 2 * a.turned_bytes + 3 * a.result_bytes
            + a.band_bytes)


cdef inline void fold_row(const Adaptive* a, const char* x, Py_ssize_t row_stride, Py_ssize_t i, Py_ssize_t count, char* line,
                          char* places) noexcept nogil:
    # `count` numbers of the rows that row i of windows sees; x: row 0
    cdef interval rows = a.rows[i]
    x += rows.first * row_stride
    if a.indices == NULL:
        a.table.adaptive.fold(a.mean, x, row_stride, rows.last - rows.first, count, line)
    else:
        a.table.adaptive.fold_places(x, row_stride, rows.last - rows.first, rows.first * a.w, a.w, count, line, places)


cdef inline void fold_along(const Adaptive* a, Py_ssize_t planes, Py_ssize_t pitch, const Scratch* s, const char* line,
                            const char* line_places, char* results, char* places) noexcept nogil:
    if a.indices == NULL:
        a.table.adaptive.along(a.mean, a.columns, a.ow, planes, pitch, s.heights, line, results)
    else:
        a.table.adaptive.along_places(a.columns, a.ow, planes, pitch, line, line_places, results, places)


cdef inline void set_heights(const Adaptive* a, Py_ssize_t first, Py_ssize_t count, Py_ssize_t i, char* heights) noexcept nogil:
    # of lanes first .. first + count
    cdef Py_ssize_t lane
    for lane in range(first, first + count):
        put(a.table, heights, lane, <double>(a.rows[i].last - a.rows[i].first))


cdef inline void store(const Adaptive* a, Py_ssize_t pixels, Py_ssize_t planes, Py_ssize_t width, const Scratch* s,
                       Py_ssize_t at, Py_ssize_t step) noexcept nogil:
    # Results [pixels, width] to y[at + plane * step + pixel]; the same of their places.
    cdef Py_ssize_t p
    a.table.pack.transpose(pixels, planes, s.results, width, a.y + at * a.table.itemsize, step)
    if a.indices == NULL:
        return
    if a.table.itemsize == sizeof(int):
        a.table.pack.transpose(pixels, planes, s.places, width, <char*>(a.indices + at), step)
        return
    a.table.pack.transpose(pixels, planes, s.places, width, s.wide, pixels)
    for p in range(planes):
        a.table.adaptive.narrow_places(pixels, s.wide + p * pixels * a.table.itemsize, a.indices + at + p * step)


cdef void pool_turned(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Groups of planes, one to a lane.
    cdef const Adaptive* a = <const Adaptive*>context
    cdef Scratch s = scratch_of(a, slot)
    cdef Py_ssize_t lanes = a.table.lanes, group, planes, plane, i
    cdef Py_ssize_t row_bytes = a.w * lanes * a.table.itemsize, result_bytes = a.ow * lanes * a.table.itemsize
    cdef const char* x
    for group in range(first, last):
        planes = turned_planes(&a.turn, a.table, &a.x, group, &plane, &x)
        load_turned(a.table, &a.x, x, planes, a.h, a.w, s.turned)
        if 0 < a.x.channel * planes <= FETCHED_BYTES:
            a.table.narrow_pool.fetch(planes * a.x.channel, x + planes * a.x.channel)
        for i in range(a.oh):
            set_heights(a, 0, lanes, i, s.heights)
            fold_row(a, s.turned, row_bytes, i, a.w * lanes, s.line, s.line_places)
            fold_along(a, lanes, lanes, &s, s.line, s.line_places, s.results + i * result_bytes, s.places + i * result_bytes)
        store(a, a.oh * a.ow, planes, lanes, &s, plane * a.oh * a.ow, a.oh * a.ow)


cdef void pool_channels(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Rows of windows of channels that lie next to each other.
    cdef const Adaptive* a = <const Adaptive*>context
    cdef Scratch s = scratch_of(a, slot)
    cdef Py_ssize_t unit, part, i, channel, planes, c, size = a.table.itemsize
    cdef const char* x
    for unit in range(first, last):
        part, i = unit // a.oh, unit % a.oh
        channel = part % a.parts * a.planes
        planes = min(a.planes, a.x.channels - channel)
        x = a.x.data + part // a.parts * a.x.image + channel * a.x.channel
        if a.x.column == planes * size:
            fold_row(a, x, a.x.row, i, a.w * planes, s.line, s.line_places)
        else:
            for c in range(a.w):
                fold_row(a, x + c * a.x.column, a.x.row, i, planes, s.line + c * planes * size,
                         s.line_places + c * planes * size)
        set_heights(a, 0, a.table.lanes, i, s.heights)
        fold_along(a, planes, planes, &s, s.line, s.line_places, s.results, s.places)
        store(a, a.ow, planes, round_up(planes, a.table.lanes), &s,
              ((part // a.parts * a.x.channels + channel) * a.oh + i) * a.ow, a.oh * a.ow)


cdef void fold_line(const Adaptive* a, Py_ssize_t line, const Scratch* s, char* to, char* places) noexcept nogil:
    # Row line % oh of the windows of plane line // oh.
    cdef Py_ssize_t i = line % a.oh, rows = a.rows[i].last - a.rows[i].first
    cdef const char* x = plane_at(&a.x, line // a.oh)
    cdef Py_ssize_t row_stride = a.x.row
    if a.gathered:
        row_stride = a.w * a.table.itemsize
        a.table.pool.gather(1, rows, a.w, x + a.rows[i].first * a.x.row, a.x.channel, a.x.row, a.x.column, 0, 0, 0., a.w, s.band)
        x = s.band - a.rows[i].first * row_stride
    fold_row(a, x, row_stride, i, a.w, to, places)


cdef void pool_lines(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Rows of windows, one to a lane; or one by one, the pixels their lanes, of which the first one counts.
    cdef const Adaptive* a = <const Adaptive*>context
    cdef Scratch s = scratch_of(a, slot)
    cdef Py_ssize_t unit, at, lines, line, size = a.table.itemsize, lanes = a.table.lanes
    for unit in range(first, last):
        at = unit * a.planes
        lines = min(a.planes, a.images * a.x.channels * a.oh - at)
        for line in range(lines):
            fold_line(a, at + line, &s, s.line + line * a.pitch * size, s.line_places + line * a.pitch * size)
            set_heights(a, line, 1, (at + line) % a.oh, s.heights)
        set_heights(a, lines, lanes - lines, 0, s.heights)
        if lines == 1:
            fold_along(a, 1, 1, &s, s.line, s.line_places, s.results, s.places)
        else:
            a.table.pack.panel(a.w, lines, lanes, s.line, size, a.pitch * size, s.turned)
            if a.indices != NULL:
                a.table.pack.panel(a.w, lines, lanes, s.line_places, size, a.pitch * size, s.turned_places)
            fold_along(a, lanes, lanes, &s, s.turned, s.turned_places, s.results, s.places)
        store(a, a.ow, lines, lanes, &s, at * a.ow, a.ow)


cdef task_fn choose_form(Adaptive* a, Py_ssize_t* units) noexcept nogil:
    # The function of a task, how many tasks there are, and their scratch memory.
    cdef Py_ssize_t lanes = a.table.lanes, size = a.table.itemsize
    cdef size_t vector = lanes * size
    a.gathered, a.band_bytes, a.turned_bytes, a.parts = False, 0, 0, 1
    if is_turned(a.table, TURNED_VECTORS, a.h, a.w, a.oh * a.ow):
        set_turn(&a.turn, a.table, &a.x, a.images)
        units[0] = a.turn.count
        a.line_bytes, a.turned_bytes, a.result_bytes = a.w * vector, a.h * a.w * vector, a.oh * a.ow * vector
        return pool_turned
    if a.x.channel == size and a.x.channels >= lanes and a.x.column != size and a.w <= LINE_ELEMENTS // lanes:
        a.planes = min(a.x.channels, LINE_ELEMENTS // a.w // lanes * lanes)
        a.parts = ceil_div(a.x.channels, a.planes)
        units[0] = a.images * a.parts * a.oh
        a.line_bytes = round_to_line((a.w * a.planes + lanes) * size)
        a.result_bytes = a.ow * round_up(a.planes, lanes) * size
        return pool_channels
    a.gathered = a.x.column != size and a.w > 1
    a.planes = lanes if a.w <= MOST_COLUMNS else 1
    a.pitch = odd_lines(a.w + lanes)
    units[0] = ceil_div(a.images * a.x.channels * a.oh, a.planes)
    a.line_bytes, a.result_bytes = round_to_line(a.pitch * a.planes * size), a.ow * vector
    a.turned_bytes = a.w * vector if a.planes > 1 else 0
    a.band_bytes = <size_t>longest(a.h, a.oh) * a.w * size if a.gathered else 0
    return pool_lines


def forward(
    cnp.ndarray x,            # IN (n, c, h, w), h and w at least 1
    cnp.ndarray y,            # OUT (n, c, oh, ow), C-contiguous
    cnp.ndarray indices,      # OUT (n, c, oh, ow), int32, C-contiguous, or None
    bint mean,                # else the maximum
):
    # y[n, c, i, j] = mean or max of x[n, c, r, c] over floor(i h / oh) <= r < ceil((i + 1) h / oh), and the same of columns
    cdef Adaptive a
    cdef task_fn f
    cdef Py_ssize_t units
    cdef double work
    if cnp.PyArray_SIZE(y) == 0:
        return
    a.table, a.mean, a.y, a.indices = primitives_for(cnp.PyArray_TYPE(x)), mean, <char*>cnp.PyArray_DATA(y), NULL
    if indices is not None:
        a.indices = <int*>cnp.PyArray_DATA(indices)
    set_planes(&a.x, x)
    a.images, a.h, a.w = cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(x)[2], cnp.PyArray_DIMS(x)[3]
    a.oh, a.ow = cnp.PyArray_DIMS(y)[2], cnp.PyArray_DIMS(y)[3]
    with nogil:
        f = choose_form(&a, &units)
        work = adaptive_work(a.table, a.images * a.x.channels, a.h, a.w, a.oh, a.ow)
        team_begin(&a.team, work, units, (a.oh + a.ow) * sizeof(interval), scratch_bytes(&a))
        a.rows = <const interval*>a.team.shared
        a.columns = a.rows + a.oh
        set_windows(<interval*>a.team.shared, a.h, a.oh)
        set_windows(<interval*>a.team.shared + a.oh, a.w, a.ow)
        team_run(&a.team, f, &a, units, work)
        team_end()
