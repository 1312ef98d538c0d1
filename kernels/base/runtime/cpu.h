/* What this machine is: instruction sets, CPUs that this process may use, caches. */
#ifndef NPK_CPU_H
#define NPK_CPU_H

#include <stddef.h>

/* By rising level. avx2 is x86-64-v3, avx512 is x86-64-v4. */
enum { ISA_GENERIC, ISA_AVX2, ISA_AVX512, ISA_COUNT };

/* 1 if the processor and the operating system can run that level. */
int cpu_supports(int isa);

/* The level in use; any thread may change it while others call kernels, each of which asks once. */
int isa_in_use(void);
void isa_use(int isa);

/* CPUs that this process may use: affinity and cgroup quota, the quota rounded up; at least 1. */
int cpu_count(void);

/* The smallest quota of a cgroup (version 1 or 2) and its ancestors, in CPUs rounded up; 0 for none. `proc` is the file
 * that lists the groups of the process, `root` where the cgroup file systems are mounted. */
int cgroup_cpus(const char *proc, const char *root);

/* Bytes of the caches that one core sees; a sane default for what the system does not tell. */
typedef struct {
    ptrdiff_t l1d, l2, l3;
} cpu_caches;
cpu_caches cpu_cache_sizes(void);

#endif
