"""Planes with short rows: blocks of many planes, or of many bands of the rows of one plane, are transposed, so that each lane
holds one.

    planes in the lanes              bands in the lanes: a plane whose rows are many
    block: some rows of each         rows before   | seen by windows at the border
      lane 0  plane p                lane 0        | band: the same windows in all lanes, a constant step apart
      lane 1  plane p + 1            lane 1        |
      ...                            ...           |
                                     rows behind   | the rest
"""
from npkernels._kernels.axis cimport interval
from npkernels._kernels.planes cimport Planes, are_apart, pooling_work, rows_seen, rows_that_see
from npkernels._kernels.primitives cimport pooling, primitives
from npkernels._kernels.runtime cimport slot_of, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport ceil_div

cdef enum:
    BLOCK_BYTES = 1 << 15                    # of a block: it stays in L1
    MOST_BYTES = 1 << 18                     # of one with few rows of long windows
    MOST_TERMS = 8192                        # of a sum
    MOST_ROWS = 1 << 30                      # no number of bytes overflows
    MOST_BAND = 32                           # rows of a band, if they can be chosen
    TURN_FLOPS = 16                          # of an element that is transposed

cdef struct Block:
    const char* source                       # row 0 of the plane of the first lane
    Py_ssize_t to                            # element of the result that is its row 0
    Py_ssize_t lanes, step, to_step, place   # from one lane to the next: bytes, elements, places of pixels
    interval rows                            # of the first lane that are written


cdef inline interval source_rows(const Narrow* narrow, interval rows) noexcept nogil:
    return rows_that_see(&narrow.g, rows.first, rows.last) if narrow.backward else rows_seen(&narrow.g, rows.first, rows.last)


