/* proxy/gossip/message_walk.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/message_walk.h"

#include <stdbool.h>

#include "proxy/gossip/message_type.h"
#include "proxy/gossip/msgpack.h"

enum stage {
    STAGE_TYPE,
    STAGE_HEADER, /* the header map's head is next */
    STAGE_FIELD,  /* a field of the header, or what follows the last one */
    STAGE_MAPS,   /* the head of a map, or what follows the last one */
    STAGE_DONE,
};

enum { FIELD_NAME_BYTES_MAX = 12 }; /* of those that are looked for */

void message_walk_init(struct message_walk *walk, size_t limit)
{
    *walk = (struct message_walk){.limit = limit};
}

static enum status refuse(struct message_walk *walk, enum message_fault fault)
{
    walk->fault = fault;
    return STATUS_PEER;
}

/* Whether so much more would be longer than what is taken. */
static bool is_too_long(const struct message_walk *walk, uint64_t more)
{
    return more > walk->limit - walk->at;
}

/* Reads the head at walk->at, which may be cut short. */
static enum status read_head(struct message_walk *walk, slice rest, struct msgpack_head *head)
{
    enum status status = msgpack_head_read(rest, head);
    return status == STATUS_PEER ? refuse(walk, MESSAGE_MALFORMED) : status;
}

/* The objects of an array or map are next. Each has a byte at least. */
static enum status go_down(struct message_walk *walk, struct msgpack_head head)
{
    unsigned each = head.kind == MSGPACK_MAP ? 2 : 1;
    if (head.number > (walk->limit - walk->at) / each) {
        return refuse(walk, MESSAGE_TOO_LONG);
    }
    if (walk->depth == MESSAGE_WALK_DEPTH_MAX) {
        return refuse(walk, MESSAGE_TOO_DEEP);
    }
    walk->left[walk->depth++] = each * (size_t)head.number;
    return STATUS_OK;
}

/* ---- steps, each from walk->at on ---- */

static enum status step_type(struct message_walk *walk, slice rest)
{
    if (rest.len == 0) {
        return STATUS_AGAIN;
    }
    walk->type = (uint8_t)rest.at[0];
    walk->at++;
    switch (walk->type) {
    case MESSAGE_PING:
    case MESSAGE_ACK:
    case MESSAGE_COMPRESS:
    case MESSAGE_ERROR:
        walk->maps = 1;
        walk->stage = STAGE_MAPS;
        return STATUS_OK;
    case MESSAGE_USER:
    case MESSAGE_PUSH_PULL:
        walk->stage = STAGE_HEADER;
        return STATUS_OK;
    case MESSAGE_INDIRECT_PING: /* never in a stream; dskit's packets begin so */
        return refuse(walk, MESSAGE_FOREIGN);
    case MESSAGE_ENCRYPT:
        return refuse(walk, MESSAGE_ENCRYPTED);
    default:
        return refuse(walk, MESSAGE_TYPE);
    }
}

static enum status step_header(struct message_walk *walk, slice rest)
{
    struct msgpack_head head;
    enum status status = read_head(walk, rest, &head);
    if (status != STATUS_OK) {
        return status;
    }
    if (head.kind != MSGPACK_MAP) {
        return refuse(walk, MESSAGE_MALFORMED);
    }
    walk->at += head.len;
    if (head.number > (walk->limit - walk->at) / 2) {
        return refuse(walk, MESSAGE_TOO_LONG);
    }
    walk->pairs = (size_t)head.number;
    walk->stage = STAGE_FIELD;
    return STATUS_OK;
}

/* Where the number of a field goes, or NULL: a field whose value is only passed over. */
static size_t *field_place(struct message_walk *walk, slice name)
{
    if (walk->type == MESSAGE_USER) {
        return slice_equal(name, SLICE("UserMsgLen")) ? &walk->tail : NULL;
    }
    if (slice_equal(name, SLICE("Nodes"))) {
        return &walk->maps;
    }
    return slice_equal(name, SLICE("UserStateLen")) ? &walk->tail : NULL;
}

/* A value that says how much follows the header. A field that is there twice is refused, since
 * readers do not agree which one counts. */
static enum status take_number(struct message_walk *walk, slice value, size_t *place)
{
    struct msgpack_head head;
    enum status status = read_head(walk, value, &head);
    if (status != STATUS_OK) {
        return status;
    }
    uint8_t field = place == &walk->maps ? 1 : 2;
    if (head.kind != MSGPACK_NUMBER || (walk->fields & field) != 0) {
        return refuse(walk, MESSAGE_MALFORMED);
    }
    if (is_too_long(walk, head.number)) {
        return refuse(walk, MESSAGE_TOO_LONG);
    }
    walk->fields |= field;
    *place = (size_t)head.number;
    walk->at += head.len;
    return STATUS_OK;
}

