#pragma once
#include <stddef.h>
enum { ISA_GENERIC, ISA_AVX2, ISA_AVX512, ISA_COUNT };
int cpu_supports(int isa);
int cpu_count(void);
typedef struct { ptrdiff_t l1d, l2, l3; } cpu_caches;
cpu_caches cpu_cache_sizes(void);
