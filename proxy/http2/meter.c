/* proxy/http2/meter.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/meter.h"

#include "proxy/http2/limits.h"

enum {
    PREFACE_BYTES = 24, /* RFC 9113 §3.4 */
    HEADER_BYTES = 9,   /* §4.1 */
    MS_PER_S = 1000,
};

/* RFC 9113 §6 */
enum frame_type {
    TYPE_DATA = 0,
    TYPE_HEADERS = 1,
    TYPE_SETTINGS = 4,
    TYPE_WINDOW_UPDATE = 8,
    TYPE_CONTINUATION = 9,
};
enum frame_flag { FLAG_END_STREAM = 1, FLAG_END_HEADERS = 4, FLAG_PADDED = 8 };

struct frame {
    uint32_t length;
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
};

void meter_init(struct meter *meter, bool is_server, uint64_t now_ms)
{
    *meter = (struct meter){
        .preface_left = is_server ? PREFACE_BYTES : 0,
        .patience = H2_PATIENCE,
        .paid_at_ms = now_ms,
    };
}

void meter_watch_content(struct meter *meter, meter_is_closed *is_closed, const void *self)
{
    meter->is_closed = is_closed;
    meter->is_closed_self = self;
}

static void pay(struct meter *meter, uint64_t amount)
{
    uint64_t missing = (uint64_t)(H2_PATIENCE - meter->patience);
    meter->patience += (int32_t)(amount < missing ? amount : missing);
}

static void pay_for_time(struct meter *meter, uint64_t now_ms)
{
    uint64_t amount = (now_ms - meter->paid_at_ms) * H2_PATIENCE_PER_S / MS_PER_S;
    if (amount > 0) {
        pay(meter, amount);
        meter->paid_at_ms = now_ms;
    }
}

static void charge(struct meter *meter, int32_t cost)
{
    if (meter->patience >= 0) {
        meter->patience -= cost;
    }
}

static struct frame read_header(const uint8_t *head)
{
    return (struct frame){
        .length = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2],
        .type = head[3],
        .flags = head[4],
        .stream =
            ((uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8]) &
            0x7fffffff,
    };
}

/* The padding's length is the first byte of the payload, which is in `head` when there is one. */
static enum fault_code judge_data(struct meter *meter, const struct frame *frame)
{
    if (meter->is_closed != NULL && meter->is_closed(meter->is_closed_self, frame->stream)) {
        return FAULT_H2_PROTOCOL;
    }
    bool is_padded = (frame->flags & FLAG_PADDED) != 0;
    uint32_t padding = is_padded ? (uint32_t)meter->head[HEADER_BYTES] + 1 : 0;
    if (frame->length > padding) {
        pay(meter, H2_USEFUL_FRAME_PAYS);
    } else if ((frame->flags & FLAG_END_STREAM) == 0) {
        charge(meter, H2_FRAME_COST);
    }
    return FAULT_NONE;
}

static enum fault_code judge_block(struct meter *meter, const struct frame *frame)
{
    bool is_first = frame->type == TYPE_HEADERS;
    meter->in_block = (frame->flags & FLAG_END_HEADERS) == 0;
    meter->continuations = is_first ? 0 : meter->continuations + 1;
    if (is_first && frame->stream > meter->last_stream) {
        meter->last_stream = frame->stream;
        pay(meter, H2_USEFUL_FRAME_PAYS);
    }
    if (!is_first && frame->length == 0) {
        charge(meter, H2_FRAME_COST);
    }
    return meter->continuations > H2_CONTINUATIONS_MAX ? FAULT_H2_FLOOD : FAULT_NONE;
}

static void judge_update(struct meter *meter)
{
    if (meter->updates_due > 0) {
        meter->updates_due--;
    } else {
        charge(meter, H2_FRAME_COST);
    }
}

static enum fault_code judge(struct meter *meter)
{
    struct frame frame = read_header(meter->head);
    enum fault_code fault = FAULT_NONE;
    switch (frame.type) {
    case TYPE_DATA:
        fault = judge_data(meter, &frame);
        break;
    case TYPE_HEADERS:
    case TYPE_CONTINUATION:
        fault = judge_block(meter, &frame);
        break;
    case TYPE_SETTINGS:
        charge(meter, H2_SETTINGS_COST);
        break;
    case TYPE_WINDOW_UPDATE:
        judge_update(meter);
        break;
    default:
        charge(meter, H2_FRAME_COST);
        break;
    }
    return fault != FAULT_NONE || meter_is_patient(meter) ? fault : FAULT_H2_FLOOD;
}

/* How much of `head` must be there before the frame can be judged. */
static uint8_t wanted(const struct meter *meter)
{
    if (meter->head_len < HEADER_BYTES) {
        return HEADER_BYTES;
    }
    struct frame frame = read_header(meter->head);
    bool has_padding = frame.type == TYPE_DATA && (frame.flags & FLAG_PADDED) != 0;
    return has_padding && frame.length > 0 ? HEADER_BYTES + 1 : HEADER_BYTES;
}

static size_t skip(size_t left, slice *bytes)
{
    size_t len = left < bytes->len ? left : bytes->len;
    *bytes = slice_from(*bytes, len);
    return len;
}

static void take_head(struct meter *meter, slice *bytes)
{
    while (bytes->len > 0 && meter->head_len < wanted(meter)) {
        meter->head[meter->head_len++] = (uint8_t)bytes->at[0];
        *bytes = slice_from(*bytes, 1);
    }
}

enum fault_code meter_take(struct meter *meter, slice bytes, uint64_t now_ms)
{
    pay_for_time(meter, now_ms);
    meter->preface_left = (uint8_t)(meter->preface_left - skip(meter->preface_left, &bytes));
    while (bytes.len > 0) {
        if (meter->payload_left > 0) {
            meter->payload_left -= (uint32_t)skip(meter->payload_left, &bytes);
            continue;
        }
        take_head(meter, &bytes);
        if (meter->head_len < wanted(meter)) {
            break;
        }
        enum fault_code fault = judge(meter);
        if (fault != FAULT_NONE) {
            return fault;
        }
        uint8_t taken = (uint8_t)(meter->head_len - HEADER_BYTES);
        meter->payload_left = read_header(meter->head).length - taken;
        meter->head_len = 0;
    }
    return FAULT_NONE;
}

void meter_pay(struct meter *meter, size_t worth)
{
    meter->crumb_bytes += (uint32_t)worth;
    if (meter->crumb_bytes < H2_CRUMB_BYTES) {
        return;
    }
    meter->crumb_bytes -= H2_CRUMB_BYTES;
    pay(meter, H2_USEFUL_FRAME_PAYS);
    if (meter->updates_due < H2_UPDATES_MAX) {
        meter->updates_due += H2_UPDATES_A_FRAME;
    }
}

void meter_charge_reset(struct meter *meter)
{
    charge(meter, H2_RESET_COST);
}

bool meter_is_patient(const struct meter *meter)
{
    return meter->patience >= 0;
}
