# Files and directories of a root file system that tests/system/files/make-root made.
