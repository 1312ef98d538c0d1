/* Steps of the optimisers on contiguous rows, in place. */
#ifndef NPK_OPTIM_H
#define NPK_OPTIM_H

typedef struct {
    double lr, momentum, weight_decay;
    int nesterov;
} momentum_settings;

typedef struct {
    void (*momentum)(ptrdiff_t count, real *p, const real *g, real *velocity, const momentum_settings *settings);
} optim_primitives;

#endif
