/* crypto/worker_channel.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/worker_channel.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* A worker that writes without pause must not keep the keyholder reading for ever. */
    PACKETS_A_READ_MAX = 256,
    /* Previous, current and next, and as many again after an epoch passed. */
    EPOCHS_ASKED_MAX = 6,
};

/* Invariants: slot_taken[s] while a request with slot s waits or is being signed, so that at most
 * KEY_CHANNEL_SLOTS_MAX wait and the ring never overflows; answers.count > 0 only between taking
 * and sending; unsent_len > 0 means that nothing may be taken. */
struct worker_channel {
    int descriptor;
    uint32_t *granted; /* sorted */
    size_t granted_count;
    bool slot_taken[KEY_CHANNEL_SLOTS_MAX];
    struct key_request waiting[KEY_CHANNEL_SLOTS_MAX]; /* a ring */
    size_t first;
    size_t count;
    uint64_t epochs[EPOCHS_ASKED_MAX];
    size_t epoch_count;
    struct key_message answers;
    uint8_t unsent[KEY_CHANNEL_PACKET_MAX];
    size_t unsent_len;
};

static int compare_ids(const void *left, const void *right)
{
    const uint32_t *a = left;
    const uint32_t *b = right;
    return (*a > *b) - (*a < *b);
}

struct worker_channel *worker_channel_open(int descriptor, const uint32_t *key_ids, size_t count)
{
    struct worker_channel *channel = calloc(1, sizeof(*channel));
    uint32_t *granted = calloc(count + 1, sizeof(*granted));
    if (channel == NULL || granted == NULL) {
        free(channel);
        free(granted);
        (void)close(descriptor);
        return NULL;
    }
    if (count > 0) {
        memcpy(granted, key_ids, count * sizeof(*granted));
        qsort(granted, count, sizeof(*granted), compare_ids);
    }
    channel->descriptor = descriptor;
    channel->granted = granted;
    channel->granted_count = count;
    channel->answers.kind = KEY_MESSAGE_SIGNED;
    return channel;
}

void worker_channel_close(struct worker_channel *channel)
{
    if (channel != NULL) {
        (void)close(channel->descriptor);
        free(channel->granted);
        OPENSSL_cleanse(channel->unsent, sizeof(channel->unsent)); /* perhaps ticket keys */
        free(channel);
    }
}

int worker_channel_descriptor(const struct worker_channel *channel)
{
    return channel->descriptor;
}

bool worker_channel_is_granted(const struct worker_channel *channel, uint32_t key_id)
{
    return bsearch(&key_id, channel->granted, channel->granted_count, sizeof(key_id),
                   compare_ids) != NULL;
}

bool worker_channel_grant(struct worker_channel *channel, uint32_t first, size_t count)
{
    worker_channel_revoke(channel, first, count); /* none twice */
    size_t room = channel->granted_count + count + 1;
    uint32_t *granted = reallocarray(channel->granted, room, sizeof(*granted));
    if (granted == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        granted[channel->granted_count++] = first + (uint32_t)i;
    }
    qsort(granted, channel->granted_count, sizeof(*granted), compare_ids);
    channel->granted = granted;
    return true;
}

void worker_channel_revoke(struct worker_channel *channel, uint32_t first, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < channel->granted_count; i++) {
        uint32_t id = channel->granted[i];
        if (id < first || id - first >= count) {
            channel->granted[kept++] = id;
        }
    }
    channel->granted_count = kept;
}

static bool accept_request(struct worker_channel *channel, const struct key_request *request)
{
    if (channel->slot_taken[request->slot]) {
        return false;
    }
    channel->slot_taken[request->slot] = true;
    channel->waiting[(channel->first + channel->count) % KEY_CHANNEL_SLOTS_MAX] = *request;
    channel->count++;
    return true;
}

/* Asking again for what is already asked is not an error: workers repeat themselves each second. */
static bool accept_epoch(struct worker_channel *channel, uint64_t epoch)
{
    for (size_t i = 0; i < channel->epoch_count; i++) {
        if (channel->epochs[i] == epoch) {
            return true;
        }
    }
    if (channel->epoch_count == EPOCHS_ASKED_MAX) {
        return false;
    }
    channel->epochs[channel->epoch_count++] = epoch;
    return true;
}

