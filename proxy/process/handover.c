/* proxy/process/handover.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/handover.h"

#include <stdlib.h>
#include <string.h>

void handover_init(struct handover *handover)
{
    *handover = (struct handover){.log = -1, .admin = -1, .tickets = -1, .spent = -1};
}

void handover_fini(struct handover *handover)
{
    free(handover->sockets);
    free(handover->children);
    free(handover->rules);
    handover_init(handover);
}

/* Room for one more. False: no memory, or too many. */
static bool grow(void **items, size_t count, size_t item_bytes)
{
    void *grown = count >= HANDOVER_ITEMS_MAX ? NULL : reallocarray(*items, count + 1, item_bytes);
    *items = grown == NULL ? *items : grown;
    return grown != NULL;
}

enum status handover_add_socket(struct handover *handover, const struct handover_socket *socket)
{
    void *items = handover->sockets;
    bool has_room = grow(&items, handover->socket_count, sizeof(*socket));
    handover->sockets = items;
    if (!has_room) {
        return STATUS_NOMEM;
    }
    handover->sockets[handover->socket_count++] = *socket;
    return STATUS_OK;
}

enum status handover_add_child(struct handover *handover, const struct handover_child *child)
{
    void *items = handover->children;
    bool has_room = grow(&items, handover->child_count, sizeof(*child));
    handover->children = items;
    if (!has_room) {
        return STATUS_NOMEM;
    }
    handover->children[handover->child_count++] = *child;
    return STATUS_OK;
}

enum status handover_add_rules(struct handover *handover, const struct handover_rules *rules)
{
    void *items = handover->rules;
    bool has_room = grow(&items, handover->rule_count, sizeof(*rules));
    handover->rules = items;
    if (!has_room) {
        return STATUS_NOMEM;
    }
    handover->rules[handover->rule_count++] = *rules;
    return STATUS_OK;
}

void handover_remove_child(struct handover *handover, pid_t pid)
{
    size_t kept = 0;
    for (size_t i = 0; i < handover->child_count; i++) {
        if (handover->children[i].pid != pid) {
            handover->children[kept++] = handover->children[i];
        }
    }
    handover->child_count = kept;
}

struct config_address handover_asked(const struct handover_socket *socket)
{
    struct config_address asked = socket->asked;
    if (asked.kind == CONFIG_ADDRESS_UNIX) {
        asked.path = socket->bound + strlen(HANDOVER_UNIX_PREFIX);
    }
    return asked;
}

void handover_each_descriptor(const struct handover *handover,
                              void (*run)(void *self, int descriptor), void *self)
{
    const int single[] = {handover->log, handover->admin, handover->tickets, handover->spent};
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        if (single[i] >= 0) {
            run(self, single[i]);
        }
    }
    for (size_t i = 0; i < handover->socket_count; i++) {
        run(self, handover->sockets[i].descriptor);
    }
    for (size_t i = 0; i < handover->child_count; i++) {
        if (handover->children[i].channel >= 0) {
            run(self, handover->children[i].channel);
        }
    }
}
