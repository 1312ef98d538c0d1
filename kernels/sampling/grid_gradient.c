#include "places.h"
#include "transpose.h"

/* ---- The coordinates --------------------------------------------------------------------------------------------- */

/* sum[0 .. 1] += dy times the difference of the columns, of the rows */
INLINE void add_slopes(const vreal v[4], vreal dy, vreal north, vreal south, vreal west, vreal east, vreal sum[2])
{
    const vreal across = vfma(v[3] - v[2], south, (v[1] - v[0]) * north);
    const vreal down = vfma(v[3] - v[1], east, (v[2] - v[0]) * west);
    sum[0] = vfma(across, dy, sum[0]);
    sum[1] = vfma(down, dy, sum[1]);
}

/* `sum` has a vector of positions for each lane of channels, and `lanes` of them are not 0. */
INLINE void store_places(vreal sum[LANES][2], ptrdiff_t lanes, const vreal slope[2], ptrdiff_t positions, real *dgrid)
{
    vreal total[2];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half && l + half < lanes; l++)
            sum[l][0] += sum[l + half][0], sum[l][1] += sum[l + half][1];
    UNROLL for (int k = 0; k < 2; k++) total[k] = positive_zeros(sum[0][k]) * slope[k];
    store_some(dgrid, __builtin_shufflevector(total[0], total[1], LOW), 2 * positions);
    if (2 * positions > LANES)
        store_some(dgrid + LANES, __builtin_shufflevector(total[0], total[1], HIGH), 2 * positions - LANES);
}

/* dy of a vector of positions */
INLINE vreal positions_of(const sampling *s, const char *dy, ptrdiff_t positions)
{
    if (s->dy_position == sizeof(number))
        return load_some((const real *)dy, positions);
    return vgather_mask(dy, s->dy_position, (unsigned)((1ull << positions) - 1));
}

INLINE void places_together(const sampling *s, ptrdiff_t count, const char *grid, const char *x, const char *dy,
                            real *dgrid, const int together)
{
    vreal sum[LANES][2];
    const ptrdiff_t lanes = min_size(s->channels, LANES);
    for (ptrdiff_t p = 0; p < count; p += LANES) {
        const ptrdiff_t positions = min_size(LANES, count - p);
        const squares q = squares_of(s, positions, grid + p * s->position);
        pairs at;
        put_pairs(s, &q, &at);
        for (ptrdiff_t k = 0; k < s->channels; k += together) {
            const char *const from = dy + p * s->dy_position + k * s->dy_channel;
            vreal corner[MOST_TOGETHER][4];
            load_corners(&at, x + k * s->channel, together, corner);
            UNROLL for (int c = 0; c < together; c++)
            {
                vreal *const to = sum[(k + c) % LANES];
                if (k + c < LANES)
                    to[0] = to[1] = (vreal){0};
                add_slopes(corner[c], positions_of(s, from + c * s->dy_channel, positions), q.north, q.south, q.west,
                           q.east, to);
            }
        }
        store_places(sum, lanes, q.slope, positions, dgrid + 2 * p);
    }
}

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

INLINE void places_of_channels(const sampling *s, const taps *at, const squares *q, ptrdiff_t positions, const char *x,
                               const char *dy, ptrdiff_t count, vreal sum[LANES][2])
{
    vreal block[LANES];
    load_gradients(s, positions, dy, count, block);
    for (ptrdiff_t p = 0; p < positions; p++) {
        vreal v[4];
        UNROLL for (int tap = 0; tap < 4; tap++) v[tap] = pixel_at(s, at, tap, p, x, count);
        add_slopes(v, block[p], vsplat(q->north[p]), vsplat(q->south[p]), vsplat(q->west[p]), vsplat(q->east[p]),
                   sum[p]);
    }
}

static void places_channels(const sampling *s, ptrdiff_t count, const char *grid, const char *x, const char *dy,
                            real *dgrid)
{
    taps at;
    vreal sum[LANES][2], turned[2][LANES];
    for (ptrdiff_t p = 0; p < count; p += LANES) {
        const ptrdiff_t positions = min_size(LANES, count - p);
        const squares q = squares_of(s, positions, grid + p * s->position);
        put_taps(s, &q, &at);
        for (ptrdiff_t l = 0; l < LANES; l++)
            sum[l][0] = sum[l][1] = (vreal){0};
        for (ptrdiff_t k = 0; k < s->channels; k += LANES) {
            const char *const from = x + k * (ptrdiff_t)sizeof(number), *const of =
                                                                            dy + p * s->dy_position + k * s->dy_channel;
            if (s->channels - k >= LANES)
                places_of_channels(s, &at, &q, positions, from, of, LANES, sum);
            else
                places_of_channels(s, &at, &q, positions, from, of, s->channels - k, sum);
        }
        UNROLL for (int l = 0; l < LANES; l++) turned[0][l] = sum[l][0], turned[1][l] = sum[l][1];
        transpose(turned[0]);
        transpose(turned[1]);
        UNROLL for (int l = 0; l < LANES; l++) sum[l][0] = turned[0][l], sum[l][1] = turned[1][l];
        store_places(sum, LANES, q.slope, positions, dgrid + 2 * p);
    }
}

