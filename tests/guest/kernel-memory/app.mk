# Traps, page tables, the vmap area, pages and heap, on real Xen.
