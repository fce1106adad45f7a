/* SPDX-License-Identifier: BSD-2-Clause */
/* What a switch keeps of a thread: registers, vector and x87 state, control words, TLS pointer. */
#include <arch/cpu.h>
#include "arch/x86/cpufeature.h"
#include "kernel/log.h"
#include "tests/guest/kernel-threads/cases.h"

#define THREADS 4
#define ROUNDS 12
#define LOOPS 3000000L /* some milliseconds */
#define CPUID1_ECX_AVX (1u << 28)

struct job {
    uint8_t seed;
    bool wrong;
};

static void run_equals(void (*fn)(void *), bool *wrong)
{
    struct thread *t[THREADS];
    struct job job[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        job[i] = (struct job){(uint8_t)(17 + i * 40), false};
        t[i] = start(PRIO_LOW, fn, &job[i]);
    }
    join_all(t, THREADS);
    *wrong = false;
    for (size_t i = 0; i < THREADS; i++)
        *wrong |= job[i].wrong;
}

static void spin_with_xmm(const uint8_t *in, uint8_t *out)
{
    long n = LOOPS;

#define EACH(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD(i) "movdqu 16*" #i "(%[in]), %%xmm" #i "\n"
#define STORE(i) "movdqu %%xmm" #i ", 16*" #i "(%[out])\n"
#define NAMES                                                                                \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
    __asm__ volatile(EACH(LOAD) "1: dec %[n]\n jnz 1b\n" EACH(STORE)
                     : [n] "+r"(n)
                     : [in] "r"(in), [out] "r"(out)
                     : "memory", "cc", NAMES);
}

static void keep_xmm(void *arg)
{
    struct job *job = arg;
    uint8_t in[256], out[256];

    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 7 + job->seed);
    for (int i = 0; i < ROUNDS; i++) {
        memset(out, 0, sizeof(out));
        spin_with_xmm(in, out);
        job->wrong |= memcmp(in, out, sizeof(in)) != 0;
    }
}

static void test_preempted_threads_keep_their_vector_registers(void)
{
    bool wrong;

    run_equals(keep_xmm, &wrong);
    CHECK(!wrong);
}

/* Upper halves of the vector registers, where CPU and kernel have them. */
static void keep_ymm(void *arg)
{
    struct job *job = arg;
    uint8_t in[64], out[64];

    memset(in, job->seed, 32);
    memset(in + 32, job->seed + 1, 32);
    for (int i = 0; i < ROUNDS; i++) {
        long n = LOOPS;

        __asm__ volatile("vmovdqu (%[in]), %%ymm3; vmovdqu 32(%[in]), %%ymm15\n"
                         "1: dec %[n]\n jnz 1b\n"
                         "vmovdqu %%ymm3, (%[out]); vmovdqu %%ymm15, 32(%[out]); vzeroupper"
                         : [n] "+r"(n)
                         : [in] "r"(in), [out] "r"(out)
                         : "memory", "cc", NAMES);
        job->wrong |= memcmp(in, out, sizeof(in)) != 0;
    }
}

static void test_preempted_threads_keep_the_upper_halves_if_there_are_any(void)
{
    bool wrong = false;

    if ((cpuid(1, 0).ecx & CPUID1_ECX_AVX) != 0 && strncmp(cpu_features(), "xsave", 5) == 0)
        run_equals(keep_ymm, &wrong);
    CHECK(!wrong);
}

static void keep_x87(void *arg)
{
    struct job *job = arg;
    double out[8];

    for (int i = 0; i < ROUNDS; i++) {
        long n = LOOPS;
        int number = job->seed;

        __asm__ volatile("fildl %[number]; fld1; fadd %%st(1), %%st; fldpi; fldl2e; fldz; fld1\n"
                         "fildl %[number]; fld1\n"
                         "1: dec %[n]\n jnz 1b\n"
                         "fstpl 56(%[out]); fstpl 48(%[out]); fstpl 40(%[out]); fstpl 32(%[out])\n"
                         "fstpl 24(%[out]); fstpl 16(%[out]); fstpl 8(%[out]); fstpl (%[out])"
                         : [n] "+r"(n)
                         : [number] "m"(number), [out] "r"(out)
                         : "memory", "cc");
        job->wrong |= out[0] != number || out[1] != number + 1 || out[2] < 3.14159 ||
                      out[2] > 3.1416 || out[4] != 0 || out[5] != 1 || out[6] != number ||
                      out[7] != 1;
    }
}

