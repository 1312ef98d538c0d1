"""Which form of a convolution or of its gradients is taken: decided here and nowhere else.

The least cost (costs.pyx), or rules of sizes. Forms whose bits differ are chosen by the sizes of an image alone, never by the
batch or by where its pixels lie.
"""
cimport numpy as cnp
from libc.math cimport HUGE_VAL

from npkernels._kernels.convolution cimport Convolution, set_operands, set_windows
from npkernels._kernels.costs cimport (
    ANY, COLUMNS, DIRECT, FLAT, IMAGES, LANES, PATCHES, PHASES, PIXELS, PLANE_PRODUCTS, PLANES, ROWS, SUMS, WINOGRAD, cost,
    winograd_tiles,
)
from npkernels._kernels.depthwise cimport rows_fit, weight_rows_fit
from npkernels._kernels.depthwise_pixels cimport pixels_fit
from npkernels._kernels.image_gradient cimport Phase, phase_of, phases_of
from npkernels._kernels.lanes cimport lanes_fit
from npkernels._kernels.primitives cimport flat_layout, flat_layout_of, windows
from npkernels._kernels.product cimport SUM_BLOCK
from npkernels._kernels.scalars cimport ceil_div
from npkernels._kernels.windows cimport pairs_inside

cnp.import_array()

cdef enum:
    PHASE_IMAGES = 4              # that dx is chosen for
    MOST_PHASES = 64              # of rows, or of columns, that are compared with columns
    STRIDED_PLANE = 60            # ns of a plane and of its row, dx of ROWS at a stride
    STRIDED_ROW = 3
    MOST_OUTPUTS = 4              # of a channel, where a tile of the product would stay empty
    PLANE_VECTORS = 4             # of a plane that is one matrix of a stack
    LONGEST_CHAIN = 8192          # channels that Winograd's form adds up one by one: the direct form has blocks of more
    WINOGRAD_CHANNELS = 16        # fewer, of either side, are not worth transforming; nor are
    WINOGRAD_OUTPUTS = 32         # fewer outputs of 3x3 kernels,
    WINOGRAD_PIXELS = 49          # fewer pixels of an image, or
    WINOGRAD_SUMS = 20            # fewer tiles of dy, whose sums in 36 planes are transformed back


cdef bint winograd_applies(const windows* x) noexcept nogil:
    return x.kh == x.kw and (x.kh == 3 or x.kh == 5) and x.sh == x.sw == x.dh == x.dw == 1


cdef bint winograd_fills(const windows* x) noexcept nogil:
    # Is at least half of the tiles' pixels wanted, and does at least half of the taps meet the image?
    cdef double inside = (<double>pairs_inside(x.oh, 1, x.kh, 1, x.top, x.h) * pairs_inside(x.ow, 1, x.kw, 1, x.left, x.w))
    return 2 * x.oh * x.ow >= (7 - x.kh) * (7 - x.kh) * winograd_tiles(x) and 2 * inside >= x.kh * x.kw * x.oh * x.ow


cdef bint winograd_pays(const Convolution* conv) noexcept nogil:
    cdef const windows* x = &conv.x
    return (winograd_applies(x) and winograd_fills(x) and conv.channels >= WINOGRAD_CHANNELS
            and conv.outputs >= (WINOGRAD_OUTPUTS if x.kh == 3 else WINOGRAD_CHANNELS) and x.oh * x.ow >= WINOGRAD_PIXELS)


cdef bint takes_winograd(const Convolution* conv, int asked) noexcept nogil:
    if not 0 < conv.channels <= LONGEST_CHAIN:
        return False
    return winograd_pays(conv) if asked == ANY else asked == WINOGRAD and winograd_applies(&conv.x)


cdef bint rows_follow(const Convolution* conv) noexcept nogil:
    # Are the planes of y contiguous, one behind the other?
    cdef Py_ssize_t size = conv.table.itemsize, plane = conv.x.oh * conv.x.ow * size
    return (conv.y.column == size and conv.y.row == conv.x.ow * size and conv.y.channel == plane
            and conv.y.image == conv.groups * conv.outputs * plane)


cdef bint weights_follow(const Convolution* conv) noexcept nogil:
    # Are kernels of one channel contiguous, one behind the other?
    cdef Py_ssize_t size = conv.table.itemsize
    return (not conv.w.turned and conv.w.column == size and conv.w.row == conv.x.kw * size
            and conv.w.output == conv.x.kh * conv.w.row)


