"""Distances of samples to a few points at a time: greedy k-means++, and the distances to all centroids.

k-means++ draws a sample with probability in proportion to its weight times its squared distance to the centroids so
far, some candidates for each centroid, and keeps the one that lowers the sum of these products, the potential, most.
One pass over the samples a centroid: it lowers the distances by the centroid chosen last and takes the potentials of
all candidates for the next. D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", 2007.
"""
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
    PART = 1024                              # samples whose potentials are added up; a task
    TOGETHER = 48                            # centroids at a time
    LINE = 64                                # bytes of a cache line

cdef struct Candidate:
    Py_ssize_t part, sample                  # part -1: all potentials are 0
    double target                            # potential within the part up to which samples are passed over

cdef struct Distances:
    const primitives* table
    Py_ssize_t n, d, k, size, row, column    # size of a number and strides of x in bytes
    const char* x                            # (n, d)
    Py_ssize_t group, pitch                  # samples at a time
    char* zero                               # (d,)
    char* packed
    Team team
    size_t panel_bytes, distances_bytes
    # for k-means++
    const double* weights                    # (n,), or NULL: 1
    char* nearest                            # (n,), squared distance to the nearest centroid but the last
    double* potentials                       # (parts, points)
    Py_ssize_t parts, points                 # the last centroid, and the candidates for the next
    char* rows                               # (points, d)
    Candidate* candidates                    # (points - 1,)
    # for all distances
    const char* centroids                    # (k, d)
    const double* exact                      # (k, d), what is rounded to centroids for float32 samples, or NULL
    char* high                               # the parts of some of exact: (TOGETHER, d)
    char* low
    char* packed_low                         # behind low, or NULL: nothing is lost by rounding
    char* out                                # (n, k)
    Py_ssize_t first, together               # centroids


cdef void begin_distances(Distances* v, cnp.ndarray x, Py_ssize_t k) noexcept:
    cdef cnp.npy_intp strides[2]
    memset(v, 0, sizeof(Distances))
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    v.size, v.k = v.table.itemsize, k
    v.x, v.n, v.d = <const char*>cnp.PyArray_DATA(x), cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(x)[1]
    read_strides(x, strides)
    v.row, v.column = strides[0], strides[1]


cdef inline const double* weights_from(const Distances* v, Py_ssize_t i) noexcept nogil:
    if v.weights == NULL:
        return NULL
    return v.weights + i


cdef inline double pass_work(const Distances* v, Py_ssize_t samples, Py_ssize_t points) noexcept nogil:
    return work_of(v.table, 8.0 * samples * (v.d + 4) * points, samples * v.d * v.size)


cdef int reserve(Distances* v, Py_ssize_t points, double work, size_t shared) except -1 nogil:
    # Distances of a group to `points` points take a quarter of L2. `shared` bytes follow what all threads read.
    cdef Py_ssize_t lanes = v.table.lanes
    cdef size_t zero = round_to_line(v.d * v.size)
    v.group = cache_sizes().l2 // 4 // (points * v.size) // lanes * lanes
    v.group = max(lanes, min(v.group, <Py_ssize_t>PART))
    v.pitch = v.group
    v.panel_bytes = round_to_line(v.table.distance.panel_reals(v.d) * v.size)
    v.distances_bytes = round_to_line(points * v.pitch * v.size)
    team_begin(&v.team, work, ceil_div(v.n, v.group),
               zero + round_to_line(points * v.d * v.size) + shared,
               LINE + v.panel_bytes + v.distances_bytes + <size_t>(points * lanes) * sizeof(double))
    v.zero = v.team.shared
    memset(v.zero, 0, <size_t>(v.d * v.size))
    v.packed = v.zero + zero
    return 0


cdef int pass_part(const Distances* v, Py_ssize_t part, Py_ssize_t points, double* potentials, char* scratch) noexcept nogil:
    # Distances of a part are lowered by the first point; potentials of all points. Returns whether all are finite.
    cdef Py_ssize_t i = part * PART, end = min(v.n, (part + 1) * PART), count, j, lane, lanes = v.table.lanes
    cdef char* panel = scratch + LINE
    cdef char* distances = panel + v.panel_bytes
    cdef double* sums = <double*>(distances + v.distances_bytes)
    cdef int finite = True
    memset(sums, 0, <size_t>(points * lanes) * sizeof(double))
    while i < end:
        count = min(v.group, end - i)
        v.table.distance.distances(count, v.d, points, v.x + i * v.row, v.row, v.column, v.packed, NULL, v.zero,
                                   panel, distances, v.pitch)
        finite &= v.table.distance.lower(count, points, distances, v.pitch, weights_from(v, i),
                                         v.nearest + i * v.size, sums)
        i += count
    for j in range(points):
        potentials[j] = 0
        for lane in range(lanes):
            potentials[j] += sums[j * lanes + lane]
    return finite


