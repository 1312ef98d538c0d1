#include "exp2.h"
#include "parts.h"
#include "primitives.h"
#include "transpose.h"
#include "vmath.h"

#include <float.h>
#include <math.h>

static const number LOG2_E = (number)0x1.71547652b82fep0;

static void scale(ptrdiff_t count, double factor, real *x)
{
    assert(count >= 0);
    for (ptrdiff_t j = 0; j < count; j += LANES)
        store_some(x + j, load_some(x + j, count - j) * (number)factor, count - j);
}

/* What is added to a score, so that it stays finite in units of log 2: keys that all have the least finite number, as masks
 * are often written, are seen alike. Beside such numbers no score counts. */
INLINE vreal added_to_scores(vreal x)
{
    const number largest = (number)(REAL_BITS == 32 ? FLT_MAX : DBL_MAX), most = largest * (number)0.693;
    const vreal inside = vmin(vmax(x, vsplat(-most)), vsplat(most));
    return vselect(vabs(x) <= largest, inside, x);
}

static void mask(ptrdiff_t keys, ptrdiff_t vectors, const real *added, const real *bounds, ptrdiff_t diagonal, real *s)
{
    const ptrdiff_t width = vectors * LANES;
    for (ptrdiff_t j = 0; added && j < keys * width; j += LANES)
        vstore(s + j, vfma(added_to_scores(vload(added + j)), vsplat(LOG2_E), vload(s + j)));
    for (ptrdiff_t j = 0; bounds && j < keys * width; j += LANES)
        vstore(s + j, vmin(vload(s + j), vload(bounds + j))); /* of a NaN the bound */
    for (ptrdiff_t p = max_size(0, diagonal + 1); p < keys; p++)
        for (ptrdiff_t i = 0; i < min_size(width, p - diagonal); i += LANES) {
            const vint hidden = lane_numbers() < (integer)min_size(LANES, p - diagonal - i);
            real *const at = s + p * width + i;
            vstore(at, vselect(hidden, vsplat(-INFINITY), vload(at)));
        }
}

/* The bytes of LANES keys, as bounds. */
typedef uint8_t vbytes __attribute__((vector_size(LANES), aligned(1), may_alias));
INLINE vreal bounds_of(vbytes seen)
{
    const vint wide = __builtin_convertvector(seen, vint);
    return vselect_above(__builtin_convertvector(wide, vreal), (vreal){0}, vsplat(INFINITY), vsplat(-INFINITY));
}

static void bounds(ptrdiff_t keys, ptrdiff_t queries, ptrdiff_t vectors, const char *x, ptrdiff_t key_stride,
                   ptrdiff_t query_stride, real *to)
{
    assert(keys >= 0 && queries <= vectors * LANES);
    for (ptrdiff_t i = 0; i < vectors * LANES; i += LANES)
        for (ptrdiff_t p = 0; p < keys; p += LANES) {
            const ptrdiff_t lines = min_size(LANES, queries - i), count = min_size(LANES, keys - p);
            const char *const from = x + i * query_stride + p * key_stride;
            vreal block[LANES];
            if (lines == LANES && count == LANES && key_stride == 1) {
                UNROLL for (int l = 0; l < LANES; l++) block[l] = bounds_of(*(const vbytes *)(from + l * query_stride));
            } else {
                for (ptrdiff_t l = 0; l < LANES; l++) {
                    uint8_t seen[LANES] = {0};
                    for (ptrdiff_t q = 0; l < lines && q < count; q++)
                        seen[q] = *(const uint8_t *)(from + l * query_stride + q * key_stride);
                    block[l] = bounds_of(*(const vbytes *)seen);
                }
            }
            transpose(block);
            real *const block_to = to + p * vectors * LANES + i;
            if (count == LANES) {
                UNROLL for (int q = 0; q < LANES; q++) vstore(block_to + q * vectors * LANES, block[q]);
            } else {
                for (ptrdiff_t q = 0; q < count; q++)
                    vstore(block_to + q * vectors * LANES, block[q]);
            }
        }
}

/* Where no score is known yet, -inf - -inf is to be no NaN. */
INLINE vreal base_of(vreal most) { return vselect(most == -INFINITY, (vreal){0}, most); }

