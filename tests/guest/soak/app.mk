# Everything at once for as long as wanted: seconds=N, 20 by default; tests/guest/long gives it an hour.
