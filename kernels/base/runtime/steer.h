/* Steering: workers keep off the CPU that the caller runs on, for a while after one was found waiting there. Where every CPU
 * is busy, say because another library's threads spin, the system likes to queue a worker behind the caller that wakes it,
 * and the caller then does all the work alone.
 *
 * The mask of a worker belongs to whoever set it: the thread that started it, taskset, a cgroup. Ours is in force only from
 * the publication of a job until the worker parks again, which takes it back; a mask that somebody else has set in between
 * stays. Who sets masks of all threads comes by the caller, too, as a rule first: where its mask has changed nothing is set or
 * taken back until the next job. The caller (steer) and the worker itself (unsteer) change it: `state` locks it. */
#ifndef NPK_STEER_H
#define NPK_STEER_H

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { MOST_STEERED = 15 };  /* in larger pools the calls cost more than one worker brings */
enum { STEERED_JOBS = 256 }; /* after a worker was found behind its caller */
enum { NATURAL, STEERED, LOCKED };

struct steered_worker {
    pthread_t thread;
    cpu_set_t natural, ours; /* before, and what we made of it */
    int off;                 /* the CPU that it lacks */
    pid_t caller;            /* the thread that runs there */
    cpu_set_t callers;       /* the mask of that thread */
    _Atomic int state;
};

static struct {
    _Atomic int cpu;  /* of the last caller */
    _Atomic int jobs; /* for which workers are still steered */
    pid_t caller;
    cpu_set_t callers;
    struct steered_worker workers[MOST_STEERED];
} steering;

static inline void know_worker(int i, pthread_t thread)
{
    if (i < MOST_STEERED)
        steering.workers[i].thread = thread;
}

static inline void forget_steering(void)
{
    for (int i = 0; i < MOST_STEERED; i++)
        atomic_store_explicit(&steering.workers[i].state, NATURAL, memory_order_relaxed);
}

/* By a worker that was woken. */
static inline void note_cpu(void)
{
    if (sched_getcpu() == atomic_load_explicit(&steering.cpu, memory_order_relaxed))
        atomic_store_explicit(&steering.jobs, STEERED_JOBS, memory_order_relaxed);
}

/* The new state. Where no other CPU is left nothing changes. */
static inline int keep_off(struct steered_worker *w, int state, int cpu)
{
    cpu_set_t present, ours;
    if (pthread_getaffinity_np(w->thread, sizeof present, &present) != 0)
        return state;
    const bool set_for_all = steering.caller == w->caller && CPU_EQUAL(&steering.callers, &w->ours);
    if (state != STEERED || !CPU_EQUAL(&present, &w->ours) || set_for_all)
        w->natural = present;
    ours = w->natural;
    CPU_CLR(cpu, &ours);
    if (CPU_COUNT(&ours) == 0 || CPU_EQUAL(&ours, &present) ||
        pthread_setaffinity_np(w->thread, sizeof ours, &ours) != 0)
        return CPU_EQUAL(&w->natural, &present) ? NATURAL : state;
    w->ours = ours;
    w->off = cpu;
    w->caller = steering.caller;
    w->callers = steering.callers;
    return STEERED;
}

/* Whether the caller has the mask that it had before. */
static inline bool know_caller(void)
{
    const pid_t before = steering.caller;
    const cpu_set_t mask = steering.callers;
    steering.caller = (pid_t)syscall(SYS_gettid);
    return sched_getaffinity(0, sizeof mask, &steering.callers) == 0 &&
           (before != steering.caller || CPU_EQUAL(&mask, &steering.callers));
}

/* Before a job for all `workers`: each of them comes by `unsteer` afterwards. */
static inline void steer(int workers)
{
    const int cpu = sched_getcpu(), jobs = atomic_load_explicit(&steering.jobs, memory_order_relaxed);
    atomic_store_explicit(&steering.cpu, cpu, memory_order_relaxed);
    if (jobs <= 0 || cpu < 0 || cpu >= CPU_SETSIZE || workers > MOST_STEERED || !know_caller())
        return;
    atomic_store_explicit(&steering.jobs, jobs - 1, memory_order_relaxed);
    for (int i = 0; i < workers; i++) {
        struct steered_worker *const w = &steering.workers[i];
        const int state = atomic_exchange_explicit(&w->state, LOCKED, memory_order_acquire);
        if (state == LOCKED) /* about to park: it does without */
            continue;
        const bool done = state == STEERED && w->off == cpu && w->caller == steering.caller;
        atomic_store_explicit(&w->state, done ? STEERED : keep_off(w, state, cpu), memory_order_release);
    }
}

/* By worker i, which is about to park. */
static inline void unsteer(int i)
{
    struct steered_worker *const w = &steering.workers[i < MOST_STEERED ? i : 0];
    cpu_set_t present, callers;
    int state = STEERED;
    if (i >= MOST_STEERED || atomic_load_explicit(&w->state, memory_order_relaxed) != STEERED ||
        !atomic_compare_exchange_strong_explicit(&w->state, &state, LOCKED, memory_order_acquire, memory_order_relaxed))
        return;
    const bool ended = sched_getaffinity(w->caller, sizeof callers, &callers) != 0;
    if (!ended && !CPU_EQUAL(&callers, &w->callers)) {
        w->callers = callers;
    } else {
        if (sched_getaffinity(0, sizeof present, &present) == 0 && CPU_EQUAL(&present, &w->ours) &&
            (ended || !CPU_EQUAL(&callers, &w->ours))) /* else the same was set for all threads */
            sched_setaffinity(0, sizeof w->natural, &w->natural);
        state = NATURAL;
    }
    atomic_store_explicit(&w->state, state, memory_order_release);
}
#else
static inline void know_worker(int i, pthread_t thread) { (void)i, (void)thread; }
static inline void forget_steering(void) {}
static inline void note_cpu(void) {}
static inline void steer(int workers) { (void)workers; }
static inline void unsteer(int i) { (void)i; }
#endif

#endif
