/* The nearest rows, distances of all pairs, and sums of distances over groups. */
#include "checkasm.h"

static ptrdiff_t tile_rows(void) { return VALUE(tile, rows); }

/* A view of rows as the primitives take it. */
static matrix matrix_of(const view *x, ptrdiff_t i)
{
    return (matrix){x->data + i * x->strides[0], x->strides[0], x->strides[1]};
}

static real *constant(ptrdiff_t count, double value)
{
    real *const x = nothing(count, INPUT);
    for (ptrdiff_t p = 0; p < count; p++)
        put_number(x + p, value);
    return x;
}

static double squared_distance(const view *x, ptrdiff_t i, const view *y, ptrdiff_t j)
{
    double sum = 0;
    for (ptrdiff_t p = 0; p < x->shape[1]; p++)
        sum += (*AT(*x, i, p) - (double)*AT(*y, j, p)) * (*AT(*x, i, p) - (double)*AT(*y, j, p));
    return sum;
}

static double product(const view *x, ptrdiff_t i, const view *y, ptrdiff_t j)
{
    double sum = 0;
    for (ptrdiff_t p = 0; p < x->shape[1]; p++)
        sum += *AT(*x, i, p) * (double)*AT(*y, j, p);
    return sum;
}

void NAME(check_middle)(void)
{
    const ptrdiff_t count = between(1, 20), d = some_count(0);
    real *const rows = numbers(count * d, -9, 9, INPUT), *const middle = results(d);
    CALL(neighbours, middle)(count, d, rows, middle);
    for (ptrdiff_t p = 0; p < d; p++) {
        double mean = 0, gap = INFINITY;
        int found = 0;
        for (ptrdiff_t j = 0; j < count; j++)
            mean += rows[j * d + p] / (double)count;
        for (ptrdiff_t j = 0; j < count; j++) {
            found |= rows[j * d + p] == middle[p];
            gap = fmin(gap, fabs(rows[j * d + p] - mean));
        }
        if (!found || fabs(middle[p] - mean) > gap + 40 * EPS)
            fail("the middle %g of feature %td", (double)middle[p], p);
    }
    leave_open(middle, d);
    verify();
}

void NAME(check_deviation)(void)
{
    const ptrdiff_t count = some_count(0), d = between(0, 3 * lanes() + 1);
    const view x = VIEW(GAPS | BACK | STILL | ODD | CLOSE, INPUT, count, d);
    real *const middle = integers(d, INPUT);
    double most = 0;
    for (ptrdiff_t i = 0; i < count; i++)
        for (ptrdiff_t p = 0; p < d; p++)
            most = fmax(most, fabs(*AT(x, i, p) - (double)middle[p]));
    if (one_in(4) && count && d) {
        put_number(AT(x, between(0, count - 1), between(0, d - 1)), one_in(2) ? NAN : INFINITY);
        most = NAN;
    }
    const double got = CALL(neighbours, deviation)(count, d, x.data, x.strides[0], middle);
    if (isnan(most) ? !isnan(got) : got != most)
        fail("a deviation of %g, wanted %g", got, most);
    verify();
}

void NAME(check_tiles_of_rows)(void)
{
    const ptrdiff_t count = some_count(0), d = between(0, 2 * lanes() + 1), whole = up_to(count, tile_rows());
    const int norms = one_in(2);
    const view y = VIEW(GAPS | BACK | STILL | ODD | CLOSE, INPUT, count, d);
    real *const middle = integers(d, INPUT), *const scale = constant(1, one_in(2) ? 0.5 : 4);
    real *const packed = results(whole * d), *const start = results(whole);
    detail("count %td d %td", count, d);
    for (ptrdiff_t i = 0; i < whole; i++) {
        double norm = 0;
        for (ptrdiff_t p = 0; p < d; p++) {
            const double value = i < count ? (*AT(y, i, p) - (double)middle[p]) * (double)*scale : 0;
            want(packed)[i / tile_rows() * tile_rows() * d + p * tile_rows() + i % tile_rows()] = (number)value;
            norm += value * value;
        }
        want(start)[i] = i >= count ? -(number)INFINITY : norms ? (number)(-0.5 * norm) : 0;
    }
    CALL(neighbours, pack)(count, d, y.data, y.strides[0], middle, scale, norms, packed, start);
    verify();
}

