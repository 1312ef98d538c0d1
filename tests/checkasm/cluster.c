/* Nearest centroids, distances to points, and what a product of a matrix with itself needs. */
#include "checkasm.h"

static double squared_distance(const view *x, ptrdiff_t i, const real *point, ptrdiff_t d)
{
    double sum = 0;
    for (ptrdiff_t p = 0; p < d; p++)
        sum += (*AT(*x, i, p) - (double)point[p]) * (*AT(*x, i, p) - (double)point[p]);
    return sum;
}

/* Where feature p of point j lies in tiles of points, each feature by feature */
static ptrdiff_t place_in_tiles(ptrdiff_t k, ptrdiff_t d, ptrdiff_t j, ptrdiff_t p)
{
    const ptrdiff_t tiles = (k + VALUE(tile, rows) - 1) / VALUE(tile, rows);
    ptrdiff_t q = 0;
    while (k * (q + 1) / tiles <= j)
        q++;
    const ptrdiff_t first = k * q / tiles, height = k * (q + 1) / tiles - first;
    return first * d + p * height + j - first;
}

typedef struct {
    ptrdiff_t k, d;
    real *centroids, *mean, *scale, *packed, *start;
    int finite;
} centroids;

static centroids some_centroids(int bad)
{
    centroids v = {.k = between(1, 20), .d = some_count(1)};
    v.d = v.d > 80 ? 80 : v.d;
    v.centroids = integers(v.k * v.d, INPUT);
    if (bad)
        put_number(v.centroids + between(0, v.k * v.d - 1), one_in(2) ? NAN : INFINITY);
    v.mean = results(v.d), v.scale = results(1), v.packed = results(v.k * v.d), v.start = results(v.k);
    detail("k %td d %td", v.k, v.d);
    v.finite = CALL(cluster, centre)(v.k, v.d, v.centroids, NULL, v.mean, v.scale, v.packed, v.start);
    leave_open(v.mean, v.d), leave_open(v.scale, 1), leave_open(v.packed, v.k * v.d), leave_open(v.start, v.k);
    return v;
}

/* Which m and which scale is left open; what follows from them is not. */
void NAME(check_centre)(void)
{
    const int bad = one_in(4);
    const centroids v = some_centroids(bad);
    if (v.finite != !bad)
        fail("finite %d, wanted %d", v.finite, !bad);
    if (v.finite && (*v.scale <= 0 || frexp((double)*v.scale, &(int){0}) != 0.5))
        fail("the scale %g is not a power of 2", (double)*v.scale);
    for (ptrdiff_t j = 0; v.finite && j < v.k; j++) {
        number norm = 0;
        for (ptrdiff_t p = 0; p < v.d; p++) {
            const number deviation = (v.centroids[j * v.d + p] - v.mean[p]) * *v.scale;
            want(v.packed)[place_in_tiles(v.k, v.d, j, p)] = deviation;
            norm += deviation * deviation;
        }
        want(v.start)[j] = (number)-0.5 * norm;
    }
    tolerate(2 * (double)v.d, 0);
    verify();
}

void NAME(check_nearest)(void)
{
    const centroids v = some_centroids(0);
    const int bad = one_in(6);
    const ptrdiff_t count = some_count(1);
    const view x = VIEW(ANY_STRIDES, INPUT, count, v.d);
    int32_t *const labels = claim(count, sizeof *labels, OTHER, RESULT, sizeof *labels);
    real *const band = scratch(CALL(cluster, scratch_reals)(count, v.d));
    if (bad) {
        put_number(AT(x, between(0, count - 1), between(0, v.d - 1)), one_in(2) ? NAN : INFINITY);
    }
    for (ptrdiff_t i = 0; i < count; i++)
        for (ptrdiff_t j = 0, best = 0; j < v.k; j++) {
            if (squared_distance(&x, i, v.centroids + j * v.d, v.d) <
                squared_distance(&x, i, v.centroids + best * v.d, v.d))
                best = j;
            want(labels)[i] = (int32_t)best;
        }
    const int finite = CALL(cluster, nearest)(count, one_in(2) ? 0 : 9, v.d, v.k, x.data, x.strides[0], x.strides[1],
                                              v.mean, v.scale, v.packed, v.start, band, labels);
    if (finite != !bad)
        fail("finite %d, wanted %d", finite, !bad);
    for (ptrdiff_t i = 0; bad && i < count; i++)
        if (labels[i] < 0 || labels[i] >= v.k)
            fail("label %d of %td centroids", labels[i], v.k);
    if (bad) /* labels of samples that are not finite are left open */
        memcpy(want(labels), labels, (size_t)count * sizeof *labels);
    verify();
}

