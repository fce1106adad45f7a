/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams on port 5001, each word checked; the other side is `peer stream`. */
#include "tests/system/echo_stream.h"

int main(void)
{
    echo_serve(5001);
    return 1;
}
