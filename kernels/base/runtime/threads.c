/* A pool of parked threads that serves one caller at a time.
 *
 * A job is published by storing its number of free seats and raising `epoch`; a worker that sees a new epoch takes a
 * seat, works, and leaves. The caller takes slot 0, then waits until every seat that was taken is left. A worker may
 * come late: it finds no seat left (the caller has withdrawn them) and parks again, so that nobody waits for a thread
 * that the system does not run.
 *
 * seats packs (seats still free, workers inside) into one word, so that taking a seat and withdrawing the rest exclude
 * each other. */
#define _GNU_SOURCE /* sched_getcpu, pthread_setaffinity_np: steer.h */
#include "threads.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "park.h"
#include "steer.h"

#if defined __x86_64__
#include <immintrin.h>
#endif

enum { MOST_WORKERS = 1023, SPINS = 512, STACK_BYTES = 1 << 20 };
#define INSIDE ((uint64_t)1 << 32) /* one worker inside, in the upper half of `seats`; free seats in the lower half */

static struct {
    pthread_mutex_t busy; /* held by the caller whose job runs */
    _Atomic int workers;  /* started; written under `busy` */
    /* the job, constant while a worker is inside */
    task_fn f;
    void *context;
    ptrdiff_t count, grain;
    uint32_t control; /* the caller's floating-point control word: the result must not depend on who computes it */
    _Atomic ptrdiff_t next;
    _Atomic int slot;
    _Atomic uint64_t seats;
    _Atomic uint32_t epoch; /* parking place of the workers */
    _Atomic uint32_t done;  /* parking place of the caller */
    _Atomic uint32_t sleepers;
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER};

static _Atomic int process_threads = 1;
static _Thread_local int thread_threads; /* 0: the process-wide number */
static _Thread_local bool inside_task;

static inline void pause_briefly(void)
{
#if defined __x86_64__
    _mm_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static uint32_t control_word(void)
{
#if defined __x86_64__
    return _mm_getcsr() & ~0x3fu; /* without the sticky exception flags */
#elif defined __aarch64__
    uint64_t word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    return (uint32_t)word;
#else
    return 0;
#endif
}

static void set_control_word(uint32_t word)
{
#if defined __x86_64__
    _mm_setcsr(word);
#elif defined __aarch64__
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)word));
#else
    (void)word;
#endif
}

static void work(int slot)
{
    const ptrdiff_t count = pool.count, grain = pool.grain;
    for (;;) {
        const ptrdiff_t first = atomic_fetch_add_explicit(&pool.next, grain, memory_order_relaxed);
        if (first >= count)
            return;
        pool.f(pool.context, first, count - first < grain ? count : first + grain, slot);
    }
}

