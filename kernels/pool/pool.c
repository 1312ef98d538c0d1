#include <math.h>

#include "fold.h"
#include "primitives.h"
#include "shuffle.h"
#include "taps.h"
#include "transpose.h"

INLINE number nothing(int op) { return op == SUM ? 0 : -(number)INFINITY; }

INLINE void fill(number value, ptrdiff_t count, real *to)
{
    for (ptrdiff_t i = 0; i < count; i++)
        to[i] = value;
}

/* line[at + t * dilation] over all taps t, for LANES neighbouring `at` */
INLINE vreal fold_taps(int op, const real *line, ptrdiff_t taps, ptrdiff_t dilation)
{
    vreal all = vload(line);
    for (ptrdiff_t t = 1; t < taps; t++)
        all = combine(op, all, vload(line + t * dilation));
    return all;
}

/* The same for every other `at`. Neighbouring taps are the even and the odd lanes of the same loads. */
INLINE vreal fold_even_taps(int op, const real *line, ptrdiff_t taps, ptrdiff_t dilation)
{
    vreal low = vload(line), high = vload(line + LANES);
    vreal all = __builtin_shufflevector(low, high, EVEN);
    ptrdiff_t t = 1;
    if (dilation == 1 && taps > 1) {
        all = combine(op, all, __builtin_shufflevector(low, high, ODD));
        for (t = 2; t + 1 < taps; t += 2) {
            low = vload(line + t), high = vload(line + t + LANES);
            all = combine(op, all, __builtin_shufflevector(low, high, EVEN));
            all = combine(op, all, __builtin_shufflevector(low, high, ODD));
        }
    }
    for (; t < taps; t++) {
        low = vload(line + t * dilation), high = vload(line + t * dilation + LANES);
        all = combine(op, all, __builtin_shufflevector(low, high, EVEN));
    }
    return all;
}

/* The same for every fourth `at`, of neighbouring taps: four of them are the lanes of the same loads. */
INLINE vreal fold_fourth_taps(int op, const real *line, ptrdiff_t taps)
{
    vreal all = {0};
    for (ptrdiff_t t = 0; t < taps; t += 4, line += 4) {
        vreal even[2], odd[2], tap[4];
        UNROLL for (int k = 0; k < 2; k++)
        {
            const vreal low = vload(line + 2 * k * LANES), high = vload(line + (2 * k + 1) * LANES);
            even[k] = __builtin_shufflevector(low, high, EVEN);
            odd[k] = __builtin_shufflevector(low, high, ODD);
        }
        tap[0] = __builtin_shufflevector(even[0], even[1], EVEN);
        tap[1] = __builtin_shufflevector(odd[0], odd[1], EVEN);
        tap[2] = __builtin_shufflevector(even[0], even[1], ODD);
        tap[3] = __builtin_shufflevector(odd[0], odd[1], ODD);
        UNROLL for (int k = 0; k < 4; k++) if (t + k < taps) all = t + k == 0 ? tap[k] : combine(op, all, tap[k]);
    }
    return all;
}

INLINE vreal fold_some_taps(int op, const real *line, ptrdiff_t taps, ptrdiff_t dilation, int every)
{
    return every == 1   ? fold_taps(op, line, taps, dilation)
           : every == 2 ? fold_even_taps(op, line, taps, dilation)
                        : fold_fourth_taps(op, line, taps);
}

INLINE void fold_line(int op, const real *line, ptrdiff_t taps, ptrdiff_t dilation, int every, ptrdiff_t count, real *y)
{
    for (ptrdiff_t j = 0; j < count; j += LANES) {
        const vreal all = fold_some_taps(op, line + every * j, taps, dilation, every);
        if (count - j >= LANES)
            vstore(y + j, all);
        else
            vstore_part(y + j, all, count - j);
    }
}

INLINE void fold_windows(int op, const pooling *g, const real *line, int every, ptrdiff_t count, real *y)
{
    if (every == 4)
        fold_line(op, line, g->kw, 1, 4, count, y);
    else if (g->kw == 2 && g->dw == 1)
        fold_line(op, line, 2, 1, every, count, y);
    else if (g->kw == 3 && g->dw == 1)
        fold_line(op, line, 3, 1, every, count, y);
    else
        fold_line(op, line, g->kw, g->dw, every, count, y);
}

