# Sockets over the loopback interface, with real threads and preemption.