cdef int choose_depthwise(const Convolution* conv, int asked, double factor, double extra) noexcept nogil:
    # ROWS, whose cost is that of y times a factor and something extra, PIXELS, or 0: several channels, or too large windows
    cdef Py_ssize_t vector_bytes = conv.table.lanes * conv.table.itemsize
    if asked == WINOGRAD or not rows_fit(conv) or not weights_follow(conv):
        return 0
    if asked == ROWS or asked == PIXELS:
        return PIXELS if asked == PIXELS and pixels_fit(conv) else ROWS
    if asked > DIRECT or conv.outputs > MOST_OUTPUTS:
        return 0
    if vector_bytes == 32:
        factor *= 1.15
    # The smallest vectors have no masks.
    if pixels_fit(conv) and (vector_bytes == 16 or cost(conv, PIXELS) < factor * cost(conv, ROWS) + extra):
        return PIXELS
    return ROWS


cdef bint planes_are_rows(const Convolution* conv) noexcept nogil:
    # Does a product read the planes of x where they lie, and write those of y?
    cdef const windows* x = &conv.x
    cdef Py_ssize_t size = conv.table.itemsize
    return (x.kh * x.kw * x.sh * x.sw == 1 and x.top == 0 and x.left == 0 and x.oh == x.h and x.ow == x.w
            and x.column_stride == size and x.row_stride == x.w * size and conv.y.column == size and conv.y.row == x.w * size)


cdef bint flat_fits(const Convolution* conv) noexcept nogil:
    # Not where most places are no windows, or a sum is cut inside a channel
    cdef const windows* x = &conv.x
    cdef flat_layout flat = flat_layout_of(x)
    return (x.kh * x.kw <= SUM_BLOCK or conv.channels * x.kh * x.kw <= SUM_BLOCK) and flat.length <= 2. * x.oh * x.ow \
        and flat.extra <= 4096 + 4 * flat.length


cdef int choose_product(const Convolution* conv) noexcept nogil:
    return FLAT if flat_fits(conv) and cost(conv, FLAT) < cost(conv, PATCHES) else PATCHES


cdef int choose_direct(const Convolution* conv, double* least) noexcept nogil:
    # Of these all sums are the same chains, bit by bit: the batch and the layout may decide.
    cdef int form = PATCHES
    least[0] = cost(conv, PATCHES)
    if flat_fits(conv):
        form = faster(conv, FLAT, form, least)
    if lanes_fit(conv, False):
        form = faster(conv, LANES, form, least)
    if lanes_fit(conv, True):
        form = faster(conv, IMAGES, form, least)
    return form


cdef inline int faster(const Convolution* conv, int form, int best, double* least) noexcept nogil:
    cdef double time = cost(conv, form)
    if time >= least[0]:
        return best
    least[0] = time
    return form


cdef int choose_forward(const Convolution* conv, int asked) noexcept nogil:
    cdef int form = choose_depthwise(conv, asked, 1, 0) if rows_follow(conv) else 0
    cdef double least
    if form:
        return form
    if takes_winograd(conv, asked):
        return WINOGRAD
    if conv.channels == 0 or asked == PATCHES:
        return PATCHES
    if (asked == FLAT and flat_fits(conv)) or ((asked == LANES or asked == IMAGES) and lanes_fit(conv, asked == IMAGES)):
        return asked
    if planes_are_rows(conv) and (asked == PLANES or conv.x.h * conv.x.w >= PLANE_VECTORS * conv.table.lanes):
        return PLANES
    return choose_direct(conv, &least)


cdef int choose_image_gradient(const Convolution* conv, int asked) noexcept nogil:
    cdef double extra = conv.groups * (STRIDED_PLANE + STRIDED_ROW * conv.x.h) if conv.x.sh * conv.x.sw > 1 else 0
    cdef int form = choose_depthwise(conv, asked, 1, extra) if conv.bias == NULL else 0
    cdef Convolution nominal
    cdef double by_columns
    if form:
        return form
    if asked == COLUMNS or asked == PHASES:
        return asked
    if asked == WINOGRAD and winograd_applies(&conv.x):
        return PHASES
    # By columns, a 1x1 window at stride 1 would be copied for nothing.
    if conv.x.sh * conv.x.sw * conv.x.kh * conv.x.kw == 1:
        return PHASES
    nominal = one_batch(conv)
    by_columns = cost(&nominal, COLUMNS)
    return PHASES if cost_of_phases(&nominal, by_columns) < by_columns else COLUMNS


