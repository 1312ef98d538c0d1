/* The places of a grid: for a vector of positions, the pixels around them and their weights. */
#ifndef NPK_PLACES_H
#define NPK_PLACES_H

#include "parts.h"
#include "primitives.h"
#include "shuffle.h"

/* A coordinate of a vector of positions, in pixels, and its slope by what the grid holds. */
typedef struct {
    vreal place, slope;
} coordinate;

INLINE vreal vwhole(vint x) { return __builtin_convertvector(x, vreal); }
INLINE vint vtruncate(vreal x) { return __builtin_convertvector(x, vint); } /* of what fits */
INLINE vreal vabs(vreal x) { return (vreal)((vbits)x & ~((vbits){0} + ((bits)1 << (REAL_BITS - 1)))); }
INLINE vint vsplat_integer(ptrdiff_t x) { return (vint){0} + (integer)x; }

/* The whole part of x >= 0; beyond 2^digits all numbers are whole. */
INLINE vreal whole_part(vreal x)
{
    const vreal most = vsplat(REAL_BITS == 32 ? 0x1p24f : 0x1p53);
    return vselect(x < most, vwhole(vtruncate(vmin(x, most))), x);
}

/* floor(x) of -2^31 < x < 2^31 */
INLINE vint vfloor(vreal x)
{
    const vint down = vtruncate(x);
    return down + (vwhole(down) > x);
}

/* x mirrored at both ends, low and low + span, until it lies between; which is -1 after an odd number of mirrors. */
INLINE coordinate reflected(coordinate c, number low, number span)
{
    const vreal from_low = c.place - low, size = vabs(from_low), twice = vsplat(2 * span);
    const vreal rest = vfnma(whole_part(size / twice), twice, size), back = twice - rest;
    const vint mirrored = (rest > back) ^ (from_low < 0);
    return (coordinate){vselect(rest > back, back, rest) + low, vselect(mirrored, -c.slope, c.slope)};
}

/* A coordinate of the grid, -1 and 1 the centres of the outermost pixels if align_corners, else their outer edges. */
INLINE coordinate coordinate_of(const sampling *s, vreal grid, ptrdiff_t size)
{
    const number most = (number)(size - 1), scale = (s->align_corners ? most : (number)size) / 2;
    const vreal zero = {0}, aligned = (grid + 1) * scale;
    coordinate c = {s->align_corners ? aligned : vfms(grid + 1, vsplat(scale), zero + (number)0.5), vsplat(scale)};
    if (s->padding == GRID_ZEROS)
        return c;
    if (s->padding == GRID_REFLECTION) {
        if (s->align_corners && size == 1)
            c = (coordinate){zero, zero};
        else
            c = reflected(c, s->align_corners ? 0 : (number)-0.5, s->align_corners ? most : (number)size);
    }
    const vreal inside = vmin(vmax(c.place, zero), vsplat(most)); /* a NaN becomes 0 */
    return (coordinate){inside, vselect((inside > 0) & (inside < most), c.slope, zero)};
}

/* A place that sees nothing is as good as any other one; a NaN sees nothing, too. */
INLINE vreal bounded(vreal place, ptrdiff_t size) { return vmin(vmax(place, vsplat(-2)), vsplat((number)size + 1)); }

/* Whether the rows or columns lie in first .. last. */
INLINE vint lie_in(vint x, ptrdiff_t first, ptrdiff_t last)
{
    return (x >= vsplat_integer(first)) & (x < vsplat_integer(last));
}

INLINE void load_grid(const sampling *s, ptrdiff_t count, const char *grid, vreal *x, vreal *y)
{
    if (count >= LANES && s->position == 2 * sizeof(number) && s->coordinate == sizeof(number)) {
        const vreal a = vload((const real *)grid), b = vload((const real *)grid + LANES);
        *x = __builtin_shufflevector(a, b, EVEN), *y = __builtin_shufflevector(a, b, ODD);
        return;
    }
    const unsigned mask = (unsigned)((1ull << count) - 1);
    *x = vgather_mask(grid, s->position, mask);
    *y = vgather_mask(grid + s->coordinate, s->position, mask);
}

/* ---- Between 2 by 2 pixels --------------------------------------------------------------------------------------- */

/* Rows `row` and `row` + 1, columns `column` and `column` + 1: whether these lie in the image, or its band of rows. */
typedef struct {
    vint row, column, north_inside, south_inside, west_inside, east_inside;
    vreal north, south, west, east; /* their products are the weights of the pixels */
    vreal slope[2];
} squares;

