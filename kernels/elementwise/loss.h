/* Losses of elements, x the prediction and y the target; c are parameters and w a weight of the target.
 *
 *   binary_cross_entropy_with_logits   -w y ln s - (1 - y) ln(1 - s), s = 1 / (1 + e^-x)
 *   mse_loss                           (x - y)^2
 *   l1_loss                            |x - y|
 *   huber_loss                         (x - y)^2 / 2 for |x - y| <= c, else c (|x - y| - c / 2)
 *   kl_div                             y (ln y - x), 0 for y = 0
 *   sigmoid_focal_loss                 a (1 - p)^c1 (-ln p), p = y s + (1 - y) (1 - s), a = c0 y + (1 - c0) (1 - y) or 1 */
#ifndef NPK_LOSS_H
#define NPK_LOSS_H

#define LOSSES(_)                                                                                                      \
    _(binary_cross_entropy_with_logits)                                                                                \
    _(mse_loss)                                                                                                        \
    _(l1_loss)                                                                                                         \
    _(huber_loss)                                                                                                      \
    _(kl_div)                                                                                                          \
    _(sigmoid_focal_loss)

#define LOSS_NAME(name) LOSS_##name,
enum { LOSSES(LOSS_NAME) LOSS_COUNT };
enum { LOSS_PARAMETERS = 2 }; /* the most that any has; c holds so many */

/* One row; the sum of the losses, in double precision. weight may be NULL (1), and so may losses and gradient where
 * they are not wanted: the loss of every element, and its derivative by x times scale. */
typedef double (*loss_fn)(ptrdiff_t count, const real *x, const real *y, const real *weight, const double *c,
                          double scale, real *losses, real *gradient);

typedef struct {
    const loss_fn *losses;
} loss_primitives;

#endif