static bool accept_packet(struct worker_channel *channel, const uint8_t *packet, size_t len)
{
    struct key_message message;
    if (len > KEY_CHANNEL_PACKET_MAX || !key_message_decode(&message, packet, len, true)) {
        return false;
    }
    if (message.kind == KEY_MESSAGE_ASK_TICKETS) {
        return accept_epoch(channel, message.tickets.keys.epoch);
    }
    bool accepted = true;
    for (size_t i = 0; accepted && i < message.count; i++) {
        accepted = accept_request(channel, &message.requests[i]);
    }
    return accepted;
}

enum worker_channel_state worker_channel_read(struct worker_channel *channel)
{
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    for (int i = 0; i < PACKETS_A_READ_MAX; i++) {
        /* MSG_TRUNC gives the packet's real length, so that a longer one is seen as such. */
        ssize_t got = recv(channel->descriptor, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EAGAIN) {
            return WORKER_CHANNEL_OPEN;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return WORKER_CHANNEL_ENDED;
        }
        if (!accept_packet(channel, packet, (size_t)got)) {
            return WORKER_CHANNEL_BAD_MESSAGE;
        }
    }
    return WORKER_CHANNEL_OPEN;
}

bool worker_channel_may_take(const struct worker_channel *channel)
{
    return channel->count > 0 && channel->unsent_len == 0 &&
           channel->answers.count < KEY_CHANNEL_BATCH_MAX;
}

bool worker_channel_take_request(struct worker_channel *channel, struct key_request *out)
{
    return worker_channel_take_request_at(channel, 0, out);
}

static struct key_request *waiting_at(struct worker_channel *channel, size_t index)
{
    return &channel->waiting[(channel->first + index) % KEY_CHANNEL_SLOTS_MAX];
}

/* The older ones move up by one place into the gap: seldom many, since batches are made of what is
 * near the front. */
bool worker_channel_take_request_at(struct worker_channel *channel, size_t index,
                                    struct key_request *out)
{
    if (!worker_channel_may_take(channel) || index >= channel->count) {
        return false;
    }
    *out = *waiting_at(channel, index);
    for (size_t i = index; i > 0; i--) {
        *waiting_at(channel, i) = *waiting_at(channel, i - 1);
    }
    channel->first = (channel->first + 1) % KEY_CHANNEL_SLOTS_MAX;
    channel->count--;
    return true;
}

bool worker_channel_take_epoch(struct worker_channel *channel, uint64_t *out)
{
    if (channel->epoch_count == 0 || channel->unsent_len > 0) {
        return false;
    }
    *out = channel->epochs[0];
    channel->epoch_count--;
    memmove(channel->epochs, channel->epochs + 1, channel->epoch_count * sizeof(uint64_t));
    return true;
}

bool worker_channel_has_work(const struct worker_channel *channel)
{
    return channel->unsent_len == 0 && (channel->count > 0 || channel->epoch_count > 0);
}

size_t worker_channel_waiting(const struct worker_channel *channel)
{
    return channel->count;
}

const struct key_request *worker_channel_waiting_at(const struct worker_channel *channel,
                                                    size_t index)
{
    return &channel->waiting[(channel->first + index) % KEY_CHANNEL_SLOTS_MAX];
}

void worker_channel_answer(struct worker_channel *channel, const struct key_answer *answer)
{
    channel->answers.answers[channel->answers.count++] = *answer;
    channel->slot_taken[answer->slot] = false;
}

static enum worker_channel_state send_unsent(struct worker_channel *channel)
{
    ssize_t sent;
    do {
        sent = send(channel->descriptor, channel->unsent, channel->unsent_len,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        bool later = errno == EAGAIN || errno == ENOBUFS;
        return later ? WORKER_CHANNEL_OPEN : WORKER_CHANNEL_ENDED;
    }
    OPENSSL_cleanse(channel->unsent, channel->unsent_len);
    channel->unsent_len = 0;
    return WORKER_CHANNEL_OPEN;
}

enum worker_channel_state worker_channel_send(struct worker_channel *channel)
{
    if (channel->unsent_len == 0 && channel->answers.count > 0) {
        channel->unsent_len = key_message_encode(&channel->answers, channel->unsent);
        channel->answers.count = 0;
    }
    return channel->unsent_len > 0 ? send_unsent(channel) : WORKER_CHANNEL_OPEN;
}

enum worker_channel_state worker_channel_send_tickets(struct worker_channel *channel,
                                                      const struct key_message *message)
{
    channel->unsent_len = key_message_encode(message, channel->unsent);
    return send_unsent(channel);
}

bool worker_channel_is_stuck(const struct worker_channel *channel)
{
    return channel->unsent_len > 0;
}
