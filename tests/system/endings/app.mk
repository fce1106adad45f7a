# Ends in the way that its first argument names.
