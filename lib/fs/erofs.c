/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An EROFS reader. The image:
 *
 *     1024          superblock: block size, where the metadata begin, nid of the root
 *     meta + nid*32 inode, compact (32 bytes) or extended (64), extended attributes behind it,
 *                   and, with the inline layout, the tail of its data that fills no block
 *     blocks        the rest of the data, side by side
 *
 * A directory is made of blocks of its own: entries of 12 bytes (nid, offset of the name, type), in
 * the order of their names, then the names. The first entry's name offset gives their number.
 *
 * The image may be damaged or made to harm. So:
 * I1 Every field is taken from a block of the cache or a copy, which do not change meanwhile.
 * I2 All of an inode's data lie within the image; checked once, when the inode is read, in 64
 *    bits, where no sum of these fields overflows (image sizes are below 2^63).
 * I3 Every loop is bounded by a length that was checked: entries by the block's size, blocks by
 *    the directory's size, path steps by EROFS_PATH_MAX, links by EROFS_LINKS_MAX.
 * I4 A directory block, plain or inline, lies within one block of the cache; inline data that
 *    would cross a block is damage.
 */
#include "lib/fs/erofs.h"

#include "kernel/heap.h"
#include "kernel/log.h"
#include "lib/base/errno.h"
#include "lib/base/string.h"

#define SUPER_AT 1024
#define SUPER_SIZE 128
#define MAGIC 0xe0f5e1e2U
#define COMPAT_CHECKSUM 0x1U
#define SLOT 32 /* unit of a nid */
#define ENTRY_SIZE 12U

enum layout { FLAT_PLAIN, COMPRESSED_FULL, FLAT_INLINE, COMPRESSED_COMPACT, CHUNKED };

struct erofs {
    struct block_cache *cache;
    uint64_t meta_at, root, end; /* bytes, nid, size of the image in bytes */
    unsigned block_bits;
    uint64_t epoch; /* mtime of compact inodes */
    uint32_t epoch_nsec;
    struct erofs_info info;
    struct log_limit limit;
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static int damaged(struct erofs *fs, uint64_t nid, const char *what)
{
    if (log_allowed(&fs->limit))
        log_err("erofs: inode %llu: %s", (unsigned long long)nid, what);
    return -EUCLEAN;
}

static bool is_dir(const struct erofs_inode *inode)
{
    return (inode->mode & EROFS_IFMT) == EROFS_IFDIR;
}

/* Old images of this kind say nothing in their superblock. */
static int unreadable(struct erofs *fs, uint64_t nid)
{
    if (log_allowed(&fs->limit))
        log_err("erofs: inode %llu is compressed or in chunks: make the image with mkfs.erofs "
                "without -z and --chunksize",
                (unsigned long long)nid);
    return -EOPNOTSUPP;
}

/* ---- superblock ---- */

/* What an image may need that this reader does not have, and how to do without. */
static const struct feature {
    uint32_t bit;
    const char *name, *remedy;
} features[] = {
    {0x001, "compression", "without -z"},
    {0x002, "compression", "without -z"},
    {0x004, "chunk-based files", "without --chunksize and --blobdev"},
    {0x008, "several devices or compression", "without --blobdev and -z"},
    {0x010, "packed compressed tails", "without -z and -E"},
    {0x020, "fragments or deduplication", "without -z and -E"},
    {0x080, "48-bit blocks", "without -E"},
    {0x100, "a metadata box", "without -E and -m"},
};
/* Prefixes of extended attributes, which are not read. */
#define INCOMPAT_IGNORED 0x040U

static int check_features(uint32_t incompat)
{
    uint32_t known = INCOMPAT_IGNORED;

    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        known |= features[i].bit;
        if ((incompat & features[i].bit) == 0)
            continue;
        log_err("erofs: the image uses %s: make the image with mkfs.erofs %s", features[i].name,
                features[i].remedy);
        return -EOPNOTSUPP;
    }
    if ((incompat & ~known) == 0)
        return 0;
    log_err("erofs: the image uses unknown features (0x%x): make the image with mkfs.erofs without "
            "options",
            incompat & ~known);
    return -EOPNOTSUPP;
}

