#include "parts.h"
#include "primitives.h"
#include "shuffle.h"
#include "taps.h"

/* The gradient of the average is the same walk as forward: down the columns of the shares of the windows that see a row
 * of dx, into a line, then along the line.
 *
 * Element c of a row is element P = c + left = q sw + p of the padded row; the windows q - u with p + u sw < kw see it,
 * of which there are at most `most` + 1. Line element `most` + j belongs to window j; there are zeros on both sides.
 * Where every element has one window on its left end, a batch of lines is one long line. */
typedef struct {
    ptrdiff_t most, pitch, batch;
    int joined;
} layout;

static layout lines_of(const pooling *g)
{
    enum { BATCH = 1024 };
    layout l = {.most = (g->kw - 1) / g->sw};
    l.joined = l.most == 0 && g->left == 0 && g->sw <= 2 && g->w == g->ow * g->sw;
    l.pitch = l.joined ? g->ow : l.most + max_size(g->ow, (g->left + g->w - 1) / g->sw + 1) + LANES;
    l.batch = max_size(1, BATCH / l.pitch);
    return l;
}

/* Sums down the columns whose pieces are added in double: numbers of scratch. */
INLINE ptrdiff_t totals_reals(const pooling *g)
{
    return g->kh / g->sh < LONGEST_CHAIN ? 0 : g->ow * (ptrdiff_t)(sizeof(double) / sizeof(number));
}

static ptrdiff_t scratch_size(const pooling *g)
{
    const ptrdiff_t most = PTRDIFF_MAX / 64;
    const layout l = lines_of(g);
    return l.pitch > most || g->ow > most ? -1 : totals_reals(g) + l.batch * l.pitch + 4 * LANES + 2 * g->ow;
}

/* line[j] = or += dy[j] / (rows * columns[j]) */
INLINE void add_shares(int begin, const real *restrict dy, number rows, const real *restrict columns, ptrdiff_t count,
                       real *restrict line)
{
    for (ptrdiff_t j = 0; j < count; j += LANES) {
        const ptrdiff_t some = count - j;
        const vreal share = load_some(dy + j, some) / (rows * load_or(columns + j, some, 1));
        store_some(line + j, share + (begin ? (vreal){0} : load_some(line + j, some)), some);
    }
}

/* line[j] = sum of dy[i, j] / divisor[i, j] over windows i, ascending; that of many in pieces, added to totals[j]. */
INLINE void sum_piece(const pooling *g, const char *dy, ptrdiff_t dy_row, ptrdiff_t dy_column, interval over,
                      int include_pad, const real *columns, real *copy, real *line)
{
    if (over.first >= over.last)
        memset(line, 0, (size_t)g->ow * sizeof(number));
    for (ptrdiff_t i = over.first; i < over.last; i++) {
        const number rows = (number)divisor(g->h, i * g->sh, g->kh, g->top, g->bottom, include_pad);
        const char *from = dy + i * dy_row;
        if (dy_column != sizeof(number)) {
            for (ptrdiff_t j = 0; j < g->ow; j++)
                copy[j] = *(const real *)(from + j * dy_column);
            from = (const char *)copy;
        }
        if (i == over.first)
            add_shares(1, (const real *)from, rows, columns, g->ow, line);
        else
            add_shares(0, (const real *)from, rows, columns, g->ow, line);
    }
}

static void sum_rows(const pooling *g, const char *dy, ptrdiff_t dy_row, ptrdiff_t dy_column, interval over,
                     int include_pad, const real *columns, real *copy, double *totals, real *line)
{
    if (over.last - over.first <= LONGEST_CHAIN) {
        sum_piece(g, dy, dy_row, dy_column, over, include_pad, columns, copy, line);
        return;
    }
    memset(totals, 0, (size_t)g->ow * sizeof(double));
    for (ptrdiff_t i = over.first; i < over.last; i += LONGEST_CHAIN) {
        const interval piece = {i, min_size(i + LONGEST_CHAIN, over.last)};
        sum_piece(g, dy, dy_row, dy_column, piece, include_pad, columns, copy, line);
        for (ptrdiff_t j = 0; j < g->ow; j++)
            totals[j] += (double)line[j];
    }
    for (ptrdiff_t j = 0; j < g->ow; j++)
        line[j] = (number)totals[j];
}

/* The windows q - most .. q, ascending, for LANES neighbouring q; line is that of q. */
INLINE vreal sum_windows(const real *line, ptrdiff_t most)
{
    if (most < 0)
        return (vreal){0};
    if (most >= LONGEST_CHAIN)
        return sum_of_vectors((const char *)(line - most), sizeof(number), most + 1, LANES);
    vreal sum = vload(line - most);
    for (ptrdiff_t u = most - 1; u >= 0; u--)
        sum += vload(line - u);
    return sum;
}

