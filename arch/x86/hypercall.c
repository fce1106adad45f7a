/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The typed hypercalls of <arch/hypercall.h>, and the one place where Xen's error numbers
 * (Linux's) become ours.
 */
#include <arch/hypercall.h>
#include <arch/irq.h>
#include "arch/x86/xenabi.h"
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include "lib/base/errno.h"

/* Numbers up to 34 (ERANGE) are the same in both. */
static const struct {
    uint8_t xen, ours;
} numbers[] = {
    {35, EDEADLK},  {36, ENAMETOOLONG}, {38, ENOSYS},     {40, ELOOP},         {61, ENOENT},
    {62, ETIME},    {71, EPROTO},       {74, EBADMSG},    {75, EOVERFLOW},     {85, EAGAIN},
    {90, EMSGSIZE}, {95, EOPNOTSUPP},   {98, EADDRINUSE}, {99, EADDRNOTAVAIL}, {105, ENOBUFS},
    {106, EISCONN}, {107, ENOTCONN},    {110, ETIMEDOUT}, {111, ECONNREFUSED},
};

long errno_from_xen(long result)
{
    if (result >= -34)
        return result;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].xen == -result)
            return -(long)numbers[i].ours;
    return -EIO;
}

int hypercall_evtchn(unsigned op, void *arg)
{
    return (int)errno_from_xen(hypercall2(__HYPERVISOR_event_channel_op, op, (uintptr_t)arg));
}

int hypercall_grant(unsigned op, void *arg, unsigned count)
{
    return (int)errno_from_xen(hypercall3(__HYPERVISOR_grant_table_op, op, (uintptr_t)arg, count));
}

int hypercall_sched(unsigned op, void *arg)
{
    return (int)errno_from_xen(hypercall2(__HYPERVISOR_sched_op, op, (uintptr_t)arg));
}

int hypercall_vcpu(unsigned op, unsigned vcpu, void *arg)
{
    return (int)errno_from_xen(hypercall3(__HYPERVISOR_vcpu_op, op, vcpu, (uintptr_t)arg));
}

long hypercall_memory(unsigned op, void *arg)
{
    return errno_from_xen(hypercall2(__HYPERVISOR_memory_op, op, (uintptr_t)arg));
}

int hypercall_version(unsigned op, void *arg)
{
    return (int)errno_from_xen(hypercall2(__HYPERVISOR_xen_version, op, (uintptr_t)arg));
}

int hypercall_console(const char *text, size_t len)
{
    return (int)errno_from_xen(
        hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, len, (uintptr_t)text));
}

_Noreturn void hypercall_shutdown(unsigned reason)
{
    struct sched_shutdown arg = {.reason = reason};

    for (;;)
        hypercall_sched(SCHEDOP_shutdown, &arg);
}

void irq_force_upcall(void)
{
    /* Any hypercall will do: Xen delivers what is pending on the way back. */
    hypercall2(__HYPERVISOR_xen_version, XENVER_version, 0);
}
