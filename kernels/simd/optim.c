#include "primitives.h"

/* g' = g + weight_decay p; velocity = momentum velocity + g'; p -= lr velocity, or by Nesterov lr (g' + momentum
 * velocity). Without weight decay g' is g, also where p is infinite. Sutskever et al., "On the importance of
 * initialization and momentum in deep learning", ICML 2013, in the form of torch.optim.SGD. */
INLINE vreal momentum_vector(vreal p, vreal g, vreal *velocity, number lr, number momentum, number decay, int nesterov)
{
    if (decay != 0)
        g += decay * p;
    *velocity = momentum * *velocity + g;
    return p - lr * (nesterov ? g + momentum * *velocity : *velocity);
}

static void momentum(ptrdiff_t count, real *p, const real *g, real *velocity, const momentum_settings *s)
{
    const number lr = (number)s->lr, momentum = (number)s->momentum, decay = (number)s->weight_decay;
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vreal v = vload(velocity + i);
        vstore(p + i, momentum_vector(vload(p + i), vload(g + i), &v, lr, momentum, decay, s->nesterov));
        vstore(velocity + i, v);
    }
    if (i < count) {
        const ptrdiff_t rest = count - i;
        vreal v = vload_part(velocity + i, rest);
        const vreal next =
            momentum_vector(vload_part(p + i, rest), vload_part(g + i, rest), &v, lr, momentum, decay, s->nesterov);
        vstore_part(p + i, next, rest);
        vstore_part(velocity + i, v, rest);
    }
}

const optim_primitives NAME(optim) = {.momentum = momentum};
