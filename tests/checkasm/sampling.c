/* Interpolation, padding, and samples at the places of a grid. */
#include "checkasm.h"

enum { MOST_RESULTS = 48, MOST_TAPS = 4 };

/* Taps of `count` results that see `size` pixels; weights are small integers. */
static pixel_list some_list(ptrdiff_t count, ptrdiff_t size)
{
    ptrdiff_t *const start = claim(count + 1, sizeof *start, OTHER, INPUT, sizeof *start);
    ptrdiff_t *const pixel = claim(count * MOST_TAPS, sizeof *pixel, OTHER, INPUT, sizeof *pixel);
    real *const weight = integers(count * MOST_TAPS, INPUT);
    const int plain = one_in(3);
    ptrdiff_t t = 0;
    for (ptrdiff_t i = 0; i <= count; i++) {
        start[i] = want(start)[i] = t;
        for (ptrdiff_t taps = i == count || size == 0 || one_in(8) ? 0
                              : plain                              ? 1
                                                                   : between(1, MOST_TAPS);
             taps > 0; taps--, t++) {
            pixel[t] = want(pixel)[t] = between(0, size - 1);
            put_number(weight + t, plain ? 1 : (double)between(-3, 3));
        }
    }
    for (; t < count * MOST_TAPS; t++)
        pixel[t] = want(pixel)[t] = 0;
    return (pixel_list){start, pixel, weight};
}

static resampling some_resampling(ptrdiff_t height, ptrdiff_t rows)
{
    resampling r = {.width = between(1, 60), .columns = between(1, MOST_RESULTS), .fill = one_in(2) ? 0 : 7};
    r.rows = some_list(rows, height);
    r.across = some_list(r.columns, r.width);
    detail("%td x %td to %td x %td", height, r.width, rows, r.columns);
    return r;
}

static double resampled(const resampling *r, const view *x, ptrdiff_t i, ptrdiff_t j, ptrdiff_t k)
{
    const pixel_list *const u = &r->rows, *const v = &r->across;
    double sum = 0;
    if (u->start[i] == u->start[i + 1] || v->start[j] == v->start[j + 1])
        return r->fill;
    for (ptrdiff_t a = u->start[i]; a < u->start[i + 1]; a++)
        for (ptrdiff_t b = v->start[j]; b < v->start[j + 1]; b++)
            sum += (double)(u->weight[a] * v->weight[b] * *AT(*x, u->pixel[a], v->pixel[b], k));
    return sum;
}

void NAME(check_resample_image)(void)
{
    const ptrdiff_t height = between(1, 5), rows = between(1, 4), channels = some_count(1) % 40 + 1,
                    pitch = channels + between(0, 3);
    const resampling r = some_resampling(height, rows);
    const view x = VIEW(CLOSE | GAPS | BACK | ODD, INPUT, height, r.width, channels);
    real *const line = scratch(r.width * channels), *const y = results(rows * r.columns * pitch);
    const ptrdiff_t first = between(0, rows), last = between(first, rows);
    for (ptrdiff_t q = first * r.columns; q < last * r.columns; q++)
        for (ptrdiff_t k = 0; k < channels; k++)
            want(y)[q * pitch + k] = (number)resampled(&r, &x, q / r.columns, q % r.columns, k);
    CALL(resample, image)(&r, x.data, x.strides[0], x.strides[1], channels, first, last, line,
                          y + first * r.columns * pitch, pitch);
    verify();
}