static void test_preempted_threads_keep_a_full_x87_stack(void)
{
    bool wrong;

    run_equals(keep_x87, &wrong);
    CHECK(!wrong);
}

/* Some fill the x87 stack and are preempted, one gives the CPU away all the time and then finds its
 * own stack empty and its control words unchanged. */
static void yield_with_words(void *arg)
{
    struct job *job = arg;
    uint16_t cw = (uint16_t)(0x37f ^ (job->seed & 3) << 10), cw_now = 0;
    uint32_t csr = 0x1f80 ^ (uint32_t)(job->seed & 3) << 13, csr_now = 0;
    double eight[8];

    __asm__ volatile("fldcw %0; ldmxcsr %1" : : "m"(cw), "m"(csr));
    for (int i = 0; i < 300; i++) {
        if (i % 8 == 0)
            sleep_for(100000);
        else
            thread_yield();
        __asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(cw_now), "=m"(csr_now));
        job->wrong |= cw_now != cw || (csr_now & ~0x3fU) != csr;
        __asm__ volatile("fld1;fld1;fld1;fld1;fld1;fld1;fld1;fld1\n"
                         "fstpl (%0);fstpl 8(%0);fstpl 16(%0);fstpl 24(%0)\n"
                         "fstpl 32(%0);fstpl 40(%0);fstpl 48(%0);fstpl 56(%0)"
                         :
                         : "r"(eight)
                         : "memory");
        for (int j = 0; j < 8; j++)
            job->wrong |= eight[j] != 1;
    }
}

static void test_yielding_threads_keep_their_control_words_among_preempted_ones(void)
{
    struct job job[6];
    struct thread *t[6];
    bool wrong = false;

    for (size_t i = 0; i < 6; i++) {
        job[i] = (struct job){(uint8_t)(i + 1), false};
        t[i] = start(PRIO_LOW, i % 3 == 0 ? keep_x87 : yield_with_words, &job[i]);
    }
    join_all(t, 6);
    for (size_t i = 0; i < 6; i++)
        wrong |= job[i].wrong;
    CHECK(!wrong);
}

/* All fifteen registers of the integer unit, and the carry flag, through a spin. */
static uint64_t spin_with_integers(uint64_t seed, uint64_t n)
{
    uint64_t sum;

    __asm__ volatile("push %%rbp\n"
                     "mov %%rax, %%rbp; lea 1(%%rax), %%rbx; lea 2(%%rax), %%rdx\n"
                     "lea 3(%%rax), %%rsi; lea 4(%%rax), %%rdi; lea 5(%%rax), %%r8\n"
                     "lea 6(%%rax), %%r9; lea 7(%%rax), %%r10; lea 8(%%rax), %%r11\n"
                     "lea 9(%%rax), %%r12; lea 10(%%rax), %%r13; lea 11(%%rax), %%r14\n"
                     "lea 12(%%rax), %%r15\n"
                     "stc\n"
                     "1: dec %%rcx\n jnz 1b\n" /* dec leaves the carry alone */
                     "adc %%rbp, %%rax; rol $3, %%rax; add %%rbx, %%rax; rol $3, %%rax\n"
                     "add %%rdx, %%rax; rol $3, %%rax; add %%rsi, %%rax; rol $3, %%rax\n"
                     "add %%rdi, %%rax; rol $3, %%rax; add %%r8, %%rax; rol $3, %%rax\n"
                     "add %%r9, %%rax; rol $3, %%rax; add %%r10, %%rax; rol $3, %%rax\n"
                     "add %%r11, %%rax; rol $3, %%rax; add %%r12, %%rax; rol $3, %%rax\n"
                     "add %%r13, %%rax; rol $3, %%rax; add %%r14, %%rax; rol $3, %%rax\n"
                     "add %%r15, %%rax\n"
                     "pop %%rbp"
                     : "=a"(sum), "+c"(n)
                     : "a"(seed)
                     : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc");
    return sum;
}

static void keep_integers(void *arg)
{
    struct job *job = arg;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t seed = job->seed * 0x0123456789abcdefULL;
        uint64_t want;

        preempt_disable();
        want = spin_with_integers(seed, 1);
        preempt_enable();
        job->wrong |= spin_with_integers(seed, LOOPS) != want;
    }
}

