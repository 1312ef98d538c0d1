/* Elementwise functions on contiguous rows. */
#ifndef NPK_ACTIVATION_H
#define NPK_ACTIVATION_H

/* y[i] = f(x[i]) for i < count; y may be x. `parameters` are those of the function, in the order of the Python API. */
typedef void (*activation_fn)(ptrdiff_t count, const real *x, real *y, const double *parameters);

enum { ACTIVATION_RELU, ACTIVATION_COUNT };

typedef struct {
    const activation_fn *forward; /* [ACTIVATION_COUNT] */
} activation_primitives;

#endif
