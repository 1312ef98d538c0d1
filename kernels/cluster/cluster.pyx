"""Nearest centroids, and what a block of samples adds to the next centroids.

Samples go through in groups: their nearest centroids, then, while they are in cache, distances and sums. Sums of many
centroids of many features, of which few copies fit, follow in a second pass that shares out the features.
"""
from libc.stdint cimport int32_t
from libc.string cimport memset
cimport numpy as cnp

from npkernels._kernels.centroids cimport split
from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport primitives
from npkernels._kernels.runtime cimport (
    Team, cache_sizes, primitives_for, slot_of, team_begin, team_end, team_run, work_of,
)
from npkernels._kernels.scalars cimport ceil_div, round_to_line

cnp.import_array()

cdef enum:
    GROUP_PANELS = 8                         # the most panels of samples in a group
    LINE = 64                                # bytes of a cache line

cdef struct Clusters:
    const primitives* table
    Py_ssize_t n, d, k, size, row, column    # size of a number and strides of x in bytes
    const char* x                            # (n, d)
    const char* centroids                    # (k, d), contiguous
    const char* low                          # (k, d), what rounding took from them, or NULL: nothing
    const double* exact                      # (k, d), what is rounded to centroids for float32 samples, or NULL
    int32_t* labels                          # (n,)
    char* distances                          # (n,), or NULL: not wanted
    # Sums in parts, none if not wanted: part q has the samples from n q / parts to n (q + 1) / parts. With more than
    # one range of features they are a pass of their own, after that of labels and distances.
    const double* weights                    # (n,), or NULL: 1
    double* sums                             # (parts, k, d), or NULL: not wanted
    double* counts                           # (parts, k)
    double* inertia                          # (parts,), or NULL: not wanted
    Py_ssize_t parts, ranges
    # Memory of the call: both parts of exact, what `centre` writes, and for every thread a line for its flag and its scratch.
    Team team
    Py_ssize_t group                         # samples
    char* mean
    char* scale
    char* packed
    char* start
    size_t nearest_bytes, rows_bytes


cdef int begin_clusters(Clusters* v, cnp.ndarray x, cnp.ndarray centroids, cnp.ndarray labels, distances) except -1:
    cdef cnp.npy_intp strides[2]
    memset(v, 0, sizeof(Clusters))
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    v.size = v.table.itemsize
    v.x, v.n, v.d = <const char*>cnp.PyArray_DATA(x), cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(x)[1]
    read_strides(x, strides)
    v.row, v.column = strides[0], strides[1]
    v.centroids, v.k = <const char*>cnp.PyArray_DATA(centroids), cnp.PyArray_DIMS(centroids)[0]
    if cnp.PyArray_TYPE(centroids) != cnp.PyArray_TYPE(x):
        v.exact = <const double*>v.centroids
    v.labels = <int32_t*>cnp.PyArray_DATA(labels)
    if distances is not None:
        v.distances = <char*>cnp.PyArray_DATA(distances)
    return 0