INLINE squares squares_of(const sampling *s, ptrdiff_t count, const char *grid)
{
    vreal x, y;
    load_grid(s, count, grid, &x, &y);
    const coordinate cx = coordinate_of(s, x, s->w), cy = coordinate_of(s, y, s->h);
    const vreal across = bounded(cx.place, s->w), down = bounded(cy.place, s->h);
    squares q = {.row = vfloor(down), .column = vfloor(across), .slope = {cx.slope, cy.slope}};
    q.north_inside = lie_in(q.row, s->top, s->bottom), q.south_inside = lie_in(q.row + 1, s->top, s->bottom);
    q.west_inside = lie_in(q.column, 0, s->w), q.east_inside = lie_in(q.column + 1, 0, s->w);
    q.east = (across - vwhole(q.column)) + (cx.place - cx.place), q.west = 1 - q.east; /* a NaN spoils the weights */
    q.south = (down - vwhole(q.row)) + (cy.place - cy.place), q.north = 1 - q.south;
    return q;
}

INLINE void weights_of(const squares *q, vreal weight[4])
{
    weight[0] = q->north * q->west, weight[1] = q->north * q->east;
    weight[2] = q->south * q->west, weight[3] = q->south * q->east;
}

/* ---- One pixel at a time ----------------------------------------------------------------------------------------- */

enum { NOWHERE = INT32_MIN }; /* the number of no pixel */

/* The number of each pixel, row * line + column: north west, north east, south west, south east, or the nearest one. */
typedef struct {
    integer pixel[4][LANES];
    number weight[4][LANES];
    int inside, outside; /* all of them */
} taps;

/* Returns `inside`. */
INLINE vint put_tap(const sampling *s, taps *to, int tap, vint row, vint column, vint inside)
{
    const vint pixel = row * (integer)s->line + column, seen = (inside & pixel) | (~inside & vsplat_integer(NOWHERE));
    memcpy(to->pixel[tap], &seen, sizeof seen);
    return inside;
}

INLINE void put_taps(const sampling *s, const squares *q, taps *to)
{
    vreal weight[4];
    weights_of(q, weight);
    memcpy(to->weight, weight, sizeof weight);
    const vint seen[4] = {put_tap(s, to, 0, q->row, q->column, q->north_inside & q->west_inside),
                          put_tap(s, to, 1, q->row, q->column + 1, q->north_inside & q->east_inside),
                          put_tap(s, to, 2, q->row + 1, q->column, q->south_inside & q->west_inside),
                          put_tap(s, to, 3, q->row + 1, q->column + 1, q->south_inside & q->east_inside)};
    to->inside = !vany(~(seen[0] & seen[3]));
    to->outside = !vany(seen[0] | seen[1] | seen[2] | seen[3]);
}

/* The nearest pixel, of two as near the even one. */
INLINE vint nearest_of(vreal place, ptrdiff_t size)
{
    const vreal near = bounded(place, size);
    const vint first = vfloor(near);
    const vreal rest = near - vwhole(first);
    return first - ((rest > (number)0.5) | ((rest == (number)0.5) & ((first & 1) != 0)));
}

INLINE void taps_of(const sampling *s, ptrdiff_t count, const char *grid, taps *to)
{
    if (!s->nearest) {
        const squares q = squares_of(s, count, grid);
        put_taps(s, &q, to);
        return;
    }
    vreal x, y;
    load_grid(s, count, grid, &x, &y);
    const vint column = nearest_of(coordinate_of(s, x, s->w).place, s->w),
               row = nearest_of(coordinate_of(s, y, s->h).place, s->h);
    const vint seen = put_tap(s, to, 0, row, column, lie_in(row, s->top, s->bottom) & lie_in(column, 0, s->w));
    to->inside = !vany(~seen), to->outside = !vany(seen);
}

/* `count` channels of tap `tap` of position p; 0 outside the image. */
INLINE vreal pixel_at(const sampling *s, const taps *at, int tap, ptrdiff_t p, const char *x, ptrdiff_t count)
{
    static const number zeros[LANES] = {0};
    const integer pixel = at->pixel[tap][p];
    return load_some(pixel == NOWHERE ? (const real *)zeros : (const real *)(x + (ptrdiff_t)pixel * s->pixel), count);
}

/* ---- Two neighbours at a time ------------------------------------------------------------------------------------ */

/* West and east lie next to each other: one load brings both, and two loads a position what four gathers would. A pair that
 * reaches over the edge is moved into the image, and its numbers to their places afterwards. */
typedef struct {
    integer pixel[2][LANES]; /* of the western one in the north, in the south */
    int inside, outside;     /* all positions as a whole; none of the pixels of any */
    vint before, behind;     /* positions whose pair was moved to the east, to the west */
    vint seen[4];
} pairs;

