/* proxy/gossip/probe_message.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/probe_message.h"

#include <string.h>

#include "proxy/base/slice.h"
#include "proxy/gossip/message_type.h"
#include "proxy/gossip/message_unwrap.h"
#include "proxy/gossip/message_walk.h"
#include "proxy/gossip/msgpack.h"

#define NOBODYS_LABEL "sallyport-probe"

/* ---- the ping ---- */

static size_t append(uint8_t *out, size_t at, slice text)
{
    memcpy(out + at, text.at, text.len);
    return at + text.len;
}

static size_t write_ping(uint8_t out[PROBE_PING_BYTES], uint32_t number)
{
    size_t at = append(out, 0, SLICE("\x00\x83\xa4Node\xa0\xa5SeqNo\xce"));
    for (unsigned shift = 32; shift > 0; shift -= 8) {
        out[at++] = (uint8_t)(number >> (shift - 8));
    }
    return append(out, at, SLICE("\xaaSourceNode\xafsallyport-probe"));
}

size_t probe_packet_write(const struct probe *probe, uint8_t out[PROBE_SENT_BYTES_MAX])
{
    size_t at = gossip_label_put(out, probe->label);
    size_t len = write_ping(out + at + GOSSIP_HEAD_BYTES, probe->number);
    size_t sealed = 0;
    if (gossip_packet_seal(probe->cipher, probe->version, probe->label, out + at, len, &sealed) !=
        GOSSIP_FINE) {
        return 0;
    }
    return at + sealed;
}

size_t probe_stream_write(const struct probe *probe, uint8_t out[PROBE_SENT_BYTES_MAX])
{
    size_t at = gossip_label_put(out, probe->label);
    size_t len = write_ping(out + at + GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES, probe->number);
    size_t sealed = 0;
    if (gossip_frame_seal(probe->cipher, probe->version, probe->label, out + at, len, &sealed) !=
        GOSSIP_FINE) {
        return 0;
    }
    return at + sealed;
}

size_t probe_label_write(uint8_t out[PROBE_SENT_BYTES_MAX])
{
    static const uint8_t label[] = NOBODYS_LABEL;
    return gossip_label_put(out, (struct bytes){label, sizeof(label) - 1});
}

/* ---- what a message says ---- */

struct finding {
    uint32_t number;
    bool is_ack; /* of this number */
    bool is_error;
    char *words;
};

/* Without what could move a terminal's cursor. */
static void copy_words(char words[PROBE_WORDS_BYTES], slice text)
{
    size_t len = text.len < PROBE_WORDS_BYTES ? text.len : PROBE_WORDS_BYTES - 1;
    for (size_t i = 0; i < len; i++) {
        words[i] = text.at[i];
        if (words[i] < ' ' || words[i] > '~') {
            words[i] = '?';
        }
    }
    words[len] = '\0';
}

static enum status take_ack_pair(struct finding *finding, slice *rest)
{
    slice name;
    enum status status = msgpack_take_bytes(rest, &name);
    if (status != STATUS_OK) {
        return status;
    }
    if (!slice_equal(name, SLICE("SeqNo"))) {
        return msgpack_skip(rest);
    }
    uint64_t number = 0;
    status = msgpack_take_number(rest, &number);
    finding->is_ack = finding->is_ack || (status == STATUS_OK && number == finding->number);
    return status;
}

static enum status take_error_pair(struct finding *finding, slice *rest)
{
    slice name;
    slice text;
    enum status status = msgpack_take_bytes(rest, &name);
    if (status != STATUS_OK) {
        return status;
    }
    if (!slice_equal(name, SLICE("Error"))) {
        return msgpack_skip(rest);
    }
    status = msgpack_take_bytes(rest, &text);
    if (status == STATUS_OK) {
        finding->is_error = true;
        copy_words(finding->words, text);
    }
    return status;
}

/* An ack may come with gossip beside it, which is of no interest. */
static enum status find_in_part(void *self, slice part)
{
    struct finding *finding = self;
    uint8_t type = (uint8_t)part.at[0];
    if (type != MESSAGE_ACK && type != MESSAGE_ERROR) {
        return STATUS_OK;
    }
    slice rest = slice_from(part, 1);
    uint64_t pairs = 0;
    enum status status = msgpack_take_map(&rest, &pairs);
    for (; status == STATUS_OK && pairs > 0; pairs--) {
        status =
            type == MESSAGE_ACK ? take_ack_pair(finding, &rest) : take_error_pair(finding, &rest);
    }
    return status;
}

