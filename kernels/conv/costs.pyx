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
from npkernels._kernels.product cimport ceil_div
from npkernels._kernels.runtime cimport cache_sizes
from npkernels._kernels.windows cimport pairs_inside

cnp.import_array()

# Nanoseconds of the reference machine (AVX-512, one core) for one of what is counted, in the order of the counts. A vector is
# one of results, or of copied numbers; what belongs to weights is shared by the images of a batch.
NS = {
    "flat": {
        "multiply": 0.141,         # a weight by a vector of places, those of no window too
        "run": 26.2,               # a run is begun
        "copy": 1.62,              # a vector of a run is filled, of rows that are read one by one or in twos
        "deal": 7.87,              # the same of more phases
        "store": 0.95,             # a vector of places is brought to y
        "row": 0.15,               # a row of y
        "weights": 0.62,           # a vector of weights is read
    },
    "patches": {
        "multiply": 0.137,
        "gather": 0.13,            # a pixel of a short or strided row
        "window": 0.87,            # a window and tap of the first channel
        "copy": 1.66,              # a vector of a long row
        "deal": 3.32,              # the same at a stride
        "store": 1.5,
        "weights": 1.25,
    },
    "lanes": {
        "multiply": 0.107,         # a pixel by a vector of outputs
        "tile": 8.5,               # a tile for a panel of outputs
        "broadcast": 0.062,        # a tap of a window, for a panel
        "plane": 10.9,             # a plane is copied
        "copy": 1.37,              # a vector of it
        "store": 2.5,              # a window's vector of outputs
        "weights": 2.5,
    },
    "images": {
        "multiply": 0.096,
        "window": 10.6,            # a window of a tile of images, for a panel
        "list": 0.375,             # a tap of it is listed
        "tap": 0.75,               # a tap inside the image, for a tile and a panel
        "channel": 0.15,           # a channel of a window, for a panel
        "store": 2.5,
        "weights": 2.5,
    },
    "winograd": {
        "multiply": 0.137,         # a transformed pixel by a vector of outputs
        "pixels": 40.0,            # a tile's vector of channels
        "store": 25.0,             # a tile's vector of outputs
        "weights": 15.0,           # a channel's vector of kernels
    },
    "rows": {
        "plane": 30.0,
        "copy": 1.0,               # a vector of a row of x
        "tap": 0.375,              # a tap of a vector of y
    },
    "pixels": {
        "block": 80.0,             # as many planes as there are lanes
        "copy": 1.76,              # a pixel of x or y, of a block
        "tap": 0.22,               # a tap of a pixel of y
    },
    "columns": {
        "multiply": 0.141,
        "sum": 3.37,               # a vector of a column is added to its place
        "pixel": 2.37,             # a vector of dx that several taps meet
        "spread": 11.9,            # the same of one tap
        "plane": 0.55,             # a tap of a plane
        "pack": 3.25,              # a vector of dy
        "weights": 3.75,
        "call": 2700.0,
    },
    "phases": {                    # beside what their convolutions take
        "turn": 9.6,               # a vector of weights
        "deal": 3.5,               # a vector of dx whose pixels are apart
        "call": 1500.0,            # of a convolution
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


cdef void count_flat(const Convolution* conv, double* n) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef flat_layout flat = flat_layout_of(x)
    cdef double taps = x.kh * x.kw, places = ceil_div(flat.length, conv.table.lanes), blocks = flat_blocks(conv), copies
    # Weights come anew for each image from beyond L2.
    cdef bint far = conv.outputs * conv.channels * taps * conv.table.itemsize > cache_sizes().l2
    copies = places + blocks * flat.extra / <double>conv.table.lanes
    n[0], n[1] = taps * conv.outputs * conv.channels * places, blocks * conv.channels * flat.phases_h * flat.phases_w
    n[2 if x.sw <= 2 else 3] = <double>conv.channels * flat.phases_h * flat.phases_w * copies
    n[4], n[5] = conv.outputs * places, <double>conv.outputs * x.oh
    n[6] = taps * conv.outputs * conv.channels / ((1 if far else conv.images) * <double>conv.table.lanes)


cdef void count_patches(const Convolution* conv, double* n) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef Py_ssize_t lanes = conv.table.lanes, short_rows = conv.table.conv.short_rows
    cdef double taps = x.kh * x.kw, pixels = <double>x.oh * x.ow, vectors = pixels / lanes
    n[0] = taps * conv.outputs * conv.channels * vectors
    if x.ow < short_rows or (x.sw > 2 and short_rows > 0):
        n[1], n[2] = conv.channels * taps * pixels, taps * pixels
    else:
        n[3 if x.sw == 1 else 4] = conv.channels * taps * x.oh * ceil_div(x.ow, lanes)
    n[5], n[6] = conv.outputs * vectors, taps * conv.outputs * conv.channels / (<double>conv.images * lanes)


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
    n[1], n[2] = panels * x.oh * ceil_div(x.ow, tallest), panels * c * taps * x.oh * x.ow
    if not lanes_read_in_place(conv):
        n[3] = c
        n[4] = c * ((x.oh - 1) * x.sh + (x.kh - 1) * x.dh + 1) * lanes_pitch(conv) / conv.table.lanes
    n[5], n[6] = <double>vectors * x.oh * x.ow, vectors * c * taps / conv.images


cdef void count_images(const Convolution* conv, double* n) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef Py_ssize_t tallest = conv.table.tile.rows, vectors = ceil_div(conv.outputs, conv.table.lanes)
    cdef double panels = panel_count(vectors, conv.table.tile.vectors), c = conv.channels, taps = x.kh * x.kw
    cdef double pixels = x.oh * x.ow, tiles = <double>ceil_div(conv.images, tallest) / conv.images
    cdef double inside = rows_inside(x) * pairs_inside(x.ow, x.sw, x.kw, x.dw, x.left, x.w)
    n[0] = vectors * c * inside * idle(min(conv.table.tile.vectors, vectors), min(conv.images, tallest), tallest)
    n[1], n[2], n[3] = panels * tiles * pixels, panels * tiles * pixels * taps, panels * tiles * c * inside
    n[4], n[5], n[6] = panels * c * pixels, vectors * pixels, vectors * c * taps / conv.images


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
    cdef double taps = x.kh * x.kw, planes = conv.groups * conv.outputs, blocks = ceil_div(conv.groups, lanes)
    if form == ROWS:
        n[0], n[1] = planes, planes * x.h * ceil_div(x.w, lanes * x.sw)
        n[2] = planes * x.oh * ceil_div(x.ow, lanes) * taps
    else:
        n[0], n[1], n[2] = blocks, blocks * (x.h * x.w + x.oh * x.ow), blocks * x.oh * x.ow * taps


cdef void count_columns(const Convolution* conv, double* n) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef double taps = x.kh * x.kw, c = conv.channels, oc = conv.outputs, lanes = conv.table.lanes
    cdef double vectors = x.oh * x.ow / lanes, pixels = x.h * x.w / lanes
    n[0], n[1], n[2 if taps > 1 else 3] = taps * c * oc * vectors, taps * c * vectors, c * pixels
    n[4], n[5], n[6], n[7] = c * taps, oc * vectors, oc * c * taps / (lanes * conv.images), 1. / conv.images


cdef void count_phases(const Convolution* conv, double* n) noexcept nogil:
    cdef const windows* x = &conv.x
    cdef double lanes = conv.table.lanes
    n[0] = conv.outputs * conv.channels * x.kh * x.kw / (lanes * conv.images)
    n[1] = 0 if x.sh * x.sw == 1 else conv.channels * x.h * x.w / lanes
    n[2] = <double>min(x.kh, x.sh) * min(x.kw, x.sw) / conv.images


def counts(cnp.ndarray x, cnp.ndarray w, cnp.ndarray y, object geometry, Py_ssize_t groups, str form):
    """What `form` does for an image and a group, in the order of `NS[form]`."""
    cdef Convolution conv
    cdef double[MOST_COUNTS] found
    set_windows(&conv.x, x, geometry)
    set_operands(&conv, x, w, None, y, groups)
    count(&conv, FORMS[form], found)
    return [found[i] for i in range(len(NS[form]))]
