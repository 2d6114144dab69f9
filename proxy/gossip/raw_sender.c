/* proxy/gossip/raw_sender.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/raw_sender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SEND_BUFFER_BYTES = 4 * 1024 * 1024, /* as much of it as the system allows */
    CONTROL_BYTES = CMSG_SPACE(sizeof(struct in6_pktinfo)),
};

/* One queue a family: the two are different sockets. */
struct queue {
    int descriptor;
    size_t count;
    struct mmsghdr messages[RAW_SENDER_BATCH];
    struct iovec parts[RAW_SENDER_BATCH][2];
    struct udphdr heads[RAW_SENDER_BATCH];
    struct sockaddr_storage destinations[RAW_SENDER_BATCH];
    void *owners[RAW_SENDER_BATCH];
    union {
        struct cmsghdr align;
        char bytes[CONTROL_BYTES];
    } controls[RAW_SENDER_BATCH];
};

struct raw_sender {
    struct queue ip4;
    struct queue ip6;
    void (*on_unsent)(void *self, void *owner);
    void *self;
};

/* ---- sockets ---- */

/* It only sends: a filter that takes nothing spares it every UDP packet of the machine. */
static bool set_options(int descriptor, int family, uint32_t mark)
{
    static const int ON = 1;
    static const int SEND_BUFFER = SEND_BUFFER_BYTES;
    static struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    const struct sock_fprog filter = {.len = 1, .filter = nothing};
    bool is_ip4 = family == AF_INET;
    int level = is_ip4 ? SOL_IP : SOL_IPV6;
    int discovery = is_ip4 ? IP_PMTUDISC_DONT : IPV6_PMTUDISC_DONT;
    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &SEND_BUFFER, sizeof(SEND_BUFFER));
    return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0 &&
           setsockopt(descriptor, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0 &&
           setsockopt(descriptor, level, is_ip4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &ON,
                      sizeof(ON)) == 0 &&
           setsockopt(descriptor, level, is_ip4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &discovery,
                      sizeof(discovery)) == 0;
}

static enum status open_queue(struct queue *queue, int family, uint32_t mark)
{
    queue->descriptor = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (queue->descriptor < 0) {
        return STATUS_SYS;
    }
    return set_options(queue->descriptor, family, mark) ? STATUS_OK : STATUS_SYS;
}

enum status raw_sender_open(struct raw_sender **out, uint32_t mark,
                            void (*on_unsent)(void *self, void *owner), void *self)
{
    struct raw_sender *sender = calloc(1, sizeof(*sender));
    if (sender == NULL) {
        return STATUS_NOMEM;
    }
    sender->on_unsent = on_unsent;
    sender->self = self;
    sender->ip6.descriptor = -1;
    enum status status = open_queue(&sender->ip4, AF_INET, mark);
    if (status == STATUS_OK) {
        status = open_queue(&sender->ip6, AF_INET6, mark);
    }
    if (status != STATUS_OK && (errno != EAFNOSUPPORT || sender->ip4.descriptor < 0)) {
        int why = errno;
        raw_sender_close(sender);
        errno = why;
        return status;
    }
    *out = sender; /* without IPv6 where the system has none */
    return STATUS_OK;
}

void raw_sender_close(struct raw_sender *sender)
{
    if (sender == NULL) {
        return;
    }
    if (sender->ip4.descriptor >= 0) {
        (void)close(sender->ip4.descriptor);
    }
    if (sender->ip6.descriptor >= 0) {
        (void)close(sender->ip6.descriptor);
    }
    free(sender);
}

/* ---- checksum ---- */

static uint64_t sum_words(uint64_t sum, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (; len >= 4; at += 4, len -= 4) {
        uint32_t word;
        memcpy(&word, at, sizeof(word));
        sum += word;
    }
    uint8_t rest[4] = {0};
    memcpy(rest, at, len);
    uint32_t word;
    memcpy(&word, rest, sizeof(word));
    return sum + word;
}

/* The mapped form of IPv4 has the same address bytes behind a prefix that is left out. */
static uint64_t sum_address(uint64_t sum, const struct endpoint *endpoint, bool is_ip4)
{
    return is_ip4 ? sum_words(sum, endpoint->ip + 12, 4) : sum_words(sum, endpoint->ip, 16);
}