/* The list of the columns once more, for vectors, with as many taps in each lane as its result has. */
static void put_groups(resampling *r)
{
    const ptrdiff_t groups = up_to(r->columns, lanes()) / lanes(), pieces = VALUE(resample, pieces);
    column_group *const g = claim(groups, sizeof *g, OTHER, INPUT, sizeof(ptrdiff_t));
    int32_t *const offsets = places(groups * MOST_TAPS * lanes(), 0, 0, INPUT), *const masks = places(
                                                                                    groups * MOST_TAPS, 0, 0, INPUT);
    real *const weights = nothing(groups * MOST_TAPS * lanes(), INPUT);
    for (ptrdiff_t e = 0; e < groups * MOST_TAPS * lanes(); e++)
        put_number(weights + e, 0);
    for (ptrdiff_t q = 0; q < groups; q++) {
        g[q] = (column_group){
            .first = q * MOST_TAPS, .taps = MOST_TAPS, .near = pieces && r->width <= pieces && one_in(2)};
        for (ptrdiff_t l = 0; l < lanes() && q * lanes() + l < r->columns; l++) {
            const ptrdiff_t start = r->across.start[q * lanes() + l];
            for (ptrdiff_t t = 0; t < r->across.start[q * lanes() + l + 1] - start; t++) {
                const ptrdiff_t e = (q * MOST_TAPS + t) * lanes() + l;
                offsets[e] = want(offsets)[e] = (int32_t)(r->across.pixel[start + t] * SIZE);
                put_number(weights + e, (double)r->across.weight[start + t]);
                masks[q * MOST_TAPS + t] |= 1 << l;
                want(masks)[q * MOST_TAPS + t] |= 1 << l;
            }
        }
    }
    memcpy(want(g), g, (size_t)groups * sizeof *g);
    r->groups = g, r->offsets = offsets, r->weights = weights, r->masks = masks;
}

void NAME(check_resample_plane)(void)
{
    const ptrdiff_t height = between(1, 5), rows = between(1, 4);
    resampling r = some_resampling(height, rows);
    const view x = VIEW(CLOSE | GAPS | BACK | ODD, INPUT, height, r.width);
    put_groups(&r);
    real *const line = scratch(r.width + VALUE(resample, pieces)), *const y = results(rows * r.columns);
    const ptrdiff_t first = between(0, rows), last = between(first, rows);
    for (ptrdiff_t q = first * r.columns; q < last * r.columns; q++)
        want(y)[q] = (number)resampled(&r, &x, q / r.columns, q % r.columns, 0);
    CALL(resample, plane)(&r, x.data, x.strides[0], first, last, line, y + first * r.columns);
    verify();
}

/* ---- Grids: images whose sizes are powers of 2, so that places are exact ------------------------------------------ */

typedef struct {
    sampling s;
    ptrdiff_t count;
    view grid, x;
    double row[MOST_RESULTS], column[MOST_RESULTS]; /* in pixels */
} samples;

static samples some_samples(ptrdiff_t channels, int nearest)
{
    samples m = {.count = between(0, MOST_RESULTS)};
    m.s = (sampling){.h = (ptrdiff_t)1 << between(0, 3),
                     .w = (ptrdiff_t)1 << between(0, 3),
                     .nearest = nearest,
                     .padding = (int)between(0, 1),
                     .channels = channels};
    m.s.bottom = m.s.h;
    m.s.together = m.s.w < 2 ? 0 : (int)between(0, 4);
    if (m.s.together > 1)
        m.s.channels = m.s.together;
    m.grid = VIEW(one_in(2) ? CLOSE : ANY_STRIDES & ~STILL, INPUT, m.count + 1, 2);
    m.x = m.s.together == 1 ? VIEW(CLOSE, INPUT, m.s.channels, m.s.h * m.s.w)
                            : VIEW(CLOSE, INPUT, m.s.h * m.s.w, m.s.channels);
    for (ptrdiff_t p = 0; p < m.count; p++) {
        m.column[p] = (double)between(-16, 16 + 8 * m.s.w) / 8, m.row[p] = (double)between(-16, 16 + 8 * m.s.h) / 8;
        put_number(AT(m.grid, p, 0), (2 * m.column[p] + 1) / (double)m.s.w - 1);
        put_number(AT(m.grid, p, 1), (2 * m.row[p] + 1) / (double)m.s.h - 1);
        if (m.s.padding == GRID_BORDER) {
            m.column[p] = fmin(fmax(m.column[p], 0), (double)m.s.w - 1);
            m.row[p] = fmin(fmax(m.row[p], 0), (double)m.s.h - 1);
        }
    }
    m.s.position = m.grid.strides[0], m.s.coordinate = m.grid.strides[1];
    m.s.line = m.s.w, m.s.pixel = m.x.strides[m.s.together == 1], m.s.channel = m.x.strides[m.s.together != 1];
    detail("%td x %td x %td, %td positions", m.s.h, m.s.w, m.s.channels, m.count);
    return m;
}

