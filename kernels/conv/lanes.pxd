"""Convolution with output channels in the lanes."""
from npkernels._kernels.primitives cimport activation_fn, flat_layout, primitives, windows

cdef struct Lanes:
    # What the caller says; strides in bytes.
    const primitives* table
    windows x                                # over the images of the first group
    Py_ssize_t groups, images, channels, outputs      # channels and outputs of a group
    const char* w                            # (groups * outputs, channels * kh * kw)
    Py_ssize_t w_row, w_k
    const char* bias                         # contiguous, or NULL
    activation_fn activation                 # NULL: none
    char* y
    Py_ssize_t y_image, y_channel, y_row, y_column
    # What the plan chooses.
    bint across, in_place                    # across: the rows of a tile are images; in place: no copy is read
    bint skips                               # some taps of the padding are left out
    windows dense                            # stride 1: their flat layout is that of the copies
    flat_layout layout
    Py_ssize_t line, column, plane, picture  # of what tiles read, in elements: rows, columns, channels, images
    Py_ssize_t k, channel_block, channel_group, range
    Py_ssize_t image_blocks, bands, piece_images, piece_rows
    double* sums                             # of the panels of a range of outputs
    char* biases                             # 0 up to whole vectors
    char* panels
    char* scratch
    size_t copy_bytes, c_bytes, slot_bytes
    Py_ssize_t group, first, count           # the range of outputs at work

# What the caller says is complete: plans, and returns the work for a channel of an image, in multiply-adds of a lane.
cdef double lanes_begin(Lanes* v) noexcept nogil
# False if taps were to be skipped and a weight is infinite or NaN; then y may be written in part.
cdef int lanes_run(Lanes* v) except -1 nogil
