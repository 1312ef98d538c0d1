"""The gradient of adaptive average pooling.

Elements that the same windows see have the same gradient: rows of these are worked out once and copied. Small planes are turned,
one to a lane; of others a row of shares is spread along the row of dx.
"""
cimport numpy as cnp
from libc.string cimport memcpy

from npkernels._kernels.axis cimport interval
from npkernels._kernels.equal_parts cimport (
    TURNED_GRADIENTS, Turn, adaptive_work, is_turned, load_turned, most_runs, set_runs, set_turn, set_windows, turned_planes,
)
from npkernels._kernels.planes cimport Planes, plane_at, set_planes
from npkernels._kernels.primitives cimport primitives, run_of_elements
from npkernels._kernels.runtime cimport Team, primitives_for, slot_of, team_begin, team_end, team_run
from npkernels._kernels.scalars cimport round_to_line

cnp.import_array()

cdef struct Gradient:
    const primitives* table
    Planes dy
    Turn turn
    Py_ssize_t images, h, w, oh, ow
    const interval* rows                     # the windows
    const interval* columns
    const run_of_elements* row_runs
    const run_of_elements* column_runs
    const interval* seeing                   # the windows that see a column
    char* dx                                 # contiguous
    size_t share_bytes, line_bytes
    Team team


cdef inline void repeat(char* row, Py_ssize_t bytes, Py_ssize_t count) noexcept nogil:
    # to the rows behind it
    cdef Py_ssize_t r
    for r in range(1, count):
        memcpy(row + r * bytes, row, bytes)


cdef void spread_turned(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Groups of planes, one to a lane.
    cdef const Gradient* g = <const Gradient*>context
    cdef Py_ssize_t lanes = g.table.lanes, vector = lanes * g.table.itemsize, group, planes, plane, i, r
    cdef char* shares = slot_of(&g.team, slot)
    cdef char* line = shares + g.share_bytes
    cdef char* dx = line + g.line_bytes
    cdef const char* dy
    cdef const run_of_elements* run
    for group in range(first, last):
        planes = turned_planes(&g.turn, g.table, &g.dy, group, &plane, &dy)
        load_turned(g.table, &g.dy, dy, planes, g.oh, g.ow, shares)
        for i in range(g.oh):
            g.table.adaptive.shares(g.columns, g.ow, lanes, g.rows[i].last - g.rows[i].first, shares + i * g.ow * vector,
                                    shares + i * g.ow * vector)
        r, run = 0, g.row_runs
        while r < g.h:
            g.table.adaptive.fold(True, shares + run.windows.first * g.ow * vector, g.ow * vector,
                                  run.windows.last - run.windows.first, g.ow * lanes, line)
            g.table.adaptive.along(True, g.seeing, g.w, lanes, lanes, NULL, line, dx + r * g.w * vector)
            repeat(dx + r * g.w * vector, g.w * vector, run.count)
            r += run.count
            run += 1
        g.table.pack.transpose(g.h * g.w, planes, dx, lanes, g.dx + plane * g.h * g.w * g.table.itemsize, g.h * g.w)


cdef void spread_lines(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Planes, row by row.
    cdef const Gradient* g = <const Gradient*>context
    cdef Py_ssize_t size = g.table.itemsize, row_bytes = g.ow * size, plane, i, r
    cdef char* shares = slot_of(&g.team, slot)
    cdef char* line = shares + g.share_bytes
    cdef char* dx = g.dx + first * g.h * g.w * size
    cdef const run_of_elements* run
    for plane in range(first, last):
        g.table.pool.gather(1, g.oh, g.ow, plane_at(&g.dy, plane), g.dy.channel, g.dy.row, g.dy.column, 0, 0, 0., g.ow, shares)
        for i in range(g.oh):
            g.table.adaptive.shares(g.columns, g.ow, 1, g.rows[i].last - g.rows[i].first, shares + i * row_bytes,
                                    shares + i * row_bytes)
        r, run = 0, g.row_runs
        while r < g.h:
            g.table.adaptive.fold(True, shares + run.windows.first * row_bytes, row_bytes,
                                  run.windows.last - run.windows.first, g.ow, line)
            g.table.adaptive.spread_runs(g.column_runs, g.w, line, dx)
            repeat(dx, g.w * size, run.count)
            dx += run.count * g.w * size
            r += run.count
            run += 1


cdef void set_lists(Gradient* g, char* memory) noexcept nogil:
    cdef interval* windows = <interval*>memory
    cdef run_of_elements* runs = <run_of_elements*>(windows + g.oh + g.ow)
    cdef Py_ssize_t column = 0, last = 0, row_runs = most_runs(g.h, g.oh)
    cdef interval* seeing = <interval*>(runs + row_runs + most_runs(g.w, g.ow))
    set_windows(windows, g.h, g.oh)
    set_windows(windows + g.oh, g.w, g.ow)
    set_runs(runs, windows, g.h, g.oh)
    set_runs(runs + row_runs, windows + g.oh, g.w, g.ow)
    g.rows, g.columns, g.row_runs, g.column_runs, g.seeing = windows, windows + g.oh, runs, runs + row_runs, seeing
    runs += row_runs
    while column < g.w:
        last += runs.count
        while column < last:
            seeing[column] = runs.windows
            column += 1
        runs += 1


def backward(
    cnp.ndarray dy,           # IN (n, c, oh, ow), oh and ow at least 1
    cnp.ndarray dx,           # OUT (n, c, h, w), C-contiguous
):
    # dx[n, c, r, c] = sum of dy[n, c, i, j] / elements of window (i, j) over the windows that see (r, c)
    cdef Gradient g
    cdef bint turned
    cdef Py_ssize_t units, lanes
    cdef size_t lists, dx_bytes
    cdef double work
    if cnp.PyArray_SIZE(dx) == 0:
        return
    g.table, g.dx = primitives_for(cnp.PyArray_TYPE(dy)), <char*>cnp.PyArray_DATA(dx)
    set_planes(&g.dy, dy)
    g.images, g.oh, g.ow = cnp.PyArray_DIMS(dy)[0], cnp.PyArray_DIMS(dy)[2], cnp.PyArray_DIMS(dy)[3]
    g.h, g.w = cnp.PyArray_DIMS(dx)[2], cnp.PyArray_DIMS(dx)[3]
    with nogil:
        turned = is_turned(g.table, TURNED_GRADIENTS, g.h, g.w, g.oh * g.ow)
        lanes, units = g.table.lanes if turned else 1, g.images * g.dy.channels
        if turned:
            set_turn(&g.turn, g.table, &g.dy, g.images)
            units = g.turn.count
        work = adaptive_work(g.table, g.images * g.dy.channels, g.h, g.w, g.oh, g.ow)
        lists = ((g.oh + g.ow + g.w) * sizeof(interval)
                 + (most_runs(g.h, g.oh) + most_runs(g.w, g.ow)) * sizeof(run_of_elements))
        g.share_bytes = round_to_line(g.oh * g.ow * lanes * g.table.itemsize)
        g.line_bytes = round_to_line(g.ow * lanes * g.table.itemsize)
        dx_bytes = g.h * g.w * lanes * g.table.itemsize if turned else 0
        team_begin(&g.team, work, units, lists, g.share_bytes + g.line_bytes + dx_bytes)
        set_lists(&g, g.team.shared)
        team_run(&g.team, spread_turned if turned else spread_lines, &g, units, work)
        team_end()
