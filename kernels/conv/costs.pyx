"""What the forms of a convolution and of its gradients cost.

The cost of a form is the time of one image and one group on a reference machine: what the form does is counted, and a count
of each kind takes the nanoseconds of `NS`, which `benchmarks/fit_forms.py` fits to times of random layers. Only their ratios
matter.
"""
cimport numpy as cnp
from libc.string cimport memset

from npkernels._kernels.convolution cimport Convolution, set_operands, set_windows
from npkernels._kernels.direct cimport flat_blocks
from npkernels._kernels.lanes cimport lanes_pitch, lanes_read_in_place
from npkernels._kernels.primitives cimport flat_layout, flat_layout_of, panel_count, windows
from npkernels._kernels.runtime cimport cache_sizes
from npkernels._kernels.scalars cimport ceil_div
from npkernels._kernels.windows cimport pairs_inside

cnp.import_array()

# Nanoseconds of the reference machine (AVX-512, one core) for one of what is counted, in the order of the counts. A vector is
# one of results, or of copied numbers; what belongs to weights is shared by the images of a batch.
NS = {
    "flat": {
        "multiply": 0.266,         # a weight by a vector of places, those of no window too
        "load": 0.211,             # a vector of places comes to a tile
        "run": 43.8,               # a run is begun
        "copy": 1.93,              # a vector of a run is filled, of rows that are read one by one or in twos
        "deal": 12,                # the same of more phases
        "store": 2,                # a vector of places is brought to y
        "weights": 0.0202,         # a vector of weights is read
    },
    "patches": {
        "multiply": 0.252,
        "load": 0.159,
        "gather": 0.228,           # a pixel of a short or strided row
        "window": 0.922,           # a window and tap of the first channel
        "copy": 2.6,               # a vector of a long row
        "deal": 4.46,              # the same at a stride
        "store": 2.88,
        "weights": 3.46,
    },
    "lanes": {
        "multiply": 0.223,         # a pixel by a vector of outputs
        "broadcast": 0.0549,       # a tap of a window, for a panel
        "plane": 16.1,             # a plane is copied
        "copy": 1.71,              # a vector of it
        "store": 4.26,             # a window's vector of outputs
        "weights": 2.82,
    },
    "images": {
        "multiply": 0.153,
        "broadcast": 0.217,        # a tap of a window inside, for a panel
        "far": 0.0959,             # the same of a tile of images whose lines do not stay in L1
        "store": 4.47,
        "weights": 3.26,
    },
    "winograd": {
        "multiply": 0.34,          # a transformed pixel by a vector of outputs
        "pixels": 159,             # a tile's vector of channels
        "store": 127,              # a tile's vector of outputs
        "weights": 76.8,           # a channel's vector of kernels
    },
    "rows": {
        "plane": 38.0,
        "copy": 2.3,               # a vector of a row of x
        "tap": 0.54,               # a tap of a vector of y
        "deal": 10.0,              # a vector of a phase of more than two, of a row of x that windows see
    },
    "pixels": {
        "block": 155.0,            # as many planes as there are lanes
        "copy": 2.5,               # a pixel of x or y, of a block
        "tap": 0.37,               # a tap of a pixel of y
    },
    "columns": {
        "multiply": 0.234,
        "sum": 3.15,               # a vector of a column is added to its place
        "pixel": 2.58,             # a vector of dx
        "number": 0.536,           # a number of a column is added, or a pixel stored that lies apart
        "pack": 3.36,              # a vector of dy
        "weights": 6.87,
        "call": 1180,
        "plan": 1.9,               # a tap of a vector of dx is located, once for all planes of a block
    },
    "phases": {                    # beside what their convolutions take
        "turn": 7.65,              # a vector of weights
        "deal": 8.07,              # a vector of pixels of dx that are apart
        "call": 1690,              # of a convolution
        "row": 2.1,                # a row of pixels that are apart
        "fill": 1.63,              # a vector of a dx some of whose pixels meet no tap
        "far": 1.16,               # a vector of weights beyond L2 is read for a phase
    },
}

FORMS = {
    "any": ANY, "direct": DIRECT, "winograd": WINOGRAD, "flat": FLAT, "patches": PATCHES, "planes": PLANES, "lanes": LANES,
    "images": IMAGES, "rows": ROWS, "pixels": PIXELS, "columns": COLUMNS, "phases": PHASES, "sums": SUMS,
    "plane_products": PLANE_PRODUCTS,
}

cdef enum:
    MOST_COUNTS = 8
    MOST_FORMS = PHASES + 1

cdef double[MOST_FORMS * MOST_COUNTS] ns


def use_ns(dict names):
    """`NS` for the forms by name, or others in its place; for `benchmarks/fit_forms.py`."""
    for name, form in FORMS.items():
        for i, value in enumerate(names.get(name, {}).values()):
            ns[<int>form * MOST_COUNTS + <int>i] = value


