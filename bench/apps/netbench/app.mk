# The guest's end of TCP streams. Plain sockets: the same file is compiled for Linux.
