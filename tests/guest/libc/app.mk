# The C library as a program sees it.
