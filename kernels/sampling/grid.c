#include "parts.h"
#include "primitives.h"
#include "transpose.h"

/* ---- Places ------------------------------------------------------------------------------------------------------ */

/* A coordinate of a vector of positions, in pixels, and its slope by what the grid holds. */
typedef struct {
    vreal place, slope;
} coordinate;

enum { NOWHERE = INT32_MIN }; /* the number of no pixel */

typedef struct {
    integer pixel[4][LANES]; /* north west, north east, south west, south east; in x */
    integer own[4][LANES];   /* in an image whose rows follow each other */
    number weight[4][LANES];
    number north[LANES], south[LANES], west[LANES],
        east[LANES]; /* of the rows and the columns: their products are `weight` */
    number slope[2][LANES];
} samples;

INLINE vreal vwhole(vint x) { return __builtin_convertvector(x, vreal); }
INLINE vint vtruncate(vreal x) { return __builtin_convertvector(x, vint); } /* of what fits */
INLINE vreal vabs(vreal x) { return (vreal)((vbits)x & ~((vbits){0} + ((bits)1 << (REAL_BITS - 1)))); }

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

/* The two pixels beside a coordinate, of the second one the weight, and whether they lie in the image. */
typedef struct {
    vint first, first_inside, second_inside;
    vreal rest;
} neighbours;

INLINE neighbours neighbours_of(vreal place, ptrdiff_t size)
{
    /* What lies further out sees nothing; a NaN does, too, but spoils its weights. */
    const vreal bounded = vmin(vmax(place, vsplat(-2)), vsplat((number)size + 1));
    const vint first = vfloor(bounded), last = (vint){0} + (integer)(size - 1);
    return (neighbours){first, (first >= 0) & (first <= last), (first >= -1) & (first < last),
                        (bounded - vwhole(first)) + (place - place)};
}

/* The nearest pixel, of two as near the even one. */
INLINE vint nearest_of(vreal place, ptrdiff_t size)
{
    const vreal bounded = vmin(vmax(place, vsplat(-2)), vsplat((number)size + 1));
    const vint first = vfloor(bounded);
    const vreal rest = bounded - vwhole(first);
    return first - ((rest > (number)0.5) | ((rest == (number)0.5) & ((first & 1) != 0)));
}

INLINE void put_pixels(const sampling *s, samples *to, int tap, vint row, vint column, vint inside)
{
    const vint nowhere = (vint){0} + (integer)NOWHERE;
    const vint pixel = row * (integer)s->line + column, own = row * (integer)s->w + column;
    const vint seen = (inside & pixel) | (~inside & nowhere), kept = (inside & own) | (~inside & nowhere);
    memcpy(to->pixel[tap], &seen, sizeof seen);
    memcpy(to->own[tap], &kept, sizeof kept);
}

INLINE void load_grid(const sampling *s, ptrdiff_t count, const char *grid, vreal *x, vreal *y)
{
    const unsigned mask = (unsigned)((1ull << count) - 1);
    *x = vgather_mask(grid, s->position, mask);
    *y = vgather_mask(grid + s->coordinate, s->position, mask);
}

INLINE void samples_of(const sampling *s, ptrdiff_t count, const char *grid, samples *to)
{
    vreal x, y;
    load_grid(s, count, grid, &x, &y);
    const coordinate cx = coordinate_of(s, x, s->w), cy = coordinate_of(s, y, s->h);
    if (s->nearest) {
        const vint column = nearest_of(cx.place, s->w), row = nearest_of(cy.place, s->h);
        put_pixels(s, to, 0, row, column,
                   (row >= 0) & (row < (integer)s->h) & (column >= 0) & (column < (integer)s->w));
        return;
    }
    const neighbours across = neighbours_of(cx.place, s->w), down = neighbours_of(cy.place, s->h);
    const vreal east = across.rest, west = 1 - east, south = down.rest, north = 1 - south;
    const vreal weight[4] = {north * west, north * east, south * west, south * east};
    put_pixels(s, to, 0, down.first, across.first, down.first_inside & across.first_inside);
    put_pixels(s, to, 1, down.first, across.first + 1, down.first_inside & across.second_inside);
    put_pixels(s, to, 2, down.first + 1, across.first, down.second_inside & across.first_inside);
    put_pixels(s, to, 3, down.first + 1, across.first + 1, down.second_inside & across.second_inside);
    memcpy(to->weight, weight, sizeof weight);
    vstore(to->north, north), vstore(to->south, south), vstore(to->west, west), vstore(to->east, east);
    vstore(to->slope[0], cx.slope), vstore(to->slope[1], cy.slope);
}

