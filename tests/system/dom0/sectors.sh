# SPDX-License-Identifier: BSD-2-Clause
# blkverify on a disk with sectors of 4096 bytes, which stays behind as the file `disk`.
. ./lib.sh

test_disk() {
    truncate -s 32M disk
    loop=$(losetup --find --show --sector-size 4096 disk)
    create large blkverify memory=32 "disk=['phy:$loop,xvda,w']" "cmdline='3000 51712'"
    exits large 0
    cat "$(console_of large)"
    cp disk "$shared/"
}

# What a check says is only seen when it fails; the host wants to read the console.
test_disk