typedef struct {
    ptrdiff_t count, d, k;
    view x; /* of contiguous features */
    real *points;
    int32_t *labels;
    double *weights;
} samples;

static samples some_samples(void)
{
    samples v = {.count = some_count(0), .d = between(1, 3 * lanes() + 1), .k = between(1, 9)};
    v.x = VIEW(GAPS | BACK | STILL | ODD | CLOSE, INPUT, v.count, v.d);
    v.points = integers(v.k * v.d, INPUT), v.labels = places(v.count, 0, v.k - 1, INPUT);
    v.weights = one_in(2) ? doubles(v.count, 0, 3, INPUT) : NULL;
    return v;
}

void NAME(check_squared_distances)(void)
{
    const samples v = some_samples();
    real *const distances = results(v.count);
    for (ptrdiff_t i = 0; i < v.count; i++)
        want(distances)[i] = (number)squared_distance(&v.x, i, v.points + v.labels[i] * v.d, v.d);
    CALL(cluster, squared_distances)(v.count, v.d, v.x.data, v.x.strides[0], v.points, NULL, v.labels, distances);
    verify();
}

void NAME(check_add_samples)(void)
{
    const samples v = some_samples();
    const ptrdiff_t pitch = v.d + between(0, 3);
    double *const sums = doubles(v.k * pitch, -3, 3, RESULT);
    for (ptrdiff_t i = 0; i < v.count; i++)
        for (ptrdiff_t p = 0; p < v.d; p++)
            want(sums)[v.labels[i] * pitch + p] += (v.weights ? v.weights[i] : 1) * *AT(v.x, i, p);
    CALL(cluster, add_samples)(v.count, v.d, v.x.data, v.x.strides[0], v.labels, v.weights, sums, pitch);
    verify();
}

void NAME(check_add_weights)(void)
{
    const samples v = some_samples();
    double *const counts = doubles(v.k, 0, 3, RESULT), *const inertia = one_in(3) ? NULL : doubles(1, 0, 9, RESULT);
    real *const distances = integers(v.count, INPUT);
    for (ptrdiff_t i = 0; i < v.count; i++) {
        want(counts)[v.labels[i]] += v.weights ? v.weights[i] : 1;
        if (inertia)
            *want(inertia) += (v.weights ? v.weights[i] : 1) * distances[i];
    }
    CALL(cluster, add_weights)(v.count, v.labels, v.weights, distances, counts, inertia);
    verify();
}

void NAME(check_distances)(void)
{
    const ptrdiff_t count = some_count(0), d = between(1, 40), k = between(1, 20),
                    pitch = up_to(count, lanes()) + lanes() * between(0, 1);
    const view x = VIEW(ANY_STRIDES, INPUT, count, d);
    real *const points = integers(k * d, INPUT), *const packed = results(k * d), *const zero = nothing(d, INPUT);
    real *const panel = scratch(CALL(distance, panel_reals)(d)), *const distances = results(k * pitch);
    for (ptrdiff_t p = 0; p < d; p++)
        put_number(zero + p, 0);
    for (ptrdiff_t j = 0; j < k; j++) {
        for (ptrdiff_t p = 0; p < d; p++)
            want(packed)[place_in_tiles(k, d, j, p)] = points[j * d + p];
        for (ptrdiff_t i = 0; i < count; i++)
            want(distances)[j * pitch + i] = (number)squared_distance(&x, i, points + j * d, d);
    }
    detail("count %td d %td k %td pitch %td", count, d, k, pitch);
    CALL(distance, pack)(k, d, points, packed);
    CALL(distance, distances)(count, d, k, x.data, x.strides[0], x.strides[1], packed, NULL, zero, panel, distances,
                              pitch);
    for (ptrdiff_t j = 0; j < k; j++)
        leave_open(distances + j * pitch + count, up_to(count, lanes()) - count);
    verify();
}