/* `count` channels of tap `tap` of position p; 0 outside the image. */
INLINE vreal pixel_at(const sampling *s, const samples *at, int tap, ptrdiff_t p, const char *x, ptrdiff_t count)
{
    static const number zeros[LANES] = {0};
    const integer pixel = at->pixel[tap][p];
    return load_some(pixel == NOWHERE ? (const real *)zeros : (const real *)(x + (ptrdiff_t)pixel * s->pixel), count);
}

/* ---- Samples ----------------------------------------------------------------------------------------------------- */

INLINE void sample_channels(const sampling *s, const samples *at, ptrdiff_t positions, const char *x, ptrdiff_t count,
                            real *y)
{
    vreal block[LANES];
    for (ptrdiff_t p = 0; p < positions; p++) {
        vreal sum = pixel_at(s, at, 0, p, x, count);
        if (!s->nearest) {
            sum = vsplat(at->weight[0][p]) * sum;
            UNROLL for (int tap = 1; tap < 4; tap++) sum =
                vfma(vsplat(at->weight[tap][p]), pixel_at(s, at, tap, p, x, count), sum);
        }
        if (s->y_channel == 1)
            store_some(y + p * s->y_position, sum, count);
        else
            block[p] = sum;
    }
    if (s->y_channel == 1)
        return;
    for (ptrdiff_t p = positions; p < LANES; p++)
        block[p] = (vreal){0};
    transpose(block);
    for (ptrdiff_t k = 0; k < count; k++)
        store_some(y + k * s->y_channel, block[k], positions);
}

static void forward(const sampling *s, ptrdiff_t count, const char *grid, const char *x, real *y)
{
    samples at;
    for (ptrdiff_t p = 0; p < count; p += LANES) {
        const ptrdiff_t positions = min_size(LANES, count - p);
        real *const to = y + p * s->y_position;
        samples_of(s, positions, grid + p * s->position, &at);
        for (ptrdiff_t k = 0; k < s->channels; k += LANES) {
            const char *const from = x + k * (ptrdiff_t)sizeof(number);
            if (s->channels - k >= LANES)
                sample_channels(s, &at, positions, from, LANES, to + k * s->y_channel);
            else
                sample_channels(s, &at, positions, from, s->channels - k, to + k * s->y_channel);
        }
    }
}

/* ---- Gradients --------------------------------------------------------------------------------------------------- */

/* block[p] = dy[0 .. count, p] */
INLINE void load_gradients(const sampling *s, ptrdiff_t positions, const char *dy, ptrdiff_t count, vreal block[LANES])
{
    if (s->dy_position == sizeof(number)) {
        load_transposed(block, dy, s->dy_channel, count, positions);
        return;
    }
    const unsigned mask = (unsigned)((1ull << count) - 1);
    for (ptrdiff_t p = 0; p < positions; p++) {
        const char *const from = dy + p * s->dy_position;
        block[p] = s->dy_channel == sizeof(number) ? load_some((const real *)from, count)
                                                   : vgather_mask(from, s->dy_channel, mask);
    }
}