cdef Convolution one_batch(const Convolution* conv) noexcept nogil:
    # The same for a batch of PHASE_IMAGES with dy in C order, whatever they are
    cdef Convolution nominal = conv[0]
    nominal.images, nominal.y.column, nominal.y.row = PHASE_IMAGES, conv.table.itemsize, conv.x.ow * conv.table.itemsize
    nominal.y.channel = conv.x.oh * nominal.y.row
    nominal.y.image = conv.groups * conv.outputs * nominal.y.channel
    return nominal


cdef double cost_of_phases(const Convolution* conv, double limit) noexcept nogil:
    # Of dx by convolutions, each in the form of y that it would take; or more than the limit
    cdef Convolution phase
    cdef Phase[MOST_PHASES] rows, columns
    cdef Py_ssize_t i, j, row_count, column_count
    cdef double total = cost(conv, PHASES), least
    if min(conv.x.kh, conv.x.sh) > MOST_PHASES or min(conv.x.kw, conv.x.sw) > MOST_PHASES:
        return HUGE_VAL
    row_count, column_count = phases_of(&conv.x, False, rows), phases_of(&conv.x, True, columns)
    for i in range(row_count):
        for j in range(column_count):
            if total > limit:
                return total
            phase = phase_of(conv, &rows[i], &columns[j])
            if takes_winograd(&phase, ANY):
                least = cost(&phase, WINOGRAD)
            else:
                choose_direct(&phase, &least)
            total += least
    return total


cdef bint plane_products_apply(const Convolution* conv) noexcept nogil:
    cdef const windows* x = &conv.x
    return (conv.groups == 1 and x.kh * x.kw * x.sh * x.sw == 1 and x.top == 0 and x.left == 0 and x.oh == x.h
            and x.ow == x.w)


cdef bint plane_products_pay(const Convolution* conv) noexcept nogil:
    # Dot products of planes, at the speed of memory, where few channels of one side would leave tiles empty
    cdef Py_ssize_t few = min(conv.channels, conv.outputs), pixels = conv.x.h * conv.x.w
    return (few <= 4 and pixels >= 49) or (few <= 8 and pixels >= 512)


cdef bint weight_rows_pay(const Convolution* conv) noexcept nogil:
    # Pixels in the lanes and a copy of x a channel and output, or outputs in the lanes? (Measured on 729 random layers.)
    cdef const windows* x = &conv.x
    cdef double taps = x.kh * x.kw
    return (4. * conv.outputs * ceil_div(x.ow, conv.table.lanes) * (taps + 4 * min(x.sw, <Py_ssize_t>3))
            < x.ow * taps * ceil_div(conv.outputs, conv.table.lanes))


cdef int choose_weight_gradient(const Convolution* conv, int asked) noexcept nogil:
    # dw is a sum over the batch, whose size may decide; its layout may not.
    cdef int form = choose_depthwise(conv, asked, 1.5, 0)
    cdef const windows* x = &conv.x
    if form and (conv.groups > 1 or asked > DIRECT):
        return form
    if weight_rows_fit(conv) and (asked == ROWS or (asked <= DIRECT and weight_rows_pay(conv))):
        return ROWS
    if plane_products_apply(conv) and (asked == PLANE_PRODUCTS or (asked <= WINOGRAD and plane_products_pay(conv))):
        return PLANE_PRODUCTS
    if winograd_applies(x) and (asked == WINOGRAD or (
            asked == ANY and winograd_fills(x) and conv.channels >= WINOGRAD_CHANNELS and conv.outputs >= WINOGRAD_CHANNELS
            and conv.images * winograd_tiles(x) >= WINOGRAD_SUMS)):
        return WINOGRAD
    return SUMS


def chosen(cnp.ndarray x, cnp.ndarray w, cnp.ndarray y, object geometry, Py_ssize_t groups, int asked=ANY):
    """The forms of y, dx and dw of a convolution, by their numbers in `FORMS`."""
    cdef Convolution conv
    set_windows(&conv.x, x, geometry)
    set_operands(&conv, x, w, None, y, groups)
    return choose_forward(&conv, asked), choose_image_gradient(&conv, asked), choose_weight_gradient(&conv, asked)


def cost_by_phases(cnp.ndarray x, cnp.ndarray w, cnp.ndarray y, object geometry, Py_ssize_t groups):
    """Nanoseconds of dx by convolutions, for an image and a group of this batch."""
    cdef Convolution conv
    set_windows(&conv.x, x, geometry)
    set_operands(&conv, x, w, None, y, groups)
    return cost_of_phases(&conv, HUGE_VAL)
