/* Activations by channel: parameters that are learned, or the parity of the channel; and the maximum of channels. */
#ifndef NPK_CHANNELWISE_H
#define NPK_CHANNELWISE_H

enum { CHANNELWISE_PRELU, CHANNELWISE_BRELU, CHANNELWISE_SRELU, CHANNELWISE_APL, CHANNELWISE_COUNT };

/* Parameters: prelu 1 (slope), brelu 1 (1 or -1), srelu 4 (t_left, a_left, t_right, a_right), apl 2 s (slopes, then
 * hinges). A row lies within one channel (step 0) or crosses channels (step 1): parameter p of element i is
 * parameters[p * pitch + i * step]. */
typedef struct {
    const real *parameters;
    ptrdiff_t pitch;
    int count, step;
    /* df/dparameter: sums[p * sums_pitch + i * step] grows by dy[i] times it, in an order that depends on the length of
     * the row alone; NULL: not wanted */
    double *sums;
    ptrdiff_t sums_pitch;
} channel_parameters;

/* y[i] = f(x[i]) for i < count; y may be x */
typedef void (*channelwise_fn)(ptrdiff_t count, const real *x, real *y, const channel_parameters *c);
/* dx[i] = dy[i] f'(x[i]); dx may be dy or x */
typedef void (*channelwise_gradient_fn)(ptrdiff_t count, const real *dy, const real *x, real *dx,
                                        const channel_parameters *c);

typedef struct {
    const channelwise_fn *forward; /* [CHANNELWISE_COUNT] */
    const channelwise_gradient_fn *backward;
    /* best[i] = x[i], which[i] = piece where x[i] is above all pieces before, or the first NaN; piece counts from 0 */
    void (*maxout)(ptrdiff_t count, int piece, const real *x, real *best, int *which);
    /* dx[i] = which[i] == piece ? dy[i] : 0 */
    void (*maxout_backward)(ptrdiff_t count, int piece, const real *dy, const int *which, real *dx);
} channelwise_primitives;

#endif
