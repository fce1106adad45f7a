# SPDX-License-Identifier: BSD-2-Clause
# A web server for the files of the root file system. All *.c here belong to it.
