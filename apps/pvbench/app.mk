# SPDX-License-Identifier: BSD-2-Clause
# The latency suite: Xen's primitives measured from inside a domain. All *.c here belong to it.