use_ns(NS)


cdef double cost(const Convolution* conv, int form) noexcept nogil:
    cdef double[MOST_COUNTS] counts
    cdef double sum = 0
    cdef int i
    count(conv, form, counts)
    for i in range(MOST_COUNTS):
        sum += ns[form * MOST_COUNTS + i] * counts[i]
    return sum


cdef void count(const Convolution* conv, int form, double* counts) noexcept nogil:
    memset(counts, 0, MOST_COUNTS * sizeof(double))
    if form == FLAT:
        count_flat(conv, counts)
    elif form == PATCHES:
        count_patches(conv, counts)
    elif form == LANES:
        count_lanes(conv, counts)
    elif form == IMAGES:
        count_images(conv, counts)
    elif form == WINOGRAD:
        count_winograd(conv, counts)
    elif form == ROWS or form == PIXELS:
        count_depthwise(conv, form, counts)
    elif form == COLUMNS:
        count_columns(conv, counts)
    elif form == PHASES:
        count_phases(conv, counts)


cdef inline double slivers(const Convolution* conv) noexcept nogil:
    # tiles of the product, down the outputs
    return ceil_div(conv.outputs, conv.table.tile.rows)


cdef void count_flat(const Convolution* conv, double* n) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef flat_layout flat = flat_layout_of(x)
    cdef double taps = x.kh * x.kw, places = ceil_div(flat.length, conv.table.lanes), blocks = flat_blocks(conv), copies
    # Weights come anew for each image from beyond L2.
    cdef bint far = conv.outputs * conv.channels * taps * conv.table.itemsize > cache_sizes().l2
    copies = places + blocks * flat.extra / <double>conv.table.lanes
    n[0], n[1] = taps * conv.outputs * conv.channels * places, taps * slivers(conv) * conv.channels * places
    n[2] = blocks * conv.channels * flat.phases_h * flat.phases_w
    n[3 if x.sw <= 2 else 4] = <double>conv.channels * flat.phases_h * flat.phases_w * copies
    n[5] = conv.outputs * places
    n[6] = taps * conv.outputs * conv.channels / ((1 if far else conv.images) * <double>conv.table.lanes)


cdef void count_patches(const Convolution* conv, double* n) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef Py_ssize_t lanes = conv.table.lanes, short_rows = conv.table.conv.short_rows
    cdef double taps = x.kh * x.kw, pixels = <double>x.oh * x.ow, vectors = pixels / lanes
    n[0], n[1] = taps * conv.outputs * conv.channels * vectors, taps * slivers(conv) * conv.channels * vectors
    if x.ow < short_rows or (x.sw > 2 and short_rows > 0):
        n[2], n[3] = conv.channels * taps * pixels, taps * pixels
    else:
        n[4 if x.sw == 1 else 5] = conv.channels * taps * x.oh * ceil_div(x.ow, lanes)
    n[6], n[7] = conv.outputs * vectors, taps * conv.outputs * conv.channels / (<double>conv.images * lanes)


cdef inline double idle(double vectors, Py_ssize_t rows, Py_ssize_t tallest) noexcept nogil:
    # The time of `rows` rows of a tile over that of whole tiles: eight accumulators keep the units busy.
    return max(1., 8 * ceil_div(rows, tallest) / (vectors * rows))


cdef inline double rows_inside(const windows* x) noexcept nogil:
    # pairs of a row of windows and one of taps
    return pairs_inside(x.oh, x.sh, x.kh, x.dh, x.top, x.h)


cdef void count_lanes(const Convolution* conv, double* n) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef Py_ssize_t tallest = conv.table.tile.rows, vectors = ceil_div(conv.outputs, conv.table.lanes)
    cdef double panels = panel_count(vectors, conv.table.tile.vectors), c = conv.channels, taps = x.kh * x.kw
    n[0] = vectors * c * rows_inside(x) * x.kw * x.ow * idle(min(conv.table.tile.vectors, vectors), x.ow, tallest)
    n[1] = panels * c * taps * x.oh * x.ow
    if not lanes_read_in_place(conv):
        n[2] = c
        n[3] = c * ((x.oh - 1) * x.sh + (x.kh - 1) * x.dh + 1) * lanes_pitch(conv) / conv.table.lanes
    n[4], n[5] = <double>vectors * x.oh * x.ow, vectors * c * taps / conv.images


cdef void count_images(const Convolution* conv, double* n) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef Py_ssize_t tallest = conv.table.tile.rows, vectors = ceil_div(conv.outputs, conv.table.lanes)
    cdef double panels = panel_count(vectors, conv.table.tile.vectors), c = conv.channels, taps = x.kh * x.kw
    cdef double inside = rows_inside(x) * pairs_inside(x.ow, x.sw, x.kw, x.dw, x.left, x.w)
    n[0] = vectors * c * inside * idle(min(conv.table.tile.vectors, vectors), min(conv.images, tallest), tallest)
    n[1] = panels * c * inside
    if c * x.kh * tallest * 64 > cache_sizes().l1d:
        n[2] = n[1] * ceil_div(conv.images, tallest) / conv.images
    n[3], n[4] = <double>vectors * x.oh * x.ow, vectors * c * taps / conv.images


