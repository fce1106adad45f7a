/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request in the words of xen/io/blkif.h, into the ring: direct, with its descriptors in a page
 * of their own (indirect), or a discard.
 *
 * I1 A slot of the ring, which may hold what was there before, is zeroed before it is filled.
 */
#include "frontends/blkfront/internal.h"

#include "lib/base/string.h"

static void describe(const struct segment *seg, struct blkif_request_segment *wire)
{
    *wire = (struct blkif_request_segment){
        .gref = seg->ref,
        .last_sect = (uint8_t)(blkfront_bytes_of_page(seg->io, seg->page) / BLKFRONT_SECTOR - 1)};
}

static void fill_direct(struct queue *q, const struct request *req, struct blkif_request *wire)
{
    wire->operation = req->operation;
    wire->nr_segments = (uint8_t)req->nr;
    wire->handle = q->bf->handle;
    if (req->nr > 0)
        wire->sector_number = blkfront_sector_of(req->seg[0].io, req->seg[0].page);
    for (unsigned i = 0; i < req->nr; i++)
        describe(&req->seg[i], &wire->seg[i]);
}

static void fill_indirect(struct queue *q, const struct request *req,
                          struct blkif_request_indirect *wire)
{
    struct blkif_request_segment *list = req->indirect.va; /* written only */

    wire->operation = BLKIF_OP_INDIRECT;
    wire->indirect_op = req->operation;
    wire->nr_segments = (uint16_t)req->nr;
    wire->sector_number = blkfront_sector_of(req->seg[0].io, req->seg[0].page);
    wire->handle = q->bf->handle;
    wire->indirect_grefs[0] = req->indirect.ref;
    for (unsigned i = 0; i < req->nr; i++)
        describe(&req->seg[i], &list[i]);
}

static void fill_discard(struct queue *q, const struct request *req,
                         struct blkif_request_discard *wire)
{
    uint64_t first;

    wire->operation = req->operation;
    wire->flag = req->single->secure ? BLKIF_DISCARD_SECURE : 0;
    wire->handle = q->bf->handle;
    wire->nr_sectors = blkfront_discardable(q->bf, req->single, &first);
    wire->sector_number = first;
}

void blkfront_wire_put(struct queue *q, unsigned slot)
{
    struct request *req = &q->request[slot];
    struct blkif_request *wire = blk_ring_reserve(&q->ring);
    uint64_t id = slots_id(&q->slots, slot);

    memset(wire, 0, sizeof(*wire)); /* I1 */
    if (req->indirect.va != NULL) {
        fill_indirect(q, req, (struct blkif_request_indirect *)wire);
        ((struct blkif_request_indirect *)wire)->id = id;
    } else if (req->operation == BLKIF_OP_DISCARD) {
        fill_discard(q, req, (struct blkif_request_discard *)wire);
        ((struct blkif_request_discard *)wire)->id = id;
    } else {
        fill_direct(q, req, wire);
        wire->id = id;
    }
    q->counts.requests++;
}
