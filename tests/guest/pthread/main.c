/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads and what they synchronise with. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/macros.h"
#include "tests/guest/check.h"

#define THREADS 8
#define ROUNDS 2000

static struct timespec after_ms(clockid_t clock, long ms)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    ts.tv_nsec += ms * 1000000;
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    return ts;
}

static bool passed(clockid_t clock, const struct timespec *ts)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec > ts->tv_sec || (now.tv_sec == ts->tv_sec && now.tv_nsec >= ts->tv_nsec);
}

/* Run (fn) in THREADS threads and join them: how many could not be created. */
static int in_threads(void *(*fn)(void *), void *arg)
{
    pthread_t t[THREADS];
    int missing = 0;

    for (int i = 0; i < THREADS; i++)
        missing += pthread_create(&t[i], NULL, fn, arg) != 0;
    for (int i = 0; i < THREADS - missing; i++)
        pthread_join(t[i], NULL);
    return missing;
}

/* --- threads --- */

static void *twice(void *arg)
{
    return (void *)((uintptr_t)arg * 2);
}

static void test_join_gives_the_result(void)
{
    pthread_t t[50];
    void *result;

    for (uintptr_t i = 0; i < 50; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, twice, (void *)i), 0);
    for (uintptr_t i = 0; i < 50; i++) {
        CHECK_EQ(pthread_join(t[i], &result), 0);
        CHECK_EQ((uintptr_t)result, 2 * i);
    }
    CHECK_EQ(pthread_join(t[0], NULL), ESRCH);
    CHECK_EQ(pthread_detach(t[0]), ESRCH);
    CHECK_EQ(pthread_join(pthread_self(), NULL), EDEADLK);
}

static void *pause_a_little(void *arg)
{
    usleep(20000);
    return arg;
}

static void test_detached_threads_are_not_joined(void)
{
    pthread_attr_t attr;
    pthread_t t, early, late;

    CHECK_EQ(pthread_attr_init(&attr), 0);
    CHECK_EQ(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), 0);
    CHECK_EQ(pthread_create(&t, &attr, pause_a_little, NULL), 0);
    CHECK_EQ(pthread_join(t, NULL), EINVAL);
    CHECK_EQ(pthread_create(&early, NULL, pause_a_little, NULL), 0);
    CHECK_EQ(pthread_detach(early), 0);
    CHECK_EQ(pthread_detach(early), EINVAL);
    CHECK_EQ(pthread_create(&late, NULL, twice, NULL), 0);
    for (int i = 0; i < 500 && pthread_join(t, NULL) != ESRCH; i++)
        usleep(10000); /* until it has ended; those after it a little later */
    usleep(60000);
    CHECK_EQ(pthread_join(t, NULL), ESRCH);
    CHECK_EQ(pthread_join(early, NULL), ESRCH);
    CHECK_EQ(pthread_detach(late), 0);
    CHECK_EQ(pthread_join(late, NULL), ESRCH);
}

static int cleaned;

static void clean(void *arg)
{
    cleaned = cleaned * 10 + (int)(uintptr_t)arg;
}

static void *exit_inside(void *arg)
{
    pthread_cleanup_push(clean, (void *)1);
    pthread_cleanup_push(clean, (void *)2);
    if (arg != NULL)
        pthread_exit(arg);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(1);
    return NULL;
}

static void test_exit_runs_cleanup_handlers(void)
{
    pthread_t t;
    void *result;

    CHECK_EQ(pthread_create(&t, NULL, exit_inside, (void *)5), 0);
    CHECK_EQ(pthread_join(t, &result), 0);
    CHECK_EQ((uintptr_t)result, 5);
    CHECK_EQ(cleaned, 21);
    cleaned = 0;
    exit_inside(NULL);
    CHECK_EQ(cleaned, 1);
}

static void *use_stack(void *arg)
{
    volatile char frame[900 * 1024];

    for (size_t i = 0; i < sizeof(frame); i += 1024)
        frame[i] = (char)i;
    return frame[1024] == 0 ? arg : NULL;
}

