/* Which table of primitives this build holds for an (ISA, dtype), and which ISA is in use. */
#include "cpu.h"
#include "primitives.h"

#include <stdatomic.h>

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

static _Atomic int in_use = ISA_GENERIC;

int isa_in_use(void) { return atomic_load_explicit(&in_use, memory_order_relaxed); }
void isa_use(int isa) { atomic_store_explicit(&in_use, isa, memory_order_relaxed); }