static bool take_seat(void)
{
    uint64_t seats = atomic_load_explicit(&pool.seats, memory_order_relaxed);
    while ((uint32_t)seats > 0)
        if (atomic_compare_exchange_weak_explicit(&pool.seats, &seats, seats - 1 + INSIDE, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void leave(void)
{
    /* The last one out wakes the caller. */
    if ((atomic_fetch_sub_explicit(&pool.seats, INSIDE, memory_order_release) - INSIDE) >> 32 == 0) {
        atomic_store_explicit(&pool.done, 1, memory_order_release);
        wake(&pool.done, 1);
    }
}

static void *worker(void *place)
{
    inside_task = true; /* a task that calls parallel_for runs it serially */
    uint32_t seen = 0;
    for (;;) {
        uint32_t epoch = atomic_load(&pool.epoch);
        for (int spin = 0; epoch == seen && spin < SPINS; spin++) {
            pause_briefly();
            epoch = atomic_load_explicit(&pool.epoch, memory_order_acquire);
        }
        if (epoch == seen) {
            unsteer((int)(intptr_t)place);
            atomic_fetch_add(&pool.sleepers, 1);
            park(&pool.epoch, seen);
            atomic_fetch_sub(&pool.sleepers, 1);
            note_cpu();
            continue;
        }
        seen = epoch;
        if (take_seat()) {
            set_control_word(pool.control);
            work(1 + atomic_fetch_add_explicit(&pool.slot, 1, memory_order_relaxed));
            leave();
        }
    }
    return NULL;
}

/* Signals that are sent to the process belong to the threads of the interpreter, also those of timers, whose handlers look
 * for a Python frame (SIGPROF, SIGVTALRM). Those that a thread raises by what it does stay: blocked, they would end the
 * process before a handler, say that of faulthandler, could tell where. */
static void asynchronous_signals(sigset_t *set)
{
    static const int raised[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigfillset(set);
    for (size_t i = 0; i < sizeof raised / sizeof *raised; i++)
        sigdelset(set, raised[i]);
}

static void start_workers(int wanted)
{
    pthread_attr_t attributes;
    sigset_t blocked, before;
    if (pthread_attr_init(&attributes) != 0)
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    asynchronous_signals(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    while (pool.workers < wanted) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, worker, (void *)(intptr_t)pool.workers) != 0)
            break;
        know_worker(pool.workers++, thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

static void run_job(task_fn f, void *context, ptrdiff_t count, ptrdiff_t grain, int helpers)
{
    pool.f = f, pool.context = context, pool.count = count, pool.grain = grain, pool.control = control_word();
    atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool.slot, 0, memory_order_relaxed);
    atomic_store_explicit(&pool.done, 0, memory_order_relaxed);
    atomic_store_explicit(&pool.seats, (uint64_t)helpers, memory_order_release);
    atomic_fetch_add(&pool.epoch, 1);
    const int awake = threads_awake();
    if (awake < helpers)
        wake(&pool.epoch, helpers - awake);

    inside_task = true;
    work(0);
    inside_task = false;

    /* Withdraw the seats that nobody took, then wait for those inside. */
    uint64_t seats = atomic_fetch_and_explicit(&pool.seats, ~(uint64_t)UINT32_MAX, memory_order_acquire);
    for (int spin = 0; seats >> 32 && spin < SPINS; spin++) {
        pause_briefly();
        seats = atomic_load_explicit(&pool.seats, memory_order_acquire);
    }
    while (atomic_load_explicit(&pool.seats, memory_order_acquire) >> 32) {
        /* `done` may be from a moment when the workers inside were none and others came in later. */
        if (atomic_exchange_explicit(&pool.done, 0, memory_order_acquire) == 0)
            park(&pool.done, 0);
    }
}

void parallel_for(task_fn f, void *context, ptrdiff_t count, ptrdiff_t grain, int threads)
{
    if (count <= 0)
        return;
    const ptrdiff_t pieces = (count - 1) / grain + 1;
    int helpers = (int)(pieces < threads ? pieces : threads) - 1;
    if (helpers > MOST_WORKERS)
        helpers = MOST_WORKERS;
    /* One piece more for each thread that asks in vain; `next` must not overflow. */
    const bool countable = grain <= (PTRDIFF_MAX - count) / (MOST_WORKERS + 2);
    if (helpers > 0 && countable && !inside_task && pthread_mutex_trylock(&pool.busy) == 0) {
        start_workers(helpers);
        if (helpers > pool.workers)
            helpers = pool.workers;
        if (helpers > 0) {
            if (helpers == pool.workers)
                steer(helpers);
            run_job(f, context, count, grain, helpers);
            pthread_mutex_unlock(&pool.busy);
            return;
        }
        pthread_mutex_unlock(&pool.busy);
    }
    const bool nested = inside_task;
    inside_task = true;
    f(context, 0, count, 0);
    inside_task = nested;
}

/* The child of a fork has one thread. Whatever the pool did in the parent, it is new here; locks may be held by threads
 * that do not exist, so nothing is locked or freed. */
static void forget_workers(void)
{
    pool.busy = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    pool.workers = 0;
    forget_parking();
    forget_steering();
    atomic_store(&pool.seats, 0);
    atomic_store(&pool.sleepers, 0);
    inside_task = false;
}

int threads_awake(void) { return atomic_load(&pool.workers) - (int)atomic_load(&pool.sleepers); }

int threads_get(void) { return thread_threads > 0 ? thread_threads : atomic_load(&process_threads); }

void threads_set(int n) { atomic_store(&process_threads, n); }

void threads_override(int n) { thread_threads = n; }

void threads_init(int n)
{
    threads_set(n);
    pthread_atfork(NULL, NULL, forget_workers);
}

/* For threadpoolctl, which finds them by name in the loaded library, and sets what it has got once more: the number of the
 * process, not that of a thread. */
__attribute__((visibility("default"))) int npkernels_get_num_threads(void) { return atomic_load(&process_threads); }
__attribute__((visibility("default"))) void npkernels_set_num_threads(int n) { threads_set(n > 0 ? n : 1); }
