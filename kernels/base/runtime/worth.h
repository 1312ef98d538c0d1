/* When another thread is worth it. */
#ifndef NPK_WORTH_H
#define NPK_WORTH_H

#include <stddef.h>

/* How many of `most` threads to use for work that takes one of them `ns` nanoseconds, and can be cut into so many tasks. */
int threads_worth(double ns, ptrdiff_t tasks, int most);

/* How many of `count` tasks of `ns` nanoseconds together a thread takes at a time. */
ptrdiff_t grain_worth(double ns, ptrdiff_t count, int threads);

/* One thread has done work that awake threads would have shared. */
void threads_missed(double ns);

/* For tests: all work is shared, however little. */
void threads_always(int always);

#endif
