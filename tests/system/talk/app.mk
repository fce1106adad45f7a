# Does what it is told on its console: looks up names, repeats lines, ends.