uint16_t raw_sender_checksum(const struct raw_packet *packet)
{
    bool is_ip4 = endpoint_is_ip4(&packet->source);
    uint32_t len = (uint32_t)(packet->payload.len + sizeof(struct udphdr));
    const uint16_t words[] = {htons(IPPROTO_UDP),         htons((uint16_t)(len >> 16)),
                              htons((uint16_t)len), /* of the pseudo header */
                              htons((uint16_t)len), /* of the header itself */
                              htons(packet->source.port), htons(packet->destination.port)};
    uint64_t sum = sum_words(0, words, sizeof(words));
    sum = sum_address(sum, &packet->source, is_ip4);
    sum = sum_address(sum, &packet->destination, is_ip4);
    sum = sum_words(sum, packet->payload.at, packet->payload.len);
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    uint16_t folded = (uint16_t)~sum;
    return folded == 0 ? 0xffff : folded; /* zero would mean: none */
}

/* ---- sending ---- */

static void set_source(struct msghdr *message, const struct endpoint *source, bool is_ip4)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    if (is_ip4) {
        struct in_pktinfo info = {.ipi_ifindex = 0};
        memcpy(&info.ipi_spec_dst, source->ip + 12, 4);
        *control = (struct cmsghdr){
            .cmsg_level = SOL_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(info))};
        memcpy(CMSG_DATA(control), &info, sizeof(info));
        message->msg_controllen = CMSG_SPACE(sizeof(info));
        return;
    }
    struct in6_pktinfo info = {.ipi6_ifindex = 0};
    memcpy(&info.ipi6_addr, source->ip, 16);
    *control = (struct cmsghdr){
        .cmsg_level = SOL_IPV6, .cmsg_type = IPV6_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(info))};
    memcpy(CMSG_DATA(control), &info, sizeof(info));
    message->msg_controllen = CMSG_SPACE(sizeof(info));
}

void raw_sender_send(struct raw_sender *sender, const struct raw_packet *packet)
{
    bool is_ip4 = endpoint_is_ip4(&packet->source);
    struct queue *queue = is_ip4 ? &sender->ip4 : &sender->ip6;
    size_t at = queue->count++;
    queue->heads[at] = (struct udphdr){
        .source = htons(packet->source.port),
        .dest = htons(packet->destination.port),
        .len = htons((uint16_t)(packet->payload.len + sizeof(struct udphdr))),
        .check = raw_sender_checksum(packet),
    };
    queue->owners[at] = packet->owner;
    queue->parts[at][0] = (struct iovec){&queue->heads[at], sizeof(struct udphdr)};
    queue->parts[at][1] =
        (struct iovec){(void *)(uintptr_t)packet->payload.at, packet->payload.len};
    struct endpoint destination = packet->destination;
    destination.port = 0; /* a raw socket has protocols where others have ports */
    struct msghdr *message = &queue->messages[at].msg_hdr;
    *message = (struct msghdr){
        .msg_name = &queue->destinations[at],
        .msg_namelen = endpoint_to_sockaddr(&destination, &queue->destinations[at]),
        .msg_iov = queue->parts[at],
        .msg_iovlen = 2,
        .msg_control = queue->controls[at].bytes,
        .msg_controllen = CONTROL_BYTES,
    };
    set_source(message, &packet->source, is_ip4);
    if (queue->count == RAW_SENDER_BATCH) {
        raw_sender_flush(sender);
    }
}

/* One that the system refuses is left out: the ones behind it are not its fault. */
static void flush_queue(struct raw_sender *sender, struct queue *queue)
{
    size_t sent = 0;
    while (sent < queue->count) {
        int count = sendmmsg(queue->descriptor, queue->messages + sent,
                             (unsigned)(queue->count - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count > 0) {
            sent += (size_t)count;
        } else if (errno != EINTR) {
            sender->on_unsent(sender->self, queue->owners[sent]);
            sent++;
        }
    }
    queue->count = 0;
}

void raw_sender_flush(struct raw_sender *sender)
{
    flush_queue(sender, &sender->ip4);
    flush_queue(sender, &sender->ip6);
}
