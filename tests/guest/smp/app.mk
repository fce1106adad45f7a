# Several CPUs: what they share, what they take from each other, how they come and go. Best with --vcpus 4.