void NAME(check_lower)(void)
{
    const ptrdiff_t count = some_count(0), k = between(0, 5), pitch = up_to(count, lanes()) + lanes() * between(0, 1);
    real *const distances = nothing((k ? k : 1) * pitch, INPUT), *const nearest = numbers(count, 0, 9, RESULT);
    double *const weights = one_in(2) ? doubles(count, 0, 3, INPUT) : NULL;
    double *const sums = doubles(k * lanes(), 0, 3, RESULT);
    const int first = one_in(2);
    for (ptrdiff_t j = 0; j < (k ? k : 1); j++)
        for (ptrdiff_t i = 0; i < count; i++)
            put_number(distances + j * pitch + i, (double)between(0, 9));
    for (ptrdiff_t i = 0; i < count; i++) {
        put_number(nearest + i, first ? INFINITY : (double)between(0, 9));
        want(nearest)[i] = nearest[i] < distances[i] ? nearest[i] : distances[i];
        for (ptrdiff_t j = 0; j < k; j++) {
            const number other = distances[j * pitch + i];
            want(sums)[j * lanes() + i % lanes()] +=
                (weights ? weights[i] : 1) * (double)(other < want(nearest)[i] ? other : want(nearest)[i]);
        }
    }
    detail("count %td k %td", count, k);
    same(CALL(distance, lower)(count, k, distances, pitch, weights, nearest, sums), 1, FLOAT64);
    verify();
}

void NAME(check_draw)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const nearest = nothing(count, INPUT);
    double *const weights = one_in(2) ? doubles(count, 0, 2, INPUT) : NULL, sum = 0, all = 0;
    ptrdiff_t wanted = -1;
    for (ptrdiff_t i = 0; i < count; i++) {
        put_number(nearest + i, one_in(20) ? 0 : (double)between(0, 3));
        all += (weights ? weights[i] : 1) * nearest[i];
    }
    const double target = uniform(0, 1.1) * all;
    for (ptrdiff_t i = 0; i < count && (wanted < 0 || sum <= target); i++)
        if ((weights ? weights[i] : 1) * nearest[i] > 0) {
            sum += (weights ? weights[i] : 1) * nearest[i];
            wanted = i;
        }
    same((double)CALL(distance, draw)(count, nearest, weights, target), (double)wanted, FLOAT64);
    verify();
}

void NAME(check_roots)(void)
{
    const ptrdiff_t count = some_count(0), k = between(0, 5), pitch = up_to(count, lanes()), row = k + between(0, 3);
    real *const distances = numbers(k * pitch, 0, 9, INPUT), *const to = results(count * row);
    for (ptrdiff_t i = 0; i < count; i++)
        for (ptrdiff_t j = 0; j < k; j++)
            want(to)[i * row + j] = (number)sqrt((double)distances[j * pitch + i]);
    CALL(distance, roots)(count, k, distances, pitch, to, row);
    verify();
}

void NAME(check_gram_centre)(void)
{
    const ptrdiff_t k = between(0, 20), columns = between(1, 3 * lanes()), width = up_to(columns, lanes());
    real *const near = integers(columns, INPUT), *const panel = nothing(k * width, RESULT);
    double *const sums = doubles(columns, -3, 3, RESULT);
    for (ptrdiff_t e = 0; e < k * width; e++)
        put_number(panel + e, e % width < columns ? (double)between(-3, 3) : 0);
    for (ptrdiff_t p = 0; p < k; p++)
        for (ptrdiff_t j = 0; j < columns; j++)
            want(sums)[j] += want(panel)[p * width + j] -= near[j];
    CALL(gram, centre)(k, columns, width, near, panel, sums);
    verify();
}

void NAME(check_gram_add)(void)
{
    const ptrdiff_t rows = between(0, 9), columns = between(0, 3 * lanes() + 1), stride = columns + between(0, 3);
    const ptrdiff_t to_stride = columns + between(0, 3);
    real *const c = integers(rows * stride, INPUT);
    double *const to = doubles(rows * to_stride, -3, 3, RESULT);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j++)
            want(to)[i * to_stride + j] += c[i * stride + j];
    CALL(gram, add)(rows, columns, c, stride, to, to_stride);
    verify();
}
