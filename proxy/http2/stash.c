/* proxy/http2/stash.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/stash.h"

#include <stdlib.h>

struct stash_block {
    struct stash_block *next;
    struct buffer bytes;
};

static bool add_block(struct stash *stash, struct buffer_pool *pool)
{
    struct stash_block *block = calloc(1, sizeof(*block));
    if (block == NULL || !buffer_reserve(&block->bytes, pool, BUFFER_BULK_BYTES)) {
        free(block);
        return false;
    }
    if (stash->last != NULL) {
        stash->last->next = block;
    } else {
        stash->first = block;
    }
    stash->last = block;
    return true;
}

bool stash_put(struct stash *stash, struct buffer_pool *pool, slice bytes)
{
    while (bytes.len > 0) {
        bool is_full = stash->last == NULL || buffer_room(&stash->last->bytes) == 0;
        if (is_full && !add_block(stash, pool)) {
            return false;
        }
        struct buffer *buffer = &stash->last->bytes;
        size_t room = buffer_room(buffer);
        size_t len = bytes.len < room ? bytes.len : room;
        memcpy(buffer_room_at(buffer), bytes.at, len);
        buffer_commit(buffer, len);
        bytes = slice_from(bytes, len);
    }
    return true;
}

slice stash_bytes(const struct stash *stash)
{
    return stash->first != NULL ? buffer_bytes(&stash->first->bytes) : (slice){"", 0};
}

static void drop_first(struct stash *stash, struct buffer_pool *pool)
{
    struct stash_block *block = stash->first;
    stash->first = block->next;
    if (stash->first == NULL) {
        stash->last = NULL;
    }
    buffer_clear(&block->bytes, pool);
    free(block);
}

void stash_take(struct stash *stash, struct buffer_pool *pool, size_t bytes)
{
    struct buffer *buffer = &stash->first->bytes;
    if (bytes == buffer_len(buffer)) {
        drop_first(stash, pool);
        return;
    }
    buffer_consume(buffer, pool, bytes);
}

void stash_clear(struct stash *stash, struct buffer_pool *pool)
{
    while (stash->first != NULL) {
        drop_first(stash, pool);
    }
}