static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t len)
{
    for (; len > 0; p++, len--) {
        crc ^= *p;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
    }
    return crc;
}

/* Over the superblock to the end of its block, its own field taken as zero. */
static int check_checksum(const uint8_t *first_block, unsigned block_bits)
{
    static const uint8_t zero[4];
    const uint8_t *super = first_block + SUPER_AT;
    size_t block = (size_t)1 << block_bits;
    size_t len = block > SUPER_AT ? block - SUPER_AT : block;
    uint32_t crc = crc32c(~0U, super, 4);

    crc = crc32c(crc, zero, 4);
    crc = crc32c(crc, super + 8, len - 8);
    if (crc == get32(super + 4))
        return 0;
    log_err("erofs: the checksum of the superblock is wrong");
    return -EUCLEAN;
}

static int read_super(struct erofs *fs, const uint8_t *first_block)
{
    const uint8_t *s = first_block + SUPER_AT;
    int rc;

    if (get32(s) != MAGIC) {
        log_err("erofs: no EROFS image (magic 0x%08x)", get32(s));
        return -EINVAL;
    }
    rc = check_features(get32(s + 80));
    if (rc != 0)
        return rc;
    fs->block_bits = s[12];
    if (fs->block_bits < 9 || fs->block_bits > 12 || s[90] != 0) {
        log_err("erofs: blocks of 2^%u bytes are not supported: make the image with mkfs.erofs "
                "-b 4096",
                fs->block_bits + s[90]);
        return -EOPNOTSUPP;
    }
    if ((get32(s + 8) & COMPAT_CHECKSUM) != 0 && check_checksum(first_block, fs->block_bits) != 0)
        return -EUCLEAN;
    fs->root = get16(s + 14);
    fs->epoch = get64(s + 24);
    fs->epoch_nsec = get32(s + 32);
    fs->meta_at = (uint64_t)get32(s + 40) << fs->block_bits;
    fs->info.block_size = 1U << fs->block_bits;
    fs->info.blocks = get32(s + 36);
    fs->info.inodes = get64(s + 16);
    memcpy(fs->info.volume, s + 64, 16);
    return 0;
}

static int check_extent(struct erofs *fs)
{
    struct erofs_inode root;
    uint64_t have = block_cache_size(fs->cache);
    int rc;

    fs->end = fs->info.blocks << fs->block_bits;
    if (fs->end > have) {
        log_err("erofs: the image is cut: %llu bytes of %llu are there", (unsigned long long)have,
                (unsigned long long)fs->end);
        return -EUCLEAN;
    }
    rc = erofs_inode_get(fs, fs->root, &root);
    return rc == 0 && !is_dir(&root) ? damaged(fs, fs->root, "the root is no directory") : rc;
}

static int open_image(struct erofs *fs)
{
    const struct block *b;
    int rc;

    if (block_cache_size(fs->cache) < SUPER_AT + SUPER_SIZE) {
        log_err("erofs: no EROFS image (%llu bytes)",
                (unsigned long long)block_cache_size(fs->cache));
        return -EINVAL;
    }
    rc = block_get(fs->cache, 0, &b);
    if (rc != 0)
        return rc;
    rc = read_super(fs, b->data);
    block_put(fs->cache, b);
    return rc != 0 ? rc : check_extent(fs);
}

int erofs_mount(const struct fs_device *dev, size_t budget, struct erofs **out)
{
    struct erofs *fs = heap_alloc_zeroed(sizeof(*fs));
    int rc;

    if (fs == NULL)
        return -ENOMEM;
    rc = block_cache_create(dev, budget, &fs->cache);
    if (rc == 0)
        rc = open_image(fs);
    if (rc != 0) {
        erofs_unmount(fs);
        return rc;
    }
    *out = fs;
    return 0;
}

