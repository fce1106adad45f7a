/* SPDX-License-Identifier: BSD-2-Clause */
/* The seam of apps/httpd/status.h on the machine where httpd is tested. */
#include "apps/httpd/status.h"
#include <stdio.h>

void status_tell_system(struct status *s)
{
    status_begin(s, "domain", "This machine");
    status_string(s, "name", "name", "host \"<&>\"");
    status_end(s);
    status_begin_list(s, "interfaces");
    status_begin(s, "lo", "Interface lo");
    status_number(s, "rx_bytes", "received", 1536, STATUS_BYTES_COUNT);
    status_end(s);
    status_begin(s, "lo2", "Interface lo2");
    status_end(s);
    status_end_list(s);
    status_begin_list(s, "disks");
    status_end_list(s);
}

void status_address(char *out, size_t size)
{
    snprintf(out, size, "127.0.0.1");
}
