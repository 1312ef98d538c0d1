/* Elementwise functions and their gradients on contiguous rows.
 *
 * An activation is one entry of the list below, with the default values of its parameters, and two functions of a
 * vector in activation_linear.h or activation_exp.h: its value and its gradient. Kernels, epilogues of products and the
 * names come from that. */
#ifndef NPK_ACTIVATION_H
#define NPK_ACTIVATION_H

#define ACTIVATIONS(ENTRY)                                                                                             \
    ENTRY(identity, 0)                                                                                                 \
    ENTRY(binary_step, 0)                                                                                              \
    ENTRY(relu, 0)                                                                                                     \
    ENTRY(leaky_relu, 0.01)                                                                                            \
    ENTRY(clip, 0, 6)                                                                                                  \
    ENTRY(hard_sigmoid, 0)                                                                                             \
    ENTRY(hard_swish, 0)                                                                                               \
    ENTRY(sqnl, 0)                                                                                                     \
    ENTRY(sq_rbf, 0)                                                                                                   \
    ENTRY(softsign, 0)                                                                                                 \
    ENTRY(isru, 1)                                                                                                     \
    ENTRY(isrlu, 1)                                                                                                    \
    ENTRY(bent_identity, 0)                                                                                            \
    ENTRY(arsinh, 0)                                                                                                   \
    ENTRY(arctan, 0)                                                                                                   \
    ENTRY(sigmoid, 0)                                                                                                  \
    ENTRY(tanh, 0)                                                                                                     \
    ENTRY(gelu, 0)                                                                                                     \
    ENTRY(gelu_tanh, 0)                                                                                                \
    ENTRY(silu, 0)                                                                                                     \
    ENTRY(softplus, 1)                                                                                                 \
    ENTRY(elu, 1)                                                                                                      \
    ENTRY(selu, 0)                                                                                                     \
    ENTRY(celu, 1)                                                                                                     \
    ENTRY(mish, 0)                                                                                                     \
    ENTRY(soft_exponential, 0)                                                                                         \
    ENTRY(soft_clipping, 1, 0.6321205588285577)                                                                        \
    ENTRY(gaussian, 0)                                                                                                 \
    ENTRY(sinusoid, 0)                                                                                                 \
    ENTRY(sinc, 0)

/* Those whose gradient follows from the result, in activation_output.h. */
#define OUTPUT_ACTIVATIONS(ENTRY)                                                                                      \
    ENTRY(relu, 0)                                                                                                     \
    ENTRY(leaky_relu, 0.01)                                                                                            \
    ENTRY(sigmoid, 0)                                                                                                  \
    ENTRY(tanh, 0)                                                                                                     \
    ENTRY(softplus, 1)                                                                                                 \
    ENTRY(elu, 1)                                                                                                      \
    ENTRY(selu, 0)

#define ACTIVATION_ID(name, ...) ACTIVATION_##name,
enum { ACTIVATIONS(ACTIVATION_ID) ACTIVATION_COUNT };
enum { ACTIVATION_PARAMETERS = 2 }; /* the most that any activation has */

typedef struct {
    double parameters[ACTIVATION_PARAMETERS]; /* as in the list above */
    int streamed; /* write past the caches: for results that they cannot hold, apart from what is read */
} activation_options;

/* y[i] = f(x[i]) for i < count; y may be x. NULL: the default parameters, into the caches. */
typedef void (*activation_fn)(ptrdiff_t count, const real *x, real *y, const activation_options *options);
/* dx[i] = dy[i] f'(x[i]); dx may be dy or x. */
typedef void (*activation_gradient_fn)(ptrdiff_t count, const real *dy, const real *x, real *dx,
                                       const activation_options *options);

#ifndef REAL_BITS
#define ACTIVATION_NAME(name, ...) #name,
static const char *const activation_names[] = {ACTIVATIONS(ACTIVATION_NAME)};
#endif

typedef struct {
    const activation_fn *forward; /* [ACTIVATION_COUNT] */
    const activation_gradient_fn *backward;
    const activation_gradient_fn
        *from_output; /* the same of y = f(x) in place of x; NULL where y does not say enough */
    /* y = a sigmoid(b); da = dy sigmoid(b), db = dy a sigmoid'(b) */
    void (*glu)(ptrdiff_t count, const real *a, const real *b, real *y);
    void (*glu_backward)(ptrdiff_t count, const real *dy, const real *a, const real *b, real *da, real *db);
} activation_primitives;

#endif
