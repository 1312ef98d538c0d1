/* Attention: what is not a product. Queries are in the lanes.
 *
 * Of a panel of queries, `vectors` vectors wide, W = vectors * LANES, and a block of keys, scores lie at s[p * W + i], key p,
 * query i. They are in units of log 2, so that weights are powers of 2. A weight is 0 where the key is hidden, and where it
 * is below 2^-125 (float32) or 2^-1021 (float64) of the largest.
 * Panels are scratch of whole vectors: lanes beyond the queries hold what they hold.
 *
 * Milakov & Gimelshein, "Online normalizer calculation for softmax", arXiv 1805.02867, 2018; Dao et al., "FlashAttention",
 * NeurIPS 2022. */
#ifndef NPK_ATTENTION_H
#define NPK_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

/* Weights so far: of the keys up to here, the largest score, the sum of 2^(score - largest), and the weighted sum of values
 * o[c * W + i]. Before the first key: -inf, 0, 0. */
typedef struct {
    real *most, *sum, *o;
} attention_state;

typedef struct {
    /* x[j] *= factor */
    void (*scale)(ptrdiff_t count, double factor, real *x);
    /* s += added / log 2, finite where added is; as s, or NULL. s = min(s, bound) of every number; bounds are inf and -inf, as s, or NULL.
     * s = -inf of the queries i < p - diagonal, that come before key p. */
    void (*mask)(ptrdiff_t keys, ptrdiff_t vectors, const real *added, const real *bounds, ptrdiff_t diagonal, real *s);
    /* bounds[p * W + i] = inf where the byte at x[p * key_stride + i * query_stride] is not 0, else -inf; i < queries */
    void (*bounds)(ptrdiff_t keys, ptrdiff_t queries, ptrdiff_t vectors, const char *x, ptrdiff_t key_stride,
                   ptrdiff_t query_stride, real *bounds);
    /* Takes in a block of scores: they become weights, 2^(s - most). factor[i]: what o is to be multiplied with. Whether any
     * factor is not 1. */
    int (*weights)(ptrdiff_t keys, ptrdiff_t vectors, real *s, const attention_state *state, real *factor);
    /* o[c * W + i] *= factor[i] */
    void (*rescale)(ptrdiff_t rows, ptrdiff_t vectors, const real *factor, real *o);
    /* Adds the keys of `other`, which follow; `rows` of o. */
    void (*merge)(ptrdiff_t rows, ptrdiff_t vectors, const attention_state *state, const attention_state *other);
    /* o /= sum, 0 if that is 0; most = log2 of the sum of all 2^score, inf if there is none. Whether all o are finite. */
    int (*finish)(ptrdiff_t rows, ptrdiff_t vectors, const attention_state *state);
    /* One query and `count` keys, s[p]: the same as `weights`, of numbers. added[p * added_stride bytes]; or NULL; seen
     * likewise, bytes. Returns the factor. */
    double (*row_weights)(ptrdiff_t count, const char *added, const char *seen, ptrdiff_t stride, real *s, real *most,
                          real *sum);
    /* sums[i] = sum over c of a[c * W + i] b[c * W + i] */
    void (*lane_dots)(ptrdiff_t rows, ptrdiff_t vectors, const real *a, const real *b, real *sums);
    /* s = w = 2^(s - most), d = w (d - less), 0 where w is 0; most, less one a query */
    void (*gradient)(ptrdiff_t keys, ptrdiff_t vectors, const real *most, const real *less, real *s, real *d);
    /* The product of tile.h as rows of chains, START_ZERO or START_C, in which terms with a weight of 0 do not count even where
     * the other factor is inf or NaN; weights are in A or in B. `columns` of C. */
    void (*weighted)(int in_a, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                     ptrdiff_t a_step, const real *b, ptrdiff_t b_stride, real *c, ptrdiff_t c_stride, int start);
    /* Whether all numbers of a matrix are; strides in bytes. */
    int (*finite)(ptrdiff_t rows, ptrdiff_t columns, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride);
} attention_primitives;

#endif