/* The next field: its name, and its value if that is a number that is asked for. */
static enum status take_field(struct message_walk *walk, slice rest)
{
    struct msgpack_head name;
    enum status status = read_head(walk, rest, &name);
    if (status != STATUS_OK) {
        return status;
    }
    if (name.kind != MSGPACK_BYTES) {
        return refuse(walk, MESSAGE_MALFORMED);
    }
    if (is_too_long(walk, name.len + name.number)) {
        return refuse(walk, MESSAGE_TOO_LONG);
    }
    size_t len = name.len + (size_t)name.number;
    size_t *place = NULL;
    if (name.number <= FIELD_NAME_BYTES_MAX) {
        if (rest.len < len) {
            return STATUS_AGAIN;
        }
        place = field_place(walk, slice_from(slice_first(rest, len), name.len));
    }
    size_t start = walk->at;
    walk->at += len;
    if (place == NULL) {
        walk->pairs--;
        walk->left[walk->depth++] = 1;
        return STATUS_OK;
    }
    status = take_number(walk, slice_from(rest, len), place);
    if (status == STATUS_AGAIN) {
        walk->at = start;
    }
    walk->pairs -= status == STATUS_OK;
    return status;
}

static enum status step_field(struct message_walk *walk, slice rest)
{
    if (walk->pairs > 0) {
        return take_field(walk, rest);
    }
    if (is_too_long(walk, (uint64_t)walk->maps + walk->tail)) {
        return refuse(walk, MESSAGE_TOO_LONG);
    }
    walk->stage = STAGE_MAPS;
    return STATUS_OK;
}

static enum status step_maps(struct message_walk *walk, slice rest)
{
    if (walk->maps == 0) {
        if (is_too_long(walk, walk->tail)) {
            return refuse(walk, MESSAGE_TOO_LONG);
        }
        walk->at += walk->tail;
        walk->stage = STAGE_DONE;
        return STATUS_OK;
    }
    struct msgpack_head head;
    enum status status = read_head(walk, rest, &head);
    if (status != STATUS_OK) {
        return status;
    }
    if (head.kind != MSGPACK_MAP) {
        return refuse(walk, MESSAGE_MALFORMED);
    }
    walk->at += head.len;
    walk->maps--;
    return go_down(walk, head);
}

/* Inside of an array, a map or a field's value. */
static enum status step_object(struct message_walk *walk, slice rest)
{
    size_t *left = &walk->left[walk->depth - 1];
    if (*left == 0) {
        walk->depth--;
        return STATUS_OK;
    }
    struct msgpack_head head;
    enum status status = read_head(walk, rest, &head);
    if (status != STATUS_OK) {
        return status;
    }
    (*left)--;
    walk->at += head.len;
    if (msgpack_has_objects(head.kind)) {
        return go_down(walk, head);
    }
    if (msgpack_has_content(head.kind)) {
        if (is_too_long(walk, head.number)) {
            return refuse(walk, MESSAGE_TOO_LONG);
        }
        walk->at += (size_t)head.number;
    }
    return STATUS_OK;
}

static enum status step(struct message_walk *walk, slice rest)
{
    if (walk->depth > 0) {
        return step_object(walk, rest);
    }
    switch ((enum stage)walk->stage) {
    case STAGE_TYPE:
        return step_type(walk, rest);
    case STAGE_HEADER:
        return step_header(walk, rest);
    case STAGE_FIELD:
        return step_field(walk, rest);
    case STAGE_MAPS:
        return step_maps(walk, rest);
    case STAGE_DONE:
        break;
    }
    return STATUS_END;
}

enum status message_walk(struct message_walk *walk, slice message, size_t *len)
{
    if (walk->fault != MESSAGE_FINE) {
        return STATUS_PEER;
    }
    /* What stands behind the limit is not looked at, so that the answer does not depend on how
     * much has come at once. */
    slice taken = slice_first(message, message.len < walk->limit ? message.len : walk->limit);
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        status = walk->at > taken.len ? STATUS_AGAIN : step(walk, slice_from(taken, walk->at));
    }
    if (status == STATUS_AGAIN && taken.len == walk->limit) {
        return refuse(walk, MESSAGE_TOO_LONG);
    }
    if (status == STATUS_END) {
        *len = walk->at;
    }
    return status;
}

const char *message_fault_name(enum message_fault fault)
{
    switch (fault) {
    case MESSAGE_FINE:
        return "fine";
    case MESSAGE_TYPE:
        return "unknown_type";
    case MESSAGE_FOREIGN:
        return "other_transport";
    case MESSAGE_ENCRYPTED:
        return "encrypted_already";
    case MESSAGE_MALFORMED:
        return "malformed";
    case MESSAGE_TOO_DEEP:
        return "too_deep";
    case MESSAGE_TOO_LONG:
        return "too_long";
    }
    return "unknown";
}
