/* Normalisation: moments of rows, affine maps, and their gradients. Rows are contiguous. */
#ifndef NPK_NORM_H
#define NPK_NORM_H

/* y = ((x - mean) - rest) scale + shift, a value of each for every channel. mean + rest is the mean in twice the
 * precision of a number. */
typedef struct {
    const real *mean, *rest, *scale, *shift;
    int streamed; /* write past the caches; `fence` when all is written */
} norm_terms;

/* dx = ((dy weight - offset) - (x - mean) slope) scale; weight may be NULL: 1, which is all that columns know. */
typedef struct {
    const real *weight, *mean, *offset, *slope, *scale;
    int streamed;
} norm_gradient_terms;

/* Two operands; strides in bytes */
typedef struct {
    const real *dy, *x;
    ptrdiff_t dy_stride, x_stride;
} norm_pair;

/* Of each channel: gamma and beta; for the gradient gamma and the variance; and two numbers that are returned. */
typedef struct {
    const real *scale, *other;
    real *first, *second;
} norm_channels;

typedef struct {
    /* The mean of x and the mean of (x - mean)^2 over planes of `count` elements; strides in bytes, nothing is empty. Of a
     * single plane, `stride` says where to fetch ahead. */
    void (*moments)(ptrdiff_t planes, ptrdiff_t count, const real *x, ptrdiff_t stride, double *mean, double *variance);
    /* The sums of dy_i and of dy_i (x_i - mean), likewise */
    void (*gradient_sums)(ptrdiff_t planes, ptrdiff_t count, const real *dy, ptrdiff_t dy_stride, const real *x,
                          ptrdiff_t x_stride, const real *mean, double *sum, double *product);
    /* sums[2 p] += the sum of dy, sums[2 p + 1] += that of dy (x - mean[p]), over each plane p */
    void (*plane_gradient_sums)(ptrdiff_t planes, ptrdiff_t count, const real *dy, ptrdiff_t dy_stride, const real *x,
                                ptrdiff_t x_stride, const real *mean, double *sums);
    /* As moments and gradient_sums, for each of `channels` columns of some rows; sums are written in whole vectors. */
    void (*column_moments)(ptrdiff_t channels, ptrdiff_t rows, const real *x, ptrdiff_t stride, double *mean,
                           double *variance);
    void (*column_gradient_sums)(ptrdiff_t channels, ptrdiff_t rows, const norm_pair *from, const real *mean,
                                 double *sum, double *product);
    /* From moments, in whole vectors, what channels return and their map needs: mean and variance rounded, and a norm_terms
     * whose arrays begin `pitch` elements apart. Returns whether units.pxd may want another unit for any of them. */
    int (*finish)(ptrdiff_t channels, const double *moments[2], double eps, const norm_channels *to, real *terms,
                  ptrdiff_t pitch);
    /* Of the gradient: first = dbeta, second = dgamma, terms as in norm_gradient_terms, without the mean. */
    void (*finish_gradient)(ptrdiff_t channels, const double *sums[2], double positions, double eps,
                            const norm_channels *to, real *terms, ptrdiff_t pitch);
    /* A row of `count` elements for each channel from `channel` on; strides in bytes; y may be x. */
    void (*rows)(ptrdiff_t channels, ptrdiff_t count, const real *x, ptrdiff_t x_stride, const norm_terms *terms,
                 ptrdiff_t channel, real *y, ptrdiff_t y_stride);
    void (*gradient_rows)(ptrdiff_t channels, ptrdiff_t count, const real *dy, ptrdiff_t dy_stride, const real *x,
                          ptrdiff_t x_stride, const norm_gradient_terms *terms, ptrdiff_t channel, real *dx,
                          ptrdiff_t dx_stride);
    /* Rows of one element of each channel; strides in bytes; y may be x. */
    void (*columns)(ptrdiff_t channels, ptrdiff_t rows, const real *x, ptrdiff_t x_stride, const norm_terms *terms,
                    real *y, ptrdiff_t y_stride);
    void (*gradient_columns)(ptrdiff_t channels, ptrdiff_t rows, const norm_pair *from,
                             const norm_gradient_terms *terms, real *dx, ptrdiff_t dx_stride);
} norm_primitives;

/* Of rows with a gamma and a beta for each element */
typedef struct {
    /* y_i = t_i gamma_i + beta_i with t_i = ((x_i - mean) - rest) scale; beta may be NULL: 0 */
    void (*row)(ptrdiff_t count, const real *x, double mean, double scale, const real *gamma, const real *beta,
                real *y);
    /* With t_i = (x_i - mean) scale and g_i = dy_i gamma_i: sums[0] += sum of g_i, sums[1] += sum of g_i t_i,
     * dgamma_i += dy_i t_i, dbeta_i += dy_i. dbeta may be NULL: sums[0] stays, too. */
    void (*row_gradient_sums)(ptrdiff_t count, const real *dy, const real *x, const real *gamma, double mean,
                              double scale, double sums[2], real *dgamma, real *dbeta);
    /* dx_i = scale ((g_i - offset) - t_i slope) */
    void (*row_gradient)(ptrdiff_t count, const real *dy, const real *x, const real *gamma, double mean, double scale,
                         double offset, double slope, real *dx);
} row_norm_primitives;

#endif
