# Takes and gives streams of any length, each word checked, one thread for each connection.