/* FOREIGN unless the message says that it is for us. */
static void judge_message(const struct probe *probe, slice message, enum probe_answer if_ack,
                          enum probe_answer if_error, struct probe_reply *reply)
{
    struct finding finding = {.number = probe->number, .words = reply->words};
    reply->answer = PROBE_FOREIGN;
    if (message_unwrap(message, MESSAGE_UNPACKED_BYTES_MAX, find_in_part, &finding) != STATUS_OK) {
        return;
    }
    if (finding.is_ack) {
        reply->answer = if_ack;
    } else if (finding.is_error) {
        reply->answer = if_error;
    }
}

static slice slice_of_bytes(struct bytes bytes)
{
    return (slice){(const char *)bytes.at, bytes.len};
}

/* ---- packets ---- */

void probe_packet_judge(const struct probe *probe, uint8_t *packet, size_t len,
                        struct probe_reply *reply)
{
    *reply = (struct probe_reply){.answer = PROBE_FOREIGN};
    struct bytes rest = {packet, len};
    struct bytes label;
    struct bytes plain;
    if (gossip_label_take(&rest, &label) != GOSSIP_FINE) {
        return;
    }
    enum gossip_refusal refusal = gossip_packet_open(
        probe->cipher, label, packet + (rest.at - packet), rest.len, &plain, &reply->key);
    if (refusal == GOSSIP_FINE) {
        reply->has_key = true;
        bool is_our_label = slice_equal(slice_of_bytes(label), slice_of_bytes(probe->label));
        enum probe_answer if_ack = is_our_label ? PROBE_ACK : PROBE_OTHER_LABEL;
        judge_message(probe, slice_of_bytes(plain), if_ack, PROBE_LACKS_KEY, reply);
        return;
    }
    judge_message(probe, slice_of_bytes(rest), PROBE_ACK_PLAIN, PROBE_PLAINTEXT, reply);
    if (reply->answer == PROBE_FOREIGN && refusal == GOSSIP_NO_KEY) {
        reply->answer = PROBE_OTHER_KEY;
    }
}

/* ---- streams ---- */

/* An error is an answer to what could not be read; it was read with a key of the ring. */
static void judge_frame(const struct probe *probe, uint8_t *frame, size_t len,
                        struct probe_reply *reply)
{
    struct bytes plain;
    struct bytes none = {0};
    enum gossip_refusal refusal =
        gossip_frame_open(probe->cipher, probe->label, frame, len, &plain, &reply->key);
    enum probe_answer if_error = PROBE_LACKS_KEY;
    enum probe_answer if_ack = PROBE_ACK;
    if (refusal == GOSSIP_NO_KEY && probe->label.len > 0) {
        refusal = gossip_frame_open(probe->cipher, none, frame, len, &plain, &reply->key);
        if_error = PROBE_OTHER_LABEL;
        if_ack = PROBE_OTHER_LABEL;
    }
    reply->has_key = refusal == GOSSIP_FINE;
    if (reply->has_key) {
        judge_message(probe, slice_of_bytes(plain), if_ack, if_error, reply);
    } else {
        reply->answer = refusal == GOSSIP_NO_KEY ? PROBE_OTHER_KEY : PROBE_FOREIGN;
    }
}

static enum status judge_plain(const struct probe *probe, slice stream, struct probe_reply *reply)
{
    struct message_walk walk;
    size_t len = 0;
    message_walk_init(&walk, PROBE_ANSWER_BYTES_MAX);
    enum status status = message_walk(&walk, stream, &len);
    if (status == STATUS_END) {
        judge_message(probe, slice_first(stream, len), PROBE_ACK_PLAIN, PROBE_PLAINTEXT, reply);
    }
    return status == STATUS_AGAIN ? STATUS_AGAIN : STATUS_OK;
}

/* OK: judged. AGAIN: there is not enough. */
static enum status judge_begun(const struct probe *probe, uint8_t *stream, size_t len,
                               struct probe_reply *reply)
{
    if (stream[0] != GOSSIP_FRAME_TYPE) {
        return judge_plain(probe, (slice){(const char *)stream, len}, reply);
    }
    size_t whole = GOSSIP_FRAME_HEAD_BYTES;
    if (len >= whole &&
        (gossip_frame_length(stream, &whole) != GOSSIP_FINE || whole > PROBE_ANSWER_BYTES_MAX)) {
        return STATUS_OK;
    }
    if (len < whole) {
        return STATUS_AGAIN;
    }
    judge_frame(probe, stream, whole, reply);
    return STATUS_OK;
}

enum status probe_stream_judge(const struct probe *probe, uint8_t *stream, size_t len, bool is_end,
                               struct probe_reply *reply)
{
    *reply = (struct probe_reply){.answer = len == 0 ? PROBE_CLOSED : PROBE_FOREIGN};
    enum status status = len == 0 ? STATUS_AGAIN : judge_begun(probe, stream, len, reply);
    return is_end ? STATUS_OK : status;
}