static void test_stack_size_is_what_was_asked(void)
{
    pthread_attr_t attr;
    pthread_t t;
    void *result;
    size_t size;

    CHECK_EQ(pthread_attr_init(&attr), 0);
    CHECK_EQ(pthread_attr_setstacksize(&attr, 100), EINVAL);
    CHECK_EQ(pthread_attr_setstacksize(&attr, 1024 * 1024), 0);
    CHECK_EQ(pthread_attr_getstacksize(&attr, &size), 0);
    CHECK_EQ(size, 1024 * 1024);
    CHECK_EQ(pthread_create(&t, &attr, use_stack, &attr), 0);
    CHECK_EQ(pthread_join(t, &result), 0);
    CHECK(result == &attr);
}

/* Threads with large stacks until memory is out; afterwards it is all there again. */
static void test_creation_fails_cleanly(void)
{
    pthread_attr_t attr;
    pthread_t t[64];
    long before;
    int n = 0, error = 0;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 16 * 1024 * 1024);
    for (int round = 0; round < 3; round++) {
        before = sysconf(_SC_AVPHYS_PAGES);
        for (n = 0; n < 64 && (error = pthread_create(&t[n], &attr, pause_a_little, NULL)) == 0;
             n++) {
        }
        for (int i = 0; i < n; i++)
            pthread_join(t[i], NULL);
    }
    CHECK(n < 64);
    CHECK_EQ(error, EAGAIN);
    CHECK(sysconf(_SC_AVPHYS_PAGES) > before - 64);
}

static void test_names(void)
{
    char name[16];

    CHECK_EQ(pthread_setname_np(pthread_self(), "worker"), 0);
    CHECK_EQ(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
    CHECK(strcmp(name, "worker") == 0);
    CHECK_EQ(pthread_setname_np(pthread_self(), "a name that is too long"), ERANGE);
    CHECK_EQ(pthread_cancel(pthread_self()), ENOSYS);
}

static void *where_am_i(void *arg)
{
    usleep(1000);
    *(int *)arg = sched_getcpu();
    return NULL;
}

static void test_affinity(void)
{
    cpu_set_t all, one, seen;
    pthread_t t;
    int cpu;

    CHECK_EQ(pthread_getaffinity_np(pthread_self(), sizeof(all), &all), 0);
    CHECK_EQ(CPU_COUNT(&all), sysconf(_SC_NPROCESSORS_CONF));
    for (int i = 0; i < CPU_COUNT(&all); i++) {
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        CHECK_EQ(pthread_setaffinity_np(pthread_self(), sizeof(one), &one), 0);
        CHECK_EQ(sched_getcpu(), i);
        CHECK_EQ(pthread_create(&t, NULL, where_am_i, &cpu), 0); /* it inherits */
        CHECK_EQ(pthread_getaffinity_np(t, sizeof(seen), &seen), 0);
        CHECK(CPU_ISSET(i, &seen) && CPU_COUNT(&seen) == 1);
        CHECK_EQ(pthread_join(t, NULL), 0);
        CHECK_EQ(cpu, i);
    }
    CPU_ZERO(&one);
    CHECK_EQ(pthread_setaffinity_np(pthread_self(), sizeof(one), &one), EINVAL);
    CPU_SET(255, &one);
    CHECK_EQ(pthread_setaffinity_np(pthread_self(), sizeof(one), &one), EINVAL);
    CHECK_EQ(pthread_setaffinity_np(t, sizeof(all), &all), ESRCH);
    CHECK_EQ(pthread_setaffinity_np(pthread_self(), sizeof(all), &all), 0);
}

static __thread int private_value = 7;

static void *own_state(void *arg)
{
    int *bad = arg;

    for (int i = 0; i < 200; i++) {
        char text[40];
        int mine = rand() % 100;

        *bad += private_value != 7 + i;
        private_value++;
        errno = mine;
        sched_yield();
        *bad += errno != mine;
        snprintf(text, sizeof(text), "%.3f", mine / 4.0);
        *bad += strtod(text, NULL) != mine / 4.0;
    }
    return NULL;
}

static void test_errno_and_thread_variables_are_private(void)
{
    int bad = 0;

    CHECK_EQ(in_threads(own_state, &bad), 0);
    CHECK_EQ(bad, 0);
    CHECK_EQ(private_value, 7);
}

static void *allocate(void *arg)
{
    unsigned seed = (unsigned)pthread_self();
    char *p[32] = {0};
    int *bad = arg;

    for (int i = 0; i < ROUNDS; i++) {
        unsigned at = (unsigned)rand_r(&seed) % 32, size = (unsigned)rand_r(&seed) % 5000 + 2;

        if (p[at] != NULL)
            *bad += p[at][0] != (char)at || p[at][1] != (char)at;
        free(p[at]);
        p[at] = malloc(size);
        memset(p[at], (int)at, size);
    }
    for (int i = 0; i < 32; i++)
        free(p[i]);
    return NULL;
}

static void test_malloc_from_many_threads(void)
{
    int bad = 0;

    CHECK_EQ(in_threads(allocate, &bad), 0);
    CHECK_EQ(bad, 0);
}

static void *sum_floats(void *arg)
{
    volatile double sum = 0;
    int *bad = arg;

    for (int i = 1; i <= 300000; i++)
        sum += 1.0 / i;
    *bad += sum < 13.188 || sum > 13.189;
    return NULL;
}

static void test_preemption_keeps_floating_point_state(void)
{
    int bad = 0;

    CHECK_EQ(in_threads(sum_floats, &bad), 0);
    CHECK_EQ(bad, 0);
}

/* --- mutexes --- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile long counter;

static void *count_locked(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        long seen;

        pthread_mutex_lock(&mutex);
        seen = counter;
        if (i % 50 == 0)
            sched_yield();
        counter = seen + 1;
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

static void test_mutex_excludes(void)
{
    counter = 0;
    CHECK_EQ(in_threads(count_locked, NULL), 0);
    CHECK_EQ(counter, THREADS * ROUNDS);
    CHECK_EQ(mutex, PTHREAD_MUTEX_INITIALIZER); /* free, nobody waits */
}

