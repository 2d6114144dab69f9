/* proxy/commands/gossip_probe_run.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/gossip_probe_run.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/gossip/intercept_rules.h"

enum {
    US_PER_MS = 1000,
    RESEND_MS = 1000,       /* a packet may be lost */
    LABEL_BEGUN_MS = 300,   /* who reads labels waits at least so long for the end of one */
    LABEL_CLOSED_MS = 1000, /* and closes within that after the end of another one */
};

/* One socket to the peer. */
struct line {
    int fd;
    uint64_t deadline_us;
};

static bool line_open(struct line *line, int type, const struct sockaddr *peer, unsigned timeout_ms,
                      struct gossip_probe_leg *leg)
{
    uint32_t mark = INTERCEPT_OWN_MARK;
    line->deadline_us = clock_monotonic_us() + (uint64_t)timeout_ms * US_PER_MS;
    line->fd = socket(peer->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (line->fd < 0) {
        leg->error = errno;
        return false;
    }
    if (setsockopt(line->fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) != 0) {
        leg->is_unmarked = true;
    }
    return true;
}

/* Waits for `events`, at most until `until_us`. False: the time is over. */
static bool line_wait(const struct line *line, short events, uint64_t until_us)
{
    until_us = until_us < line->deadline_us ? until_us : line->deadline_us;
    for (;;) {
        uint64_t now_us = clock_monotonic_us();
        if (now_us >= until_us) {
            return false;
        }
        struct pollfd fd = {.fd = line->fd, .events = events};
        int wait_ms = (int)((until_us - now_us + US_PER_MS - 1) / US_PER_MS);
        if (poll(&fd, 1, wait_ms) > 0) {
            return true;
        }
    }
}

static enum probe_answer answer_of_errno(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return PROBE_REFUSED;
    case ECONNRESET:
    case EPIPE:
        return PROBE_CLOSED;
    case ETIMEDOUT:
        return PROBE_NO_CONN;
    default: /* no route, prohibited by a filter of this machine's (EPERM), ... */
        return PROBE_UNREACHABLE;
    }
}

static void leg_fail(struct gossip_probe_leg *leg, int error)
{
    leg->error = error;
    leg->reply.answer = answer_of_errno(error);
}

/* ---- TCP ---- */

/* False: there is no conn, which the leg tells. */
static bool line_connect(const struct line *line, const struct sockaddr *peer, socklen_t peer_len,
                         struct gossip_probe_leg *leg)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (connect(line->fd, peer, peer_len) == 0) {
        return true;
    }
    if (errno != EINPROGRESS) {
        leg_fail(leg, errno);
        return false;
    }
    if (!line_wait(line, POLLOUT, UINT64_MAX)) {
        leg->reply.answer = PROBE_NO_CONN;
        return false;
    }
    if (getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        leg_fail(leg, error);
        return false;
    }
    return true;
}

