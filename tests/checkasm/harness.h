/* What every check stands on: random numbers, arrays with poison around them, and what is compared.
 *
 * An array lies in a slot of its own between two pages that nobody may touch, right behind the first one, right before
 * the second one, or somewhere between; the bytes around it are 0xff, a NaN for whoever reads them. It has a twin, the
 * same number of bytes further on: the check writes there what the primitive should have left in the array. `verify`
 * compares the two, with a kilobyte on either side. */
#ifndef CHECKASM_HARNESS_H
#define CHECKASM_HARNESS_H

#include <stddef.h>
#include <stdint.h>

/* Uniform, both ends included. A case is a function of its seed; where arrays lie is not part of it. */
ptrdiff_t between(ptrdiff_t low, ptrdiff_t high);
double uniform(double low, double high);
int one_in(int n);

enum {
    SLOTS = 24,
    SLOT_BYTES = 1 << 20,
    GUARD_BYTES = 1 << 16,
    TWIN = SLOTS * (SLOT_BYTES + GUARD_BYTES) + GUARD_BYTES
};
#define want(p) ((__typeof__(p))(uintptr_t)((uintptr_t)(p) + TWIN))

typedef enum { FLOAT32, FLOAT64, OTHER } element_kind;
typedef enum {
    INPUT,   /* must stay what it is */
    RESULT,  /* must become what its twin is */
    SCRATCH, /* may become anything */
} array_role;

/* All bytes are 0xff. alignment: of the first element; 1 takes any address. */
void *claim(ptrdiff_t count, ptrdiff_t bytes, element_kind kind, array_role role, ptrdiff_t alignment);
/* How far results of the arrays that are claimed may be off: in units in the last place, and absolutely. 0, 0 at first.
 */
void tolerate(double ulps, double absolute);
/* Compares a single number within that tolerance. */
void same(double got, double wanted, element_kind kind);
/* Compares all arrays with their twins and takes them back: the end of a case. */
void verify(void);

/* What runs now, for reports; and which members of the tables had a check. */
void visit(size_t table, size_t table_bytes, size_t member, const char *name);
void detail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int count_unvisited(size_t table_count); /* members of any table without a check, each reported */

/* For the driver. */
void begin_case(uint64_t seed, unsigned place, const char *isa, int bits);
uint64_t end_case(void); /* a hash of all results */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern int failures;
void set_up_memory(void);

#endif