static void *try_it(void *arg)
{
    return (void *)(intptr_t)pthread_mutex_trylock(arg);
}

/* What trylock says in another thread; a mutex that it got stays with that thread, so not then. */
static int try_elsewhere(pthread_mutex_t *m)
{
    pthread_t t;
    void *result = NULL;

    if (pthread_create(&t, NULL, try_it, m) == 0)
        pthread_join(t, &result);
    return (int)(intptr_t)result;
}

static void make(pthread_mutex_t *m, int type)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, type);
    pthread_mutex_init(m, &attr);
    pthread_mutexattr_destroy(&attr);
}

static void test_recursive_mutex_counts(void)
{
    pthread_mutex_t m;

    make(&m, PTHREAD_MUTEX_RECURSIVE);
    for (int i = 0; i < 4096; i++)
        CHECK_EQ(pthread_mutex_lock(&m), 0);
    CHECK_EQ(pthread_mutex_lock(&m), EAGAIN);
    for (int i = 0; i < 4095; i++)
        CHECK_EQ(pthread_mutex_unlock(&m), 0);
    CHECK_EQ(try_elsewhere(&m), EBUSY);
    CHECK_EQ(pthread_mutex_trylock(&m), 0);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
    CHECK_EQ(pthread_mutex_unlock(&m), EPERM);
    CHECK_EQ(pthread_mutex_destroy(&m), 0);
}

static void test_errorcheck_mutex_checks(void)
{
    pthread_mutex_t m;

    make(&m, PTHREAD_MUTEX_ERRORCHECK);
    CHECK_EQ(pthread_mutex_unlock(&m), EPERM);
    CHECK_EQ(pthread_mutex_lock(&m), 0);
    CHECK_EQ(pthread_mutex_lock(&m), EDEADLK);
    CHECK_EQ(pthread_mutex_trylock(&m), EBUSY);
    CHECK_EQ(try_elsewhere(&m), EBUSY);
    CHECK_EQ(pthread_mutex_destroy(&m), EBUSY);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
}

