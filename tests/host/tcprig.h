/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TCP connection from a socket through lwIP, the interface and netfront to a backend in memory
 * that sees every frame, and a peer on the wire behind it with a stream of its own. What holds for
 * every frame is checked here: the streams byte for byte, sums, lengths, windows, addresses.
 */
#ifndef TESTS_HOST_TCPRIG_H
#define TESTS_HOST_TCPRIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/time.h"
#include "tests/host/fakeback.h"

#define TCP_STREAM_MAX (4 << 20)
#define TCP_LINGER (400 * NSEC_PER_SEC) /* longer than TIME_WAIT and all retransmissions */

/* What a backend says of the TCP sum of a frame that it delivers. */
enum tcp_sum {
    TCP_SUM_BLANK,     /* only the pseudo header's is there */
    TCP_SUM_VALIDATED, /* it was right; here it is not, as nobody has to look */
    TCP_SUM_FULL,      /* nothing: it is there, and to be looked at */
    TCP_SUMS
};

/* How the peer and the way to it are; 0 is what is usual. */
struct conditions {
    bool six;
    unsigned mss, mtu;
    uint32_t window;
    bool no_timestamps;
    unsigned loss;         /* frames of 1000, either way */
    unsigned close_every;  /* the window closes for half a second after so many bytes; 0: never */
    bool dark;             /* all is lost, as long as this is set */
    bool no_gso;           /* the backend does not cut */
    bool no_sum4, no_sum6; /* nor sum what is TCP over IPv4, over IPv6 */
    uint32_t in;           /* how much the peer sends */
    unsigned in_largest;   /* of payload in a frame of it; 0: what the mtu allows */
    unsigned in_sums;      /* a mask of 1 << enum tcp_sum; 0: vouched for */
    unsigned in_spoilt;    /* of 1000 frames of TCP_SUM_FULL, so many have a byte that is wrong */
    bool in_held;          /* the backend delivers nothing, as long as this is set */
};

struct tcp_peer {
    bool open, closing;
    uint16_t port;
    uint32_t irs, iss;
    uint32_t got;  /* bytes of the stream in order */
    uint32_t edge; /* the largest offset it allowed so far */
    uint32_t end;  /* where the guest said that the stream ends */
    uint32_t stamp;
    bool shut; /* its window is closed */
    uint32_t next_close;
    unsigned large, pieces; /* frames that were to be cut, frames on the wire */
    uint32_t largest;
    /* Its own stream: what it sent (after a time-out again), ever sent, has acknowledged. */
    uint32_t sent, top, acked;
    uint32_t room; /* the guest's window */
    unsigned scale;
    unsigned in_large, again, spoilt; /* frames larger than the mtu, time-outs, wrong frames */
    uint32_t in_largest;
};

extern struct conditions cond;
extern struct fake_net vif;
extern struct tcp_peer peer;

/* What the guest's stream has at (offset); the peer's is its complement. */
uint8_t rig_pattern(uint32_t offset);
/* Boot with a vif that is up, and the addresses of the peer's network. */
void rig_begin(struct conditions c);
/* Plug the vif in, with the guest's addresses and (mac). */
void rig_plug(const char *mac);
/* Whether the backend cuts; from its next life on. */
void rig_gso(bool on);
/* The same for which families it sums: (cond) says. */
void rig_sums(void);
/* The peer as it was before any connection; the next one is of IPv6, or not. */
void rig_renew(bool six);
/* A socket that is connected to the peer. */
int rig_connect(void);
/* The guest's stream from (from) to (to), in calls of at most (most) bytes. */
void rig_send(int fd, uint32_t from, uint32_t to, uint32_t most);
/* What can be sent at once of the same from (from) on, up to (to): where it ends. */
uint32_t rig_send_some(int fd, uint32_t from, uint32_t to);
/* What has come of the peer's stream, of which (from) bytes were read, up to (to): where it ends.
 */
uint32_t rig_receive_some(int fd, uint32_t from, uint32_t to);
/* Frames that wait for the guest. */
unsigned rig_waiting(void);
/* Close, and see that all of both streams arrived and nothing is left; (before) is what
 * rig_memory returned before the connection. */
void rig_finish(int fd, size_t before, uint32_t total);
size_t rig_memory(void);

#endif
