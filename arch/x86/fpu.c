/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads as the CPU sees them: stacks, floating-point state, TLS pointer.
 *
 * A voluntary switch is a function call, so the ABI lets us drop all vector registers and keep only
 * the two control words. A preempted thread keeps everything, by XSAVE (or FXSAVE).
 *
 * I1 What a preempted thread left in the registers (a half-full x87 stack, say) is never seen by a
 *    thread that had switched voluntarily: it gets a clean state first, then its two words.
 */
#include <arch/cpu.h>
#include <arch/thread.h>
#include "arch/x86/cpufeature.h"
#include "arch/x86/setup.h"
#include "arch/x86/xenabi.h"
#include "kernel/option.h"
#include "lib/base/assert.h"
#include "lib/base/string.h"

void switch_stacks(void **save_rsp, void *load_rsp);
void thread_start(void);

#define MXCSR_CLEAN 0x1f80
#define X87_CW_CLEAN 0x37f
#define FXSAVE_SIZE 512
#define XSAVE_HEADER 64
#define CR4_FSGSBASE (1UL << 16)
#define CR4_OSXSAVE (1UL << 18)
#define XCR0_X87_SSE_AVX 7

static bool use_xsave, use_fsgsbase;
static size_t fpu_size = FXSAVE_SIZE;
static char clean_area[FXSAVE_SIZE + XSAVE_HEADER] __attribute__((aligned(64)));

static void cr4_set(unsigned long bits)
{
    unsigned long cr4;

    /* Privileged, so Xen emulates both. */
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | bits) : "memory");
}

void cpu_features_here(void)
{
    if (use_xsave) {
        cr4_set(CR4_OSXSAVE);
        __asm__ volatile("xsetbv" : : "c"(0), "a"(XCR0_X87_SSE_AVX & cpuid(13, 0).eax), "d"(0));
    }
    if (use_fsgsbase)
        cr4_set(CR4_FSGSBASE);
}

void cpu_features_init(void)
{
    const char *fsgsbase = option_get("fsgsbase"), *xsave = option_get("xsave");

    use_xsave = (cpuid(1, 0).ecx & CPUID1_ECX_XSAVE) != 0 && !option_is_off(xsave);
    use_fsgsbase = cpuid(0, 0).eax >= 7 && (cpuid(7, 0).ebx & CPUID7_EBX_FSGSBASE) != 0 &&
                   !option_is_off(fsgsbase);
    cpu_features_here();
    if (use_xsave)
        fpu_size = cpuid(13, 0).ebx; /* for what XCR0 enables now */

    uint16_t cw = X87_CW_CLEAN;
    uint32_t mxcsr = MXCSR_CLEAN;

    memcpy(clean_area, &cw, sizeof(cw));
    memcpy(clean_area + 24, &mxcsr, sizeof(mxcsr));
}

const char *cpu_features(void)
{
    static const char *const names[] = {"fxsave", "fxsave fsgsbase", "xsave", "xsave fsgsbase"};

    return names[use_xsave * 2 + use_fsgsbase];
}

size_t arch_fpu_size(void)
{
    return fpu_size;
}

static void fpu_save_all(void *area)
{
    if (use_xsave)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static void fpu_load_all(const void *area)
{
    if (use_xsave)
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

static void fpu_save(struct arch_thread *t, bool involuntary)
{
    t->fpu_full = involuntary;
    if (involuntary) {
        fpu_save_all(t->fpu);
        return;
    }
    __asm__ volatile("fnstcw %0" : "=m"(t->x87_cw));
    __asm__ volatile("stmxcsr %0" : "=m"(t->mxcsr));
}

static void fpu_load(const struct arch_thread *t, bool after_preempted)
{
    if (t->fpu_full) {
        fpu_load_all(t->fpu);
        return;
    }
    if (after_preempted)
        fpu_load_all(clean_area); /* I1 */
    __asm__ volatile("fldcw %0" : : "m"(t->x87_cw));
    __asm__ volatile("ldmxcsr %0" : : "m"(t->mxcsr));
}

static void set_fs_base(struct pcpu *cpu, uintptr_t base)
{
    if (cpu->tls == base)
        return;
    cpu->tls = base;
    if (use_fsgsbase)
        __asm__ volatile("wrfsbase %0" : : "r"(base));
    else
        hypercall2(__HYPERVISOR_set_segment_base, SEGBASE_FS, base);
}

void arch_thread_init(struct arch_thread *t, void *stack_top, void *fpu, void (*entry)(void *),
                      void *arg)
{
    /* What switch_stacks pops: r15 r14 r13 r12 rbx rbp and the return address; above it two empty
     * words, so that thread_start calls with an aligned stack. */
    uint64_t *sp = (uint64_t *)stack_top - 9;

    ASSERT(IS_ALIGNED((uintptr_t)stack_top, 16) && IS_ALIGNED((uintptr_t)fpu, 64));
    memset(sp, 0, 9 * sizeof(*sp));
    sp[3] = (uint64_t)(uintptr_t)arg;
    sp[4] = (uint64_t)(uintptr_t)entry;
    sp[6] = (uint64_t)(uintptr_t)thread_start;
    *t = (struct arch_thread){.rsp = sp, .fpu = fpu, .x87_cw = X87_CW_CLEAN, .mxcsr = MXCSR_CLEAN};
    memset(fpu, 0, fpu_size); /* XSAVE's header must be zero before its first use */
}

void arch_switch(struct arch_thread *prev, struct arch_thread *next, bool involuntary)
{
    fpu_save(prev, involuntary);
    fpu_load(next, involuntary);
    set_fs_base(pcpu_self(), next->tls);
    switch_stacks(&prev->rsp, next->rsp);
}

void arch_set_tls(struct arch_thread *t, uintptr_t tp)
{
    t->tls = tp;
    set_fs_base(pcpu_self(), tp);
}
