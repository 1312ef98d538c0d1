/* Which table of primitives this build holds for an (ISA, dtype). */
#include "cpu.h"
#include "primitives.h"

#define DECLARE(isa) extern const primitives primitives_f32_##isa, primitives_f64_##isa;
#define TABLES(isa) {&primitives_f32_##isa, &primitives_f64_##isa}

DECLARE(generic)
#ifdef __x86_64__
DECLARE(avx2)
DECLARE(avx512)
#endif

const primitives *primitives_of(int isa, int bits)
{
    static const primitives *const tables[ISA_COUNT][2] = {
        [ISA_GENERIC] = TABLES(generic),
#ifdef __x86_64__
        [ISA_AVX2] = TABLES(avx2),
        [ISA_AVX512] = TABLES(avx512),
#endif
    };
    return isa >= 0 && isa < ISA_COUNT ? tables[isa][bits == 64] : NULL;
}