void erofs_unmount(struct erofs *fs)
{
    if (fs == NULL)
        return;
    block_cache_destroy(fs->cache);
    heap_free(fs);
}

/* ---- inodes ---- */

static void decode_compact(const struct erofs *fs, const uint8_t *p, struct erofs_inode *out)
{
    out->nlink = get16(p + 6);
    out->size = get32(p + 8);
    out->uid = get16(p + 24);
    out->gid = get16(p + 26);
    out->mtime = fs->epoch;
    out->mtime_nsec = fs->epoch_nsec;
    out->ino = get32(p + 20);
}

static void decode_extended(const uint8_t *p, struct erofs_inode *out)
{
    out->size = get64(p + 8);
    out->ino = get32(p + 20);
    out->uid = get32(p + 24);
    out->gid = get32(p + 28);
    out->mtime = get64(p + 32);
    out->mtime_nsec = get32(p + 40);
    out->nlink = get32(p + 44);
}

static bool holds_data(uint32_t mode)
{
    uint32_t type = mode & EROFS_IFMT;

    return type == EROFS_IFREG || type == EROFS_IFDIR || type == EROFS_IFLNK;
}

/* I2, for (len) bytes at (at). */
static bool inside(const struct erofs *fs, uint64_t at, uint64_t len)
{
    return at <= fs->end && len <= fs->end - at;
}

/* Where the data are. (u): the inode's field for it; (behind): end of inode and attributes. */
static int locate_data(struct erofs *fs, struct erofs_inode *in, unsigned layout, uint32_t u,
                       uint64_t behind)
{
    uint64_t block = fs->info.block_size, tail;

    in->data_at = (uint64_t)u << fs->block_bits;
    in->tail_from = in->size;
    in->tail_at = behind;
    if (layout == FLAT_INLINE && in->size > 0) {
        in->tail_from = (in->size - 1) & ~(block - 1);
        tail = in->size - in->tail_from;
        if ((behind & (block - 1)) + tail > block || !inside(fs, behind, tail)) /* I4 */
            return damaged(fs, in->nid, "its inline data do not fit");
    }
    if (in->tail_from > 0 && !inside(fs, in->data_at, in->tail_from))
        return damaged(fs, in->nid, "its data lie outside the image");
    return 0;
}

/* (p): 32 bytes, or 64 of an extended inode; (at): where in the image they are. */
static int decode_inode(struct erofs *fs, const uint8_t *p, uint64_t at, struct erofs_inode *out)
{
    unsigned format = get16(p), attrs = get16(p + 2), layout = format >> 1 & 7;
    bool extended = (format & 1) != 0;
    uint64_t behind = at + (extended ? 64 : 32) + (attrs == 0 ? 0 : 12 + 4 * (attrs - 1));

    out->mode = get16(p + 4);
    if (extended)
        decode_extended(p, out);
    else
        decode_compact(fs, p, out);
    if ((format & ~0xfU) != 0)
        return damaged(fs, out->nid, "its format is unknown");
    if (!holds_data(out->mode)) {
        out->rdev = get32(p + 16);
        out->size = 0;
        return 0;
    }
    if (layout != FLAT_PLAIN && layout != FLAT_INLINE)
        return unreadable(fs, out->nid);
    if (out->size > INT64_MAX)
        return damaged(fs, out->nid, "its size is impossible");
    return locate_data(fs, out, layout, get32(p + 16), behind);
}