/* Windows far apart, a vector of them at a time: their taps are turned into the lanes. */
INLINE void fold_far_windows(int op, const real *line, ptrdiff_t taps, ptrdiff_t every, ptrdiff_t count, real *y)
{
    for (ptrdiff_t j = 0; j < count; j += LANES) {
        const ptrdiff_t windows = min_size(LANES, count - j);
        vreal all = {0};
        for (ptrdiff_t t = 0; t < taps; t += LANES) {
            const ptrdiff_t some = min_size(LANES, taps - t);
            vreal block[LANES];
            load_transposed(block, (const char *)(line + j * every + t), every * (ptrdiff_t)sizeof(number), windows,
                            some);
            for (ptrdiff_t q = 0; q < some; q++)
                all = t + q == 0 ? block[0] : combine(op, all, block[q]);
        }
        store_some(y + j, all, windows);
    }
}

/* Whether that is less work than all windows of stride 1: `every` vectors of them, a load for each tap, against a block for
 * each LANES taps. Measured with windows side by side, 16 lanes: 9 taps 0.112 ms turned, 8 taps 0.283 otherwise, as fast with
 * 5 taps; 8 lanes: 7 taps 0.23, 6 taps 0.44. */
INLINE bool are_far(const pooling *g)
{
    const ptrdiff_t block = 2 * LANES;
    return g->dw == 1 && g->sw > 4 && (g->sw > block || g->kw * g->sw > block * ((g->kw - 1) / LANES + 1));
}

/* `count` windows along the line; every sw-th of the windows of stride 1 where no vector can pick them. */
INLINE void fold_columns(int op, const pooling *g, const real *line, ptrdiff_t count, real *dense, real *y)
{
    const bool many = op == SUM && g->kw > LONGEST_CHAIN;
    if (!many && (g->sw <= 2 || (g->sw == 4 && g->dw == 1))) {
        fold_windows(op, g, line, (int)g->sw, count, y);
        return;
    }
    if (!many && are_far(g)) {
        fold_far_windows(op, line, g->kw, g->sw, count, y);
        return;
    }
    if (many)
        sum_many((const char *)line, g->dw * (ptrdiff_t)sizeof(number), g->kw, (count - 1) * g->sw + 1, dense);
    else
        fold_windows(op, g, line, 1, (count - 1) * g->sw + 1, dense);
    for (ptrdiff_t j = 0; j < count; j++)
        y[j] = dense[j * g->sw];
}

/* A batch of lines before the windows along them: a vector that is loaded across two stores waits until both have left
 * the store buffer. */
INLINE void fold_plane(int op, const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t last,
                       real *scratch, real *y)
{
    assert(0 <= first && first <= last && last <= g->oh && g->seen >= 1);
    real *const lines = scratch + g->skew, *const seen = lines + g->left;
    for (ptrdiff_t l = 0; l < min_size(g->batch, last - first); l++) {
        fill(nothing(op), g->left, lines + l * g->pitch);
        fill(nothing(op), g->span - g->left - g->seen, seen + l * g->pitch + g->seen);
    }
    for (ptrdiff_t i = first, count; i < last; i += count, y += count * g->ow) {
        count = min_size(g->batch, last - i);
        for (ptrdiff_t l = 0; l < count; l++) {
            const ptrdiff_t row = (i + l) * g->sh - g->top;
            const interval a = inside(g->h, row, g->dh, g->kh);
            const ptrdiff_t step = a.last - a.first > 1 ? g->dh * row_stride : 0;
            fold_window_rows(op, x + (row + a.first * g->dh) * row_stride, step, a.last - a.first, g->seen,
                             seen + l * g->pitch);
        }
        if (g->pitch == g->ow * g->sw) /* no window reaches into the next line */
            fold_columns(op, g, lines, count * g->ow, scratch + g->line, y);
        else
            for (ptrdiff_t l = 0; l < count; l++)
                fold_columns(op, g, lines + l * g->pitch, g->ow, scratch + g->line, y + l * g->ow);
    }
}

static void max_rows(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t last,
                     real *scratch, real *y)
{
    fold_plane(MAX, g, x, row_stride, first, last, scratch, y);
}

/* y[j] /= rows * columns[j] for j < count; columns[0] for all if there is only one. */
INLINE void divide(number rows, int one, const real *columns, ptrdiff_t count, real *y)
{
    const vreal all = vsplat(rows * columns[0]);
    for (ptrdiff_t j = 0; j < count; j += LANES) {
        const ptrdiff_t rest = min_size(LANES, count - j);
        if (rest == LANES)
            vstore(y + j, vload(y + j) / (one ? all : rows * vload(columns + j)));
        else
            vstore_part(y + j, vload_part(y + j, rest) / (one ? all : rows * vload_part(columns + j, rest)), rest);
    }
}

