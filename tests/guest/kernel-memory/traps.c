/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults where they must be, and nowhere else; what a hook sees and what it may do. */
#include <arch/page.h>
#include <arch/trap.h>
#include "arch/x86/mm.h"
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "kernel/vmap.h"
#include "tests/guest/kernel-memory/cases.h"

extern char image_text_start[], image_text_end[], image_rodata_end[];
extern char boot_stack_guard[], event_stack_guard[];

/* --- probing --- */

static struct spinlock probing = SPINLOCK_INIT; /* one at a time, on whatever CPU */
static irqstate_t probing_irq;
static uintptr_t resume, fault_address;
static unsigned fault_error;

static bool on_fault(struct regs *r)
{
    if (resume == 0)
        return false; /* not ours */
    fault_address = trap_fault_address();
    fault_error = (unsigned)r->error;
    if (r->error & FAULT_FETCH) { /* undo the call */
        r->rip = *(uint64_t *)r->rsp;
        r->rsp += 8;
    } else {
        r->rip = resume;
    }
    return true;
}

static void probe_begin(void)
{
    irqstate_t irq = spin_lock(&probing);

    probing_irq = irq;
    fault_error = NO_FAULT;
    fault_address = 0;
    trap_hook(TRAP_PAGE_FAULT, on_fault);
}

static unsigned probe_end(uintptr_t wanted)
{
    unsigned error = fault_error;
    irqstate_t irq = probing_irq;

    trap_hook(TRAP_PAGE_FAULT, NULL);
    resume = 0;
    if (error != NO_FAULT && fault_address != wanted)
        panic("fault at %#lx instead of %#lx", fault_address, wanted);
    spin_unlock(&probing, irq);
    return error & ~4U; /* the user bit: PV kernels run in ring 3 */
}

#define RESUME_HERE "lea 1f(%%rip), %%rax; mov %%rax, %[resume]\n"

unsigned probe_read(const volatile void *p)
{
    probe_begin();
    __asm__ volatile(RESUME_HERE "movb (%[p]), %%al\n1:"
                     : [resume] "=m"(resume)
                     : [p] "r"(p)
                     : "rax", "memory");
    return probe_end((uintptr_t)p);
}

unsigned probe_write(volatile void *p)
{
    uint8_t byte = 0;

    if (probe_read(p) == NO_FAULT)
        byte = *(volatile uint8_t *)p;
    probe_begin();
    __asm__ volatile(RESUME_HERE "movb %[byte], (%[p])\n1:"
                     : [resume] "=m"(resume)
                     : [p] "r"(p), [byte] "q"(byte)
                     : "rax", "memory");
    return probe_end((uintptr_t)p);
}

unsigned probe_execute(const void *p)
{
    probe_begin();
    __asm__ volatile(RESUME_HERE "call *%[p]\n1:"
                     : [resume] "=m"(resume)
                     : [p] "r"(p)
                     : "rax", "memory", "cc");
    return probe_end((uintptr_t)p);
}

/* --- cases --- */

static void test_the_null_page_and_its_neighbours_fault(void)
{
    static const uintptr_t bad[] = {0, 8, 4095, 4096, 0x100000, 0x7ffffff};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(probe_read((void *)bad[i]), 0);
        CHECK_EQ(probe_write((void *)bad[i]), FAULT_WRITE);
    }
}

static void test_text_is_executable_and_not_writable(void)
{
    for (char *p = image_text_start; p < image_text_end; p += PAGE_SIZE) {
        CHECK_EQ(probe_read(p), NO_FAULT);
        CHECK_EQ(probe_write(p), FAULT_WRITE | FAULT_PRESENT);
    }
}

static const uint8_t ret_in_rodata[16] = {0xc3};
static uint8_t ret_in_data[16] = {0xc3};

static void test_rodata_is_neither_writable_nor_executable(void)
{
    for (char *p = image_text_end; p < image_rodata_end; p += PAGE_SIZE)
        CHECK_EQ(probe_write(p), FAULT_WRITE | FAULT_PRESENT);
    CHECK_EQ(probe_execute(ret_in_rodata), FAULT_FETCH | FAULT_PRESENT);
}

