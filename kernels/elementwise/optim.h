/* Steps of the optimisers on contiguous rows, in place. */
#ifndef NPK_OPTIM_H
#define NPK_OPTIM_H

/* Every kind of step, and the arrays of state that it keeps beside p. */
#define OPTIMISERS(_)                                                                                                  \
    _(sgd, 0)                                                                                                          \
    _(momentum, 1)                                                                                                     \
    _(adagrad, 1)                                                                                                      \
    _(rmsprop, 1)                                                                                                      \
    _(adam, 2)                                                                                                         \
    _(adamw, 2)

#define OPTIMISER_NAME(name, states) OPTIMISER_##name,
enum { OPTIMISERS(OPTIMISER_NAME) OPTIMISER_COUNT };

typedef struct {
    double lr, weight_decay, eps;
    double first, second; /* the part of a state that survives a step: momentum; alpha; beta1 and beta2 */
    double m_scale;       /* adam: 1 / (1 - beta1^step) */
    double root_scale;    /* adam: 1 / sqrt(1 - beta2^step) */
    int nesterov;
} optim_settings;

/* states beyond those of the kind are not looked at */
typedef void (*optim_fn)(ptrdiff_t count, real *p, const real *g, real *first, real *second, const optim_settings *s);

typedef struct {
    const optim_fn *steps;
    /* The sum of (scale x_i)^2, in double precision. */
    double (*squares)(ptrdiff_t count, const real *x, double scale);
    void (*scale)(ptrdiff_t count, real *x, double factor); /* x_i = factor x_i */
} optim_primitives;

#endif