/* What we say is far below what a new conn's buffer takes. */
static bool line_say(const struct line *line, const uint8_t *bytes, size_t len)
{
    return send(line->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Reads until there is enough to judge, the end, or the deadline. */
static void hear_out(const struct probe *probe, const struct line *line, uint8_t *room,
                     struct gossip_probe_leg *leg)
{
    size_t len = 0;
    bool is_end = false;
    while (!is_end) {
        if (!line_wait(line, POLLIN, UINT64_MAX)) {
            if (len == 0) {
                leg->reply.answer = PROBE_SILENT;
                return;
            }
            is_end = true;
        } else {
            ssize_t got = recv(line->fd, room + len, PROBE_ANSWER_BYTES_MAX - len, 0);
            if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
                continue;
            }
            leg->error = got < 0 ? errno : 0;
            len += got > 0 ? (size_t)got : 0;
            is_end = got <= 0 || len == PROBE_ANSWER_BYTES_MAX;
        }
        if (probe_stream_judge(probe, room, len, is_end, &leg->reply) == STATUS_OK) {
            return;
        }
    }
}

/* Whether the other side closes, having said nothing, within this time. */
static bool closes_within(const struct line *line, unsigned ms)
{
    uint8_t byte = 0;
    if (!line_wait(line, POLLIN, clock_monotonic_us() + (uint64_t)ms * US_PER_MS)) {
        return false;
    }
    ssize_t got = recv(line->fd, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

/* Peers that read labels close without a word when one is not theirs, as much else does. These wait
 * for a label to be complete, and close when it is. */
static bool reads_labels(const struct sockaddr *peer, socklen_t peer_len, unsigned timeout_ms,
                         struct gossip_probe_leg *leg)
{
    uint8_t header[PROBE_SENT_BYTES_MAX];
    size_t len = probe_label_write(header);
    struct gossip_probe_leg other = {.error = 0};
    struct line line;
    if (!line_open(&line, SOCK_STREAM, peer, timeout_ms, &other)) {
        return false;
    }
    bool is_reader = line_connect(&line, peer, peer_len, &other) &&
                     line_say(&line, header, len - 1) && !closes_within(&line, LABEL_BEGUN_MS) &&
                     line_say(&line, header + len - 1, 1) && closes_within(&line, LABEL_CLOSED_MS);
    (void)close(line.fd);
    leg->error = is_reader ? 0 : leg->error;
    return is_reader;
}

static void ask_stream(const struct probe *probe, const struct line *line, const uint8_t *frame,
                       size_t len, struct gossip_probe_leg *leg)
{
    uint8_t *room = malloc(PROBE_ANSWER_BYTES_MAX);
    if (room == NULL || !line_say(line, frame, len)) {
        leg_fail(leg, errno);
    } else {
        hear_out(probe, line, room, leg);
    }
    free(room);
}

enum status gossip_probe_tcp(const struct probe *probe, const struct sockaddr *peer,
                             socklen_t peer_len, unsigned timeout_ms, struct gossip_probe_leg *leg)
{
    uint8_t frame[PROBE_SENT_BYTES_MAX];
    uint64_t began_us = clock_monotonic_us();
    size_t len = probe_stream_write(probe, frame);
    struct line line;
    *leg = (struct gossip_probe_leg){.error = len == 0 ? EIO : 0};
    if (len == 0 || !line_open(&line, SOCK_STREAM, peer, timeout_ms, leg)) {
        return STATUS_SYS;
    }
    if (line_connect(&line, peer, peer_len, leg)) {
        ask_stream(probe, &line, frame, len, leg);
    }
    (void)close(line.fd);
    leg->took_us = clock_monotonic_us() - began_us;
    if (leg->reply.answer == PROBE_CLOSED && reads_labels(peer, peer_len, timeout_ms, leg)) {
        leg->reply.answer = PROBE_OTHER_LABEL;
    }
    return STATUS_OK;
}

/* ---- UDP ---- */

/* OK: the answer is there, or none will come. AGAIN: go on waiting. What is no answer may be a
 * stray packet, so it counts only when nothing else comes. */
static enum status hear_packet(const struct probe *probe, const struct line *line, uint8_t *room,
                               struct gossip_probe_leg *leg)
{
    ssize_t got = recv(line->fd, room, PROBE_ANSWER_BYTES_MAX, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return STATUS_AGAIN;
    }
    if (got < 0) {
        leg_fail(leg, errno);
        return STATUS_OK;
    }
    probe_packet_judge(probe, room, (size_t)got, &leg->reply);
    return leg->reply.answer == PROBE_FOREIGN ? STATUS_AGAIN : STATUS_OK;
}

static enum status ask_packet(const struct probe *probe, const struct line *line, uint8_t *room,
                              struct gossip_probe_leg *leg)
{
    uint8_t packet[PROBE_SENT_BYTES_MAX];
    leg->reply.answer = PROBE_SILENT;
    while (clock_monotonic_us() < line->deadline_us) {
        /* Sealed anew, as a packet that is there twice is taken for a replay. */
        size_t len = probe_packet_write(probe, packet);
        if (len == 0) {
            leg->error = EIO;
            return STATUS_SYS;
        }
        if (send(line->fd, packet, len, MSG_NOSIGNAL) < 0) {
            leg_fail(leg, errno);
            return STATUS_OK;
        }
        uint64_t resend_us = clock_monotonic_us() + (uint64_t)RESEND_MS * US_PER_MS;
        while (line_wait(line, POLLIN, resend_us)) {
            if (hear_packet(probe, line, room, leg) == STATUS_OK) {
                return STATUS_OK;
            }
        }
    }
    return STATUS_OK;
}

enum status gossip_probe_udp(const struct probe *probe, const struct sockaddr *peer,
                             socklen_t peer_len, unsigned timeout_ms, struct gossip_probe_leg *leg)
{
    struct line line;
    uint64_t began_us = clock_monotonic_us();
    uint8_t *room = malloc(PROBE_ANSWER_BYTES_MAX);
    *leg = (struct gossip_probe_leg){.error = ENOMEM};
    if (room == NULL || !line_open(&line, SOCK_DGRAM, peer, timeout_ms, leg)) {
        free(room);
        return STATUS_SYS;
    }
    enum status status = STATUS_OK;
    leg->error = 0;
    if (connect(line.fd, peer, peer_len) != 0) {
        leg_fail(leg, errno);
    } else {
        status = ask_packet(probe, &line, room, leg);
    }
    (void)close(line.fd);
    free(room);
    leg->took_us = clock_monotonic_us() - began_us;
    return status;
}