INLINE int weights_of(const int vectors, ptrdiff_t keys, real *s, const attention_state *state, real *factor)
{
    vreal most[TILE_VECTORS], base[TILE_VECTORS], sum[TILE_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++)
    {
        most[v] = vload(state->most + v * LANES);
        sum[v] = (vreal){0};
    }
    for (ptrdiff_t p = 0; p < keys; p++)
        UNROLL for (int v = 0; v < vectors; v++) most[v] = vmax(vload(s + (p * vectors + v) * LANES), most[v]);
    UNROLL for (int v = 0; v < vectors; v++) base[v] = base_of(most[v]);
    for (ptrdiff_t p = 0; p < keys; p++)
        UNROLL for (int v = 0; v < vectors; v++)
        {
            real *const at = s + (p * vectors + v) * LANES;
            const vreal w = vexp2_fall(vload(at) - base[v]);
            vstore(at, w);
            sum[v] += w;
        }
    int changed = 0;
    UNROLL for (int v = 0; v < vectors; v++)
    {
        const vreal f = vexp2_fall(vload(state->most + v * LANES) - base[v]);
        changed |= vany(f != 1);
        vstore(factor + v * LANES, f);
        vstore(state->sum + v * LANES, vfma(vload(state->sum + v * LANES), f, sum[v]));
        vstore(state->most + v * LANES, most[v]);
    }
    return changed;
}

static int weights(ptrdiff_t keys, ptrdiff_t vectors, real *s, const attention_state *state, real *factor)
{
    assert(vectors >= 1 && vectors <= TILE_VECTORS);
    switch (vectors) {
    case 1: return weights_of(1, keys, s, state, factor);
    case 2: return weights_of(2, keys, s, state, factor);
    default: return weights_of(TILE_VECTORS, keys, s, state, factor);
    }
}

static void rescale(ptrdiff_t rows, ptrdiff_t vectors, const real *factor, real *o)
{
    for (ptrdiff_t v = 0; v < vectors; v++) {
        const vreal f = vload(factor + v * LANES);
        for (ptrdiff_t c = 0; c < rows; c++) {
            real *const at = o + (c * vectors + v) * LANES;
            vstore(at, vload(at) * f);
        }
    }
}

static void merge(ptrdiff_t rows, ptrdiff_t vectors, const attention_state *state, const attention_state *other)
{
    for (ptrdiff_t v = 0; v < vectors; v++) {
        real *const m = state->most + v * LANES, *const s = state->sum + v * LANES;
        const vreal a = vload(m), b = vload(other->most + v * LANES), most = vmax(a, b), base = base_of(most);
        const vreal left = vexp2_fall(a - base), right = vexp2_fall(b - base);
        vstore(m, most);
        vstore(s, vfma(vload(s), left, vload(other->sum + v * LANES) * right));
        for (ptrdiff_t c = 0; c < rows; c++) {
            real *const at = state->o + (c * vectors + v) * LANES;
            vstore(at, vfma(vload(at), left, vload(other->o + (c * vectors + v) * LANES) * right));
        }
    }
}

/* 0 where x is finite, else NaN. */
INLINE vreal not_finite(vreal x) { return x - x; }

static int finish(ptrdiff_t rows, ptrdiff_t vectors, const attention_state *state)
{
    vreal wrong = {0};
    for (ptrdiff_t v = 0; v < vectors; v++) {
        real *const m = state->most + v * LANES;
        const vreal sum = vload(state->sum + v * LANES);
        const vreal inverse = vselect(sum == 0, (vreal){0}, 1 / sum);
        vstore(m, vselect(sum == 0, vsplat(INFINITY), vfma(vlog(sum), vsplat(LOG2_E), vload(m))));
        for (ptrdiff_t c = 0; c < rows; c++) {
            real *const at = state->o + (c * vectors + v) * LANES;
            const vreal y = vload(at) * inverse;
            vstore(at, y);
            wrong += not_finite(y);
        }
    }
    return !vany(wrong != wrong);
}

INLINE number largest_lane(vreal v)
{
    number lanes[LANES];
    vstore(lanes, v);
    number most = lanes[0];
    for (int l = 1; l < LANES; l++)
        most = lanes[l] > most ? lanes[l] : most;
    return most;
}

