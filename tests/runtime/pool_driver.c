/* Callers, nested calls and forks at once on the thread pool, for ThreadSanitizer and for parking without futexes:
 *     cc -O2 -pthread -fsanitize=thread [-DNPK_NO_FUTEX] -Ikernels/base/runtime tests/runtime/pool_driver.c kernels/base/runtime/threads.c
 * Ends with 0 if every element of every job was visited once, by one thread a slot. Arguments: rounds, forks. */
#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLERS = 4, MOST_THREADS = 4, MOST_COUNT = 3000 };

typedef struct {
    int visits[MOST_COUNT]; /* plain: a task owns what it writes, and the caller reads it when all is done */
    int inner[MOST_THREADS];
    atomic_bool busy[MOST_THREADS];
    _Atomic int faults;
} job;

static _Atomic int faults;
static atomic_bool stop;

static void count_up(void *context, ptrdiff_t first, ptrdiff_t last, int slot)
{
    int *const sum = context;
    *sum += slot == 0 ? (int)(last - first) : -1000000; /* serial, in slot 0 */
}

static void visit(void *context, ptrdiff_t first, ptrdiff_t last, int slot)
{
    job *const j = context;
    if (slot < 0 || slot >= MOST_THREADS || atomic_exchange(&j->busy[slot], true)) {
        atomic_fetch_add(&j->faults, 1);
        return;
    }
    for (ptrdiff_t i = first; i < last; i++)
        j->visits[i]++;
    parallel_for(count_up, &j->inner[slot], last - first, 3, MOST_THREADS);
    atomic_store(&j->busy[slot], false);
}

static bool run_one(job *j, unsigned *seed)
{
    const ptrdiff_t count = (ptrdiff_t)(rand_r(seed) % MOST_COUNT), grain = 1 + rand_r(seed) % 200;
    const int threads = 1 + rand_r(seed) % MOST_THREADS;
    memset(j, 0, sizeof *j);
    parallel_for(visit, j, count, grain, threads);
    int inner = 0;
    bool good = atomic_load(&j->faults) == 0;
    for (ptrdiff_t i = 0; i < MOST_COUNT; i++)
        good &= j->visits[i] == (i < count);
    for (int slot = 0; slot < MOST_THREADS; slot++)
        inner += j->inner[slot];
    return good && inner == count;
}

static void run_many(int rounds, unsigned seed)
{
    job *const j = malloc(sizeof *j);
    for (int round = 0; j != NULL && round < rounds; round++)
        if (!run_one(j, &seed))
            atomic_fetch_add(&faults, 1);
    free(j);
}

static void *caller(void *seed)
{
    for (unsigned round = 0; !atomic_load(&stop); round++)
        run_many(10, round + *(unsigned *)seed);
    return NULL;
}

/* Whether a child of a moment when others were inside the pool can use it, and its own child, too. */
static bool fork_once(int generations)
{
    const pid_t process = fork();
    if (process == 0) {
        alarm(30); /* a child that hangs ends, and is a fault */
        atomic_store(&faults, 0);
        run_many(5, 1);
        const bool good = atomic_load(&faults) == 0 && (generations <= 1 || fork_once(generations - 1));
        _exit(good ? 0 : 1);
    }
    int status = 1;
    return process > 0 && waitpid(process, &status, 0) == process && status == 0;
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 1000, forks = argc > 2 ? atoi(argv[2]) : 20;
    pthread_t threads[CALLERS];
    unsigned seeds[CALLERS];
    threads_init(MOST_THREADS);
    for (unsigned i = 0; i < CALLERS; i++) {
        seeds[i] = i << 20;
        if (pthread_create(&threads[i], NULL, caller, &seeds[i]) != 0)
            return 2;
    }
    for (int i = 0; i < forks; i++)
        if (!fork_once(2))
            atomic_fetch_add(&faults, 1);
    run_many(rounds, 7);
    atomic_store(&stop, true);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    printf("%d faults\n", atomic_load(&faults));
    return atomic_load(&faults) != 0;
}
