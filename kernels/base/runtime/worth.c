/* Whether a second thread pays depends on whether it is awake. Measured on a virtual machine with two CPUs (AMD EPYC,
 * Zen 4), a job in 8 pieces on two threads against one:
 *
 *   a worker that still spins after the last job      2 us of work take 1.6 us, 5 us take 3.2, 20 us take 10.5
 *   one that is parked: its caller pays 7 to 12 us,   20 us of work take 29 us, 50 us take 42 to 60, 100 us take 75
 *   and it comes 20 to 35 us later
 *
 * A worker spins for about 12 us. Work in between is therefore shared with those that are awake, and where there are none
 * they are woken if the last such work of this thread ended so short a time ago that they would still be awake if they had
 * shared it: calls that follow each other closely pay once, calls that are far apart never. */
#define _GNU_SOURCE /* clock_gettime */
#include "worth.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "threads.h"

static const double AWAKE = 2000;   /* ns of work that an awake thread must have */
static const double PARKED = 20000; /* and one that is woken for it */
static const double SPIN = 10000;   /* ns that a worker surely stays awake */
static const double PIECE = 4000;   /* ns of work at a time: shorter ones pull what lies in a cache from CPU to CPU */
enum { PIECES = 16 };               /* for each thread, at the most: the last one is late by so small a part */

static _Thread_local double missed = -1e18; /* when the last work ended that awake threads would have shared */
static bool always;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

int threads_worth(double ns, ptrdiff_t tasks, int most)
{
    if (ns < 2 * AWAKE && !always)
        return 1;
    double threads = ns / PARKED;
    if (ns < PARKED * most) {
        double awake = threads_awake() + 1;
        if (awake < most && now() - missed < SPIN)
            awake = most;
        if (awake > threads)
            threads = awake < ns / AWAKE ? awake : ns / AWAKE;
    }
    if (always || threads > most)
        threads = most;
    if (threads > (double)tasks)
        threads = (double)tasks;
    return threads > 1 ? (int)threads : 1;
}

ptrdiff_t grain_worth(double ns, ptrdiff_t count, int threads)
{
    assert(count >= 1 && threads >= 1);
    const double longest = ns / (PIECE * threads);
    const int pieces = threads * (always || longest > PIECES ? PIECES : longest < 1 ? 1 : (int)longest);
    const ptrdiff_t grain = (count - 1) / pieces + 1;
    const bool uneven = ((count - 1) / grain + 1) % threads != 0; /* 6 tasks on 2 threads: not 2 + 2 + 2 */
    return uneven && grain > 1 ? grain - 1 : grain;
}

void threads_missed(double ns)
{
    if (ns >= 2 * AWAKE)
        missed = now();
}

void threads_always(int on) { always = on; }