static void test_timed_lock_gives_up(void)
{
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    struct timespec until = after_ms(CLOCK_REALTIME, 30);

    CHECK_EQ(pthread_mutex_timedlock(&m, &until), 0);
    CHECK_EQ(pthread_mutex_timedlock(&m, &until), ETIMEDOUT);
    CHECK(passed(CLOCK_REALTIME, &until));
    until = after_ms(CLOCK_MONOTONIC, 30);
    CHECK_EQ(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &until), ETIMEDOUT);
    CHECK(passed(CLOCK_MONOTONIC, &until));
    until.tv_nsec = -1;
    CHECK_EQ(pthread_mutex_timedlock(&m, &until), EINVAL);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
}

/* --- condition variables --- */

#define QUEUE 4

static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static int queue[QUEUE], queued, next_out;

static void *produce(void *arg)
{
    for (int i = 1; i <= ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        while (queued == QUEUE)
            pthread_cond_wait(&not_full, &mutex);
        queue[(next_out + queued++) % QUEUE] = i;
        pthread_cond_signal(&not_empty);
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

static void *consume(void *arg)
{
    long long *sum = arg;

    for (int i = 1; i <= ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        while (queued == 0)
            pthread_cond_wait(&not_empty, &mutex);
        *sum += queue[next_out];
        next_out = (next_out + 1) % QUEUE;
        queued--;
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void test_conditions_carry_a_queue(void)
{
    pthread_t t[6];
    long long sum = 0;

    for (int i = 0; i < 6; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, i % 2 ? consume : produce, &sum), 0);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(pthread_join(t[i], NULL), 0);
    CHECK_EQ(sum, 3LL * ROUNDS * (ROUNDS + 1) / 2);
}

static void test_timed_waits_use_their_clock(void)
{
    pthread_condattr_t attr;
    pthread_cond_t c, static_one = PTHREAD_COND_INITIALIZER;
    struct timespec until = after_ms(CLOCK_REALTIME, 30);

    pthread_mutex_lock(&mutex);
    CHECK_EQ(pthread_cond_signal(&static_one), 0); /* nobody waits: not kept */
    CHECK_EQ(pthread_cond_timedwait(&static_one, &mutex, &until), ETIMEDOUT);
    CHECK(passed(CLOCK_REALTIME, &until));
    CHECK_EQ(pthread_condattr_init(&attr), 0);
    CHECK_EQ(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), 0);
    CHECK_EQ(pthread_cond_init(&c, &attr), 0);
    until = after_ms(CLOCK_MONOTONIC, 30);
    CHECK_EQ(pthread_cond_timedwait(&c, &mutex, &until), ETIMEDOUT);
    CHECK(passed(CLOCK_MONOTONIC, &until));
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0); /* we have it back */
    CHECK_EQ(pthread_cond_wait(&c, &mutex), EPERM);
}

static int gate;

static void *pass_gate(void *arg)
{
    pthread_mutex_lock(&mutex);
    while (gate == 0)
        pthread_cond_wait(&not_empty, &mutex);
    ++*(int *)arg;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *open_gate(void *arg)
{
    usleep(20000);
    pthread_mutex_lock(&mutex);
    gate = 1;
    pthread_cond_broadcast(&not_empty);
    pthread_mutex_unlock(&mutex);
    return arg;
}

static void test_broadcast_wakes_all(void)
{
    pthread_t t;
    int count = 0;

    CHECK_EQ(pthread_create(&t, NULL, open_gate, NULL), 0);
    CHECK_EQ(in_threads(pass_gate, &count), 0);
    CHECK_EQ(count, THREADS);
    pthread_join(t, NULL);
}

/* --- reader-writer locks --- */

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static volatile long left_half, right_half;
static int torn;

static void *read_or_write(void *arg)
{
    bool writer = __atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST) % 4 == 0;

    for (int i = 0; i < ROUNDS; i++) {
        if (writer) {
            pthread_rwlock_wrlock(&rwlock);
            left_half++;
            if (i % 100 == 0)
                sched_yield();
            right_half++;
        } else {
            pthread_rwlock_rdlock(&rwlock);
            if (left_half != right_half)
                __atomic_fetch_add(&torn, 1, __ATOMIC_SEQ_CST);
        }
        pthread_rwlock_unlock(&rwlock);
    }
    return NULL;
}

static void test_rwlock_separates_readers_from_writers(void)
{
    int number = 0;

    CHECK_EQ(in_threads(read_or_write, &number), 0);
    CHECK_EQ(torn, 0);
    CHECK_EQ(left_half, THREADS / 4 * ROUNDS);
    CHECK_EQ(pthread_rwlock_unlock(&rwlock), EPERM);
}

static void test_rwlock_modes(void)
{
    pthread_rwlock_t l;
    struct timespec until = after_ms(CLOCK_REALTIME, 20);

    CHECK_EQ(pthread_rwlock_init(&l, NULL), 0);
    CHECK_EQ(pthread_rwlock_rdlock(&l), 0);
    CHECK_EQ(pthread_rwlock_tryrdlock(&l), 0);
    CHECK_EQ(pthread_rwlock_trywrlock(&l), EBUSY);
    CHECK_EQ(pthread_rwlock_timedwrlock(&l, &until), ETIMEDOUT);
    CHECK_EQ(pthread_rwlock_unlock(&l), 0);
    CHECK_EQ(pthread_rwlock_unlock(&l), 0);
    CHECK_EQ(pthread_rwlock_trywrlock(&l), 0);
    CHECK_EQ(pthread_rwlock_tryrdlock(&l), EBUSY);
    CHECK_EQ(pthread_rwlock_destroy(&l), EBUSY);
    CHECK_EQ(pthread_rwlock_unlock(&l), 0);
    CHECK_EQ(pthread_rwlock_destroy(&l), 0);
}

/* --- once, keys --- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int initialized;

static void initialize(void)
{
    usleep(10000); /* the others wait meanwhile */
    initialized++;
}