cdef void choose_group(Clusters* v) noexcept nogil:
    # The panels of a group take half of L2, so that the tiles of centroids stream past them.
    cdef Py_ssize_t panel = v.table.lanes * v.table.tile.vectors
    v.group = cache_sizes().l2 // 2 // (v.d * v.size)
    if v.group < panel:
        v.group = max(v.table.lanes, v.group // v.table.lanes * v.table.lanes)
    else:
        v.group = min(v.group // panel, <Py_ssize_t>GROUP_PANELS) * panel
    v.group = min(v.group, max(<Py_ssize_t>1, v.n))


cdef int reserve(Clusters* v, double work, Py_ssize_t tasks) except -1 nogil:
    cdef size_t whole = round_to_line(v.k * v.d * v.size), parts = 0 if v.exact == NULL else 2 * whole
    cdef size_t mean = round_to_line(v.d * v.size)
    v.nearest_bytes = round_to_line(v.table.cluster.scratch_reals(v.group, v.d) * v.size)
    v.rows_bytes = 0 if v.column == v.size else round_to_line(v.group * v.d * v.size)
    team_begin(&v.team, work, tasks, parts + mean + LINE + whole + round_to_line(v.k * v.size),
               LINE + v.nearest_bytes + v.rows_bytes + round_to_line(v.group * v.size))
    v.mean = v.team.shared + parts
    v.scale = v.mean + mean
    v.packed = v.scale + LINE
    v.start = v.packed + whole
    if v.exact != NULL:
        v.centroids = v.team.shared
        if split(v.exact, v.k * v.d, <float*>v.team.shared, <float*>(v.team.shared + whole)):
            v.low = v.team.shared + whole
    return 0


cdef const char* contiguous_features(const Clusters* v, Py_ssize_t i, Py_ssize_t count, Py_ssize_t p0, Py_ssize_t p1,
                                     char* to, Py_ssize_t* row) noexcept nogil:
    # Features p0 to p1 of samples i to i + count: where they lie, or a copy.
    cdef const char* x = v.x + i * v.row + p0 * v.column
    row[0] = v.row
    if v.column == v.size:
        return x
    v.table.pack.rows(count, p1 - p0, x, v.row, v.column, to)
    row[0] = (p1 - p0) * v.size
    return to


cdef void add_group(const Clusters* v, Py_ssize_t i, Py_ssize_t count, Py_ssize_t part, Py_ssize_t p0, Py_ssize_t p1,
                    const char* x, Py_ssize_t row, const char* distances) noexcept nogil:
    cdef const double* weights = v.weights
    if weights != NULL:
        weights += i
    if v.sums != NULL:
        v.table.cluster.add_samples(count, p1 - p0, x, row, v.labels + i, weights, v.sums + part * v.k * v.d + p0, v.d)
    if p0 == 0:
        v.table.cluster.add_weights(count, v.labels + i, weights, distances, v.counts + part * v.k,
                                    NULL if v.inertia == NULL else v.inertia + part)


cdef int run_group(const Clusters* v, Py_ssize_t i, Py_ssize_t count, Py_ssize_t part, char* scratch) noexcept nogil:
    # Samples i to i + count; returns whether all their best scores are finite.
    cdef Py_ssize_t row = v.row
    cdef const char* x = v.x + i * row
    cdef char* distances = v.distances + i * v.size if v.distances != NULL else scratch + v.nearest_bytes + v.rows_bytes
    cdef int finite = v.table.cluster.nearest(count, min(v.group, v.n - i - count), v.d, v.k, x, row, v.column, v.mean,
                                              v.scale, v.packed, v.start, scratch, v.labels + i)
    if v.distances == NULL and v.parts == 0:
        return finite
    x = contiguous_features(v, i, count, 0, v.d, scratch + v.nearest_bytes, &row)
    if v.distances != NULL or v.inertia != NULL:
        v.table.cluster.squared_distances(count, v.d, x, row, v.centroids, v.low, v.labels + i, distances)
    if v.parts > 0 and v.ranges == 1:
        add_group(v, i, count, part, 0, v.d, x, row, distances)
    return finite


cdef void run_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Clusters* v = <const Clusters*>context
    cdef char* scratch = slot_of(&v.team, slot)
    cdef Py_ssize_t i
    for i in range(first, last):
        if not run_group(v, i * v.group, min(v.group, v.n - i * v.group), 0, scratch + LINE):
            scratch[0] = 1


cdef void run_parts(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Clusters* v = <const Clusters*>context
    cdef char* scratch = slot_of(&v.team, slot)
    cdef const char* x
    cdef Py_ssize_t task, part, p0, p1, i, j, end, count, row
    for task in range(first, last):
        part = task // v.ranges
        p0, p1 = v.d * (task % v.ranges) // v.ranges, v.d * (task % v.ranges + 1) // v.ranges
        if v.sums != NULL:
            for j in range(v.k):
                memset(v.sums + (part * v.k + j) * v.d + p0, 0, <size_t>(p1 - p0) * sizeof(double))
        if p0 == 0:
            memset(v.counts + part * v.k, 0, <size_t>v.k * sizeof(double))
            if v.inertia != NULL:
                v.inertia[part] = 0
        i, end = v.n * part // v.parts, v.n * (part + 1) // v.parts
        while i < end:
            count = min(v.group, end - i)
            if v.ranges > 1:
                x = contiguous_features(v, i, count, p0, p1, scratch + LINE, &row)
                add_group(v, i, count, part, p0, p1, x, row, NULL if v.inertia == NULL else v.distances + i * v.size)
            elif not run_group(v, i, count, part, scratch + LINE):
                scratch[0] = 1
            i += count


cdef int run_clusters(Clusters* v) except -1 nogil:
    # Returns whether all is finite. About 2 (d + 4) (k + 8) operations a sample.
    cdef int finite, slot
    cdef Py_ssize_t groups, tasks = v.parts * v.ranges
    cdef double work = work_of(v.table, 2.0 * v.n * (v.d + 4) * (v.k + 8), v.n * v.d * v.size)
    choose_group(v)
    groups = ceil_div(v.n, v.group)
    reserve(v, work, max(tasks, groups))
    for slot in range(v.team.threads):
        slot_of(&v.team, slot)[0] = 0
    finite = v.table.cluster.centre(v.k, v.d, v.centroids, v.low, v.mean, v.scale, v.packed, v.start)
    if finite and (v.parts == 0 or v.ranges > 1):
        team_run(&v.team, run_groups, v, groups, work)
    if finite and v.parts > 0:
        team_run(&v.team, run_parts, v, tasks, work)
    for slot in range(v.team.threads):
        finite &= not slot_of(&v.team, slot)[0]
    team_end()
    return finite


def assign(
    cnp.ndarray x,           # IN (n, d)
    cnp.ndarray centroids,   # IN (k, d), C-contiguous, of the dtype of x or float64
    cnp.ndarray labels,      # OUT (n,) int32, C-contiguous
    distances=None,          # OUT (n,), C-contiguous, or None
):
    """Returns whether everything is finite; if not, centroids, samples or scores are not."""
    cdef Clusters v
    cdef int finite
    begin_clusters(&v, x, centroids, labels, distances)
    with nogil:
        finite = run_clusters(&v)
    return bool(finite)


def accumulate(
    cnp.ndarray x,           # IN (n, d)
    cnp.ndarray centroids,   # IN (k, d), C-contiguous, of the dtype of x or float64
    weights,                 # IN (n,) float64, C-contiguous, or None
    cnp.ndarray labels,      # OUT (n,) int32, C-contiguous
    sums,                    # OUT (parts, k, d) float64, C-contiguous, or None
    cnp.ndarray counts,      # OUT (parts, k) float64, C-contiguous
    inertia,                 # OUT (parts,) float64, C-contiguous, or None
    Py_ssize_t ranges,       # of features, <= d; more than 1: in a pass of their own
    distances=None,          # OUT (n,), C-contiguous, or None; not None if ranges > 1 and inertia is wanted
):
    """Returns whether everything is finite; if not, centroids, samples or scores are not."""
    cdef Clusters v
    cdef int finite
    begin_clusters(&v, x, centroids, labels, distances)
    if weights is not None:
        v.weights = <const double*>cnp.PyArray_DATA(weights)
    if sums is not None:
        v.sums = <double*>cnp.PyArray_DATA(sums)
    if inertia is not None:
        v.inertia = <double*>cnp.PyArray_DATA(inertia)
    v.counts, v.parts, v.ranges = <double*>cnp.PyArray_DATA(counts), cnp.PyArray_DIMS(counts)[0], ranges
    with nogil:
        finite = run_clusters(&v)
    return bool(finite)
