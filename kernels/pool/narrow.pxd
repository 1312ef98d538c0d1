from npkernels._kernels.axis cimport interval
from npkernels._kernels.planes cimport Planes
from npkernels._kernels.primitives cimport pooling, primitives
from npkernels._kernels.runtime cimport Team

cdef struct Narrow:
    const primitives* table
    pooling g
    Planes planes                            # of what is read
    Py_ssize_t images
    char* to                                 # where planes are written, one behind the other
    int* places                              # of the maxima, or NULL
    bint mean, backward, include_pad
    # set by `is_narrow`
    Py_ssize_t source_columns, rows, columns      # of a plane that is read, and of one that is written
    Py_ssize_t run, runs                     # planes a constant step apart, and how many times so many
    Py_ssize_t lanes, band                   # of a block, and the rows that it writes of each lane
    interval alike                           # rows whose bands are the lanes; none: planes are
    Team team

# Whether planes are to be taken so; sets the blocks.
cdef bint is_narrow(Narrow* narrow) noexcept nogil
cdef int pool_narrow(Narrow* narrow) except -1 nogil
