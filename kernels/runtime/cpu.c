#include "cpu.h"
int cpu_supports(int isa){return 1;}
int cpu_count(void){return 2;}
cpu_caches cpu_cache_sizes(void){return (cpu_caches){48<<10,1<<20,32<<20};}