int erofs_inode_get(struct erofs *fs, uint64_t nid, struct erofs_inode *out)
{
    uint64_t at = fs->meta_at + nid * SLOT;
    struct erofs_inode in;
    uint8_t raw[64] = {0};
    int rc;

    memset(&in, 0, sizeof(in));
    in.nid = nid;
    if (nid > fs->end / SLOT || !inside(fs, at, SLOT))
        return damaged(fs, nid, "it lies outside the image");
    rc = block_read(fs->cache, at, raw, SLOT);
    if (rc == 0 && (raw[0] & 1) != 0) {
        if (!inside(fs, at, sizeof(raw)))
            return damaged(fs, nid, "it lies outside the image");
        rc = block_read(fs->cache, at + SLOT, raw + SLOT, SLOT);
    }
    if (rc == 0)
        rc = decode_inode(fs, raw, at, &in);
    if (rc == 0)
        *out = in;
    return rc;
}

/* ---- data ---- */

long erofs_read(struct erofs *fs, const struct erofs_inode *inode, uint64_t offset, void *buf,
                size_t len)
{
    size_t plain = 0;
    int rc = 0;

    if (offset >= inode->size)
        return 0;
    len = MIN(len, inode->size - offset);
    if (offset < inode->tail_from) {
        plain = MIN(len, inode->tail_from - offset);
        rc = block_read(fs->cache, inode->data_at + offset, buf, plain);
    }
    if (rc == 0 && plain < len)
        rc = block_read(fs->cache, inode->tail_at + (offset + plain - inode->tail_from),
                        (char *)buf + plain, len - plain);
    return rc != 0 ? rc : (long)len;
}

long erofs_readlink(struct erofs *fs, const struct erofs_inode *inode, char *buf, size_t size)
{
    long len;

    if ((inode->mode & EROFS_IFMT) != EROFS_IFLNK)
        return -EINVAL;
    if (inode->size == 0 || inode->size >= FS_BLOCK_SIZE)
        return damaged(fs, inode->nid, "its link has an impossible length");
    len = erofs_read(fs, inode, 0, buf, size == 0 ? 0 : MIN(size - 1, inode->size));
    if (len < 0)
        return len;
    if (size > 0)
        buf[len] = '\0';
    if (memchr(buf, '\0', (size_t)len) != NULL)
        return damaged(fs, inode->nid, "its link contains a NUL");
    return (long)inode->size;
}

/* ---- directories ---- */

/* One block of a directory, held in the cache. */
struct dir_block {
    const struct block *held;
    const uint8_t *data;
    unsigned len, count; /* bytes, entries */
};

static unsigned name_at(const struct dir_block *d, unsigned i)
{
    return i < d->count ? get16(d->data + i * ENTRY_SIZE + 8) : d->len;
}

/* The name of entry (i), not terminated, and its length; NULL when it is damaged. */
static const char *entry_name(const struct dir_block *d, unsigned i, size_t *len)
{
    unsigned from = name_at(d, i), to = name_at(d, i + 1);

    if (from < d->count * ENTRY_SIZE || from >= to || to > d->len)
        return NULL;
    *len = strnlen((const char *)d->data + from, to - from);
    if (*len == 0 || *len > EROFS_NAME_MAX || memchr(d->data + from, '/', *len) != NULL)
        return NULL;
    return (const char *)d->data + from;
}

/* Hold block (i) of (dir), which has it. I4: it never crosses a block of the cache. */
static int dir_open(struct erofs *fs, const struct erofs_inode *dir, uint64_t i,
                    struct dir_block *out)
{
    uint64_t offset = i << fs->block_bits;
    uint64_t at =
        offset < dir->tail_from ? dir->data_at + offset : dir->tail_at + (offset - dir->tail_from);
    unsigned first;
    int rc = block_get(fs->cache, at / FS_BLOCK_SIZE, &out->held);

    if (rc != 0)
        return rc;
    out->data = out->held->data + at % FS_BLOCK_SIZE;
    out->len = (unsigned)MIN(dir->size - offset, (uint64_t)fs->info.block_size);
    first = out->len < ENTRY_SIZE ? 0 : get16(out->data + 8);
    out->count = first / ENTRY_SIZE;
    if (first >= ENTRY_SIZE && first % ENTRY_SIZE == 0 && first < out->len)
        return 0;
    block_put(fs->cache, out->held);
    return damaged(fs, dir->nid, "a directory block makes no sense");
}