cdef Py_ssize_t winograd_tiles(const windows* x) noexcept nogil:
    return ceil_div(x.oh, 7 - x.kh) * ceil_div(x.ow, 7 - x.kh)


cdef void count_winograd(const Convolution* conv, double* n) noexcept nogil:
    cdef double tiles = winograd_tiles(&conv.x), outputs = ceil_div(conv.outputs, conv.table.lanes)
    n[0], n[1] = 36 * tiles * conv.channels * outputs, tiles * ceil_div(conv.channels, conv.table.lanes)
    n[2], n[3] = tiles * outputs, conv.channels * outputs / conv.images


cdef void count_depthwise(const Convolution* conv, int form, double* n) noexcept nogil:
    # Of all groups, which share blocks of planes
    cdef const windows* x = &conv.x
    cdef Py_ssize_t lanes = conv.table.lanes
    cdef flat_layout flat = flat_layout_of(x)
    cdef double taps = x.kh * x.kw, planes = conv.groups * conv.outputs, blocks = ceil_div(conv.groups, lanes)
    if form == ROWS:
        n[0], n[1] = planes, planes * x.h * ceil_div(x.w, lanes * x.sw) if x.sw <= 2 else 0
        n[3] = planes * x.h * flat.phases_h / x.sh * flat.phases_w * ceil_div(x.ow, lanes) if x.sw > 2 else 0
        n[2] = planes * x.oh * ceil_div(x.ow, lanes) * taps
    else:
        n[0], n[1], n[2] = blocks, blocks * (x.h * x.w + x.oh * x.ow), blocks * x.oh * x.ow * taps


cdef void count_columns(const Convolution* conv, double* n) noexcept nogil:
    # As patch_sums.c adds the columns of up to four images: of many planes in vectors, of few number by number
    cdef const windows* x = &conv.x
    cdef double lanes = conv.table.lanes, vectors = x.oh * x.ow / lanes, pixels = x.h * x.w / lanes
    cdef double taps = x.kh * x.kw, c = conv.channels, oc = conv.outputs, images = min(4., max(1., 512. // (x.oh * x.ow)))
    cdef double rows = min(x.kh, x.sh), columns = min(x.kw, x.sw), planes = images * c
    cdef double by_phases = lanes + 4 * (x.kh // rows) * (x.kw // columns)
    n[0], n[2] = taps * c * oc * vectors, c * pixels
    n[4], n[5], n[6] = oc * vectors, oc * c * taps / (conv.images * lanes), 1. / (conv.images * conv.groups)
    if planes >= 8 and (x.ow + 10) * lanes * planes > (4 * planes + 25) * x.ow * x.sw:
        n[1], n[7] = c * taps * x.oh * x.w / lanes, pixels * x.kh * (1 + 8 * x.kw / rows) / images
    elif x.sw == 1:
        n[1] = c * taps * x.oh * (x.ow + 10) / lanes
    else:
        by_phases = rows * columns * (x.ow + ceil_div(x.ow, conv.table.lanes) * by_phases)
        n[3] = c * x.oh * min(taps * (x.ow + 10), by_phases)


cdef void count_phases(const Convolution* conv, double* n) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef flat_layout flat = flat_layout_of(x)
    cdef double lanes = conv.table.lanes, phases = flat.phases_h * flat.phases_w, weights
    weights = <double>conv.outputs * conv.channels * x.kh * x.kw
    n[0], n[2] = weights / (lanes * conv.images), phases / (conv.images * conv.groups)
    if x.sh * x.sw > 1:
        n[1] = conv.channels * x.h * x.w / lanes * phases / (x.sh * x.sw)
        n[3] = conv.channels * x.h * phases / x.sh
    if flat.phases_h < min(x.sh, x.h) or flat.phases_w < min(x.sw, x.w):
        n[4] = conv.channels * x.h * x.w / lanes
    if weights * conv.table.itemsize > cache_sizes().l2:
        n[5] = n[0] * phases


def counts(cnp.ndarray x, cnp.ndarray w, cnp.ndarray y, object geometry, Py_ssize_t groups, str form):
    """What `form` does for an image and a group, in the order of `NS[form]`."""
    cdef Convolution conv
    cdef double[MOST_COUNTS] found
    set_windows(&conv.x, x, geometry)
    set_operands(&conv, x, w, None, y, groups)
    count(&conv, FORMS[form], found)
    return [found[i] for i in range(len(NS[form]))]
