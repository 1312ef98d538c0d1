"""The windows of adaptive pooling, which share out an axis, and the runs of elements that the same windows see."""
from npkernels._kernels.axis cimport interval
from npkernels._kernels.planes cimport TAP_FLOPS, Planes, are_apart
from npkernels._kernels.primitives cimport primitives, run_of_elements
from npkernels._kernels.runtime cimport work_of
from npkernels._kernels.scalars cimport ceil_div

cdef enum:
    # A row up to which planes are turned. Milliseconds turned and not, float32, 16 lanes: the average 14x14 to 5 0.14 and 0.23,
    # 20x20 to 7 0.13 and 0.18, 28x28 to 5 0.11 and 0.08; with indices 28x28 0.14 and 0.16, 56x56 to 13 0.25 and 0.27; gradients
    # 14x14 0.13 and 1.1, 28x28 0.10 and 0.27, 56x56 0.21 and 0.67.
    TURNED_VECTORS = 2
    TURNED_GRADIENTS = 4
    # Of a block of planes in the lanes and what it becomes: a quarter of L2. Not measured.
    TURNED_BYTES = 1 << 18


cdef inline void set_windows(interval* windows, Py_ssize_t size, Py_ssize_t count) noexcept nogil:
    # window i: floor(i size / count) <= t < ceil((i + 1) size / count); no product, which might overflow
    cdef Py_ssize_t i, edge = 0, rest = 0
    for i in range(count):
        windows[i].first = edge
        edge += size // count
        rest += size % count
        if rest >= count:
            edge += 1
            rest -= count
        windows[i].last = edge + (rest > 0)


cdef inline Py_ssize_t most_runs(Py_ssize_t size, Py_ssize_t count) noexcept nogil:
    # A run begins where a window begins or has ended.
    return min(size, 2 * count)


cdef inline Py_ssize_t longest(Py_ssize_t size, Py_ssize_t count) noexcept nogil:
    return min(size, size // count + 2)


cdef inline double adaptive_work(const primitives* table, Py_ssize_t planes, Py_ssize_t h, Py_ssize_t w, Py_ssize_t oh,
                                 Py_ssize_t ow) noexcept nogil:
    # Nanoseconds of one thread for y or for dx
    cdef double rows = <double>h + oh, lines = <double>oh * (w + ow)
    return planes * work_of(table, TAP_FLOPS * (rows * w + 2 * lines), table.itemsize * (<double>h * w + <double>oh * ow))


cdef inline void set_runs(run_of_elements* runs, const interval* windows, Py_ssize_t size, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t element = 0, next_one
    cdef interval seen
    seen.first = seen.last = 0
    while element < size:
        while seen.last < count and windows[seen.last].first <= element:
            seen.last += 1
        while windows[seen.first].last <= element:
            seen.first += 1
        next_one = windows[seen.first].last
        if seen.last < count:
            next_one = min(next_one, windows[seen.last].first)
        runs.windows, runs.count = seen, next_one - element
        runs += 1
        element = next_one


cdef inline bint is_turned(const primitives* table, Py_ssize_t vectors, Py_ssize_t h, Py_ssize_t w,
                           Py_ssize_t results) noexcept nogil:
    # Whether planes are taken one to a lane. Sizes of a plane decide, so that the batch does not.
    cdef double pixel_bytes = table.lanes * table.itemsize
    return w <= vectors * table.lanes and pixel_bytes * (<double>h * w + results) <= TURNED_BYTES


cdef struct Turn:
    # Groups of planes a constant step apart, each group one plane to a lane.
    Py_ssize_t run, groups, count            # planes apart, groups of them, all groups


cdef inline void set_turn(Turn* turn, const primitives* table, const Planes* x, Py_ssize_t images) noexcept nogil:
    cdef Py_ssize_t runs = 1 if are_apart(x) else images
    turn.run = images * x.channels // runs
    turn.groups = ceil_div(turn.run, table.lanes)
    turn.count = runs * turn.groups


cdef inline Py_ssize_t turned_planes(const Turn* turn, const primitives* table, const Planes* x, Py_ssize_t group,
                                     Py_ssize_t* plane, const char** data) noexcept nogil:
    # How many planes the group has, which is the first, and where that lies.
    cdef Py_ssize_t first = group % turn.groups * table.lanes, run = group // turn.groups
    plane[0] = run * turn.run + first
    data[0] = x.data + run * x.image + first * x.channel
    return min(table.lanes, turn.run - first)


cdef inline void load_turned(const primitives* table, const Planes* x, const char* data, Py_ssize_t planes, Py_ssize_t h,
                             Py_ssize_t w, char* pixels) noexcept nogil:
    # Pixel (r, c) of all planes is the vector r * w + c.
    cdef Py_ssize_t r
    if x.row == w * x.column:
        table.pack.panel(h * w, planes, table.lanes, data, x.column, x.channel, pixels)
        return
    for r in range(h):
        table.pack.panel(w, planes, table.lanes, data + r * x.row, x.column, x.channel,
                         pixels + r * w * table.lanes * table.itemsize)