static void *need(void *arg)
{
    pthread_once(&once, initialize);
    if (initialized != 1)
        __atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void test_once_is_once(void)
{
    int bad = 0;

    CHECK_EQ(in_threads(need, &bad), 0);
    CHECK_EQ(bad, 0);
    CHECK_EQ(initialized, 1);
}

static pthread_key_t key, chained;
static int destroyed;

static void destroy(void *value)
{
    __atomic_fetch_add(&destroyed, (int)(uintptr_t)value, __ATOMIC_SEQ_CST);
}

static void destroy_and_set_again(void *value)
{
    if ((uintptr_t)value < 3)
        pthread_setspecific(chained, (void *)((uintptr_t)value + 1));
    destroy(value);
}

static void *set_values(void *arg)
{
    pthread_setspecific(key, (void *)100);
    pthread_setspecific(chained, (void *)1);
    return arg;
}

static void test_key_destructors_run_at_the_end(void)
{
    CHECK_EQ(pthread_key_create(&key, destroy), 0);
    CHECK_EQ(pthread_key_create(&chained, destroy_and_set_again), 0);
    CHECK(pthread_getspecific(key) == NULL);
    CHECK_EQ(in_threads(set_values, NULL), 0);
    CHECK_EQ(destroyed, THREADS * (100 + 1 + 2 + 3));
    CHECK(pthread_getspecific(key) == NULL);
}

static void test_deleted_keys_are_forgotten(void)
{
    pthread_key_t again = 0;

    CHECK_EQ(pthread_setspecific(key, &again), 0);
    CHECK(pthread_getspecific(key) == &again);
    CHECK_EQ(pthread_key_delete(key), 0);
    CHECK_EQ(pthread_key_delete(key), EINVAL);
    CHECK_EQ(pthread_setspecific(key, NULL), EINVAL);
    CHECK_EQ(pthread_key_create(&again, NULL), 0);
    CHECK_EQ(again, key);
    CHECK(pthread_getspecific(again) == NULL);
    CHECK_EQ(pthread_key_delete(again), 0);
    CHECK_EQ(pthread_key_delete(chained), 0);
}

static void test_keys_run_out(void)
{
    pthread_key_t keys[PTHREAD_KEYS_MAX], one_more;

    for (int i = 0; i < PTHREAD_KEYS_MAX; i++)
        CHECK_EQ(pthread_key_create(&keys[i], NULL), 0);
    CHECK_EQ(pthread_key_create(&one_more, NULL), EAGAIN);
    for (int i = 0; i < PTHREAD_KEYS_MAX; i++)
        CHECK_EQ(pthread_key_delete(keys[i]), 0);
}

/* --- semaphores, barriers, spin locks --- */

static sem_t sem;

static void *post_and_wait(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        sem_wait(&sem);
        ++*(long *)arg;
        sem_post(&sem);
    }
    return NULL;
}