__asm__(".pushsection .text\nonly_ret: ret\n.popsection");
extern char only_ret[];

static void test_data_stack_heap_and_vmap_are_not_executable(void)
{
    uint8_t on_stack[16] = {0xc3};
    uint8_t *in_heap = heap_alloc(64), *in_vmap = vmap_alloc(1);

    CHECK(in_heap != NULL && in_vmap != NULL);
    *in_heap = *in_vmap = 0xc3;
    CHECK_EQ(probe_execute(only_ret), NO_FAULT); /* the probe itself works */
    CHECK_EQ(probe_execute(ret_in_data), FAULT_FETCH | FAULT_PRESENT);
    CHECK_EQ(probe_execute(on_stack), FAULT_FETCH | FAULT_PRESENT);
    CHECK_EQ(probe_execute(in_heap), FAULT_FETCH | FAULT_PRESENT);
    CHECK_EQ(probe_execute(in_vmap), FAULT_FETCH | FAULT_PRESENT);
    CHECK_EQ(probe_write(on_stack), NO_FAULT);
    vmap_free(in_vmap, 1);
    heap_free(in_heap);
}

static void test_boot_and_event_stack_have_guards(void)
{
    CHECK_EQ(probe_read(boot_stack_guard), 0);
    CHECK_EQ(probe_write(event_stack_guard), FAULT_WRITE);
    CHECK_EQ(probe_read(event_stack_guard + PAGE_SIZE), NO_FAULT);
}

/* The lowest and the highest mapped page around our own frame, and what lies beyond them. */
static void look_at_own_stack(void *arg)
{
    uintptr_t here = ALIGN_DOWN((uintptr_t)__builtin_frame_address(0), PAGE_SIZE);
    uintptr_t below = here, above = here, start_of, end_of;
    bool *right = arg;

    while (mm_is_mapped(below))
        below -= PAGE_SIZE;
    while (mm_is_mapped(above))
        above += PAGE_SIZE;
    preempt_disable(); /* vmap_is_guard is for crashes: it takes no lock */
    *right = above - below == THREAD_STACK_DEFAULT + PAGE_SIZE &&
             vmap_is_guard(below + 4088, &start_of, &end_of) && start_of == below + PAGE_SIZE &&
             end_of == above && vmap_is_guard(above, &start_of, &end_of) &&
             !vmap_is_guard(here, &start_of, &end_of);
    preempt_enable();
    *right &= probe_write((void *)(below + 4088)) == FAULT_WRITE && probe_read((void *)above) == 0;
}

static void test_every_threads_stack_lies_between_guards(void)
{
    bool right[8] = {false};
    struct thread *t[8];

    for (size_t i = 0; i < 8; i++)
        t[i] = start(PRIO_LOW, look_at_own_stack, &right[i]);
    for (size_t i = 0; i < 8; i++)
        thread_join(t[i]);
    for (size_t i = 0; i < 8; i++)
        CHECK(right[i]);
}

/* --- hooks of other exceptions --- */

static struct regs seen;

static bool note_breakpoint(struct regs *r)
{
    seen = *r;
    r->rax = 0x1234; /* a hook may change registers */
    return true;
}

