/* SPDX-License-Identifier: BSD-2-Clause */
/* The small pages that the server writes by itself, whole and without a file. */
#ifndef APPS_HTTPD_PAGE_H
#define APPS_HTTPD_PAGE_H

#include "apps/httpd/text.h"

/* Everything up to the content: <title> is (title), (head) goes into <head>. Then the end. */
void page_begin(struct text *t, const char *title, const char *head);
void page_end(struct text *t);

/* A page that explains (status) to a person. */
void page_for_status(struct text *t, int status);

#endif
