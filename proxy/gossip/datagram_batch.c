/* proxy/gossip/datagram_batch.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/datagram_batch.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum {
    HEADROOM = 16, /* GOSSIP_HEAD_BYTES, and what keeps the packet aligned */
    PACKET_BYTES_MAX = 65535,
    ROOM_BYTES = 65536 + 128, /* headroom, packet, GOSSIP_TAIL_BYTES_MAX; whole cache lines */
    CONTROL_BYTES =
        CMSG_SPACE(sizeof(struct sockaddr_in6)) + CMSG_SPACE(sizeof(struct in6_pktinfo)),
    LOOPBACK_INTERFACE = 1, /* in each network namespace */
};

_Static_assert((int)HEADROOM >= (int)GOSSIP_HEAD_BYTES, "sealing writes before the packet");
_Static_assert((int)ROOM_BYTES >=
                   (int)HEADROOM + (int)PACKET_BYTES_MAX + (int)GOSSIP_TAIL_BYTES_MAX,
               "sealing writes behind the packet");

struct datagram_batch {
    uint8_t *rooms;  /* pages that are touched only as far as packets are long */
    size_t received; /* by the last call: as many are prepared anew */
    struct datagram at[DATAGRAM_BATCH];
    struct mmsghdr messages[DATAGRAM_BATCH];
    struct iovec parts[DATAGRAM_BATCH];
    struct sockaddr_storage sources[DATAGRAM_BATCH];
    union {
        struct cmsghdr align;
        char bytes[CONTROL_BYTES];
    } controls[DATAGRAM_BATCH];
};

struct datagram_batch *datagram_batch_new(void)
{
    struct datagram_batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL) {
        return NULL;
    }
    void *rooms = mmap(NULL, (size_t)DATAGRAM_BATCH * ROOM_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (rooms == MAP_FAILED) {
        free(batch);
        return NULL;
    }
    batch->rooms = rooms;
    batch->received = DATAGRAM_BATCH;
    return batch;
}

void datagram_batch_free(struct datagram_batch *batch)
{
    if (batch != NULL) {
        (void)munmap(batch->rooms, (size_t)DATAGRAM_BATCH * ROOM_BYTES);
        free(batch);
    }
}

static void prepare(struct datagram_batch *batch, size_t index)
{
    batch->parts[index] =
        (struct iovec){batch->rooms + index * ROOM_BYTES + HEADROOM, PACKET_BYTES_MAX};
    batch->messages[index].msg_hdr = (struct msghdr){
        .msg_name = &batch->sources[index],
        .msg_namelen = sizeof(batch->sources[index]),
        .msg_iov = &batch->parts[index],
        .msg_iovlen = 1,
        .msg_control = batch->controls[index].bytes,
        .msg_controllen = CONTROL_BYTES,
    };
}

static void read_address(const struct cmsghdr *control, struct datagram *datagram)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    memcpy(&address, CMSG_DATA(control),
           control->cmsg_level == SOL_IP ? sizeof(struct sockaddr_in)
                                         : sizeof(struct sockaddr_in6));
    (void)endpoint_from_sockaddr(&datagram->destination, (const struct sockaddr *)&address);
}

static void read_interface(const struct cmsghdr *control, struct datagram *datagram)
{
    struct in_pktinfo ip4;
    struct in6_pktinfo ip6;
    bool is_ip4 = control->cmsg_level == SOL_IP;
    memcpy(is_ip4 ? (void *)&ip4 : (void *)&ip6, CMSG_DATA(control),
           is_ip4 ? sizeof(ip4) : sizeof(ip6));
    datagram->is_from_here =
        (is_ip4 ? (unsigned)ip4.ipi_ifindex : (unsigned)ip6.ipi6_ifindex) == LOOPBACK_INTERFACE;
}

static void read_controls(struct msghdr *message, struct datagram *datagram)
{
    datagram->destination = (struct endpoint){.port = 0};
    datagram->is_from_here = false;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL;
         control = CMSG_NXTHDR(message, control)) {
        bool is_ip4 = control->cmsg_level == SOL_IP;
        if (!is_ip4 && control->cmsg_level != SOL_IPV6) {
            continue;
        }
        if (control->cmsg_type == (is_ip4 ? IP_ORIGDSTADDR : IPV6_ORIGDSTADDR)) {
            read_address(control, datagram);
        } else if (control->cmsg_type == (is_ip4 ? IP_PKTINFO : IPV6_PKTINFO)) {
            read_interface(control, datagram);
        }
    }
}

static void finish(struct datagram_batch *batch, size_t index)
{
    struct datagram *datagram = &batch->at[index];
    datagram->packet.at = batch->parts[index].iov_base;
    datagram->packet.len = batch->messages[index].msg_len;
    (void)endpoint_from_sockaddr(&datagram->source,
                                 (const struct sockaddr *)&batch->sources[index]);
    read_controls(&batch->messages[index].msg_hdr, datagram);
}

size_t datagram_batch_receive(struct datagram_batch *batch, int descriptor)
{
    for (size_t i = 0; i < batch->received; i++) {
        prepare(batch, i);
    }
    int count = recvmmsg(descriptor, batch->messages, DATAGRAM_BATCH, MSG_DONTWAIT, NULL);
    batch->received = count > 0 ? (size_t)count : 0;
    for (size_t i = 0; i < batch->received; i++) {
        finish(batch, i);
    }
    return batch->received;
}

struct datagram *datagram_batch_at(struct datagram_batch *batch, size_t index)
{
    return &batch->at[index];
}
