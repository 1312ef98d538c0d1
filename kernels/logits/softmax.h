/* Softmax and cross-entropy.
 *
 *   m = max x_j,  s = sum exp(x_j - m),  p_j = exp(x_j - m) / s,  -log p_j = (m - x_j) + log s
 *
 * c is at least 1. In two forms: of samples each of whose c classes are contiguous (row_, rows_), and of LANES samples at once, class j of all of
 * them being one vector (lanes_: x[j * LANES + l]), for few classes and for classes that are not the last axis. */
#ifndef NPK_SOFTMAX_H
#define NPK_SOFTMAX_H

/* The loss of a sample with target distribution q_j = base_j + [j = target] hard:  sum_j q_j (-log p_j), and its
 * gradient scale (p_j sum(q) - q_j). base may be NULL (0); target -1 is none. base_sum = sum of base_j. */
typedef struct {
    ptrdiff_t target;
    double hard, scale;
} sample_target;
enum { TARGET_NONE = -1, TARGET_IGNORED = -2 }; /* ignored: loss and gradient are 0, whatever the logits */

typedef void (*softmax_fn)(ptrdiff_t c, const real *x, real *y); /* y may be x */
/* `count` samples, x_bytes from one to the next, any alignment; those of y one behind the other. No sample depends on
 * another one. NULL, or c elements of scratch: then y is written past the caches, and `fence` is due when all is written. */
typedef void (*softmax_rows_fn)(ptrdiff_t count, ptrdiff_t c, const char *x, ptrdiff_t x_bytes, real *y, real *scratch);
typedef void (*softmax_gradient_fn)(ptrdiff_t c, const real *dy, const real *y, real *dx); /* dx may be dy */

typedef struct {
    softmax_rows_fn rows_softmax, rows_log_softmax;
    softmax_fn lanes_softmax, lanes_log_softmax;
    /* dx = y (dy - sum(y dy)) and dx = dy - exp(y) sum(dy) */
    softmax_gradient_fn row_softmax_backward, row_log_softmax_backward;
    softmax_gradient_fn lanes_softmax_backward, lanes_log_softmax_backward;
    /* The loss into *loss; the gradient into dx, which may be x, unless dx is NULL. base is one row; scratch as above, it may
     * be x. */
    void (*row_cross_entropy)(ptrdiff_t c, const real *x, const real *base, double base_sum,
                              const sample_target *target, real *dx, real *loss, real *scratch);
    /* Of 1 <= `count` <= LANES samples; base[j * LANES + l], or base[j] for all if `shared`; base_sum[l]. What other lanes of dx
     * become is left open. */
    void (*lanes_cross_entropy)(ptrdiff_t c, ptrdiff_t count, const real *x, const real *base, int shared,
                                const double *base_sum, const sample_target *targets, real *dx, real *loss);
    /* base_j = weight_j (keep target_j + even), weight NULL: 1. The sum of base_j. */
    double (*row_base)(ptrdiff_t c, const real *target, const real *weight, double keep, double even, real *base);
    /* The same for LANES samples; sums[l]. */
    void (*lanes_base)(ptrdiff_t c, const real *target, const real *weight, double keep, double even, real *base,
                       double *sums);
} softmax_primitives;

#endif
