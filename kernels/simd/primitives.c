#include "primitives.h"

extern const tile_primitives NAME(tile);
extern const pack_primitives NAME(pack);
extern const activation_primitives NAME(activation);

const primitives NAME(primitives) = {
    .itemsize = sizeof(number),
    .lanes = LANES,
    .tile = &NAME(tile),
    .pack = &NAME(pack),
    .activation = &NAME(activation),
};
