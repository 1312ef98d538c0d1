/* checkasm [--seed N] [--rounds N | --seconds S] [--isa NAME] [--only CHECK]
 *
 * Every check, for every instruction set that this machine runs and both dtypes, on random arguments. Each case runs
 * twice with its arrays at other addresses, and the bits must be the same. A case that fails is named by its seed:
 * `--seed N --rounds 1` runs it again. */
#include "checks.h"
#include "cpu.h"
#include "harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Only the number of its members is looked at here. */
#include "primitives.h"

void set_tables_f32_check(const void *isa, const void *portable, const void *portable_float64);
void set_tables_f64_check(const void *isa, const void *portable, const void *portable_float64);
extern void (*const checks_f32_check[])(void);
extern void (*const checks_f64_check[])(void);

#define NAME_OF(name) #name,
static const char *const names[] = {CHECKS(NAME_OF)};
enum { COUNT = sizeof names / sizeof *names };
static const char *const isa_names[ISA_COUNT] = {"generic", "avx2", "avx512"};

static sigjmp_buf back;

static void caught(int signal) { siglongjmp(back, signal); }

static void catch_signals(void)
{
    const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_handler = caught};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        sigaction(fatal[i], &action, NULL);
}

static uint64_t run_case(void (*check)(void), uint64_t seed, unsigned place, int isa, int bits)
{
    begin_case(seed, place, isa_names[isa], bits);
    const int signal = sigsetjmp(back, 1);
    if (signal == 0)
        check();
    else
        fail("%s", signal == SIGSEGV || signal == SIGBUS ? "touched memory outside its arrays" : strsignal(signal));
    return end_case();
}

static void run_check(int i, uint64_t seed, const char *only_isa)
{
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (int bits = 32; bits <= 64; bits += 32) {
            const primitives *const table = primitives_of(isa, bits);
            if (!table || !cpu_supports(isa) || (only_isa && strcmp(only_isa, isa_names[isa])))
                continue;
            (bits == 32 ? set_tables_f32_check : set_tables_f64_check)(table, primitives_of(ISA_GENERIC, bits),
                                                                       primitives_of(ISA_GENERIC, 64));
            void (*const check)(void) = (bits == 32 ? checks_f32_check : checks_f64_check)[i];
            const int before = failures;
            if (run_case(check, seed, 0, isa, bits) != run_case(check, seed, 1, isa, bits) && failures == before)
                fail("other bits at other addresses");
        }
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    long rounds = 40;
    double seconds = 0;
    const char *only = NULL, *isa = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--seed"))
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--rounds"))
            rounds = atol(argv[i + 1]);
        else if (!strcmp(argv[i], "--seconds"))
            seconds = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--only"))
            only = argv[i + 1];
        else if (!strcmp(argv[i], "--isa"))
            isa = argv[i + 1];
    }
    set_up_memory();
    catch_signals();
    const time_t begin = time(NULL);
    long round = 0;
    for (; seconds > 0 ? difftime(time(NULL), begin) < seconds : round < rounds; round++)
        for (int i = 0; i < COUNT; i++)
            if (!only || !strcmp(only, names[i]))
                run_check(i, seed + (uint64_t)round, isa);
    const int missing = only ? 0 : count_unvisited(sizeof(primitives) / sizeof(void *));
    printf("%ld rounds of %d checks from seed %llu on: %d failures, %d members without a check\n", round,
           only ? 1 : COUNT, (unsigned long long)seed, failures, missing);
    return failures || missing;
}
