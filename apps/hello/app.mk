# Prints, shows its arguments, exits.
