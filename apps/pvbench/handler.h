/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions that Xen interrupts threads with: no vector registers, nobody has saved them. */
#ifndef PVBENCH_HANDLER_H
#define PVBENCH_HANDLER_H

#define HANDLER __attribute__((target("general-regs-only"), noinline))

#endif
