#include "primitives.h"

extern const tile_primitives NAME(tile);
extern const pack_primitives NAME(pack);
extern const activation_primitives NAME(activation);
extern const conv_primitives NAME(conv);
extern const row_primitives NAME(rows);

const primitives NAME(primitives) = {
    .itemsize = sizeof(number),
    .lanes = LANES,
    .tile = &NAME(tile),
    .pack = &NAME(pack),
    .activation = &NAME(activation),
    .conv = &NAME(conv),
    .rows = &NAME(rows),
};
