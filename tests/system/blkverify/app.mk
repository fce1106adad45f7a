# Writes and reads disks in random order at full depth; overwrites every disk that is not read-only.
