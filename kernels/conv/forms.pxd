from npkernels._kernels.convolution cimport Convolution

# `asked` and results: forms of costs.pxd.
cdef int choose_forward(const Convolution* conv, int asked) noexcept nogil
# Of the forms that are sure to give y, those of direct.pyx
cdef int choose_product(const Convolution* conv) noexcept nogil
# By the sizes of an image alone, since its bits follow from the form.
cdef int choose_image_gradient(const Convolution* conv, int asked) noexcept nogil
cdef int choose_weight_gradient(const Convolution* conv, int asked) noexcept nogil
