#pragma once
#include <stddef.h>
typedef void (*task_fn)(void *context, ptrdiff_t first, ptrdiff_t last, int slot);
void parallel_for(task_fn f, void *context, ptrdiff_t count, ptrdiff_t grain, int threads);
int  threads_get(void);
void threads_set(int n);
int  threads_override(int n);
void threads_init(int n);
