#include "places.h"
#include "transpose.h"

enum { VECTORS = 16 }; /* of positions, that all channels are sampled at before the next ones: they stay in L1 */

/* ---- Positions in the lanes -------------------------------------------------------------------------------------- */

typedef struct {
    pairs pairs;
    vreal weight[4];
} bilinear;

/* y[p together + k] = v[k][p] for p < positions */
INLINE void store_together(const vreal v[MOST_TOGETHER], const int together, ptrdiff_t positions, real *y)
{
    if (together == 1) {
        store_some(y, v[0], positions);
        return;
    }
    number lanes[MOST_TOGETHER][LANES];
    UNROLL for (int k = 0; k < together; k++) vstore(lanes[k], v[k]);
    for (ptrdiff_t p = 0; p < positions; p++)
        UNROLL for (int k = 0; k < together; k++) y[p * together + k] = lanes[k][p];
}

INLINE void sample_between(const sampling *s, ptrdiff_t count, const char *grid, const char *x, real *y,
                           const int together)
{
    bilinear at[VECTORS];
    for (ptrdiff_t p = 0; p < count; p += LANES) {
        bilinear *const to = at + p / LANES;
        const squares q = squares_of(s, min_size(LANES, count - p), grid + p * s->position);
        put_pairs(s, &q, &to->pairs);
        weights_of(&q, to->weight);
    }
    for (ptrdiff_t k = 0; k < s->channels; k += together, x += s->channel, y += s->y_channel)
        for (ptrdiff_t p = 0; p < count; p += LANES) {
            const bilinear *const from = at + p / LANES;
            vreal corner[MOST_TOGETHER][4], sum[MOST_TOGETHER];
            load_corners(&from->pairs, x, together, corner);
            UNROLL for (int c = 0; c < together; c++)
            {
                sum[c] = from->weight[0] * corner[c][0];
                UNROLL for (int tap = 1; tap < 4; tap++) sum[c] = vfma(from->weight[tap], corner[c][tap], sum[c]);
            }
            store_together(sum, together, min_size(LANES, count - p), y + p * together);
        }
}

/* The edges of an image are no pattern that a processor could foresee: there is no branch for a position. */
INLINE void copy_pixels(const taps *at, ptrdiff_t positions, const char *x, real *y, const int together)
{
    const ptrdiff_t size = together * (ptrdiff_t)sizeof(number);
    if (at->inside && positions == LANES) {
        UNROLL for (int p = 0; p < LANES; p++)
            memcpy(y + p * together, x + (ptrdiff_t)at->pixel[0][p] * size, (size_t)size);
        return;
    }
    for (ptrdiff_t p = 0; p < positions; p++) {
        const integer pixel = at->pixel[0][p], seen = -(integer)(pixel != NOWHERE);
        const char *const from = x + (ptrdiff_t)(pixel & seen) * size;
        UNROLL for (int k = 0; k < together; k++)
        {
            integer value;
            memcpy(&value, from + k * (ptrdiff_t)sizeof value, sizeof value);
            value &= seen;
            memcpy(y + p * together + k, &value, sizeof value);
        }
    }
}

INLINE void sample_nearest(const sampling *s, ptrdiff_t count, const char *grid, const char *x, real *y,
                           const int together)
{
    taps at[VECTORS];
    for (ptrdiff_t p = 0; p < count; p += LANES)
        taps_of(s, min_size(LANES, count - p), grid + p * s->position, &at[p / LANES]);
    for (ptrdiff_t k = 0; k < s->channels; k += together, x += s->channel, y += s->y_channel)
        for (ptrdiff_t p = 0; p < count; p += LANES)
            copy_pixels(&at[p / LANES], min_size(LANES, count - p), x, y + p * together, together);
}

INLINE void forward_together(const sampling *s, ptrdiff_t count, const char *grid, const char *x, real *y,
                             const int together)
{
    for (ptrdiff_t p = 0; p < count; p += VECTORS * LANES) {
        const ptrdiff_t positions = min_size(VECTORS * LANES, count - p);
        if (s->nearest)
            sample_nearest(s, positions, grid + p * s->position, x, y + p * together, together);
        else
            sample_between(s, positions, grid + p * s->position, x, y + p * together, together);
    }
}

/* ---- Channels in the lanes --------------------------------------------------------------------------------------- */

INLINE void sample_channels(const sampling *s, const taps *at, ptrdiff_t positions, const char *x, ptrdiff_t count,
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

static void forward_channels(const sampling *s, ptrdiff_t count, const char *grid, const char *x, real *y)
{
    taps at;
    for (ptrdiff_t p = 0; p < count; p += LANES) {
        const ptrdiff_t positions = min_size(LANES, count - p);
        real *const to = y + p * s->y_position;
        taps_of(s, positions, grid + p * s->position, &at);
        for (ptrdiff_t k = 0; k < s->channels; k += LANES) {
            const char *const from = x + k * (ptrdiff_t)sizeof(number);
            if (s->channels - k >= LANES)
                sample_channels(s, &at, positions, from, LANES, to + k * s->y_channel);
            else
                sample_channels(s, &at, positions, from, s->channels - k, to + k * s->y_channel);
        }
    }
}

static void forward(const sampling *s, ptrdiff_t count, const char *grid, const char *x, real *y)
{
    switch (s->together) {
    case 0: forward_channels(s, count, grid, x, y); break;
    case 1: forward_together(s, count, grid, x, y, 1); break;
    case 2: forward_together(s, count, grid, x, y, 2); break;
    case 3: forward_together(s, count, grid, x, y, 3); break;
    default: forward_together(s, count, grid, x, y, 4);
    }
}

/* ---- Affine grids ------------------------------------------------------------------------------------------------ */

static void affine(ptrdiff_t count, const real *x, const double *slope, const double *start, real *to)
{
    vreal slopes, starts;
    UNROLL for (int l = 0; l < LANES; l++) slopes[l] = (number)slope[l % 2], starts[l] = (number)start[l % 2];
    for (ptrdiff_t j = 0; j < 2 * count; j += LANES)
        store_some(to + j, vfma(load_some(x + j, 2 * count - j), slopes, starts), 2 * count - j);
}

const grid_primitives NAME(grid) = {.forward = forward, .affine = affine};