INLINE void add_to_image(const sampling *s, const samples *at, ptrdiff_t p, vreal dy, real *dx, ptrdiff_t count)
{
    const int taps = s->nearest ? 1 : 4;
    for (int tap = 0; tap < taps; tap++) {
        if (at->own[tap][p] == NOWHERE)
            continue;
        real *const to = dx + (ptrdiff_t)at->own[tap][p] * s->dx_pixel;
        const vreal before = load_some(to, count);
        store_some(to, s->nearest ? before + dy : vfma(vsplat(at->weight[tap][p]), dy, before), count);
    }
}

/* by[0 .. 1][p] += dy times the difference of the columns, of the rows */
INLINE void add_to_grid(const sampling *s, const samples *at, ptrdiff_t p, vreal dy, const char *x, ptrdiff_t count,
                        vreal by[2][LANES])
{
    vreal v[4];
    UNROLL for (int tap = 0; tap < 4; tap++) v[tap] = pixel_at(s, at, tap, p, x, count);
    const vreal across = vfma(v[3] - v[2], vsplat(at->south[p]), (v[1] - v[0]) * vsplat(at->north[p]));
    const vreal down = vfma(v[3] - v[1], vsplat(at->east[p]), (v[2] - v[0]) * vsplat(at->west[p]));
    by[0][p] = vfma(across, dy, by[0][p]);
    by[1][p] = vfma(down, dy, by[1][p]);
}

INLINE void store_grid(const samples *at, ptrdiff_t positions, vreal by[2][LANES], real *dgrid)
{
    for (int k = 0; k < 2; k++) {
        transpose(by[k]);
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int l = 0; l < half; l++)
                by[k][l] += by[k][l + half];
        by[k][0] *= vload(at->slope[k]);
        for (ptrdiff_t p = 0; p < positions; p++)
            dgrid[2 * p + k] = by[k][0][p];
    }
}

INLINE void gradient_channels(const sampling *s, const samples *at, ptrdiff_t positions, const char *x, const char *dy,
                              ptrdiff_t count, real *dx, vreal by[2][LANES])
{
    vreal block[LANES];
    load_gradients(s, positions, dy, count, block);
    for (ptrdiff_t p = 0; p < positions; p++) {
        if (dx != NULL)
            add_to_image(s, at, p, block[p], dx, count);
        if (by != NULL)
            add_to_grid(s, at, p, block[p], x, count, by);
    }
}

static void backward(const sampling *s, ptrdiff_t count, const char *grid, const char *x, const char *dy, real *dx,
                     real *dgrid)
{
    samples at;
    vreal by[2][LANES];
    for (ptrdiff_t p = 0; p < count; p += LANES) {
        const ptrdiff_t positions = min_size(LANES, count - p);
        const int sums = dgrid != NULL && !s->nearest;
        samples_of(s, positions, grid + p * s->position, &at);
        memset(by, 0, sizeof by);
        for (ptrdiff_t k = 0; k < s->channels; k += LANES) {
            const char *const from = x + k * (ptrdiff_t)sizeof(number), *const of =
                                                                            dy + p * s->dy_position + k * s->dy_channel;
            real *const to = dx == NULL ? NULL : dx + k;
            if (s->channels - k >= LANES)
                gradient_channels(s, &at, positions, from, of, LANES, to, sums ? by : NULL);
            else
                gradient_channels(s, &at, positions, from, of, s->channels - k, to, sums ? by : NULL);
        }
        if (sums)
            store_grid(&at, positions, by, dgrid + 2 * p);
        else if (dgrid != NULL)
            memset(dgrid + 2 * p, 0, (size_t)(2 * positions) * sizeof(number));
    }
}

static void affine(ptrdiff_t count, const real *x, const double *slope, const double *start, real *to)
{
    vreal slopes, starts;
    UNROLL for (int l = 0; l < LANES; l++) slopes[l] = (number)slope[l % 2], starts[l] = (number)start[l % 2];
    for (ptrdiff_t j = 0; j < 2 * count; j += LANES)
        store_some(to + j, vfma(load_some(x + j, 2 * count - j), slopes, starts), 2 * count - j);
}

const grid_primitives NAME(grid) = {.forward = forward, .backward = backward, .affine = affine};
