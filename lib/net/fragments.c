/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPv6 fragments that lwIP must not put together. It counts the bytes of a packet in 16 bits, but
 * IPv6's headers come before the 65535 bytes that a datagram may have. A longer whole fails an
 * assertion of lwIP, which is the end of the domain; anybody who can send us fragments could have
 * that. So the call that puts them together goes through here (LWIP_WRAPS in
 * tools/third-party.mk). IPv4 counts its header, and lwIP looks.
 *
 * I1 No fragment ends where the whole, with all headers that may come before it, is longer than
 *    65535. Those of the first fragment count, which may be another one: so all may have as many.
 */
#include <stdbool.h>
#include <lwip/opt.h>
#include <lwip/ip.h>
#include <lwip/ip6_frag.h>
#include <lwip/pbuf.h>

#define LONGEST 65535u
#define HEADERS_MAX 104u /* IPv6's own and 64 bytes of options */

struct pbuf *__real_ip6_reass(struct pbuf *p);
struct pbuf *__wrap_ip6_reass(struct pbuf *p);

/* (p) begins with the header of the fragment; those before it lie before that. */
struct pbuf *__wrap_ip6_reass(struct pbuf *p)
{
    const struct ip6_frag_hdr *fragment = p->payload;
    unsigned offset = lwip_ntohs(fragment->_fragment_offset) & IP6_FRAG_OFFSET_MASK;
    size_t before = (size_t)((const u8_t *)p->payload - (const u8_t *)ip6_current_header());

    if (before <= HEADERS_MAX && offset + p->tot_len <= LONGEST - HEADERS_MAX)
        return __real_ip6_reass(p);
    pbuf_free(p);
    return NULL;
}
