"""The gradient of 1x1 kernels as dot products of planes, which are rows of a product where they lie."""
from libc.stdlib cimport calloc, free, malloc

from npkernels._kernels.convolution cimport Convolution, windows_of_y
from npkernels._kernels.primitives cimport primitives, windows
from npkernels._kernels.product cimport CHAINED_VECTORS, product_begin
from npkernels._kernels.scalars cimport put
from npkernels._kernels.stack cimport Stack, stack_run

cdef enum:
    PLANE_IMAGES = 64             # whose products are kept side by side


cdef inline bint rows_follow(const windows* x) noexcept nogil:
    return x.row_stride == x.w * x.column_stride


cdef windows planes_as_rows(const primitives* table, const windows* x, Py_ssize_t channels, char* copy) noexcept nogil:
    # One image, in which rows follow each other: where it lies, or copied
    cdef windows v = x[0]
    cdef Py_ssize_t c
    if not rows_follow(x):
        v.x, v.column_stride, v.row_stride = copy, table.itemsize, x.w * table.itemsize
        v.channel_stride = x.h * v.row_stride
        for c in range(channels):
            table.pack.rows(x.h, x.w, x.x + c * x.channel_stride, x.row_stride, x.column_stride, copy + c * v.channel_stride)
    return v


cdef void set_planes(Stack* s, windows few, windows many, Py_ssize_t images) noexcept nogil:
    s.a.axes = s.b.axes = 1
    s.a.shape[0] = s.b.shape[0] = images
    s.a.data, s.a.strides[0], s.g.a_row, s.g.a_k = <char*>few.x, few.image_stride, few.channel_stride, few.column_stride
    s.b.data, s.b.strides[0], s.g.b_column, s.g.b_k = <char*>many.x, many.image_stride, many.channel_stride, many.column_stride


cdef int plane_products_run(const Convolution* conv) except -1 nogil:
    # Image by image, and in double: images may be many. The fewer planes are those that stay in cache.
    cdef windows x = conv.x, dy = windows_of_y(conv)
    cdef bint of_x = conv.channels <= conv.outputs           # are those of x the fewer?
    cdef const primitives* table = conv.table
    cdef Py_ssize_t size = table.itemsize, count = conv.channels * conv.outputs, plane = x.h * x.w * size, i = 0, j, images
    cdef Py_ssize_t step = PLANE_IMAGES if rows_follow(&x) and rows_follow(&dy) else 1
    cdef Stack s
    cdef double* totals = <double*>calloc(<size_t>count, sizeof(double))
    cdef char* parts = <char*>malloc(<size_t>(step * count * size))
    cdef char* copy = <char*>malloc(<size_t>(1 if step > 1 else (conv.channels + conv.outputs) * plane))
    try:
        if totals == NULL or parts == NULL or copy == NULL:
            raise MemoryError("no memory for the gradient of the weights")
        product_begin(&s.g, conv.typenum, min(conv.channels, conv.outputs), max(conv.channels, conv.outputs), x.h * x.w)
        s.g.table, s.g.c, s.g.c_row, s.c_bytes = table, parts, s.g.n * size, count * size
        s.g.chained = s.g.k >= CHAINED_VECTORS * table.lanes
        while i < conv.images:
            images = min(conv.images - i, step)
            x.x, dy.x = conv.x.x + i * x.image_stride, conv.y.data + i * dy.image_stride
            if of_x:
                set_planes(&s, planes_as_rows(table, &x, conv.channels, copy),
                           planes_as_rows(table, &dy, conv.outputs, copy + conv.channels * plane), images)
            else:
                set_planes(&s, planes_as_rows(table, &dy, conv.outputs, copy + conv.channels * plane),
                           planes_as_rows(table, &x, conv.channels, copy), images)
            stack_run(&s, images)
            for j in range(images):
                table.rows.add_to_doubles(count, parts + j * count * size, totals)
            i += images
        for i in range(count):                               # s.g.n is the number of columns of the totals
            put(table, conv.w.data, i % s.g.n * s.g.m + i // s.g.n if of_x else i, totals[i])
    finally:
        free(totals)
        free(parts)
        free(copy)
    return 0
