/* proxy/gossip/message_addresses.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/message_addresses.h"

#include "proxy/gossip/message_type.h"
#include "proxy/gossip/message_unwrap.h"
#include "proxy/gossip/msgpack.h"

struct looking {
    message_address_callback *on_address;
    void *self;
};

/* An address in a map, by the names of its two fields. */
struct address_field {
    slice ip_name;
    slice port_name;
    bool is_optional; /* absent or empty: the sender asks for none */
    bool has_ip;
    bool has_port;
    slice ip;
    uint64_t port;
};

/* A nil is what memberlist makes of no bytes and takes for 0. */
static bool take_nil(slice *rest)
{
    struct msgpack_head head;
    if (msgpack_head_read(*rest, &head) != STATUS_OK || head.kind != MSGPACK_NIL) {
        return false;
    }
    *rest = slice_from(*rest, head.len);
    return true;
}

/* The value of a field that is asked for. A field that is there twice is refused, since readers do
 * not agree which one counts. */
static enum status take_value(slice *rest, struct address_field *field, bool is_ip)
{
    bool *has = is_ip ? &field->has_ip : &field->has_port;
    if (*has) {
        return STATUS_PEER;
    }
    *has = true;
    if (take_nil(rest)) {
        return STATUS_OK;
    }
    if (is_ip) {
        return msgpack_take_bytes(rest, &field->ip);
    }
    enum status status = msgpack_take_number(rest, &field->port);
    return field->port > UINT16_MAX ? STATUS_PEER : status;
}

static enum status take_pair(slice *rest, struct address_field *fields, size_t count)
{
    slice name;
    enum status status = msgpack_take_bytes(rest, &name);
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_ip = slice_equal(name, fields[i].ip_name);
        if (is_ip || slice_equal(name, fields[i].port_name)) {
            return take_value(rest, &fields[i], is_ip);
        }
    }
    return msgpack_skip(rest);
}

/* Takes one map off `rest` and shows the addresses of these fields. */
static enum status show_map(const struct looking *looking, slice *rest,
                            struct address_field *fields, size_t count)
{
    uint64_t pairs = 0;
    enum status status = msgpack_take_map(rest, &pairs);
    for (; status == STATUS_OK && pairs > 0; pairs--) {
        status = take_pair(rest, fields, count);
    }
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        bool is_told = !fields[i].is_optional || fields[i].ip.len > 0;
        if (is_told &&
            !looking->on_address(looking->self, fields[i].ip, (uint16_t)fields[i].port)) {
            status = STATUS_REFUSED;
        }
    }
    return status;
}

/* A node of a push/pull, or an alive message. */
static enum status show_node(const struct looking *looking, slice *rest)
{
    struct address_field fields[] = {{.ip_name = SLICE("Addr"), .port_name = SLICE("Port")}};
    return show_map(looking, rest, fields, 1);
}

static enum status show_ping(const struct looking *looking, slice *rest)
{
    struct address_field fields[] = {
        {.ip_name = SLICE("SourceAddr"), .port_name = SLICE("SourcePort"), .is_optional = true}};
    return show_map(looking, rest, fields, 1);
}

static enum status show_indirect_ping(const struct looking *looking, slice *rest)
{
    struct address_field fields[] = {
        {.ip_name = SLICE("Target"), .port_name = SLICE("Port")},
        {.ip_name = SLICE("SourceAddr"), .port_name = SLICE("SourcePort"), .is_optional = true}};
    return show_map(looking, rest, fields, 2);
}

/* ---- push/pull ---- */

struct push_header {
    bool has_nodes;
    bool has_state;
    uint64_t nodes;
    uint64_t state;
};

static enum status take_header_pair(slice *rest, struct push_header *header)
{
    slice name;
    enum status status = msgpack_take_bytes(rest, &name);
    if (status != STATUS_OK) {
        return status;
    }
    bool is_nodes = slice_equal(name, SLICE("Nodes"));
    if (!is_nodes && !slice_equal(name, SLICE("UserStateLen"))) {
        return msgpack_skip(rest);
    }
    bool *has = is_nodes ? &header->has_nodes : &header->has_state;
    if (*has) {
        return STATUS_PEER;
    }
    *has = true;
    return msgpack_take_number(rest, is_nodes ? &header->nodes : &header->state);
}

static enum status show_push(const struct looking *looking, slice *rest)
{
    struct push_header header = {false, false, 0, 0};
    uint64_t pairs = 0;
    enum status status = msgpack_take_map(rest, &pairs);
    for (; status == STATUS_OK && pairs > 0; pairs--) {
        status = take_header_pair(rest, &header);
    }
    for (; status == STATUS_OK && header.nodes > 0; header.nodes--) {
        status = show_node(looking, rest);
    }
    if (status == STATUS_OK && rest->len != header.state) {
        return STATUS_PEER;
    }
    *rest = slice_from(*rest, rest->len);
    return status;
}

/* ---- any message ---- */

static enum status show_part(void *self, slice part)
{
    const struct looking *looking = self;
    slice rest = slice_from(part, 1);
    enum status status = STATUS_PEER;
    switch ((uint8_t)part.at[0]) {
    case MESSAGE_PING:
        status = show_ping(looking, &rest);
        break;
    case MESSAGE_INDIRECT_PING:
        status = show_indirect_ping(looking, &rest);
        break;
    case MESSAGE_ALIVE:
        status = show_node(looking, &rest);
        break;
    case MESSAGE_PUSH_PULL:
        status = show_push(looking, &rest);
        break;
    case MESSAGE_ACK:
    case MESSAGE_SUSPECT: /* names only, as in the next one */
    case MESSAGE_DEAD:
    case MESSAGE_USER:
    case MESSAGE_NACK:
    case MESSAGE_ERROR:
        return STATUS_OK;
    default: /* of what is not known it is not known whether it tells an address */
        return STATUS_PEER;
    }
    return status == STATUS_OK && rest.len > 0 ? STATUS_PEER : status;
}

enum status message_addresses(slice message, message_address_callback *on_address, void *self)
{
    struct looking looking = {on_address, self};
    return message_unwrap(message, MESSAGE_UNPACKED_BYTES_MAX, show_part, &looking);
}

static bool is_any(void *self, slice ip, uint16_t port)
{
    (void)self;
    (void)ip;
    (void)port;
    return true;
}

bool message_is_understood(slice message, size_t room)
{
    struct looking looking = {is_any, NULL};
    return message_unwrap(message, room, show_part, &looking) == STATUS_OK;
}
