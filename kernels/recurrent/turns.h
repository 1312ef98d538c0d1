/* Threads that walk through steps together: within a step every block is taken by one of them, and the next step begins when all
 * blocks of this one are done. Nobody waits for a thread that has taken nothing, so threads may come late or never. */
#ifndef NPK_TURNS_H
#define NPK_TURNS_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#if defined __x86_64__
#include <immintrin.h>
#endif

typedef struct {
    int64_t value;
    char rest_of_line[56]; /* a cache line each */
} turn;

/* Whether the caller has the block in this step: its word holds the step in which it is to be taken next. */
static inline bool turn_take(turn *block, int64_t step)
{
    int64_t expected = step;
    return __atomic_load_n(&block->value, __ATOMIC_RELAXED) == step &&
           __atomic_compare_exchange_n(&block->value, &expected, step + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static inline void turn_end(turn *done) { __atomic_fetch_add(&done->value, 1, __ATOMIC_RELEASE); }

static inline int64_t turns_done(const turn *done) { return __atomic_load_n(&done->value, __ATOMIC_ACQUIRE); }

static inline void turns_wait(const turn *done, int64_t wanted)
{
    enum { SPINS = 4096 };
    for (int spin = 0; turns_done(done) < wanted; spin++) {
#if defined __x86_64__
        _mm_pause();
#elif defined __aarch64__
        __asm__ volatile("yield");
#endif
        if (spin >= SPINS)
            sched_yield(); /* whoever has a block may wait for this CPU */
    }
}

#endif
