/* Normalisation: moments of rows, affine maps, and their gradients. Rows are contiguous. */
#ifndef NPK_NORM_H
#define NPK_NORM_H

/* y = ((x - mean) - rest) scale + shift, a value of each for every channel. mean + rest is the mean in twice the
 * precision of a number. */
typedef struct {
    const real *mean, *rest, *scale, *shift;
    int streamed; /* write past the caches; `fence` when all is written */
} norm_terms;

/* dx = ((dy - offset) - (x - mean) slope) scale */
typedef struct {
    const real *mean, *offset, *slope, *scale;
    int streamed;
} norm_gradient_terms;

typedef struct {
    /* The mean of x and the mean of (x - mean)^2 over planes of `count` elements; strides in bytes, nothing is empty. Of a
     * single plane, `stride` says where to fetch ahead. */
    void (*moments)(ptrdiff_t planes, ptrdiff_t count, const real *x, ptrdiff_t stride, double *mean, double *variance);
    /* sums[0] = sum of dy_i, sums[1] = sum of dy_i (x_i - mean), likewise */
    void (*gradient_sums)(ptrdiff_t planes, ptrdiff_t count, const real *dy, ptrdiff_t dy_stride, const real *x,
                          ptrdiff_t x_stride, const real *mean, double sums[2]);
    /* A row of `count` elements for each channel from `channel` on; strides in bytes; y may be x. */
    void (*rows)(ptrdiff_t channels, ptrdiff_t count, const real *x, ptrdiff_t x_stride, const norm_terms *terms,
                 ptrdiff_t channel, real *y, ptrdiff_t y_stride);
    void (*gradient_rows)(ptrdiff_t channels, ptrdiff_t count, const real *dy, ptrdiff_t dy_stride, const real *x,
                          ptrdiff_t x_stride, const norm_gradient_terms *terms, ptrdiff_t channel, real *dx,
                          ptrdiff_t dx_stride);
    /* One element of each channel. */
    void (*columns)(ptrdiff_t channels, const real *x, const norm_terms *terms, real *y);
    void (*gradient_columns)(ptrdiff_t channels, const real *dy, const real *x, const norm_gradient_terms *terms, real *dx);
    /* y_i = t_i gamma_i + beta_i with t_i = ((x_i - mean) - rest) scale */
    void (*row)(ptrdiff_t count, const real *x, double mean, double scale, const real *gamma, const real *beta, real *y);
    /* With t_i = (x_i - mean) scale and g_i = dy_i gamma_i: sums[0] += sum of g_i, sums[1] += sum of g_i t_i,
     * dgamma_i += dy_i t_i, dbeta_i += dy_i */
    void (*row_gradient_sums)(ptrdiff_t count, const real *dy, const real *x, const real *gamma, double mean, double scale,
                              double sums[2], real *dgamma, real *dbeta);
    /* dx_i = scale ((g_i - offset) - t_i slope) */
    void (*row_gradient)(ptrdiff_t count, const real *dy, const real *x, const real *gamma, double mean, double scale,
                         double offset, double slope, real *dx);
} norm_primitives;

#endif
