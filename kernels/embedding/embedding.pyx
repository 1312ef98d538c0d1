"""Rows of a table, and the sums of rows that are its gradient."""
from libc.stdint cimport int64_t
from libc.string cimport memset
cimport numpy as cnp

from npkernels._kernels.layout cimport MOST_AXES, read_strides
from npkernels._kernels.primitives cimport panel_start, primitives, strided
from npkernels._kernels.runtime cimport (
    Team, primitives_for, slot_of, team_begin, team_end, team_run, work_of, worth_streaming,
)
from npkernels._kernels.scalars cimport ceil_div
from npkernels._kernels.strided cimport merge_axes, offset_of

cnp.import_array()

cdef enum:
    DIGIT_BITS = 11                # of an index, in a pass of the sort
    DIGITS = 1 << DIGIT_BITS
    CHAIN = 8192                   # the most rows whose sum is one chain
    PART_BYTES = 256               # of a row that one thread adds, at least


def first_outside(
    cnp.ndarray rows,        # IN int64, C-contiguous
    int64_t end,
):
    """The place of the first number that is not in [0, end), or -1."""
    cdef const int64_t* row = <const int64_t*>cnp.PyArray_DATA(rows)
    cdef Py_ssize_t i, count = cnp.PyArray_SIZE(rows)
    with nogil:
        for i in range(count):
            if row[i] < 0 or row[i] >= end:
                break
        else:
            i = -1
    return i


# --- forward

cdef struct Gather:
    const primitives* table
    const char* w
    Py_ssize_t row, column, columns
    const int64_t* rows
    char* y
    bint streamed
    Team team


cdef void gather_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Gather* v = <const Gather*>context
    cdef Py_ssize_t i, bytes = v.columns * v.table.itemsize
    if v.column == v.table.itemsize:
        v.table.embedding.gather(last - first, v.columns, v.w, v.row, v.rows + first, v.streamed, v.y + first * bytes)
        v.table.fence()
        return
    for i in range(first, last):
        v.table.pack.rows(1, v.columns, v.w + v.rows[i] * v.row, 0, v.column, v.y + i * bytes)


def forward(
    cnp.ndarray rows,        # IN (n,) int64, C-contiguous, of no other thread, each in [0, len(w))
    cnp.ndarray w,           # IN (m, d)
    cnp.ndarray y,           # OUT (n, d), C-contiguous
):
    cdef Gather v
    cdef cnp.npy_intp strides[2]
    cdef Py_ssize_t count = cnp.PyArray_SIZE(rows), bytes = cnp.PyArray_NBYTES(y)
    cdef double work
    read_strides(w, strides)
    v.table, v.columns = primitives_for(cnp.PyArray_TYPE(w)), cnp.PyArray_DIMS(w)[1]
    v.w, v.row, v.column = <const char*>cnp.PyArray_DATA(w), strides[0], strides[1]
    v.rows, v.y = <const int64_t*>cnp.PyArray_DATA(rows), <char*>cnp.PyArray_DATA(y)
    v.streamed = worth_streaming(2 * bytes, v.y, bytes)
    work = work_of(v.table, 0, 8.0 * bytes)           # of tables that are larger than the caches
    with nogil:
        team_begin(&v.team, work, count, 0, 0)
        team_run(&v.team, gather_tasks, &v, count, work)
        team_end()


# --- backward

cdef struct Sum:
    const primitives* table
    Py_ssize_t count, columns, column
    Py_ssize_t parts             # of the columns: several where one row of dw is the sum of a large share of all rows
    strided places               # where the rows of dy begin
    const int64_t* rows
    int64_t* order               # places in dy by rows of dw, those of a row ascending
    int64_t* other
    char* dw
    Team team


cdef void sort_places(Sum* v, int64_t end) noexcept nogil:
    # By digits from the lowest to the highest, each pass stable. Knuth, The Art of Computer Programming, volume 3, 5.2.5.
    cdef Py_ssize_t starts[DIGITS]
    cdef Py_ssize_t i, digit, sum, next_sum
    cdef int shift = 0
    for i in range(v.count):
        v.order[i] = i
    while shift == 0 or (end - 1) >> shift:
        memset(starts, 0, sizeof(starts))
        for i in range(v.count):
            starts[(v.rows[i] >> shift) & (DIGITS - 1)] += 1
        sum = 0
        for digit in range(DIGITS):
            next_sum = sum + starts[digit]
            starts[digit] = sum
            sum = next_sum
        for i in range(v.count):
            digit = (v.rows[v.order[i]] >> shift) & (DIGITS - 1)
            v.other[starts[digit]] = v.order[i]
            starts[digit] += 1
        v.order, v.other = v.other, v.order
        shift += DIGIT_BITS
        if shift >= 63:
            break