static int fill_entry(const struct dir_block *d, unsigned i, struct erofs_entry *out)
{
    size_t len;
    const char *name = entry_name(d, i, &len);

    if (name == NULL)
        return -EUCLEAN;
    memcpy(out->name, name, len);
    out->name[len] = '\0';
    out->nid = get64(d->data + i * ENTRY_SIZE);
    out->type = d->data[i * ENTRY_SIZE + 10];
    if (out->type > EROFS_LNK)
        out->type = EROFS_UNKNOWN;
    return 0;
}

/* The cursor is the block's number in the upper bits and the entry's in the lower 16. */
int erofs_readdir(struct erofs *fs, const struct erofs_inode *dir, uint64_t *cursor,
                  struct erofs_entry *out)
{
    struct dir_block d;
    int rc;

    if (!is_dir(dir))
        return -ENOTDIR;
    for (;;) {
        uint64_t block = *cursor >> 16;
        unsigned i = *cursor & 0xffff;

        if (block >= DIV_ROUND_UP(dir->size, (uint64_t)fs->info.block_size))
            return 0;
        rc = dir_open(fs, dir, block, &d);
        if (rc != 0)
            return rc;
        if (i < d.count) {
            rc = fill_entry(&d, i, out);
            block_put(fs->cache, d.held);
            if (rc != 0)
                return damaged(fs, dir->nid, "a directory entry makes no sense");
            ++*cursor;
            return 1;
        }
        block_put(fs->cache, d.held);
        *cursor = (block + 1) << 16; /* I3 */
    }
}

/* As strcmp, for names that end by their length. */
static int compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int rc = memcmp(a, b, MIN(a_len, b_len));

    return rc != 0 ? rc : (a_len > b_len) - (a_len < b_len);
}

/* Find a name in a block: 0 and its nid, 1 when all names are smaller, -ENOENT when it would be
 * here or in an earlier block, -EUCLEAN. (*before): it would be in an earlier block. */
static int search_block(const struct dir_block *d, const char *name, size_t len, bool *before,
                        uint64_t *nid)
{
    *before = false;
    for (unsigned i = 0; i < d->count; i++) {
        size_t have_len;
        const char *have = entry_name(d, i, &have_len);
        int order = have == NULL ? 0 : compare_names(name, len, have, have_len);

        if (have == NULL)
            return -EUCLEAN;
        if (order == 0)
            *nid = get64(d->data + i * ENTRY_SIZE);
        if (order <= 0) {
            *before = order < 0 && i == 0;
            return order == 0 ? 0 : -ENOENT;
        }
    }
    return 1;
}

/* The nid of (name) in (dir), by bisection over its blocks. */
static int search_dir(struct erofs *fs, const struct erofs_inode *dir, const char *name, size_t len,
                      uint64_t *nid)
{
    uint64_t low = 0, high = DIV_ROUND_UP(dir->size, (uint64_t)fs->info.block_size);

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct dir_block d;
        bool before;
        int rc = dir_open(fs, dir, middle, &d);

        if (rc != 0)
            return rc;
        rc = search_block(&d, name, len, &before, nid);
        block_put(fs->cache, d.held);
        if (rc == -EUCLEAN)
            return damaged(fs, dir->nid, "a directory entry makes no sense");
        if (rc <= 0 && !before)
            return rc;
        if (before)
            high = middle;
        else
            low = middle + 1;
    }
    return -ENOENT;
}

/* ---- paths ---- */

/* A look-up under way: the directory reached, and the rest of the path, which lies at the end of
 * the buffer, so that the target of a link can be put in front of it. */
struct walk {
    struct erofs_inode at;
    char *rest;
    unsigned links;
    bool follow_last;
    char path[EROFS_PATH_MAX];
};

