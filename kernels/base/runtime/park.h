/* Parking: a thread sleeps while a word has a value; another changes the word and wakes it. */
#ifndef NPK_PARK_H
#define NPK_PARK_H

#include <stdatomic.h>
#include <stdint.h>

#if defined __linux__ && !defined NPK_NO_FUTEX /* which tests define to run the other half */
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

/* In the child of a fork. */
static inline void forget_parking(void) {}

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

/* Threads that the child does not have may hold the lock and wait for the condition. */
static inline void forget_parking(void)
{
    park_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    park_condition = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}
#endif

#endif