void NAME(check_panel_of_rows)(void)
{
    const ptrdiff_t count = between(1, VALUE(tile, vectors) * lanes()), d = between(0, 2 * lanes() + 1);
    const ptrdiff_t width = up_to(count, lanes());
    const view x = VIEW(ANY_STRIDES, INPUT, count, d);
    real *const middle = integers(d, INPUT), *const scale = constant(1, one_in(2) ? 0.5 : 4);
    real *const panel = results(width * d);
    const matrix rows = matrix_of(&x, 0);
    CALL(neighbours, panel)(count, d, &rows, middle, scale, panel);
    for (ptrdiff_t p = 0; p < d; p++) {
        for (ptrdiff_t i = 0; i < count; i++)
            want(panel)[p * width + i] = (*AT(x, i, p) - middle[p]) * *scale;
        leave_open(panel + p * width + count, width - count);
    }
    verify();
}

/* Whether pair a comes before pair b. */
static int is_nearer(const double *values, int kind, ptrdiff_t a, ptrdiff_t b)
{
    if (values[a] != values[b])
        return kind == INNER_PRODUCT ? values[a] > values[b] : values[a] < values[b];
    return a < b;
}

static void want_nearest(const view *x, ptrdiff_t i, const view *y, int kind, ptrdiff_t k, real *values,
                         int32_t *indices)
{
    double all[64];
    for (ptrdiff_t j = 0; j < y->shape[0]; j++) {
        const double squared = squared_distance(x, i, y, j);
        all[j] = kind == INNER_PRODUCT ? product(x, i, y, j) : kind == ROOT_DISTANCE ? sqrt(squared) : squared;
    }
    for (ptrdiff_t j = 0; j < y->shape[0]; j++) {
        ptrdiff_t rank = 0;
        for (ptrdiff_t other = 0; other < y->shape[0]; other++)
            rank += is_nearer(all, kind, other, j);
        if (rank < k) {
            want(values)[i * k + rank] = (number)all[j];
            want(indices)[i * k + rank] = (int32_t)j;
        }
    }
    for (ptrdiff_t s = y->shape[0]; s < k; s++) {
        want(values)[i * k + s] = kind == INNER_PRODUCT ? -(number)INFINITY : (number)INFINITY;
        want(indices)[i * k + s] = -1;
    }
}

void NAME(check_search)(void)
{
    enum { LENGTH = 16 };
    const ptrdiff_t vectors = between(1, VALUE(tile, vectors)), d = between(1, 2 * lanes() + 1), m = between(1, 64);
    const ptrdiff_t n = vectors * lanes() - between(0, lanes() - 1), k = between(1, LENGTH), height = tile_rows();
    const ptrdiff_t tiles = (m + height - 1) / height, part = between(0, tiles);
    const int kind = one_in(3) ? INNER_PRODUCT : one_in(2) ? ROOT_DISTANCE : SQUARED_DISTANCE;
    const view x = VIEW(ANY_STRIDES, INPUT, n, d), y = VIEW(ANY_STRIDES, INPUT, m, d);
    const view close = VIEW(CLOSE, INPUT, m, d);
    real *const zero = constant(d, 0), *const one = constant(1, 1), *const rows = scratch(2 * d);
    real *const packed = scratch(tiles * height * d), *const start = scratch(tiles * height);
    real *const panel = scratch(vectors * lanes() * d);
    const ptrdiff_t reals = CALL(neighbours, queue_reals)(LENGTH);
    real *const queues = scratch(2 * vectors * reals), *const values = results(n * k);
    int32_t *const indices = claim(n * k, sizeof *indices, OTHER, RESULT, sizeof *indices);
    detail("n %td m %td d %td k %td kind %d part %td", n, m, d, k, kind, part);
    const matrix x_rows = matrix_of(&x, 0), y_rows = matrix_of(&y, 0);
    for (ptrdiff_t j = 0; j < m; j++)
        for (ptrdiff_t p = 0; p < d; p++)
            put_number(AT(close, j, p), (double)*AT(y, j, p));
    CALL(neighbours, panel)(n, d, &x_rows, zero, one, panel);
    CALL(neighbours, pack)(m, d, close.data, close.strides[0], zero, one, kind != INNER_PRODUCT, packed, start);
    for (ptrdiff_t q = 0; q < 2 * vectors; q++)
        CALL(neighbours, begin)(LENGTH, queues + q * reals);
    CALL(neighbours, search)(part, d, 0, packed, start, vectors, panel, LENGTH, queues);
    CALL(neighbours, search)(tiles - part, d, part * height, packed + part * height * d, start + part * height, vectors,
                             panel, LENGTH, queues + vectors * reals);
    for (ptrdiff_t v = 0; v < vectors; v++) {
        const ptrdiff_t i = v * lanes(), count = n - i < lanes() ? n - i : lanes();
        const matrix samples = matrix_of(&x, i);
        CALL(neighbours, merge)(LENGTH, queues + v * reals, queues + (vectors + v) * reals);
        CALL(neighbours, finish)(count, d, k, kind, &samples, &y_rows, rows, LENGTH, queues + v * reals, values + i * k,
                                 indices + i * k);
    }
    for (ptrdiff_t i = 0; i < n; i++)
        want_nearest(&x, i, &y, kind, k, values, indices);
    verify();
}

