/* SPDX-License-Identifier: BSD-2-Clause */
/* What setup.c needs from its neighbours. */
#ifndef ARCH_X86_SETUP_H
#define ARCH_X86_SETUP_H

/* Give every exception of this CPU an entry. */
void traps_init(void);

/* Every other CPU: switch on what cpu_features_init chose on the first. */
void cpu_features_here(void);

/* Remember when Xen entered us; before anything else. */
void clock_note_entry(void);
/* The wall clock lies in shared info: from now on it can be read. */
struct shared_info;
void clock_init(const struct shared_info *shared);

#endif