static void test_preempted_threads_keep_their_integer_registers_and_flags(void)
{
    bool wrong;

    run_equals(keep_integers, &wrong);
    CHECK(!wrong);
}

static uintptr_t tls_self(void)
{
    uintptr_t v;

    __asm__ volatile("mov %%fs:0, %0" : "=r"(v));
    return v;
}

static void keep_tls(void *arg)
{
    struct job *job = arg;
    uintptr_t block[8] = {0};

    block[0] = (uintptr_t)block;
    thread_set_tls((uintptr_t)block);
    for (int i = 0; i < 200; i++) {
        job->wrong |= tls_self() != (uintptr_t)block;
        if (i % 4 == 0)
            sleep_for(50000);
        else if (i % 4 == 1)
            thread_yield();
        else
            spin_for(100000);
    }
}

static void test_threads_keep_their_tls_pointer(void)
{
    uintptr_t mine = tls_self();
    bool wrong;

    run_equals(keep_tls, &wrong);
    CHECK(!wrong);
    CHECK_EQ(tls_self(), mine);
}

static void look_at_stack(void *arg)
{
    volatile uint64_t here __attribute__((aligned(16))) = 0;
    bool *aligned = arg;

    /* At a function's entry the stack is 8 short of a multiple of 16. */
    *aligned = ((uintptr_t)__builtin_frame_address(0) & 15) == 0 && ((uintptr_t)&here & 15) == 0;
}

static void look_from_timer(struct timer *t);
static struct stack_probe {
    struct timer timer;
    volatile bool done;
    bool aligned;
} probe;

static void look_from_timer(struct timer *t)
{
    (void)t;
    look_at_stack(&probe.aligned);
    probe.done = true;
}

static void test_stacks_are_aligned_in_threads_and_handlers(void)
{
    bool aligned = false;

    thread_join(start(PRIO_NORMAL, look_at_stack, &aligned));
    CHECK(aligned);
    probe.done = false;
    timer_init(&probe.timer, look_from_timer);
    timer_set(&probe.timer, time_now());
    while (!probe.done)
        ;
    CHECK(probe.aligned);
}

#define DEEP (6 * 1024)

struct depth {
    size_t before, after, size;
};

static __attribute__((noinline)) void go_deep(void)
{
    volatile char bytes[DEEP];

    for (size_t n = 0; n < sizeof(bytes); n++)
        bytes[n] = 1;
}

static void measure_depth(void *arg)
{
    struct depth *d = arg;

    d->before = thread_stack_used(thread_current(), &d->size);
    go_deep();
    d->after = thread_stack_used(thread_current(), &d->size);
}

static void test_how_much_stack_was_used_is_known_in_debug_mode(void)
{
    struct depth quiet, debug;
    struct thread *t = start(PRIO_NORMAL, measure_depth, &quiet);

    join_all(&t, 1);
    log_set_level(LOG_DEBUG);
    t = start(PRIO_NORMAL, measure_depth, &debug);
    join_all(&t, 1);
    log_set_level(LOG_INFO);
    CHECK_EQ(quiet.after, 0);
    CHECK(debug.size > 2 * DEEP);
    CHECK(debug.before > 0 && debug.before < DEEP / 2);
    CHECK(debug.after > DEEP && debug.after < DEEP + DEEP / 2);
}

const struct test_case state_cases[] = {
    CASE(preempted_threads_keep_their_vector_registers),
    CASE(preempted_threads_keep_the_upper_halves_if_there_are_any),
    CASE(preempted_threads_keep_a_full_x87_stack),
    CASE(yielding_threads_keep_their_control_words_among_preempted_ones),
    CASE(preempted_threads_keep_their_integer_registers_and_flags),
    CASE(threads_keep_their_tls_pointer),
    CASE(stacks_are_aligned_in_threads_and_handlers),
    CASE(how_much_stack_was_used_is_known_in_debug_mode),
};
const size_t nr_state_cases = sizeof(state_cases) / sizeof(state_cases[0]);
