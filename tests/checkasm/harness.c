#include "harness.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BORDER = 1024, POISON = 0xff, TABLES = 64, MEMBERS = 64, MOST_REPORTS = 4 /* of a primitive */ };

/* ---- Reports ----------------------------------------------------------------------------------------------------- */

static struct {
    uint64_t seed;
    const char *isa, *name;
    int bits, failed;
    char detail[128];
} now;
int failures;

void detail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(now.detail, sizeof now.detail, format, arguments);
    va_end(arguments);
}

/* The first fault of a case: what follows is most often the same one. */
void fail(const char *format, ...)
{
    static struct {
        const char *name;
        int count;
    } reports[TABLES * MEMBERS];
    va_list arguments;
    int i = 0;
    if (now.failed++)
        return;
    failures++;
    while (reports[i].name && strcmp(reports[i].name, now.name))
        i++;
    reports[i].name = now.name;
    if (reports[i].count++ >= MOST_REPORTS)
        return;
    printf("FAILED %s %s float%d seed %llu%s%s: ", now.name, now.isa, now.bits, (unsigned long long)now.seed,
           now.detail[0] ? ", " : "", now.detail);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

/* ---- Random numbers: SplitMix64 ---------------------------------------------------------------------------------- */

static uint64_t case_state, place_state, hash;

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static ptrdiff_t draw(uint64_t *state, ptrdiff_t low, ptrdiff_t high)
{
    return low + (ptrdiff_t)(next(state) % (uint64_t)(high - low + 1));
}

ptrdiff_t between(ptrdiff_t low, ptrdiff_t high) { return draw(&case_state, low, high); }
int one_in(int n) { return between(1, n) == 1; }
double uniform(double low, double high) { return low + (high - low) * ((double)(next(&case_state) >> 11) * 0x1p-53); }

/* ---- Arrays ------------------------------------------------------------------------------------------------------ */

typedef struct {
    char *data;
    ptrdiff_t count, bytes;
    element_kind kind;
    array_role role;
} array;

static char *memory;
static array arrays[SLOTS];
static int claimed;
static double most_ulps, most_absolute;

void set_up_memory(void)
{
    memory = mmap(NULL, 2 * (size_t)TWIN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    for (ptrdiff_t half = 0; half < 2; half++)
        for (ptrdiff_t i = 0; i < SLOTS; i++)
            if (mprotect(memory + half * TWIN + GUARD_BYTES + i * (SLOT_BYTES + GUARD_BYTES), SLOT_BYTES,
                         PROT_READ | PROT_WRITE)) {
                perror("mprotect");
                exit(2);
            }
}

static char *slot(int i) { return memory + GUARD_BYTES + (ptrdiff_t)i * (SLOT_BYTES + GUARD_BYTES); }
static char *low_border(int i)
{
    char *const begin = arrays[i].data - BORDER;
    return begin < slot(i) ? slot(i) : begin;
}
static char *high_border(int i)
{
    char *const end = arrays[i].data + arrays[i].count * arrays[i].bytes + BORDER;
    return end > slot(i) + SLOT_BYTES ? slot(i) + SLOT_BYTES : end;
}

void *claim(ptrdiff_t count, ptrdiff_t bytes, element_kind kind, array_role role, ptrdiff_t alignment)
{
    const ptrdiff_t size = count * bytes, odd = draw(&place_state, 0, 1) ? draw(&place_state, 0, bytes - 1) : 0;
    const int i = claimed++;
    if (i >= SLOTS || size + 2 * BORDER > SLOT_BYTES) {
        fprintf(stderr, "%s: an array of %td bytes, or one too many\n", now.name, size);
        exit(2);
    }
    char *data = slot(i);
    switch (draw(&place_state, 0, 2)) {
    case 0: data += odd; break;
    case 1: data += SLOT_BYTES - size - odd; break;
    default: data += BORDER + draw(&place_state, 0, 63) * bytes + odd; break;
    }
    data -= (uintptr_t)data % (uintptr_t)alignment;
    arrays[i] = (array){data, count, bytes, kind, role};
    memset(low_border(i), POISON, (size_t)(high_border(i) - low_border(i)));
    memset(want(low_border(i)), POISON, (size_t)(high_border(i) - low_border(i)));
    return data;
}

void tolerate(double ulps, double absolute)
{
    most_ulps = ulps;
    most_absolute = absolute;
}

static double number_at(const char *p, element_kind kind)
{
    float narrow;
    double wide;
    memcpy(kind == FLOAT32 ? (void *)&narrow : (void *)&wide, p, kind == FLOAT32 ? sizeof narrow : sizeof wide);
    return kind == FLOAT32 ? (double)narrow : wide;
}

static int close_to(double got, double wanted, element_kind kind)
{
    if (got == wanted)
        return 1;
    if (most_ulps == 0 && most_absolute == 0)
        return 0;
    if (got != got || wanted != wanted)
        return got != got && wanted != wanted;
    int exponent;
    frexp(wanted, &exponent);
    const int digits = kind == FLOAT32 ? 24 : 53, least = kind == FLOAT32 ? -125 : -1021;
    const double ulp = ldexp(1, (exponent < least ? least : exponent) - digits);
    return fabs(got - wanted) <= most_ulps * ulp + most_absolute;
}

static void mix(const void *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ ((const unsigned char *)p)[i]) * 0x100000001b3; /* FNV-1a */
}

/* One NaN is as good as another one: which comes out of two is the compiler's choice. */
static void mix_array(const array *a)
{
    for (ptrdiff_t e = 0; e < a->count; e++) {
        const char *const p = a->data + e * a->bytes;
        const double value = a->kind == OTHER ? 0 : number_at(p, a->kind);
        mix(value == value ? p : "NaN", value == value ? (size_t)a->bytes : 3);
    }
}

void same(double got, double wanted, element_kind kind)
{
    mix(&got, sizeof got);
    if (!close_to(got, wanted, kind) && !(got != got && wanted != wanted))
        fail("returned %.17g, wanted %.17g", got, wanted);
}

static void verify_array(int i)
{
    const array a = arrays[i];
    const ptrdiff_t size = a.count * a.bytes;
    for (const char *p = low_border(i); p < high_border(i); p++) {
        if (p == a.data && size > 0)
            p += size - 1;
        else if (*p != *want(p))
            fail("wrote %td bytes %s array %d of %td elements", p < a.data ? a.data - p : p - a.data - size + 1,
                 p < a.data ? "before" : "behind", i, a.count);
    }
    if (a.role == SCRATCH)
        return;
    if (a.role == RESULT)
        mix_array(&a);
    if (memcmp(a.data, want(a.data), (size_t)size) == 0)
        return;
    for (ptrdiff_t e = 0; e < a.count; e++) {
        const char *const p = a.data + e * a.bytes;
        if (memcmp(p, want(p), (size_t)a.bytes) == 0)
            continue;
        if (a.role == INPUT)
            fail("input %d of %td elements: element %td was written", i, a.count, e);
        else if (a.kind == OTHER)
            fail("array %d of %td elements: element %td is wrong, first byte %d instead of %d", i, a.count, e, *p,
                 *want(p));
        else if (!close_to(number_at(p, a.kind), number_at(want(p), a.kind), a.kind))
            fail("array %d of %td elements: element %td is %.17g instead of %.17g", i, a.count, e, number_at(p, a.kind),
                 number_at(want(p), a.kind));
    }
}

void verify(void)
{
    for (int i = 0; i < claimed; i++)
        verify_array(i);
    claimed = 0;
    tolerate(0, 0);
    now.detail[0] = 0;
}

void begin_case(uint64_t seed, unsigned place, const char *isa, int bits)
{
    now.seed = case_state = seed;
    place_state = seed * 2 + place + 1;
    hash = 0xcbf29ce484222325;
    now.isa = isa, now.bits = bits, now.failed = 0, now.detail[0] = 0;
    claimed = 0;
    tolerate(0, 0);
}

uint64_t end_case(void) { return hash; }

/* ---- Which members had a check ----------------------------------------------------------------------------------- */

static struct {
    size_t members;
    unsigned char seen[MEMBERS];
    const char *name;
} tables[TABLES];

void visit(size_t table, size_t table_bytes, size_t member, const char *name)
{
    const size_t t = table / sizeof(void *);
    now.name = name;
    tables[t].members = table_bytes / sizeof(void *);
    tables[t].seen[member / sizeof(void *)] = 1;
    tables[t].name = name;
}

int count_unvisited(size_t table_count)
{
    int count = 0;
    for (size_t t = 0; t < table_count; t++) {
        if (tables[t].members == 0) {
            printf("FAILED: word %zu of `primitives`, a table or a member, has no check\n", t);
            count++;
        }
        for (size_t m = 0; m < tables[t].members; m++)
            if (!tables[t].seen[m]) {
                printf("FAILED: word %zu of the table of %s has no check\n", m, tables[t].name);
                count++;
            }
    }
    return count;
}
