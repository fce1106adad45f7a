/* SPDX-License-Identifier: BSD-2-Clause */
/* What the server counts about itself. One thread writes and reads them. */
#ifndef APPS_HTTPD_COUNTERS_H
#define APPS_HTTPD_COUNTERS_H

#include <stdint.h>

struct counters {
    uint64_t accepted;  /* connections so far */
    uint64_t open;      /* connections now */
    uint64_t evicted;   /* closed to make room for newer ones */
    uint64_t timed_out; /* closed because the client was too slow or silent */
    uint64_t answers;   /* requests answered, */
    uint64_t errors;    /* of these with a status of 400 or more */
    uint64_t bytes_sent;
};
extern struct counters counters;

#endif