static void test_semaphore_counts(void)
{
    struct timespec until = after_ms(CLOCK_REALTIME, 20);
    long count = 0;
    int value;

    CHECK_EQ(sem_init(&sem, 0, 0), 0);
    CHECK_EQ(sem_trywait(&sem), -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(sem_timedwait(&sem, &until), -1);
    CHECK_EQ(errno, ETIMEDOUT);
    CHECK_EQ(sem_post(&sem), 0);
    CHECK_EQ(in_threads(post_and_wait, &count), 0);
    CHECK_EQ(count, THREADS * ROUNDS);
    CHECK_EQ(sem_getvalue(&sem, &value), 0);
    CHECK_EQ(value, 1);
    CHECK_EQ(sem_destroy(&sem), 0);
}

static pthread_barrier_t barrier;
static int arrived[20], serial, early;

static void *meet(void *arg)
{
    for (int i = 0; i < 20; i++) {
        __atomic_fetch_add(&arrived[i], 1, __ATOMIC_SEQ_CST);
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            __atomic_fetch_add(&serial, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&arrived[i], __ATOMIC_SEQ_CST) != THREADS)
            early++;
    }
    return arg;
}

static void test_barrier_holds_all(void)
{
    CHECK_EQ(pthread_barrier_init(&barrier, NULL, 0), EINVAL);
    CHECK_EQ(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    CHECK_EQ(in_threads(meet, NULL), 0);
    CHECK_EQ(early, 0);
    CHECK_EQ(serial, 20);
    CHECK_EQ(pthread_barrier_destroy(&barrier), 0);
}

static pthread_spinlock_t spin;

static void *count_spinning(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_spin_lock(&spin);
        ++*(volatile long *)arg;
        pthread_spin_unlock(&spin);
    }
    return NULL;
}

static void test_spin_lock_excludes(void)
{
    long count = 0;

    CHECK_EQ(pthread_spin_init(&spin, 0), 0);
    CHECK_EQ(in_threads(count_spinning, &count), 0);
    CHECK_EQ(count, THREADS * ROUNDS);
    CHECK_EQ(pthread_spin_trylock(&spin), 0);
    CHECK_EQ(pthread_spin_trylock(&spin), EBUSY);
    CHECK_EQ(pthread_spin_destroy(&spin), 0);
}

static const struct test_case cases[] = {
    CASE(join_gives_the_result),
    CASE(detached_threads_are_not_joined),
    CASE(exit_runs_cleanup_handlers),
    CASE(stack_size_is_what_was_asked),
    CASE(creation_fails_cleanly),
    CASE(names),
    CASE(affinity),
    CASE(errno_and_thread_variables_are_private),
    CASE(malloc_from_many_threads),
    CASE(preemption_keeps_floating_point_state),
    CASE(mutex_excludes),
    CASE(recursive_mutex_counts),
    CASE(errorcheck_mutex_checks),
    CASE(timed_lock_gives_up),
    CASE(conditions_carry_a_queue),
    CASE(timed_waits_use_their_clock),
    CASE(broadcast_wakes_all),
    CASE(rwlock_separates_readers_from_writers),
    CASE(rwlock_modes),
    CASE(once_is_once),
    CASE(key_destructors_run_at_the_end),
    CASE(deleted_keys_are_forgotten),
    CASE(keys_run_out),
    CASE(semaphore_counts),
    CASE(barrier_holds_all),
    CASE(spin_lock_excludes),
};

int main(void)
{
    return check_all(cases, ARRAY_SIZE(cases));
}