typedef struct {
    ptrdiff_t rows, columns, d;
    view x, y;
    real *packed, *panel;
} pairs;

static pairs some_pairs(void)
{
    pairs v = {.rows = between(1, 40), .columns = between(1, VALUE(tile, vectors) * lanes())};
    v.d = between(0, 2 * lanes() + 1);
    v.x = VIEW(CLOSE, INPUT, v.rows, v.d), v.y = VIEW(ANY_STRIDES, INPUT, v.columns, v.d);
    real *const zero = constant(v.d, 0), *const one = constant(1, 1);
    v.packed = scratch(up_to(v.rows, tile_rows()) * v.d), v.panel = scratch(up_to(v.columns, lanes()) * v.d);
    const matrix y = matrix_of(&v.y, 0);
    CALL(neighbours, panel)(v.columns, v.d, &y, zero, one, v.panel);
    CALL(neighbours, pack)(v.rows, v.d, v.x.data, v.x.strides[0], zero, one, 0, v.packed,
                           scratch(up_to(v.rows, tile_rows())));
    return v;
}

void NAME(check_all_distances)(void)
{
    const pairs v = some_pairs();
    const ptrdiff_t stride = v.columns + between(0, 3);
    const int kind = one_in(3) ? COSINE_DISTANCE : one_in(2) ? ROOT_DISTANCE : SQUARED_DISTANCE;
    real *const out = results(v.rows * stride);
    for (ptrdiff_t i = 0; i < v.rows; i++)
        for (ptrdiff_t j = 0; j < v.columns; j++) {
            const double squared = squared_distance(&v.x, i, &v.y, j);
            want(out)[i * stride + j] = (number)(kind == ROOT_DISTANCE     ? sqrt(squared)
                                                 : kind == COSINE_DISTANCE ? fmin(squared / 2, 2)
                                                                           : squared);
        }
    CALL(pairwise, distances)(v.rows, v.columns, v.d, kind, v.packed, v.panel, out, stride);
    verify();
}

void NAME(check_group_sums)(void)
{
    const pairs v = some_pairs();
    const ptrdiff_t whole = up_to(v.rows, tile_rows()), width = up_to(v.columns, lanes());
    real *const weights = constant(whole, 0);
    int32_t *const ends = places(whole, -1, -1, INPUT);
    double *const shares = doubles(v.rows, 1, 4, INPUT), *const homes = doubles(width, 0, v.rows, INPUT);
    double *const own = doubles(width, 0, 0, RESULT), *const other = doubles(width, 0, 0, RESULT);
    double totals[64] = {0};
    int32_t group = 0;
    for (ptrdiff_t i = 0; i < width; i++)
        want(own)[i] = 0, want(other)[i] = INFINITY;
    for (ptrdiff_t j = 0; j < v.rows; j++) {
        put_number(weights + j, (double)between(0, 3));
        const int last = one_in(4);
        for (ptrdiff_t i = 0; i < v.columns; i++) {
            totals[i] += weights[j] * sqrt(squared_distance(&v.x, j, &v.y, i));
            if (last && (double)group == homes[i])
                want(own)[i] = totals[i];
            else if (last)
                want(other)[i] = fmin(want(other)[i], totals[i] * shares[group]);
            if (last)
                totals[i] = 0;
        }
        if (last)
            ends[j] = *want(ends + j) = group++;
    }
    const sample_groups groups = {whole / tile_rows(), v.d, v.packed, weights, ends, shares};
    CALL(pairwise, sums)(&groups, width / lanes(), v.panel, homes, own, other);
    leave_doubles_open(own + v.columns, width - v.columns), leave_doubles_open(other + v.columns, width - v.columns);
    tolerate(REAL_BITS == 32 ? 0x1p34 : 64, 0); /* ULP of a double: sums of a tile are rounded as its numbers are */
    verify();
}