cdef size_t block_bytes(const Narrow* narrow, Py_ssize_t lanes, Py_ssize_t rows) noexcept nogil:
    # The most that a block of so many rows of its result needs: these, those of its source, and the line.
    cdef const pooling* g = &narrow.g
    cdef Py_ssize_t source = min(g.oh, (rows + g.kh) // g.sh + 2)
    if not narrow.backward:
        source = min(g.h, (rows - 1) * g.sh + (g.kh - 1) * g.dh + 1)
    rows *= 3 if narrow.places != NULL else 1
    return <size_t>(lanes * narrow.table.itemsize * ((source + 1) * narrow.source_columns + rows * narrow.columns))


cdef void load_rows(const Narrow* narrow, const Block* block, interval rows, Py_ssize_t width, char* pixels) noexcept nogil:
    # Rows of the source to the places that they have behind pixels.
    cdef const Planes* x = &narrow.planes
    cdef Py_ssize_t row, count = rows.last - rows.first, row_bytes = narrow.source_columns * width * narrow.table.itemsize
    if x.row == narrow.source_columns * x.column:
        narrow.table.pack.panel(count * narrow.source_columns, block.lanes, width, block.source + rows.first * x.row, x.column,
                                block.step, pixels + rows.first * row_bytes)
        return
    for row in range(rows.first, rows.last):
        narrow.table.pack.panel(narrow.source_columns, block.lanes, width, block.source + row * x.row, x.column, block.step,
                                pixels + row * row_bytes)


cdef void load_block(const Narrow* narrow, const Block* block, Py_ssize_t width, char* pixels) noexcept nogil:
    cdef Py_ssize_t i
    if narrow.backward or narrow.g.sh <= (narrow.g.kh - 1) * narrow.g.dh + 1:
        load_rows(narrow, block, source_rows(narrow, block.rows), width, pixels)
        return
    for i in range(block.rows.first, block.rows.last):        # between windows lie rows that none sees
        load_rows(narrow, block, rows_seen(&narrow.g, i, i + 1), width, pixels)


cdef void pool_block(const Narrow* narrow, const Block* block, char* scratch) noexcept nogil:
    cdef const primitives* table = narrow.table
    cdef const pooling* g = &narrow.g
    cdef Py_ssize_t width = ceil_div(block.lanes, table.lanes) * table.lanes, size = table.itemsize
    cdef Py_ssize_t source_row = narrow.source_columns * width * size, lane
    cdef Py_ssize_t to = block.to + block.rows.first * narrow.columns
    cdef Py_ssize_t count = (block.rows.last - block.rows.first) * narrow.columns
    cdef interval seen = source_rows(narrow, block.rows)
    cdef char* line = scratch
    cdef char* results = line + source_row
    cdef char* places = results + count * width * size
    cdef char* turned = places + count * width * size
    cdef char* pixels = places + (2 * (turned - places) if narrow.places != NULL else 0) - seen.first * source_row
    load_block(narrow, block, width, pixels)
    if narrow.band == narrow.rows and 0 < block.step <= <Py_ssize_t>block_bytes(narrow, 1, narrow.rows):      # one after another
        table.narrow_pool.fetch(block.lanes * block.step, block.source + block.lanes * block.step)
    if narrow.backward:
        table.narrow_pool.mean_backward(g, narrow.include_pad, width, block.rows, pixels, line, results)
    elif narrow.mean:
        table.narrow_pool.mean(g, narrow.include_pad, width, block.rows, pixels, line, results)
    elif narrow.places == NULL:
        table.narrow_pool.max(g, width, block.rows, pixels, line, results)
    else:
        table.narrow_pool.indices(g, width, block.rows, pixels, results, places)
        table.pack.transpose(count, block.lanes, places, width, turned, count)
        if block.place == 0 and block.to_step == count:
            table.narrow_pool.to_integers(count * block.lanes, turned, seen.first * g.w, narrow.places + to)
        else:
            for lane in range(block.lanes):
                table.narrow_pool.to_integers(count, turned + lane * count * size, seen.first * g.w + lane * block.place,
                                              narrow.places + to + lane * block.to_step)
    table.pack.transpose(count, block.lanes, results, width, narrow.to + to * size, block.to_step)


cdef void pool_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A task: some rows of some planes.
    cdef const Narrow* narrow = <const Narrow*>context
    cdef Py_ssize_t bands = ceil_div(narrow.rows, narrow.band), groups = ceil_div(narrow.run, narrow.lanes), task, plane
    cdef Block block
    block.step, block.to_step, block.place = narrow.planes.channel, narrow.rows * narrow.columns, 0
    for task in range(first, last):
        plane = task // bands % groups * narrow.lanes
        block.lanes = min(narrow.lanes, narrow.run - plane)
        block.source = narrow.planes.data + task // bands // groups * narrow.planes.image + plane * narrow.planes.channel
        block.to = (task // bands // groups * narrow.run + plane) * block.to_step
        block.rows.first = task % bands * narrow.band
        block.rows.last = min(narrow.rows, block.rows.first + narrow.band)
        pool_block(narrow, &block, slot_of(&narrow.team, slot))


cdef void pool_bands(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # A task: some bands of a plane, or what lies before and behind them.
    cdef const Narrow* narrow = <const Narrow*>context
    cdef Py_ssize_t bands = (narrow.alike.last - narrow.alike.first) // narrow.band, groups = ceil_div(bands, narrow.lanes)
    cdef Py_ssize_t task, plane, group, channels = narrow.planes.channels
    cdef Py_ssize_t source_band = narrow.band // narrow.g.sh if narrow.backward else narrow.band * narrow.g.sh
    cdef Block block
    block.step, block.to_step = source_band * narrow.planes.row, narrow.band * narrow.columns
    block.place = source_band * narrow.g.w
    for task in range(first, last):
        plane, group = task // (groups + 1), task % (groups + 1)
        block.source = narrow.planes.data + plane // channels * narrow.planes.image + plane % channels * narrow.planes.channel
        block.to = plane * narrow.rows * narrow.columns
        if group < groups:
            block.lanes = min(narrow.lanes, bands - group * narrow.lanes)
            block.rows.first = narrow.alike.first + group * narrow.lanes * narrow.band
            block.rows.last = block.rows.first + narrow.band
            pool_block(narrow, &block, slot_of(&narrow.team, slot))
            continue
        block.lanes, block.rows.last = 1, 0
        while block.rows.last < narrow.rows:
            block.rows.first = block.rows.last
            if block.rows.first == narrow.alike.first:
                block.rows.first += bands * narrow.band
            block.rows.last = min(narrow.rows, block.rows.first + narrow.band)
            if block.rows.first < narrow.alike.first:
                block.rows.last = min(block.rows.last, narrow.alike.first)
            if block.rows.first < block.rows.last:
                pool_block(narrow, &block, slot_of(&narrow.team, slot))


cdef interval rows_alike(const Narrow* narrow) noexcept nogil:
    # Rows that are written whose windows lie in the plane, whole, or that only such windows see.
    cdef const pooling* g = &narrow.g
    cdef interval rows, windows
    windows.first = ceil_div(g.top, g.sh)
    windows.last = min(g.oh, (g.h + g.top - (g.kh - 1) * g.dh - 1) // g.sh + 1) if g.h + g.top > (g.kh - 1) * g.dh else 0
    rows = windows
    if narrow.backward:
        rows.first = max(<Py_ssize_t>0, (windows.first - 1) * g.sh + g.kh - g.top)
        rows.last = min(g.h, windows.last * g.sh - g.top)
    rows.last = max(rows.first, rows.last)
    return rows


cdef inline double widest(const Narrow* narrow) noexcept nogil:
    # The row of x up to which lanes were faster than rows, in vectors: short for maxima and averages, long where rows give the
    # result number by number.
    if narrow.backward and narrow.g.sw == 2 and narrow.g.kw <= 2:        # rows are two vectors shuffled into one another
        return 1.5
    if narrow.backward or narrow.places != NULL:
        return 4 if narrow.g.sw > 2 else 2 if narrow.backward else 1
    return 0.5


cdef bint is_narrow(Narrow* narrow) noexcept nogil:
    cdef const pooling* g = &narrow.g
    cdef const Planes* x = &narrow.planes
    cdef Py_ssize_t lanes = narrow.table.lanes, unit = g.sh if narrow.backward else 1, alike
    cdef size_t room
    if g.w > widest(narrow) * lanes or max(g.kh, g.sh) > MOST_TERMS or g.h > MOST_ROWS:
        return False
    if narrow.places != NULL and x.channel == narrow.table.itemsize != x.column:     # pixels hold vectors (pool_indices.c)
        return False
    narrow.source_columns = g.ow if narrow.backward else g.w
    narrow.rows = g.h if narrow.backward else g.oh
    narrow.columns = g.w if narrow.backward else g.ow
    narrow.runs = 1 if are_apart(x) else narrow.images
    narrow.run = narrow.images * x.channels // narrow.runs
    narrow.alike.first = narrow.alike.last = 0
    narrow.lanes, narrow.band = lanes, narrow.rows
    if narrow.run >= lanes:
        room = BLOCK_BYTES // block_bytes(narrow, lanes, narrow.rows)
        narrow.lanes = min(max(<Py_ssize_t>1, <Py_ssize_t>room), ceil_div(narrow.run, lanes)) * lanes
    elif narrow.backward or narrow.places != NULL:
        narrow.alike = rows_alike(narrow)
        alike = narrow.alike.last - narrow.alike.first
        narrow.band = max(<Py_ssize_t>1, min(<Py_ssize_t>MOST_BAND, alike // (4 * lanes)) // unit) * unit
        if alike // narrow.band < lanes:
            return False
    else:
        return False
    while narrow.band > unit and block_bytes(narrow, narrow.lanes, narrow.band) > BLOCK_BYTES:
        narrow.band = ceil_div(narrow.band // unit, 2) * unit
    return block_bytes(narrow, narrow.lanes, narrow.band) <= MOST_BYTES


cdef int pool_narrow(Narrow* narrow) except -1 nogil:
    cdef Py_ssize_t planes = narrow.images * narrow.planes.channels, tasks
    cdef bint by_planes = narrow.alike.first == narrow.alike.last
    cdef double turned = <double>planes * (narrow.g.h * narrow.g.w + narrow.g.oh * narrow.g.ow)
    cdef double work = work_of(narrow.table, TURN_FLOPS * turned, 0) + pooling_work(narrow.table, &narrow.g, planes)
    if by_planes:
        tasks = narrow.runs * ceil_div(narrow.run, narrow.lanes) * ceil_div(narrow.rows, narrow.band)
    else:
        tasks = planes * (ceil_div((narrow.alike.last - narrow.alike.first) // narrow.band, narrow.lanes) + 1)
    team_begin(&narrow.team, work, tasks, 0, block_bytes(narrow, narrow.lanes, narrow.band))
    team_run(&narrow.team, pool_groups if by_planes else pool_bands, narrow, tasks, work)
    team_end()
    return 0
