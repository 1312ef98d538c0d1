#include "workspace.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* only for its destructor, which frees the block of a thread that ends */
static bool have_key;
static int poison = -1; /* what to fill a block with before it is given out, or -1 */
static _Thread_local void *block;
static _Thread_local size_t block_bytes;

static void create_key(void) { have_key = pthread_key_create(&key, free) == 0; }

static void replace(void *memory, size_t bytes)
{
    free(block);
    block = memory;
    block_bytes = memory ? bytes : 0;
    pthread_setspecific(key, block);
}

static void *poisoned(size_t bytes)
{
    if (poison >= 0)
        memset(block, poison, bytes);
    return block;
}

void workspace_poison(int byte) { poison = byte; }

void *workspace(size_t bytes)
{
    if (block != NULL && bytes <= block_bytes)
        return poisoned(bytes);
    pthread_once(&once, create_key);
    if (!have_key || bytes > SIZE_MAX / 2)
        return NULL;
    const size_t rounded = (bytes + PAGE) & ~(size_t)(PAGE - 1); /* never 0 */
    replace(NULL, 0);                                            /* before, so that both are never held */
    void *memory = NULL;
    if (posix_memalign(&memory, PAGE, rounded) != 0)
        return NULL;
    replace(memory, rounded);
    return poisoned(bytes);
}

void workspace_trim(void)
{
    if (block_bytes > WORKSPACE_KEEP)
        replace(NULL, 0);
}
