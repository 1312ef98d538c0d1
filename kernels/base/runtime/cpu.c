#define _GNU_SOURCE
#include "cpu.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

#ifdef __x86_64__
#include <cpuid.h>

/* What the operating system saves at a task switch: without it the registers of a level cannot be used. */
static uint64_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool all(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

/* The levels of the x86-64 psABI, which -march=x86-64-v3 and -v4 compile for. Bits: Intel SDM vol. 2, CPUID. */
int cpu_supports(int isa)
{
    uint32_t a, b, c, d, b7, c7, d7;
    enum { FMA = 1 << 12, MOVBE = 1 << 22, POPCNT = 1 << 23, OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29 };
    enum { BMI1 = 1 << 3, AVX2 = 1 << 5, BMI2 = 1 << 8, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512CD = 1 << 28 };
    const uint32_t avx512bw = 1u << 30, avx512vl = 1u << 31, lzcnt = 1u << 5;
    const uint64_t ymm = 0x6, zmm = 0xe6; /* XCR0: SSE and AVX; and opmask, upper ZMM, ZMM16-31 */

    if (isa == ISA_GENERIC)
        return 1;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !all(c, FMA | MOVBE | POPCNT | OSXSAVE | AVX | F16C))
        return 0;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) || !all(b7, BMI1 | AVX2 | BMI2))
        return 0;
    if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !all(c, lzcnt))
        return 0;
    const uint64_t saved = saved_registers();
    if (isa == ISA_AVX2)
        return (saved & ymm) == ymm;
    return isa == ISA_AVX512 && (saved & zmm) == zmm && all(b7, AVX512F | AVX512DQ | AVX512CD | avx512bw | avx512vl);
}
#else
int cpu_supports(int isa) { return isa == ISA_GENERIC; }
#endif

/* The first line of a file, or false. */
static bool read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    const bool got = fgets(line, size, file) != NULL;
    fclose(file);
    return got;
}

static int to_cpus(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    const long long cpus = (quota - 1) / period + 1;
    return cpus < INT_MAX ? (int)cpus : 0;
}

/* The quota of one group: version 2 writes "quota period" or "max period" into one file, version 1 uses two. */
static int group_cpus(const char *folder)
{
    char path[PATH_MAX + 32], line[128];
    long long quota, period;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (read_line(path, line, sizeof line))
        return sscanf(line, "%lld %lld", &quota, &period) == 2 ? to_cpus(quota, period) : 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%lld", &quota) != 1)
        return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%lld", &period) != 1)
        return 0;
    return to_cpus(quota, period);
}

/* The smallest quota from `mount`/`group` up to `mount` itself. Inside a container the group of the process may be
 * named from outside: folders that do not exist are passed over on the way up. */
static int smallest_on_the_way_up(const char *mount, const char *group)
{
    char folder[PATH_MAX];
    int smallest = 0;
    if ((size_t)snprintf(folder, sizeof folder, "%s%s", mount, group) >= sizeof folder)
        return 0;
    const size_t stop = strlen(mount);
    for (;;) {
        const int cpus = group_cpus(folder);
        if (cpus > 0 && (smallest == 0 || cpus < smallest))
            smallest = cpus;
        if (strlen(folder) <= stop)
            return smallest;
        char *slash = strrchr(folder, '/');
        *slash = '\0';
    }
}

static bool names_cpu(char *controllers)
{
    char *rest = NULL;
    for (char *name = strtok_r(controllers, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, "cpu") == 0)
            return true;
    return false;
}

int cgroup_cpus(const char *proc, const char *root)
{
    FILE *file = fopen(proc, "r");
    if (file == NULL)
        return 0;
    char line[PATH_MAX + 128], mount[PATH_MAX];
    int smallest = 0;
    while (fgets(line, sizeof line, file) != NULL) { /* hierarchy:controllers:group; version 2 is "0::group" */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *controllers++ = '\0', *group++ = '\0';
        const bool version2 = *controllers == '\0';
        if (!version2 && !names_cpu(controllers))
            continue;
        snprintf(mount, sizeof mount, version2 ? "%s" : "%s/cpu", root);
        const int cpus = smallest_on_the_way_up(mount, strcmp(group, "/") == 0 ? "" : group);
        if (cpus > 0 && (smallest == 0 || cpus < smallest))
            smallest = cpus;
    }
    fclose(file);
    return smallest;
}

static int affinity_cpus(void)
{
#ifdef __linux__
    for (int most = 1024; most <= 1 << 18; most *= 4) { /* the kernel refuses a set smaller than its own */
        cpu_set_t *set = CPU_ALLOC(most);
        if (set == NULL)
            break;
        const size_t bytes = CPU_ALLOC_SIZE(most);
        const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int cpu_count(void)
{
    const int cpus = affinity_cpus(), quota = cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    return quota > 0 && quota < cpus ? quota : cpus;
}

cpu_caches cpu_cache_sizes(void)
{
    cpu_caches sizes = {0, 0, 0};
    for (int index = 0; index < 8; index++) {
        char path[128], type[32], level[32], size[32];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", index);
        if (!read_line(path, level, sizeof level))
            break;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", index);
        const bool has_type = read_line(path, type, sizeof type);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
        if (!has_type || !read_line(path, size, sizeof size) || strncmp(type, "Instruction", 11) == 0)
            continue;
        const ptrdiff_t bytes = (ptrdiff_t)atol(size) * (strchr(size, 'M') ? 1 << 20 : 1 << 10);
        if (atoi(level) == 1)
            sizes.l1d = bytes;
        else if (atoi(level) == 2)
            sizes.l2 = bytes;
        else if (atoi(level) == 3)
            sizes.l3 = bytes;
    }
    if (sizes.l1d < 8 << 10 || sizes.l1d > 1 << 20)
        sizes.l1d = 32 << 10;
    if (sizes.l2 < 64 << 10 || sizes.l2 > 64 << 20)
        sizes.l2 = 512 << 10;
    if (sizes.l3 < sizes.l2 || sizes.l3 > (ptrdiff_t)4 << 30)
        sizes.l3 = sizes.l2 > 4 << 20 ? sizes.l2 : 4 << 20;
    return sizes;
}