static void places(const sampling *s, ptrdiff_t count, const char *grid, const char *x, const char *dy, real *dgrid)
{
    switch (s->together) {
    case 0: places_channels(s, count, grid, x, dy, dgrid); break;
    case 1: places_together(s, count, grid, x, dy, dgrid, 1); break;
    case 2: places_together(s, count, grid, x, dy, dgrid, 2); break;
    case 3: places_together(s, count, grid, x, dy, dgrid, 3); break;
    default: places_together(s, count, grid, x, dy, dgrid, 4);
    }
}

/* ---- The image --------------------------------------------------------------------------------------------------- */

/* One number of an image at a time: two positions in a row may well share a pixel. */
INLINE void scatter(const sampling *s, const taps *at, ptrdiff_t positions, vreal dy, double *sums, ptrdiff_t step,
                    const int count)
{
    double product[4][LANES];
    UNROLL for (int tap = 0; tap < count; tap++)
    {
        const vwide wide = vwiden(count == 1 ? dy : vload(at->weight[tap]) * dy);
        memcpy(product[tap], &wide, sizeof wide);
    }
    for (ptrdiff_t p = 0; p < positions; p++) {
        if (at->inside && count == 4) {
            double *const north = sums + (ptrdiff_t)at->pixel[0][p] * step, *const south = north + s->w * step;
            north[0] += product[0][p];
            north[step] += product[1][p];
            south[0] += product[2][p];
            south[step] += product[3][p];
            continue;
        }
        UNROLL for (int tap = 0; tap < count; tap++)
        {
            const integer pixel = at->pixel[tap][p];
            if (at->inside || pixel != NOWHERE)
                sums[(ptrdiff_t)pixel * step] += product[tap][p];
        }
    }
}

INLINE void scatter_channels(const sampling *s, const taps *at, ptrdiff_t positions, const char *dy, double *sums)
{
    vreal block[LANES];
    load_gradients(s, positions, dy, LANES, block);
    for (ptrdiff_t p = 0; p < positions; p++)
        for (int tap = 0; tap < (s->nearest ? 1 : 4); tap++) {
            const integer pixel = at->pixel[tap][p];
            if (pixel == NOWHERE)
                continue;
            vwide_memory *const to = (vwide_memory *)(sums + (ptrdiff_t)pixel * s->sum_pixel);
            *to += vwiden(s->nearest ? block[p] : vsplat(at->weight[tap][p]) * block[p]);
        }
}

static void image(const sampling *s, ptrdiff_t count, const char *grid, const char *dy, double *sums)
{
    taps at;
    sums -= s->top * s->w * s->sum_pixel;
    for (ptrdiff_t p = 0; p < count; p += LANES) {
        const ptrdiff_t positions = min_size(LANES, count - p);
        const char *const from = dy + p * s->dy_position;
        taps_of(s, positions, grid + p * s->position, &at);
        if (at.outside)
            continue;
        if (s->channels == LANES && s->sum_channel == 1) {
            scatter_channels(s, &at, positions, from, sums);
            continue;
        }
        for (ptrdiff_t k = 0; k < s->channels; k++) {
            const vreal each = positions_of(s, from + k * s->dy_channel, positions);
            double *const to = sums + k * s->sum_channel;
            if (s->nearest && s->sum_pixel == 1)
                scatter(s, &at, positions, each, to, 1, 1);
            else if (s->nearest)
                scatter(s, &at, positions, each, to, s->sum_pixel, 1);
            else if (s->sum_pixel == 1)
                scatter(s, &at, positions, each, to, 1, 4);
            else
                scatter(s, &at, positions, each, to, s->sum_pixel, 4);
        }
    }
}

static void turn(ptrdiff_t pixels, const double *sums, real *dx, ptrdiff_t plane)
{
    vreal block[LANES];
    for (ptrdiff_t p = 0; p < pixels; p += LANES) {
        const ptrdiff_t count = min_size(LANES, pixels - p);
        for (ptrdiff_t l = 0; l < LANES; l++)
            block[l] = l < count ? vnarrow(*(const vwide_memory *)(sums + (p + l) * LANES)) : (vreal){0};
        transpose(block);
        for (ptrdiff_t k = 0; k < LANES; k++)
            store_some(dx + k * plane + p, block[k], count);
    }
}

const grid_gradient_primitives NAME(grid_gradient) = {.places = places, .image = image, .turn = turn};
