/* Scratch memory of the calling thread. */
#ifndef NPK_WORKSPACE_H
#define NPK_WORKSPACE_H

#include <stddef.h>

enum { WORKSPACE_KEEP = 16 << 20 };

/* At least `bytes`, 64-byte aligned, valid until the thread's next call; kept for it and freed when the thread ends.
 * NULL when memory cannot be had. */
void *workspace(size_t bytes);

/* For tests: from now on every block is filled with `byte` before it is given out; -1: as it is. */
void workspace_poison(int byte);

/* Gives back a block of more than WORKSPACE_KEEP bytes. */
void workspace_trim(void);

#endif