cdef void pass_parts(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Distances* v = <const Distances*>context
    cdef char* scratch = slot_of(&v.team, slot)
    cdef Py_ssize_t part
    for part in range(first, last):
        if not pass_part(v, part, v.points, v.potentials + part * v.points, scratch):
            scratch[0] = 1


cdef double total_potential(const Distances* v, Py_ssize_t j) noexcept nogil:
    cdef Py_ssize_t part
    cdef double total = 0
    for part in range(v.parts):
        total += v.potentials[part * v.points + j]
    return total


cdef Py_ssize_t draw_weight(const Distances* v, double u) noexcept nogil:
    # A sample with probability in proportion to its weight.
    cdef double total = 0, sum = 0
    cdef Py_ssize_t i, last = 0
    if v.weights == NULL:
        return min(<Py_ssize_t>(u * <double>v.n), v.n - 1)
    for i in range(v.n):
        total += v.weights[i]
    for i in range(v.n):
        if v.weights[i] > 0:
            sum += v.weights[i]
            last = i
            if sum > u * total:
                break
    return last


cdef void draw_part(const Distances* v, Py_ssize_t best, double target, Candidate* candidate) noexcept nogil:
    # The part in which the running potential of point `best` of the last pass exceeds the target.
    cdef double sum = 0, value
    cdef Py_ssize_t part
    candidate.part = -1
    for part in range(v.parts):
        value = v.potentials[part * v.points + best]
        if value > 0:
            candidate.part, candidate.target = part, target - sum
            sum += value
            if sum > target:
                break


cdef void lower_parts(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Distances in the parts of the candidates are lowered by the last centroid at once; the next pass lowers them again,
    # which changes nothing.
    cdef const Distances* v = <const Distances*>context
    cdef Py_ssize_t i, j
    cdef double unused
    cdef bint done
    for j in range(first, last):
        done = v.candidates[j].part < 0
        for i in range(j):
            done |= v.candidates[i].part == v.candidates[j].part
        if not done:
            pass_part(v, v.candidates[j].part, 1, &unused, slot_of(&v.team, slot))


cdef Py_ssize_t draw_sample(const Distances* v, const Candidate* candidate, double u) noexcept nogil:
    cdef Py_ssize_t i = candidate.part * PART, place
    if candidate.part >= 0:
        place = v.table.distance.draw(min(<Py_ssize_t>PART, v.n - i), v.nearest + i * v.size, weights_from(v, i),
                                      candidate.target)
        if place >= 0:
            return i + place
    return draw_weight(v, u)                 # every sample has a centroid at its place


cdef void copy_sample(const Distances* v, Py_ssize_t i, char* to) noexcept nogil:
    v.table.pack.rows(1, v.d, v.x + i * v.row, v.row, v.column, to)


cdef int choose(Distances* v, const double* draws, Py_ssize_t trials, Py_ssize_t* chosen) noexcept nogil:
    # Returns whether all distances are finite.
    cdef Py_ssize_t c, j, best = 0
    cdef double value, total = 0
    cdef int finite = True, slot
    chosen[0] = draw_weight(v, draws[0])
    draws += 1 - trials
    for slot in range(v.team.threads):
        slot_of(&v.team, slot)[0] = 0
    for c in range(1, v.k):
        copy_sample(v, chosen[c - 1], v.rows)
        v.table.distance.pack(1, v.d, v.rows, v.packed)
        if c == 1:                           # there are no distances yet
            v.points = 1
            team_run(&v.team, pass_parts, v, v.parts, pass_work(v, v.n, v.points))
            total = total_potential(v, 0)
        draws += trials
        for j in range(trials):
            draw_part(v, best, draws[j] * total, &v.candidates[j])
        team_run(&v.team, lower_parts, v, trials, pass_work(v, trials * PART, 1))
        for j in range(trials):
            v.candidates[j].sample = draw_sample(v, &v.candidates[j], draws[j])
            copy_sample(v, v.candidates[j].sample, v.rows + (j + 1) * v.d * v.size)
        v.points = trials + 1
        v.table.distance.pack(v.points, v.d, v.rows, v.packed)
        team_run(&v.team, pass_parts, v, v.parts, pass_work(v, v.n, v.points))
        best = 1
        total = total_potential(v, 1)
        for j in range(2, v.points):
            value = total_potential(v, j)
            if value < total:
                best, total = j, value
        chosen[c] = v.candidates[best - 1].sample
    for slot in range(v.team.threads):
        finite &= not slot_of(&v.team, slot)[0]
    return finite


def plus_plus(
    cnp.ndarray x,           # IN (n, d)
    weights,                 # IN (n,) float64, C-contiguous, or None
    cnp.ndarray draws,       # IN (1 + (k - 1) * trials,) float64 in [0, 1), C-contiguous
    Py_ssize_t trials,
    cnp.ndarray nearest,     # IN inf, OUT (n,), C-contiguous
    cnp.ndarray chosen,      # OUT (k,) intp, C-contiguous: samples
):
    """Returns whether everything is finite, which is not known of a single centroid."""
    cdef Distances v
    cdef int finite
    cdef size_t rows, candidates, shared
    begin_distances(&v, x, cnp.PyArray_DIMS(chosen)[0])
    if weights is not None:
        v.weights = <const double*>cnp.PyArray_DATA(weights)
    v.nearest, v.parts = <char*>cnp.PyArray_DATA(nearest), ceil_div(v.n, PART)
    rows = round_to_line((trials + 1) * v.d * v.size)
    candidates = round_to_line(<size_t>trials * sizeof(Candidate))
    shared = rows + candidates + <size_t>(v.parts * (trials + 1)) * sizeof(double)
    with nogil:
        reserve(&v, trials + 1, v.k * pass_work(&v, v.n, trials + 1), shared)
        v.rows = v.packed + rows
        v.candidates = <Candidate*>(v.rows + rows)
        v.potentials = <double*>(v.rows + rows + candidates)
        finite = choose(&v, <const double*>cnp.PyArray_DATA(draws), trials, <Py_ssize_t*>cnp.PyArray_DATA(chosen))
        team_end()
    return bool(finite)


cdef void root_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Distances* v = <const Distances*>context
    cdef char* panel = slot_of(&v.team, slot) + LINE
    cdef char* distances = panel + v.panel_bytes
    cdef Py_ssize_t g, i, count
    for g in range(first, last):
        i = g * v.group
        count = min(v.group, v.n - i)
        v.table.distance.distances(count, v.d, v.together, v.x + i * v.row, v.row, v.column, v.packed, v.packed_low,
                                   v.zero, panel, distances, v.pitch)
        v.table.distance.roots(count, v.together, distances, v.pitch, v.out + (i * v.k + v.first) * v.size, v.k)


cdef void pack_next(Distances* v) noexcept nogil:
    # Packs the next centroids.
    cdef Py_ssize_t place = v.first * v.d
    v.together = min(<Py_ssize_t>TOGETHER, v.k - v.first)
    v.packed_low = NULL
    if v.exact == NULL:
        v.table.distance.pack(v.together, v.d, v.centroids + place * v.size, v.packed)
        return
    if split(v.exact + place, v.together * v.d, <float*>v.high, <float*>v.low):
        v.packed_low = v.low + (v.low - v.high)
        v.table.distance.pack(v.together, v.d, v.low, v.packed_low)
    v.table.distance.pack(v.together, v.d, v.high, v.packed)


def distances(
    cnp.ndarray x,           # IN (n, d)
    cnp.ndarray centroids,   # IN (k, d), C-contiguous, of the dtype of x or float64
    cnp.ndarray out,         # OUT (n, k), C-contiguous: out[i, j] = |x_i - c_j|
):
    cdef Distances v
    begin_distances(&v, x, cnp.PyArray_DIMS(centroids)[0])
    v.centroids, v.out = <const char*>cnp.PyArray_DATA(centroids), <char*>cnp.PyArray_DATA(out)
    cdef Py_ssize_t points = min(<Py_ssize_t>TOGETHER, v.k)
    cdef size_t part = round_to_line(points * v.d * v.size)
    if cnp.PyArray_TYPE(centroids) != cnp.PyArray_TYPE(x):
        v.exact = <const double*>v.centroids
    with nogil:
        reserve(&v, points, pass_work(&v, v.n, v.k), 0 if v.exact == NULL else 3 * part)
        v.high, v.low = v.packed + part, v.packed + 2 * part
        while v.first < v.k:
            pack_next(&v)
            team_run(&v.team, root_groups, &v, ceil_div(v.n, v.group), pass_work(&v, v.n, v.together))
            v.first += v.together
        team_end()