static double row_weights(ptrdiff_t count, const char *added, const char *seen, ptrdiff_t stride, real *s, real *most,
                          real *sum)
{
    assert(count >= 1);
    for (ptrdiff_t p = 0; added && p < count; p++)
        s[p] += LOG2_E * added_to_scores(vsplat(*(const real *)(added + p * stride)))[0];
    for (ptrdiff_t p = 0; seen && p < count; p++)
        s[p] = *(const uint8_t *)(seen + p * stride) ? s[p] : -INFINITY;
    vreal largest = vsplat(*most), total = {0};
    for (ptrdiff_t p = 0; p < count; p += LANES)
        largest = vmax(load_or(s + p, count - p, -INFINITY), largest);
    const number now = largest_lane(largest);
    const vreal base = base_of(vsplat(now));
    for (ptrdiff_t p = 0; p < count; p += LANES) {
        const vreal w = vexp2_fall(load_or(s + p, count - p, -INFINITY) - base);
        store_some(s + p, w, count - p);
        total += w;
    }
    const number factor = vexp2_fall(vsplat(*most) - base)[0];
    *sum = *sum * factor + lane_sum(total);
    *most = now;
    return factor;
}

static void lane_dots(ptrdiff_t rows, ptrdiff_t vectors, const real *a, const real *b, real *sums)
{
    for (ptrdiff_t v = 0; v < vectors; v++) {
        vreal sum = {0};
        for (ptrdiff_t c = 0; c < rows; c++)
            sum = vfma(vload(a + (c * vectors + v) * LANES), vload(b + (c * vectors + v) * LANES), sum);
        vstore(sums + v * LANES, sum);
    }
}

static void gradient(ptrdiff_t keys, ptrdiff_t vectors, const real *most, const real *less, real *s, real *d)
{
    for (ptrdiff_t v = 0; v < vectors; v++) {
        const vreal base = vload(most + v * LANES), mean = vload(less + v * LANES);
        for (ptrdiff_t p = 0; p < keys; p++) {
            const ptrdiff_t at = (p * vectors + v) * LANES;
            const vreal w = vexp2_fall(vload(s + at) - base);
            vstore(s + at, w);
            vstore(d + at, vselect_above(w, (vreal){0}, w * (vload(d + at) - mean), w)); /* a NaN stays */
        }
    }
}

static void weighted(int in_a, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                     ptrdiff_t a_step, const real *b, ptrdiff_t b_stride, real *c, ptrdiff_t c_stride, int start)
{
    assert(start == START_ZERO || start == START_C);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j += LANES) {
            real *const at = c + i * c_stride + j;
            const ptrdiff_t count = columns - j;
            vreal sum = start == START_C ? load_some(at, count) : (vreal){0};
            for (ptrdiff_t p = 0; p < k; p++) {
                const vreal left = vsplat(a[i * a_row + p * a_step]), right = load_some(b + p * b_stride + j, count);
                const vint nothing = (in_a ? left : right) == 0;
                sum = vselect(nothing, sum, vfma(left, right, sum));
            }
            store_some(at, positive_zeros(sum), count);
        }
}

static int all_finite(ptrdiff_t rows, ptrdiff_t columns, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride)
{
    vreal wrong = {0};
    for (ptrdiff_t i = 0; i < rows; i++, x += row_stride)
        if (column_stride == sizeof(number))
            for (ptrdiff_t j = 0; j < columns; j += LANES)
                wrong += not_finite(load_some((const real *)x + j, columns - j));
        else
            for (ptrdiff_t j = 0; j < columns; j++)
                wrong += not_finite(vsplat(*(const real *)(x + j * column_stride)));
    return !vany(wrong != wrong);
}

const attention_primitives NAME(attention) = {
    .scale = scale,
    .mask = mask,
    .bounds = bounds,
    .weights = weights,
    .rescale = rescale,
    .merge = merge,
    .finish = finish,
    .row_weights = row_weights,
    .lane_dots = lane_dots,
    .gradient = gradient,
    .weighted = weighted,
    .finite = all_finite,
};