cdef Py_ssize_t longest_sum(const Sum* v) noexcept nogil:
    cdef Py_ssize_t i, first = 0, longest = 0
    for i in range(1, v.count):
        if v.rows[v.order[i]] != v.rows[v.order[first]]:
            longest, first = max(longest, i - first), i
    return max(longest, v.count - first)


cdef inline Py_ssize_t first_column(const Sum* v, Py_ssize_t part) noexcept nogil:
    return panel_start(ceil_div(v.columns, v.table.lanes), v.parts, part) * v.table.lanes


cdef inline const char* row_of(const Sum* v, Py_ssize_t i, Py_ssize_t column, Py_ssize_t columns, char* packed) noexcept nogil:
    cdef const char* row = v.places.data + offset_of(&v.places, v.order[i]) + column * v.column
    if v.column == v.table.itemsize:
        return row
    v.table.pack.rows(1, columns, row, 0, v.column, packed)
    return packed


cdef Py_ssize_t add_rows(const Sum* v, Py_ssize_t first, Py_ssize_t part, char* packed) noexcept nogil:
    # A part of the columns of the sum of all rows of dy that belong to one row of dw, the first of them at `first`. Where the
    # next begin.
    cdef Py_ssize_t size = v.table.itemsize, column = first_column(v, part), i = first, chain
    cdef Py_ssize_t columns = min(first_column(v, part + 1), v.columns) - column
    cdef int64_t row = v.rows[v.order[first]]
    cdef char* total = v.dw + (row * v.columns + column) * size
    cdef char* sum = total
    while i < v.count and v.rows[v.order[i]] == row:
        chain = i - first
        if chain > 0 and chain % CHAIN == 0:                 # the sums of chains are added
            if chain > CHAIN:
                v.table.rows.add(columns, sum, total)
            sum = packed + columns * size
        if chain % CHAIN == 0:
            v.table.pack.rows(1, columns, row_of(v, i, column, columns, packed), 0, size, sum)
        else:
            v.table.rows.add(columns, row_of(v, i, column, columns, packed), sum)
        i += 1
    if sum != total:
        v.table.rows.add(columns, sum, total)
    return i


cdef void sum_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A task has the rows of dw whose first row of dy is its own, or a part of their columns: task part * count + place.
    cdef const Sum* v = <const Sum*>context
    cdef char* packed = slot_of(&v.team, slot)
    cdef Py_ssize_t part, i, end
    for part in range(first // v.count, ceil_div(last, v.count)):
        i, end = max(first - part * v.count, <Py_ssize_t>0), min(last - part * v.count, v.count)
        while 0 < i < end and v.rows[v.order[i]] == v.rows[v.order[i - 1]]:
            i += 1
        while i < end:
            i = add_rows(v, i, part, packed)


def backward(
    cnp.ndarray dy,          # IN (..., d)
    cnp.ndarray rows,        # IN the shape of dy but the last axis, int64, C-contiguous, of no other thread, in [0, len(dw))
    cnp.ndarray dw,          # OUT (m, d), C-contiguous, zeros
):
    cdef Sum v
    cdef cnp.npy_intp strides[MOST_AXES]
    cdef int last = cnp.PyArray_NDIM(dy) - 1
    cdef double work
    cdef int64_t end = cnp.PyArray_DIMS(dw)[0]
    read_strides(dy, strides)
    merge_axes(&v.places, <char*>cnp.PyArray_DATA(dy), last, cnp.PyArray_DIMS(dy), strides)
    v.table, v.columns, v.column = primitives_for(cnp.PyArray_TYPE(dy)), cnp.PyArray_DIMS(dy)[last], strides[last]
    v.count, v.rows, v.dw = cnp.PyArray_SIZE(rows), <const int64_t*>cnp.PyArray_DATA(rows), <char*>cnp.PyArray_DATA(dw)
    work = work_of(v.table, 0, 8.0 * cnp.PyArray_NBYTES(dy))
    with nogil:
        team_begin(&v.team, work, v.count, <size_t>(2 * v.count) * sizeof(int64_t),
                   <size_t>(2 * v.columns * v.table.itemsize))
        v.order = <int64_t*>v.team.shared
        v.other = v.order + v.count
        sort_places(&v, end)
        v.parts = 1
        if v.team.threads > 1 and longest_sum(&v) * 2 * v.team.threads > v.count:
            v.parts = max(<Py_ssize_t>1, min(<Py_ssize_t>v.team.threads, v.columns * v.table.itemsize // PART_BYTES))
        team_run(&v.team, sum_tasks, &v, v.count * v.parts, work)
        team_end()