static size_t slashes(const char *s)
{
    size_t n = 0;

    while (s[n] == '/')
        n++;
    return n;
}

/* Put (len) bytes in front of what is left of the path. */
static int prepend(struct walk *w, size_t len, char **where)
{
    if (len > (size_t)(w->rest - w->path))
        return -ENAMETOOLONG;
    w->rest -= len;
    *where = w->rest;
    return 0;
}

static int follow(struct erofs *fs, struct walk *w, const struct erofs_inode *link)
{
    char *target;
    long len;
    int rc;

    if (++w->links > EROFS_LINKS_MAX)
        return -ELOOP;
    if (link->size == 0 || link->size >= FS_BLOCK_SIZE)
        return damaged(fs, link->nid, "its link has an impossible length");
    rc = prepend(w, (size_t)link->size, &target);
    if (rc != 0)
        return rc;
    len = erofs_read(fs, link, 0, target, (size_t)link->size);
    if (len < 0)
        return (int)len;
    if (memchr(target, '\0', (size_t)len) != NULL)
        return damaged(fs, link->nid, "its link contains a NUL");
    return *target == '/' ? erofs_inode_get(fs, fs->root, &w->at) : 0;
}

/* "." anywhere and ".." in the root. */
static bool stays(const struct erofs *fs, const struct walk *w, const char *name, size_t len)
{
    return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.' && w->at.nid == fs->root));
}

/* One component: w->at is the directory, then the file. */
static int step(struct erofs *fs, struct walk *w)
{
    char *name = w->rest, *end = strchr(name, '/');
    size_t len = end == NULL ? strlen(name) : (size_t)(end - name);
    struct erofs_inode next;
    uint64_t nid;
    int rc;

    if (!is_dir(&w->at))
        return -ENOTDIR;
    if (len > EROFS_NAME_MAX)
        return -ENAMETOOLONG;
    w->rest += len;
    if (stays(fs, w, name, len))
        return 0;
    rc = search_dir(fs, &w->at, name, len, &nid);
    if (rc == 0)
        rc = erofs_inode_get(fs, nid, &next);
    if (rc != 0)
        return rc;
    if ((next.mode & EROFS_IFMT) == EROFS_IFLNK && (*w->rest != '\0' || w->follow_last))
        return follow(fs, w, &next);
    w->at = next;
    return 0;
}

static int walk_path(struct erofs *fs, struct walk *w)
{
    int rc = erofs_inode_get(fs, fs->root, &w->at);

    while (rc == 0) {
        size_t skip = slashes(w->rest);

        w->rest += skip;
        if (*w->rest != '\0')
            rc = step(fs, w); /* I3: every step eats a name or follows a link */
        else
            return skip > 0 && !is_dir(&w->at) ? -ENOTDIR : 0;
    }
    return rc;
}

static int lookup(struct erofs *fs, const char *path, bool follow_last, struct erofs_inode *out)
{
    size_t len = strnlen(path, EROFS_PATH_MAX);
    struct walk *w;
    int rc;

    if (len == EROFS_PATH_MAX)
        return -ENAMETOOLONG;
    w = heap_alloc(sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->links = 0;
    w->follow_last = follow_last;
    w->rest = w->path + EROFS_PATH_MAX - len - 1;
    memcpy(w->rest, path, len + 1);
    rc = walk_path(fs, w);
    if (rc == 0)
        *out = w->at;
    heap_free(w);
    return rc;
}

int erofs_lookup(struct erofs *fs, const char *path, struct erofs_inode *out)
{
    return lookup(fs, path, true, out);
}

int erofs_lookup_link(struct erofs *fs, const char *path, struct erofs_inode *out)
{
    return lookup(fs, path, false, out);
}

void erofs_get_info(const struct erofs *fs, struct erofs_info *out)
{
    *out = fs->info;
}

struct block_cache *erofs_cache(struct erofs *fs)
{
    return fs->cache;
}
