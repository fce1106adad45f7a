/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The per-CPU block, reached through %gs. One page each: the vcpu_info that Xen writes lies inside
 * (it must not cross a page), so that mask and pending are single instructions.
 */
#ifndef ARCH_CPU_IMPL_H
#define ARCH_CPU_IMPL_H

/* Offsets for entry.S. */
#define PCPU_SELF 0
#define PCPU_CURRENT 8
#define PCPU_PREEMPT 16
#define PCPU_RESCHED 20
#define PCPU_IN_EVENT 21
#define PCPU_EVENT_STACK 24
#define PCPU_ID 32
#define PCPU_VCPU_INFO 64
#define PCPU_UPCALL_PENDING PCPU_VCPU_INFO
#define PCPU_UPCALL_MASK (PCPU_VCPU_INFO + 1)

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/vcpu.h>

struct pcpu {
    struct pcpu *self;
    struct thread *current;
    uint32_t preempt; /* > 0: neither preempted nor moved */
    bool need_resched;
    bool in_event;
    void *event_stack_top;
    unsigned id;
    uintptr_t tls;       /* FS base now */
    uint64_t hypercalls; /* made on this CPU */
    struct vcpu_info info __attribute__((aligned(64)));
    struct vcpu_runstate_info runstate __attribute__((aligned(64)));
} __attribute__((aligned(4096)));

_Static_assert(offsetof(struct pcpu, current) == PCPU_CURRENT, "entry.S");
_Static_assert(offsetof(struct pcpu, preempt) == PCPU_PREEMPT, "entry.S");
_Static_assert(offsetof(struct pcpu, need_resched) == PCPU_RESCHED, "entry.S");
_Static_assert(offsetof(struct pcpu, in_event) == PCPU_IN_EVENT, "entry.S");
_Static_assert(offsetof(struct pcpu, event_stack_top) == PCPU_EVENT_STACK, "entry.S");
_Static_assert(offsetof(struct pcpu, id) == PCPU_ID, "entry.S");
_Static_assert(offsetof(struct pcpu, info) == PCPU_VCPU_INFO, "entry.S");

/* One instruction each: right even when the thread is moved before or after it. */
#define PCPU_READ(field)                                                                     \
    ({                                                                                       \
        __typeof__(((struct pcpu *)0)->field) v_;                                            \
        __asm__ volatile("mov %%gs:%c1, %0" : "=r"(v_) : "i"(offsetof(struct pcpu, field))); \
        v_;                                                                                  \
    })
#define PCPU_WRITE(field, value)                                      \
    do {                                                              \
        __typeof__(((struct pcpu *)0)->field) v_ = (value);           \
        __asm__ volatile("mov %0, %%gs:%c1"                           \
                         :                                            \
                         : "r"(v_), "i"(offsetof(struct pcpu, field)) \
                         : "memory");                                 \
    } while (0)

/* The block itself: only with preemption or upcalls off. */
static inline struct pcpu *pcpu_self(void)
{
    return PCPU_READ(self);
}

static inline unsigned cpu_id(void)
{
    return PCPU_READ(id);
}

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}

static inline struct thread *cpu_current(void)
{
    return PCPU_READ(current);
}

static inline void cpu_set_current(struct thread *t)
{
    PCPU_WRITE(current, t);
}

static inline unsigned cpu_preempt_count(void)
{
    return PCPU_READ(preempt);
}

static inline void cpu_preempt_add(int delta)
{
    __asm__ volatile("addl %0, %%gs:%c1"
                     :
                     : "ri"(delta), "i"(offsetof(struct pcpu, preempt))
                     : "memory", "cc");
}

static inline bool cpu_need_resched(void)
{
    return PCPU_READ(need_resched);
}

static inline void cpu_set_need_resched(bool need)
{
    PCPU_WRITE(need_resched, need);
}

static inline bool cpu_in_event(void)
{
    return PCPU_READ(in_event);
}
#endif

#endif
