/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * May a transfer be sent? Judged when it is submitted and again each time before it is sent, by
 * what the backend says at that time; (connect.c) changes that at any moment, so it is read
 * without a lock, each number once.
 *
 * I1 Sector numbers are in units of 512 bytes, always; sector-size is only alignment.
 */
#include "frontends/blkfront/internal.h"

bool blkfront_lies_within(const struct blkfront *bf, uint64_t sector, uint64_t n)
{
    uint64_t all = load_relaxed(&bf->info.nr_sectors);
    uint64_t unit = load_relaxed(&bf->info.sector_size) / BLKFRONT_SECTOR;

    return sector <= all && n <= all - sector && IS_ALIGNED(sector, unit) && /* I1 */
           IS_ALIGNED(n, unit);
}

static int judge_discard(const struct blkfront *bf, const struct blkfront_io *io)
{
    const struct blkfront_info *info = &bf->info;

    if (!blkfront_lies_within(bf, io->sector, io->nr_sectors))
        return -EINVAL;
    if (load_relaxed(&info->read_only))
        return -EROFS;
    return load_relaxed(io->secure ? &info->can_discard_securely : &info->can_discard)
               ? 0
               : -EOPNOTSUPP;
}

int blkfront_judge(const struct blkfront *bf, const struct blkfront_io *io)
{
    if (io->op == BLKFRONT_FLUSH)
        return 0;
    if (io->op == BLKFRONT_DISCARD)
        return judge_discard(bf, io);
    if (!blkfront_lies_within(bf, io->sector, io->len / BLKFRONT_SECTOR))
        return -EINVAL;
    return io->op == BLKFRONT_WRITE && load_relaxed(&bf->info.read_only) ? -EROFS : 0;
}

/* Units begin at (shift), (shift) + (unit) and so on; what lies before is in none. */
uint64_t blkfront_discardable(const struct blkfront *bf, const struct blkfront_io *io,
                              uint64_t *first)
{
    uint64_t unit = load_relaxed(&bf->info.discard_granularity) / BLKFRONT_SECTOR;
    uint64_t shift = load_relaxed(&bf->info.discard_alignment) / BLKFRONT_SECTOR;
    uint64_t from = shift + ALIGN_UP(MAX(io->sector, shift) - shift, unit);
    uint64_t to = shift + ALIGN_DOWN(MAX(io->sector + io->nr_sectors, shift) - shift, unit);

    *first = io->secure ? io->sector : from;
    if (io->secure)
        return io->nr_sectors;
    return to > from ? to - from : 0;
}
