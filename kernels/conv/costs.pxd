from npkernels._kernels.convolution cimport Convolution
from npkernels._kernels.primitives cimport windows

# What may be asked for: whatever is fastest, that without Winograd's form, or a form, which gives way where it does not apply.
cdef enum:
    ANY, DIRECT, WINOGRAD                        # Winograd's is a form of y, of dx (as a convolution of dy) and of dw
    FLAT, PATCHES, PLANES, LANES, IMAGES         # y: direct.pyx, and lanes.pyx with windows or images as the rows of a tile
    ROWS, PIXELS                                 # y, dx, dw: depthwise.pyx, depthwise_pixels.pyx
    COLUMNS, PHASES                              # dx: image_gradient.pyx
    SUMS, PLANE_PRODUCTS                         # dw: weight_gradient.pyx

# Nanoseconds of an image and a group, of ROWS and PIXELS of all groups; of PHASES without their convolutions.
cdef double cost(const Convolution* conv, int form) noexcept nogil
# Tiles of an image in Winograd's form, of 4 x 4 pixels of y (2 x 2 for 5x5 kernels)
cdef Py_ssize_t winograd_tiles(const windows* x) noexcept nogil
