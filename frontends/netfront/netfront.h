/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netfront: Ethernet frames to and from a network backend (xen/io/netif.h).
 *
 * A frame out is copied once into granted transmit pages. A frame in is handed up after its grants
 * were revoked (the page is then private) or after a copy (small frames); its pages may be given
 * back. Both may be TCP segments larger than the mtu, up to 64 KiB. Handing up happens in the
 * caller of netfront_poll, a thread of the user's; the driver has no thread of its own.
 *
 * A vif has many lives (frontends/common/life.h): while it has no link, it takes no frame and
 * hands up none, and the user's thread calls netfront_reopen until there is one again:
 *
 *     netfront_create  netfront_open  { netfront_poll while netfront_link, netfront_reopen }...
 */
#ifndef FRONTENDS_NETFRONT_H
#define FRONTENDS_NETFRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/thread.h"
#include "lib/base/macros.h"

struct netfront;

/* Checksum notes that travel with a frame. */
enum netfront_csum {
    NETFRONT_CSUM_NONE,      /* in: verify it yourself */
    NETFRONT_CSUM_VALIDATED, /* in: the backend vouches for it */
    NETFRONT_CSUM_BLANK,     /* out and in: only the pseudo header's sum is filled in; in: the data
                                came from this machine and is intact */
};

struct netfront_frag {
    void *data; /* first byte of the data */
    uint16_t len;
    void *page; /* received frames: the private page it lies in, now the user's:
                   netfront_give_back or page_free when done. NULL: the data is only valid
                   during the call */
};

#define NETFRONT_FRAGS_MAX 18

struct netfront_frame {
    struct netfront_frag frag[NETFRONT_FRAGS_MAX];
    unsigned nr_frags;
    uint32_t len;
    enum netfront_csum csum;
    unsigned life; /* for netfront_give_back */
};

/* Multicast groups, by their Ethernet addresses. */
#define NETFRONT_GROUPS_MAX 64 /* as many as Linux's backend keeps */

struct netfront_groups {
    uint8_t mac[NETFRONT_GROUPS_MAX][6];
    unsigned nr; /* more than NETFRONT_GROUPS_MAX: there are too many, so all */
};

struct netfront_user {
    void *arg;
    /* A frame came in; called inside netfront_poll. */
    void (*input)(void *arg, struct netfront_frame *frame);
    /* There is something for netfront_poll to do (frames, room after a full ring, link change).
     * Any context, event handlers included; may be called before netfront_create returns. */
    void (*wake)(void *arg);
};

struct netfront_info {
    char name[16]; /* "vif0" */
    uint8_t mac[6];
    uint16_t mtu;
    bool link;    /* netfront_link */
    char ip[128]; /* the toolstack's "ip" node, "" when absent */
    /* The backend takes frames with CSUM_BLANK, of IPv4 and of IPv6. */
    bool csum_offload, csum_offload6;
    /* It cuts TCP segments: netfront_send_large. */
    bool large4, large6;
    uint32_t tx_max; /* longest frame that send takes, Ethernet header included */
    uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, rx_dropped, tx_dropped;
    uint64_t tx_large; /* of tx_frames: by netfront_send_large */
    uint64_t notifies, events;
    unsigned lives, queues; /* how often it was connected; queues it has now, or had last */
};

/* The vif device/vif/(handle); xs_list of "device/vif" names the handles ("0", "1", ...). It need
 * not be there yet, and nothing is said to anybody. 0 or -errno with a log line. */
int netfront_create(const char *handle, const struct netfront_user *user,
                    struct netfront **out) MUST_CHECK;
/* Ends a netfront_reopen under way, in another thread, once and for all. Any context. */
void netfront_cancel(struct netfront *nf);
/* Closes it before. Nobody may be in another call. */
void netfront_destroy(struct netfront *nf);

/* Connect to the backend: one attempt of at most 30 s. 0 or -errno with a log line that names the
 * key at fault. The thread that polls, as reopen and close. */
int netfront_open(struct netfront *nf) MUST_CHECK;
/* Close, then connect as often as there is hope until (deadline). The address, the mtu and what the
 * backend can may be others afterwards; frames that were not sent are dropped. 0, -ETIMEDOUT,
 * -ECANCELED. */
int netfront_reopen(struct netfront *nf, nsec_t deadline) MUST_CHECK;
/* Part from the backend, which has a bounded time to let go. Idempotent. */
void netfront_close(struct netfront *nf);

/* The backend is connected, and did nothing wrong. Any context. */
bool netfront_link(const struct netfront *nf);

/* Queue one frame from (n) fragments; copied before it returns, (csum) NONE or BLANK.
 * 0, -ENOBUFS when the ring is full (wake is called when there is room), -ENETDOWN, -EMSGSIZE.
 * The backend is kicked by netfront_kick, once per burst. Serialised inside. Any thread. */
int netfront_send(struct netfront *nf, const struct netfront_frag *frags, unsigned n,
                  enum netfront_csum csum) MUST_CHECK;
/* The same for one large TCP segment with CSUM_BLANK, which whoever needs that (a bridge, a network
 * card, or nobody) cuts into segments of (cut) bytes of payload; it has more than that.
 * -EMSGSIZE also when the backend does not take these: (large4) or (large6) tells before. */
int netfront_send_large(struct netfront *nf, const struct netfront_frag *frags, unsigned n,
                        uint16_t cut) MUST_CHECK;
void netfront_kick(struct netfront *nf);

/* Adds (mac) to (g), unless it is there. */
void netfront_add_group(struct netfront_groups *g, const uint8_t mac[6]);
/* From now on these groups are wanted, and no others: a backend that can filters. Frames of others
 * may come all the same. Before the first call all are wanted. Any thread. */
void netfront_set_groups(struct netfront *nf, const struct netfront_groups *wanted);
/* After netfront_poll, in the same thread, without locks of the user's: waits for the store when a
 * backend is to stop filtering. */
void netfront_mind_groups(struct netfront *nf);

/* Take at most (budget) frames in, recycle transmit pages, refill, re-arm. True when there is
 * more to do now. False without a link. One thread at a time. */
bool netfront_poll(struct netfront *nf, unsigned budget);

/* Instead of page_free(page), of a frame of (life): the backend gets it to write to again, and to
 * see. What the user wrote into it is zeroed. Any thread. */
void netfront_give_back(struct netfront *nf, void *page, unsigned life);

void netfront_get_info(struct netfront *nf, struct netfront_info *out);

#endif
