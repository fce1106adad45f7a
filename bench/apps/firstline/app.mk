# Says how long after the domain's entry its main began.