INLINE vint moved_inside(vint x, ptrdiff_t last)
{
    const vint low = x & (x > 0), most = vsplat_integer(last);
    return (low & (low < most)) | (most & (low >= most));
}

INLINE void put_pairs(const sampling *s, const squares *q, pairs *to)
{
    const vint column = moved_inside(q->column, s->w - 2);
    const vint north = moved_inside(q->row, s->h - 1) * (integer)s->line + column,
               south = moved_inside(q->row + 1, s->h - 1) * (integer)s->line + column;
    memcpy(to->pixel[0], &north, sizeof north);
    memcpy(to->pixel[1], &south, sizeof south);
    to->before = q->column<column, to->behind = q->column> column;
    to->seen[0] = q->north_inside & q->west_inside, to->seen[1] = q->north_inside & q->east_inside;
    to->seen[2] = q->south_inside & q->west_inside, to->seen[3] = q->south_inside & q->east_inside;
    to->inside = !vany(~(to->seen[0] & to->seen[3]));
    to->outside = !vany(to->seen[0] | to->seen[1] | to->seen[2] | to->seen[3]);
}

/* Pairs are put together in 16 bytes, and these to vectors: a few instructions for each load. The gather instruction takes as
 * long for one number as this for two. */
typedef double part __attribute__((vector_size(16)));
typedef double part_memory __attribute__((vector_size(16), aligned(1), may_alias));
typedef double double_memory __attribute__((aligned(1), may_alias));
enum { PAIRS_OF_PART = 8 / sizeof(number) };

INLINE part part_of_pairs(const char *x, const integer *pixel, ptrdiff_t step)
{
#if REAL_BITS == 32
    return (part){*(const double_memory *)(x + (ptrdiff_t)pixel[0] * step),
                  *(const double_memory *)(x + (ptrdiff_t)pixel[1] * step)};
#else
    return *(const part_memory *)(x + (ptrdiff_t)pixel[0] * step);
#endif
}

INLINE vreal vector_of_pairs(const char *x, const integer *pixel, ptrdiff_t step)
{
    const part a = part_of_pairs(x, pixel, step);
#if VECTOR_BYTES == 16
    return (vreal)a;
#else
    const part b = part_of_pairs(x, pixel + PAIRS_OF_PART, step);
#if VECTOR_BYTES == 32
    return (vreal)__builtin_shufflevector(a, b, 0, 1, 2, 3);
#else
    const part c = part_of_pairs(x, pixel + 2 * PAIRS_OF_PART, step),
               d = part_of_pairs(x, pixel + 3 * PAIRS_OF_PART, step);
    return (vreal)__builtin_shufflevector(__builtin_shufflevector(a, b, 0, 1, 2, 3),
                                          __builtin_shufflevector(c, d, 0, 1, 2, 3), 0, 1, 2, 3, 4, 5, 6, 7);
#endif
#endif
}

enum { MOST_TOGETHER = 4 };

/* corner[k][tap] = the pixels of channel k, of `together` that lie side by side: those of a pair are one run. */
INLINE void load_corners(const pairs *at, const char *x, const int together, vreal corner[MOST_TOGETHER][4])
{
    const ptrdiff_t step = together * (ptrdiff_t)sizeof(number);
    if (at->outside) {
        memset(corner, 0, (size_t)together * sizeof corner[0]);
        return;
    }
    UNROLL for (int down = 0; down < 2; down++)
    {
        vreal run[2 * MOST_TOGETHER];
        UNROLL for (int k = 0; k < together; k++)
        {
            const char *const from = x + 2 * k * (ptrdiff_t)sizeof(number);
            const vreal a = vector_of_pairs(from, at->pixel[down], step),
                        b = vector_of_pairs(from, at->pixel[down] + LANES / 2, step);
            run[2 * k] = __builtin_shufflevector(a, b, EVEN), run[2 * k + 1] = __builtin_shufflevector(a, b, ODD);
        }
        UNROLL for (int k = 0; k < together; k++) corner[k][2 * down] = run[k],
                                                                corner[k][2 * down + 1] = run[together + k];
    }
    if (at->inside)
        return;
    UNROLL for (int k = 0; k < together; k++) UNROLL for (int west = 0; west < 4; west += 2)
    {
        const vreal a = corner[k][west], b = corner[k][west + 1], zero = {0};
        corner[k][west] = vselect(at->seen[west], vselect(at->behind, b, a), zero);
        corner[k][west + 1] = vselect(at->seen[west + 1], vselect(at->before, a, b), zero);
    }
}

#endif
