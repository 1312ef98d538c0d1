/* Parking: a thread sleeps while a word has a value; another changes the word and wakes it. */
#ifndef NPK_PARK_H
#define NPK_PARK_H

#include <stdatomic.h>
#include <stdint.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Returns at a wake-up, at once if *word != value, or for no reason. */
static inline void park(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static inline void wake(_Atomic uint32_t *word, int most)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, most, NULL, NULL, 0);
}

#else
#include <pthread.h>

/* One lock and condition for all words: elsewhere this is about portability. */
static pthread_mutex_t park_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t park_condition = PTHREAD_COND_INITIALIZER;

static inline void park(_Atomic uint32_t *word, uint32_t value)
{
    pthread_mutex_lock(&park_lock);
    if (atomic_load(word) == value)
        pthread_cond_wait(&park_condition, &park_lock);
    pthread_mutex_unlock(&park_lock);
}

static inline void wake(_Atomic uint32_t *word, int most)
{
    (void)word, (void)most;
    pthread_mutex_lock(&park_lock);
    pthread_cond_broadcast(&park_condition);
    pthread_mutex_unlock(&park_lock);
}
#endif

#endif