/* Phases of c: those of P, turned by `left`. */
INLINE void expand_pairs(const real *line0, ptrdiff_t most0, const real *line1, ptrdiff_t most1, ptrdiff_t count,
                         real *dx)
{
    for (ptrdiff_t c = 0; c < count; c += 2 * LANES) {
        const vreal even = sum_windows(line0 + c / 2, most0), odd = sum_windows(line1 + c / 2, most1);
        store_some(dx + c, __builtin_shufflevector(even, odd, LOW), count - c);
        if (count - c > LANES)
            store_some(dx + c + LANES, __builtin_shufflevector(even, odd, HIGH), count - c - LANES);
    }
}

/* dx[c] = sum over u of line[q - u]; line is that of window 0. */
static void expand(const pooling *g, const real *line, ptrdiff_t count, real *dx)
{
    if (g->sw == 1) {
        for (ptrdiff_t c = 0; c < count; c += LANES)
            store_some(dx + c, sum_windows(line + c + g->left, g->kw - 1), count - c);
        return;
    }
    if (g->sw == 2) {
        const ptrdiff_t odd = g->left % 2;
        const real *const line0 = line + g->left / 2, *const line1 = line + (g->left + 1) / 2;
        if (g->kw == 2)
            expand_pairs(line0, 0, line1, 0, count, dx);
        else if (g->kw == 3)
            expand_pairs(line0, !odd, line1, odd, count, dx);
        else
            expand_pairs(line0, (g->kw + 1 - odd) / 2 - 1, line1, (g->kw + odd) / 2 - 1, count, dx);
        return;
    }
    for (ptrdiff_t c = 0; c < min_size(g->sw, count); c++) {
        const ptrdiff_t q = (c + g->left) / g->sw, p = (c + g->left) % g->sw;
        const ptrdiff_t most = p < g->kw ? (g->kw - 1 - p) / g->sw : -1, terms = (count - c - 1) / g->sw + 1;
        for (ptrdiff_t t = 0; t < terms; t += LANES) {
            number sums[LANES];
            vstore(sums, sum_windows(line + q + t, most));
            for (ptrdiff_t l = 0; l < min_size(LANES, terms - t); l++)
                dx[c + (t + l) * g->sw] = sums[l];
        }
    }
}

static void mean_rows(const pooling *g, const char *dy, ptrdiff_t dy_row, ptrdiff_t dy_column, ptrdiff_t first,
                      ptrdiff_t last, int include_pad, real *scratch, real *dx)
{
    assert(g->dh == 1 && g->dw == 1 && 0 <= first && first <= last && last <= g->h);
    const layout l = lines_of(g);
    double *const totals = (double *)scratch;
    real *const columns = scratch + totals_reals(g), *const copy = columns + g->ow, *const lines = copy + g->ow;
    divisors(g->w, g->kw, g->sw, g->left, g->right, g->ow, include_pad, columns);
    memset(lines, 0, (size_t)(min_size(l.batch, last - first) * l.pitch + 4 * LANES) * sizeof(number));
    const ptrdiff_t begun = ceil_quotient(first + g->top - g->kh + 1, g->sh);
    interval over = {begun, begun};
    for (ptrdiff_t r = first, count; r < last; r += count, dx += count * g->w) {
        count = min_size(l.batch, last - r);
        interval again = over;
        for (ptrdiff_t k = 0; k < count; k++) {
            real *const line = lines + k * l.pitch + l.most;
            if (move_windows(r + k, g->top, g->kh, g->sh, g->oh, &over) || k == 0)
                sum_rows(g, dy, dy_row, dy_column, over, include_pad, columns, copy, totals, line);
            else if (l.joined)
                copy_row(g->ow, line - l.pitch, line);
        }
        if (l.joined)
            expand(g, lines, count * g->w, dx);
        else
            for (ptrdiff_t k = 0; k < count; k++)
                if (move_windows(r + k, g->top, g->kh, g->sh, g->oh, &again) || k == 0)
                    expand(g, lines + k * l.pitch + l.most, g->w, dx + k * g->w);
                else /* the windows of the row above, so its gradient */
                    copy_row(g->w, dx + (k - 1) * g->w, dx + k * g->w);
    }
}

/* A vector may reach into the next plane, which is written later; the last one of a long plane overlaps the one before. */
static void spread(ptrdiff_t planes, ptrdiff_t count, const char *dy, ptrdiff_t dy_stride, double divisor, real *dx)
{
    if (count == 1 && divisor == 1 && dy_stride == sizeof(number)) {
        memcpy(dx, dy, (size_t)planes * sizeof(number));
        return;
    }
    for (ptrdiff_t p = 0; p < planes; p++, dx += count) {
        const vreal share = vsplat(*(const real *)(dy + p * dy_stride) / (number)divisor);
        for (ptrdiff_t i = 0; i + LANES <= count; i += LANES)
            vstore(dx + i, share);
        if (count >= LANES)
            vstore(dx + count - LANES, share);
        else if ((planes - p) * count >= LANES)
            vstore(dx, share);
        else
            vstore_part(dx, share, count);
    }
}

const pool_backward_primitives NAME(pool_backward) = {
    .scratch_size = scratch_size, .mean_rows = mean_rows, .spread = spread};