/* What position p takes of pixel (row, column). */
static double share(const samples *m, ptrdiff_t p, ptrdiff_t row, ptrdiff_t column)
{
    const double down = fabs(m->row[p] - (double)row), across = fabs(m->column[p] - (double)column);
    if (m->s.nearest)
        return rint(m->row[p]) == (double)row && rint(m->column[p]) == (double)column;
    return fmax(0, 1 - down) * fmax(0, 1 - across);
}

void NAME(check_grid_forward)(void)
{
    samples m = some_samples(between(0, 20), one_in(3));
    const int last = m.s.together == 0 ? one_in(2) : m.s.together > 1;
    m.s.y_position = last ? m.s.channels : 1, m.s.y_channel = last ? 1 : m.count;
    real *const y = results(m.count * m.s.channels);
    for (ptrdiff_t p = 0; p < m.count; p++)
        for (ptrdiff_t k = 0; k < m.s.channels; k++) {
            double sum = 0;
            for (ptrdiff_t q = 0; q < m.s.h * m.s.w; q++)
                sum +=
                    share(&m, p, q / m.s.w, q % m.s.w) * (double)*(m.s.together == 1 ? AT(m.x, k, q) : AT(m.x, q, k));
            want(y)[p * m.s.y_position + k * m.s.y_channel] = (number)sum;
        }
    CALL(grid, forward)(&m.s, m.count, m.grid.data, m.x.data, y);
    verify();
}

void NAME(check_grid_places)(void)
{
    samples m = some_samples(between(1, 20), 0);
    const view dy = VIEW(ANY_STRIDES, INPUT, m.count, m.s.channels);
    real *const dgrid = results(2 * m.count);
    m.s.dy_position = dy.strides[0], m.s.dy_channel = dy.strides[1];
    CALL(grid_gradient, places)(&m.s, m.count, m.grid.data, m.x.data, dy.data, dgrid);
    leave_open(dgrid, 2 * m.count); /* tests/sampling compares it */
    verify();
}

void NAME(check_grid_image)(void)
{
    samples m = some_samples(one_in(2) ? lanes() : between(1, 5), one_in(3));
    const view dy = VIEW(ANY_STRIDES, INPUT, m.count, m.s.channels);
    m.s.top = between(0, m.s.h - 1), m.s.bottom = between(m.s.top + 1, m.s.h);
    const ptrdiff_t pixels = (m.s.bottom - m.s.top) * m.s.w;
    const int last = one_in(2);
    m.s.dy_position = dy.strides[0], m.s.dy_channel = dy.strides[1];
    m.s.sum_pixel = last ? m.s.channels : 1, m.s.sum_channel = last ? 1 : pixels;
    double *const sums = doubles(pixels * m.s.channels, -3, 3, RESULT);
    for (ptrdiff_t q = 0; q < pixels; q++)
        for (ptrdiff_t k = 0; k < m.s.channels; k++)
            for (ptrdiff_t p = 0; p < m.count; p++)
                want(sums)[q * m.s.sum_pixel + k * m.s.sum_channel] +=
                    share(&m, p, m.s.top + q / m.s.w, q % m.s.w) * (double)*AT(dy, p, k);
    CALL(grid_gradient, image)(&m.s, m.count, m.grid.data, dy.data, sums);
    verify();
}

void NAME(check_grid_turn)(void)
{
    const ptrdiff_t pixels = some_count(0), plane = pixels + between(0, 3);
    double *const sums = doubles(pixels * lanes(), -3, 3, INPUT);
    real *const dx = results(lanes() * plane);
    for (ptrdiff_t p = 0; p < pixels; p++)
        for (ptrdiff_t k = 0; k < lanes(); k++)
            want(dx)[k * plane + p] = (number)sums[p * lanes() + k];
    CALL(grid_gradient, turn)(pixels, sums, dx, plane);
    verify();
}

void NAME(check_grid_affine)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const x = integers(2 * count, INPUT), *const to = results(2 * count);
    const double slope[2] = {(double)between(-3, 3), (double)between(-3, 3)},
                 start[2] = {(double)between(-3, 3), (double)between(-3, 3)};
    for (ptrdiff_t j = 0; j < 2 * count; j++)
        want(to)[j] = (number)((double)x[j] * slope[j % 2] + start[j % 2]);
    CALL(grid, affine)(count, x, slope, start, to);
    verify();
}
