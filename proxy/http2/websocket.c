/* proxy/http2/websocket.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/websocket.h"

#include "crypto/websocket.h"

enum fault_code websocket_add_key(struct message *request, struct arena *arena)
{
    char text[WEBSOCKET_KEY_BYTES];
    if (!websocket_key_make(text)) {
        return FAULT_INTERNAL;
    }
    slice key = arena_copy(arena, (slice){text, sizeof(text)});
    /* A client that sends one all the same must not choose what the server will answer. */
    fields_remove(&request->fields, FIELD_SEC_WEBSOCKET_KEY);
    bool is_added = key.at != NULL &&
                    fields_add(&request->fields, arena, FIELD_SEC_WEBSOCKET_KEY, key) == STATUS_OK;
    return is_added ? FAULT_NONE : FAULT_LIMIT_MEMORY;
}

static bool accept_of(const struct message *request, char out[WEBSOCKET_ACCEPT_BYTES])
{
    const struct field *key = fields_find(&request->fields, FIELD_SEC_WEBSOCKET_KEY);
    return key != NULL && websocket_accept_of(key->value.at, key->value.len, out);
}

enum fault_code websocket_add_accept(const struct message *request, struct message *response,
                                     struct arena *arena)
{
    char text[WEBSOCKET_ACCEPT_BYTES];
    fields_remove(&response->fields, FIELD_SEC_WEBSOCKET_ACCEPT);
    if (!accept_of(request, text)) {
        return FAULT_NONE; /* there was no key: its client does without */
    }
    slice accept = arena_copy(arena, (slice){text, sizeof(text)});
    bool is_added =
        accept.at != NULL &&
        fields_add(&response->fields, arena, FIELD_SEC_WEBSOCKET_ACCEPT, accept) == STATUS_OK;
    return is_added ? FAULT_NONE : FAULT_LIMIT_MEMORY;
}

bool websocket_is_accepted(const struct message *request, const struct message *response)
{
    char text[WEBSOCKET_ACCEPT_BYTES];
    const struct field *accept = fields_find(&response->fields, FIELD_SEC_WEBSOCKET_ACCEPT);
    return fields_count(&response->fields, FIELD_SEC_WEBSOCKET_ACCEPT) == 1 &&
           accept_of(request, text) && slice_equal(accept->value, (slice){text, sizeof(text)});
}
