/* proxy/process/channel.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/assert.h"

enum { PASS_RIGHTS = 83 }; /* SO_PASSRIGHTS of Linux 6.16, which older headers have not */

struct channel_rule {
    enum channel_end from;
    size_t fewest; /* descriptors */
    size_t most;
    size_t shortest; /* payload */
    size_t longest;
};

#define CHANNEL_RULE(kind, from, fewest, most, shortest, longest)                                  \
    [CHANNEL_##kind] = {CHANNEL_##from, (fewest), (most), (shortest), (longest)},
static const struct channel_rule RULES[CHANNEL_KINDS] = {CHANNEL_TABLE(CHANNEL_RULE)};
#undef CHANNEL_RULE

union descriptor_room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_DESCRIPTORS_MAX)];
};

enum status channel_pair(int *master_end, int *child_end)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        return STATUS_SYS;
    }
    *master_end = ends[0];
    *child_end = ends[1];
    return STATUS_OK;
}

bool channel_refuse_descriptors(int descriptor)
{
    const int no = 0;
    return setsockopt(descriptor, SOL_SOCKET, PASS_RIGHTS, &no, sizeof(no)) == 0;
}

static bool fits(const struct channel_rule *rule, size_t payload_len, size_t descriptor_count)
{
    return descriptor_count >= rule->fewest && descriptor_count <= rule->most &&
           payload_len >= rule->shortest && payload_len <= rule->longest;
}

static void encode_head(uint8_t *head, const struct channel_message *message)
{
    head[0] = (uint8_t)message->kind;
    head[1] = 0;
    head[2] = (uint8_t)(message->descriptor_count >> 8);
    head[3] = (uint8_t)message->descriptor_count;
    head[4] = (uint8_t)(message->number >> 24);
    head[5] = (uint8_t)(message->number >> 16);
    head[6] = (uint8_t)(message->number >> 8);
    head[7] = (uint8_t)message->number;
}

static ssize_t send_with_descriptors(int descriptor, const struct channel_message *message,
                                     struct iovec *packet)
{
    union descriptor_room room = {0};
    size_t bytes = sizeof(int) * message->descriptor_count;
    struct msghdr head = {.msg_iov = packet,
                          .msg_iovlen = 1,
                          .msg_control = room.bytes,
                          .msg_controllen = CMSG_SPACE(bytes)};
    struct cmsghdr *part = CMSG_FIRSTHDR(&head);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(part), message->descriptors, bytes);
    return sendmsg(descriptor, &head, MSG_NOSIGNAL);
}

enum status channel_send(int descriptor, const struct channel_message *message)
{
    assert_always(fits(&RULES[message->kind], message->payload.len, message->descriptor_count));
    uint8_t packet[CHANNEL_PACKET_MAX];
    struct iovec whole = {packet, CHANNEL_HEAD_BYTES + message->payload.len};
    encode_head(packet, message);
    if (message->payload.len > 0) {
        memcpy(packet + CHANNEL_HEAD_BYTES, message->payload.at, message->payload.len);
    }
    ssize_t sent;
    do {
        /* Workers and keyholders have no sendmsg: with it goes a descriptor, whose closing may
         * take long, and it is the receiver who waits. */
        sent = message->descriptor_count > 0
                   ? send_with_descriptors(descriptor, message, &whole)
                   : send(descriptor, whole.iov_base, whole.iov_len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        return STATUS_OK;
    }
    return errno == EAGAIN || errno == ENOBUFS ? STATUS_AGAIN : STATUS_BROKEN;
}

enum status channel_send_kind(int descriptor, enum channel_kind kind)
{
    return channel_send(descriptor, &(struct channel_message){.kind = kind});
}

bool channel_decode(struct channel_message *message, enum channel_end from, const uint8_t *packet,
                    size_t len, size_t descriptor_count)
{
    if (len < CHANNEL_HEAD_BYTES || len > CHANNEL_PACKET_MAX || packet[0] >= CHANNEL_KINDS ||
        packet[1] != 0) {
        return false;
    }
    const struct channel_rule *rule = &RULES[packet[0]];
    size_t told = (size_t)packet[2] << 8 | packet[3];
    size_t payload_len = len - CHANNEL_HEAD_BYTES;
    if (rule->from != from || told != descriptor_count ||
        !fits(rule, payload_len, descriptor_count)) {
        return false;
    }
    message->kind = (enum channel_kind)packet[0];
    message->number = (uint32_t)packet[4] << 24 | (uint32_t)packet[5] << 16 |
                      (uint32_t)packet[6] << 8 | packet[7];
    message->payload = (slice){(const char *)packet + CHANNEL_HEAD_BYTES, payload_len};
    message->descriptor_count = descriptor_count;
    return true;
}

/* Collects what came with a packet, all of it, so that nothing leaks whatever it is. */
static size_t take_descriptors(struct msghdr *packet, int *descriptors)
{
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part != NULL;
         part = CMSG_NXTHDR(packet, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t more = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < more && count < CHANNEL_DESCRIPTORS_MAX; i++) {
            memcpy(&descriptors[count++], CMSG_DATA(part) + i * sizeof(int), sizeof(int));
        }
    }
    return count;
}

enum status channel_receive(int descriptor, enum channel_end from, uint8_t *packet,
                            struct channel_message *message)
{
    union descriptor_room room = {0};
    struct iovec part = {.iov_base = packet, .iov_len = CHANNEL_PACKET_MAX};
    struct msghdr head = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = room.bytes,
        .msg_controllen = sizeof(room.bytes),
    };
    ssize_t len;
    do {
        len = recvmsg(descriptor, &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (len < 0 && errno == EINTR);
    if (len < 0) {
        return errno == EAGAIN ? STATUS_AGAIN : STATUS_END;
    }
    size_t count = take_descriptors(&head, message->descriptors);
    if (len == 0 && count == 0) {
        return STATUS_END;
    }
    bool is_whole = (head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    if (is_whole && channel_decode(message, from, packet, (size_t)len, count)) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < count; i++) {
        (void)close(message->descriptors[i]);
    }
    message->descriptor_count = 0;
    return STATUS_PEER;
}
