/* The thread pool. */
#ifndef NPK_THREADS_H
#define NPK_THREADS_H

#include <stddef.h>

/* Runs f(context, first, last, slot) over [0, count) in pieces of `grain`, handed out in ascending order, on up to
 * `threads` threads, the caller among them. slot < threads is unique among the threads that run this job. Returns when
 * all is done. Serial, in slot 0 on the calling thread, when there is one piece or one thread, when the pool is busy
 * with another caller, when called from inside a task, and when no thread can be had. */
typedef void (*task_fn)(void *context, ptrdiff_t first, ptrdiff_t last, int slot);
void parallel_for(task_fn f, void *context, ptrdiff_t count, ptrdiff_t grain, int threads);

int threads_awake(void);      /* workers that are not parked */
int threads_get(void);        /* the calling thread's own number if it has one, else the process-wide one */
void threads_set(int n);      /* process-wide */
void threads_override(int n); /* for the calling thread; 0: none */
void threads_init(int n);     /* once, at import */

#endif