static void test_a_breakpoint_hook_sees_and_keeps_all_registers(void)
{
    uint64_t rax = 7, sum = 0;

    trap_hook(TRAP_BREAKPOINT, note_breakpoint);
    __asm__ volatile("mov $102, %%rcx; mov $103, %%rdx; mov $104, %%rsi\n"
                     "mov $105, %%rdi; mov $108, %%r8; mov $109, %%r9; mov $110, %%r10\n"
                     "mov $111, %%r11; mov $112, %%r12; mov $113, %%r13; mov $114, %%r14\n"
                     "mov $115, %%r15; mov $101, %%rbx\n int3\n"
                     "add %%rcx, %%rbx; add %%rdx, %%rbx; add %%rsi, %%rbx; add %%rdi, %%rbx\n"
                     "add %%r8, %%rbx; add %%r9, %%rbx; add %%r10, %%rbx; add %%r11, %%rbx\n"
                     "add %%r12, %%rbx; add %%r13, %%rbx; add %%r14, %%rbx; add %%r15, %%rbx"
                     : "+a"(rax), "+b"(sum)
                     :
                     : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "cc", "memory");
    trap_hook(TRAP_BREAKPOINT, NULL);
    CHECK_EQ(rax, 0x1234);
    CHECK_EQ(seen.rax, 7);
    CHECK_EQ(seen.vector, TRAP_BREAKPOINT);
    CHECK(seen.rbx == 101 && seen.rcx == 102 && seen.rdx == 103 && seen.rsi == 104);
    CHECK(seen.rdi == 105 && seen.r8 == 108 && seen.r9 == 109 && seen.r10 == 110);
    CHECK(seen.r11 == 111 && seen.r12 == 112 && seen.r13 == 113 && seen.r15 == 115);
    CHECK_EQ(sum, 101 + 102 + 103 + 104 + 105 + 108 + 109 + 110 + 111 + 112 + 113 + 114 + 115);
}

static bool skip_two(struct regs *r)
{
    seen = *r;
    r->rip += 2;
    return true;
}

static void test_invalid_opcodes_and_protection_faults_reach_their_hooks(void)
{
    trap_hook(TRAP_INVALID_OPCODE, skip_two);
    __asm__ volatile("ud2");
    trap_hook(TRAP_INVALID_OPCODE, NULL);
    CHECK_EQ(seen.vector, TRAP_INVALID_OPCODE);
    trap_hook(TRAP_PROTECTION, skip_two);
    __asm__ volatile("int $0x42"); /* nothing there: two bytes long */
    trap_hook(TRAP_PROTECTION, NULL);
    CHECK_EQ(seen.vector, TRAP_PROTECTION);
    CHECK_EQ(seen.error & 7, 2); /* it names an interrupt descriptor */
}

/* --- faults in handlers, and while preempted --- */

static struct handler_probe {
    struct timer timer;
    volatile unsigned count, wrong;
} handler;

static void fault_in_handler(struct timer *t)
{
    handler.wrong += probe_read((void *)8) != 0;
    if (++handler.count < 200)
        timer_set(t, time_now() + 50000);
}

static void test_handlers_and_threads_fault_at_the_same_time(void)
{
    unsigned wrong = 0;

    handler.count = handler.wrong = 0;
    timer_init(&handler.timer, fault_in_handler);
    timer_set(&handler.timer, time_now());
    while (handler.count < 200) {
        __asm__ volatile("int3" : : : "rax", "memory"); /* the hook changes it */
        wrong += seen.vector != TRAP_BREAKPOINT;
    }
    CHECK_EQ(handler.wrong, 0);
    CHECK_EQ(wrong, 0);
}

static void test_handlers_fault_while_threads_take_breakpoints(void)
{
    trap_hook(TRAP_BREAKPOINT, note_breakpoint);
    test_handlers_and_threads_fault_at_the_same_time();
    trap_hook(TRAP_BREAKPOINT, NULL);
}

const struct test_case trap_cases[] = {
    CASE(the_null_page_and_its_neighbours_fault),
    CASE(text_is_executable_and_not_writable),
    CASE(rodata_is_neither_writable_nor_executable),
    CASE(data_stack_heap_and_vmap_are_not_executable),
    CASE(boot_and_event_stack_have_guards),
    CASE(every_threads_stack_lies_between_guards),
    CASE(a_breakpoint_hook_sees_and_keeps_all_registers),
    CASE(invalid_opcodes_and_protection_faults_reach_their_hooks),
    CASE(handlers_fault_while_threads_take_breakpoints),
};
const size_t nr_trap_cases = sizeof(trap_cases) / sizeof(trap_cases[0]);
