/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of netfront share: one vif with its backend, and a user that keeps books of what
 * it gets. The tests are of the module netfront, which boots here.
 */
#ifndef TESTS_HOST_NETRIG_H
#define TESTS_HOST_NETRIG_H

#include <stdbool.h>
#include <stdint.h>
#include "frontends/netfront/netfront.h"
#include "tests/host/fakeback.h"

extern struct fake_net net; /* vif 0 */
extern struct netfront *nf; /* NULL: there is none */

/* ---- its user ---- */

extern const struct netfront_user vif_user;
extern bool woken;
extern unsigned nr_frames, nr_pages_up;
extern struct netfront_frame last; /* without its pages */
extern uint8_t last_data[65536];

/* The user keeps the pages it gets instead of freeing them, here; and does not write into them: */
extern bool hold_pages, keep_pages_clean;
extern void *held[256];
extern unsigned nr_held;

/* ---- its life ---- */

/* netfront_create and netfront_open, or neither: then *out is NULL. */
int create_and_open(const char *handle, const struct netfront_user *u, struct netfront **out);
/* Open the vif that fake_net_create made. */
int open_vif(void);
/* Make the vif and open it. A test that opens it otherwise ends by end_vif() as well. */
void begin_vif(void);
/* Destroy it, if it is there, and remove it with all that is left of it. */
void end_vif(void);
/* Let everybody work until nothing happens any more at this time. As a user would, poll only when
 * woken. */
void run_vif(void);
/* From a link that is down to one that is up. */
void reopen_vif(void);
void backend_leaves(void);
struct netfront_info vif_info(void);

/* ---- traffic ---- */

extern uint8_t pattern[65536];
void fill_pattern(unsigned seed);
/* Send the first (len) bytes of the pattern, in two fragments. */
int send_pattern(unsigned len, enum netfront_csum csum);
/* Random frames both ways, all checked. */
void exchange(unsigned rounds);

#endif