static void mean_rows(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t last,
                      int include_pad, real *scratch, real *y)
{
    fold_plane(SUM, g, x, row_stride, first, last, scratch, y);
    const number whole = (number)g->kw;
    if (all_whole(g->h, g->kh, g->sh, g->top, g->bottom, g->oh, include_pad) &&
        all_whole(g->w, g->kw, g->sw, g->left, g->right, g->ow, include_pad)) {
        divide((number)g->kh, 1, (const real *)&whole, (last - first) * g->ow, y);
        return;
    }
    real *const columns = scratch + g->line;
    divisors(g->w, g->kw, g->sw, g->left, g->right, g->ow, include_pad, columns);
    for (ptrdiff_t i = first; i < last; i++, y += g->ow)
        divide((number)divisor(g->h, i * g->sh, g->kh, g->top, g->bottom, include_pad), 0, columns, g->ow, y);
}

/* LANES windows of up to LANES planes along a line of pixels, transposed when they are finished. Meanwhile the rows that the
   next line adds come from memory, from `next` on: without, memory waits while windows are transposed. */
INLINE void windows_of_planes(int op, const pooling *g, const ptrdiff_t taps, const real *line, ptrdiff_t planes,
                              number rows, const real *columns, uintptr_t next, ptrdiff_t bytes, real *y)
{
    const ptrdiff_t step = g->dw * planes, share = bytes / (2 * ((planes - 1) / LANES + 1) * ((g->ow - 1) / LANES + 1));
    for (ptrdiff_t p = 0; p < planes; p += LANES)
        for (ptrdiff_t j = 0; j < g->ow; j += LANES) {
            vreal block[LANES];
            for (ptrdiff_t q = 0; q < LANES; q++) {
                const ptrdiff_t window = min_size(j + q, g->ow - 1);
                const real *const first = line + window * g->sw * planes + p;
                vreal all = vload(first);
                for (ptrdiff_t t = 1; t < taps; t++)
                    all = combine(op, all, vload(first + t * step));
                block[q] = op == SUM ? all / vsplat(rows * columns[window]) : all;
            }
            next = prefetch_stretch(next, share);
            transpose(block);
            for (ptrdiff_t r = 0; r < min_size(planes - p, LANES); r++)
                store_some(y + (p + r) * g->oh * g->ow + j, block[r], g->ow - j);
            next = prefetch_stretch(next, share);
        }
}

/* Row i of planes that lie next to each other: down the columns a row of pixels is one line of numbers. */
INLINE void fold_planes(int op, const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride,
                        ptrdiff_t planes, ptrdiff_t i, int include_pad, real *scratch, real *y)
{
    const interval a = inside(g->h, i * g->sh - g->top, g->dh, g->kh);
    const char *const from = x + (i * g->sh - g->top + a.first * g->dh) * row_stride;
    const number rows = (number)divisor(g->h, i * g->sh, g->kh, g->top, g->bottom, include_pad);
    real *const columns = scratch, *const line = scratch + (g->ow + LANES - 1) / LANES * LANES;
    real *const seen = line + g->left * planes;
    const ptrdiff_t together = column_stride == planes * (ptrdiff_t)sizeof(real) ? g->seen : 1;
    if (op == SUM)
        divisors(g->w, g->kw, g->sw, g->left, g->right, g->ow, include_pad, columns);
    fill(nothing(op), g->left * planes, line);
    fill(nothing(op), (g->span - g->left - g->seen) * planes, seen + g->seen * planes);
    for (ptrdiff_t c = 0; c < g->seen; c += together)
        fold_window_rows(op, from + c * column_stride, g->dh * row_stride, a.last - a.first, together * planes,
                         seen + c * planes);
    ptrdiff_t bytes;
    const uintptr_t next = rows_to_come(g, x, row_stride, planes, i, &bytes);
    if (g->kw == 2)
        windows_of_planes(op, g, 2, line, planes, rows, columns, next, bytes, y);
    else if (g->kw == 3)
        windows_of_planes(op, g, 3, line, planes, rows, columns, next, bytes, y);
    else
        windows_of_planes(op, g, g->kw, line, planes, rows, columns, next, bytes, y);
}

static void max_planes(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t planes,
                       ptrdiff_t i, real *scratch, real *y)
{
    fold_planes(MAX, g, x, row_stride, column_stride, planes, i, 0, scratch, y);
}

static void mean_planes(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride,
                        ptrdiff_t planes, ptrdiff_t i, int include_pad, real *scratch, real *y)
{
    fold_planes(SUM, g, x, row_stride, column_stride, planes, i, include_pad, scratch, y);
}

static ptrdiff_t lay_out(pooling *g)
{
    enum { BATCH = 2048 };
    const ptrdiff_t most = PTRDIFF_MAX / 64;
    ptrdiff_t steps, reach;
    if (__builtin_mul_overflow(g->ow - 1, g->sw, &steps) || __builtin_mul_overflow(g->kw - 1, g->dw, &reach) ||
        __builtin_add_overflow(steps, reach + 1, &g->span) || g->span > most || g->sw > most)
        return -1;
    g->seen = min_size(g->w, g->span - g->left);
    g->skew = (LANES - g->left % LANES) % LANES;
    g->pitch = g->span <= steps + g->sw ? steps + g->sw : (g->span + LANES - 1) / LANES * LANES;
    g->batch = max_size(1, BATCH / g->pitch);
    g->line = LANES + g->batch * g->pitch + 2 * LANES;
    return g->line + max_size(g->line, g->ow + LANES);
}

/* Planes whose elements lie next to each other: LANES columns of all of them at a time, transposed. */
INLINE void gather_row_of_planes(ptrdiff_t planes, ptrdiff_t columns, const char *x, ptrdiff_t column_stride,
                                 ptrdiff_t plane_size, real *to)
{
    for (ptrdiff_t c = 0; c < columns; c += LANES) {
        vreal block[LANES];
        const ptrdiff_t count = min_size(LANES, columns - c);
        load_transposed(block, x + c * column_stride, column_stride, count, planes);
        for (ptrdiff_t p = 0; p < planes; p++)
            if (count == LANES)
                vstore(to + p * plane_size + c, block[p]);
            else
                vstore_part(to + p * plane_size + c, block[p], count);
    }
}

enum { DEALT = 4 }; /* with more, transposing is faster than as many permutations as the square of the planes */

/* The same of a few planes whose pixels lie one behind the other: each plane takes its lanes out of as many vectors. */
INLINE void deal_row(const int planes, ptrdiff_t columns, const real *x, ptrdiff_t plane_size, real *to)
{
    vint index[DEALT][DEALT];
    unsigned lanes[DEALT][DEALT];
    for (int p = 0; p < planes; p++)
        for (int k = 0; k < planes; k++) {
            index[p][k] = lane_numbers() * planes + (p - k * LANES);
            lanes[p][k] = vmask_bits((index[p][k] >= 0) & (index[p][k] < LANES));
        }
    ptrdiff_t c = 0;
    for (; c + LANES <= columns; c += LANES) {
        vreal pixels[DEALT];
        UNROLL for (int k = 0; k < planes; k++) pixels[k] = vload(x + c * planes + k * LANES);
        UNROLL for (int p = 0; p < planes; p++)
        {
            vreal plane = {0};
            UNROLL for (int k = 0; k < planes; k++) plane = vpermute_into(plane, lanes[p][k], index[p][k], pixels[k]);
            vstore(to + p * plane_size + c, plane);
        }
    }
    for (; c < columns; c++)
        for (int p = 0; p < planes; p++)
            to[p * plane_size + c] = x[c * planes + p];
}

INLINE void gather_pixels(ptrdiff_t planes, ptrdiff_t columns, const char *x, ptrdiff_t column_stride,
                          ptrdiff_t plane_size, real *to)
{
    if (!WIDE_GATHER || planes > DEALT || column_stride != planes * (ptrdiff_t)sizeof(number))
        gather_row_of_planes(planes, columns, x, column_stride, plane_size, to);
    else if (planes == 2)
        deal_row(2, columns, (const real *)x, plane_size, to);
    else if (planes == 3)
        deal_row(3, columns, (const real *)x, plane_size, to);
    else
        deal_row(DEALT, columns, (const real *)x, plane_size, to);
}

static void gather(ptrdiff_t planes, ptrdiff_t rows, ptrdiff_t columns, const char *x, ptrdiff_t plane_stride,
                   ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t left, ptrdiff_t right, double outside,
                   ptrdiff_t pitch, real *to)
{
    const ptrdiff_t plane_size = rows * pitch;
    (void)plane_stride;
    assert(planes == 1 || (planes <= LANES && plane_stride == sizeof(number)));
    for (ptrdiff_t r = 0; r < rows; r++, x += row_stride, to += pitch) {
        if (planes > 1)
            gather_pixels(planes, columns, x, column_stride, plane_size, to + left);
        else if (column_stride == sizeof(number))
            fold_rows(MAX, x, 0, 1, columns, to + left); /* a copy */
        else
            for (ptrdiff_t c = 0; c < columns; c++)
                to[left + c] = *(const real *)(x + c * column_stride);
        for (ptrdiff_t p = 0; p < planes; p++) {
            fill((number)outside, left, to + p * plane_size);
            fill((number)outside, right, to + p * plane_size + left + columns);
        }
    }
}

const pool_primitives NAME(pool) = {
    .lay_out = lay_out,
    .dealt = WIDE_GATHER ? DEALT : 0,
    .gather = gather,
    .max_rows = max_rows,
    .mean_rows = mean_rows,
    .max_planes = max_planes,
    .mean_planes = mean_planes,
};
