/* proxy/gossip/lzw.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/lzw.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    CODE_CLEAR = 256, /* below are the literals */
    CODE_END,
    CODE_FIRST, /* the first of the table's own */
    WIDTH_MIN = 9,
    WIDTH_MAX = 12,
    CODES = 1 << WIDTH_MAX,
    NO_CODE = CODES,
};

/* A code of the table stands for what `before` stands for, and one byte more. */
struct entry {
    uint16_t before;
    uint8_t byte;
    uint16_t len;
};

struct unpacking {
    slice packed;
    size_t at; /* bytes of it that were read */
    uint32_t bits;
    unsigned bit_count;
    unsigned width;
    /* The code that the next one of the stream defines; CODES: the table is full. */
    unsigned next;
    unsigned last; /* the code before; NO_CODE after a clearing */
    char *out;
    size_t len;
    size_t room;
    size_t limit;
    struct entry table[CODES];
};

static void clear(struct unpacking *u)
{
    u->width = WIDTH_MIN;
    u->next = CODE_FIRST;
    u->last = NO_CODE;
}

static enum status next_code(struct unpacking *u, unsigned *code)
{
    while (u->bit_count < u->width) {
        if (u->at == u->packed.len) {
            return STATUS_PEER;
        }
        u->bits |= (uint32_t)(uint8_t)u->packed.at[u->at++] << u->bit_count;
        u->bit_count += 8;
    }
    *code = u->bits & ((1U << u->width) - 1);
    u->bits >>= u->width;
    u->bit_count -= u->width;
    return STATUS_OK;
}

static enum status make_room(struct unpacking *u, size_t more)
{
    if (more > u->limit - u->len) {
        return STATUS_REFUSED;
    }
    if (more <= u->room - u->len) {
        return STATUS_OK;
    }
    size_t room = u->room > u->limit / 2 ? u->limit : 2 * u->room;
    room = room < u->len + more ? u->len + more : room;
    char *out = realloc(u->out, room);
    if (out == NULL) {
        return STATUS_NOMEM;
    }
    u->out = out;
    u->room = room;
    return STATUS_OK;
}

static size_t length_of(const struct unpacking *u, unsigned code)
{
    return code < CODE_CLEAR ? 1 : u->table[code].len;
}

/* Writes what a known code stands for, from its last byte to the first, which is returned. */
static uint8_t write_code(struct unpacking *u, unsigned code)
{
    size_t at = u->len + length_of(u, code);
    u->len = at;
    while (code >= CODE_FIRST) {
        u->out[--at] = (char)u->table[code].byte;
        code = u->table[code].before;
    }
    u->out[--at] = (char)code;
    return (uint8_t)code;
}

/* A literal, or a code of the table; the one that is only being defined by this very place stands
 * for the last one and its own first byte. */
static enum status take_code(struct unpacking *u, unsigned code)
{
    bool is_own_definition = code == u->next && u->last != NO_CODE;
    if (code >= u->next && !is_own_definition) {
        return STATUS_PEER;
    }
    unsigned known = is_own_definition ? u->last : code;
    enum status status = make_room(u, length_of(u, known) + is_own_definition);
    if (status != STATUS_OK) {
        return status;
    }
    uint8_t first = write_code(u, known);
    if (is_own_definition) {
        u->out[u->len++] = (char)first;
    }
    if (u->last != NO_CODE && u->next < CODES) {
        u->table[u->next] =
            (struct entry){(uint16_t)u->last, first, (uint16_t)(length_of(u, u->last) + 1)};
        u->next++;
    }
    u->last = code;
    return STATUS_OK;
}

static enum status unpack(struct unpacking *u)
{
    for (;;) {
        unsigned code = 0;
        enum status status = next_code(u, &code);
        if (status != STATUS_OK) {
            return status;
        }
        if (code == CODE_END) {
            return u->at == u->packed.len ? STATUS_OK : STATUS_PEER;
        }
        if (code == CODE_CLEAR) {
            clear(u);
            continue;
        }
        status = take_code(u, code);
        if (status != STATUS_OK) {
            return status;
        }
        if (u->next == 1U << u->width && u->width < WIDTH_MAX) {
            u->width++;
        }
    }
}

enum status lzw_unpack(slice packed, size_t limit, char **unpacked, size_t *len)
{
    struct unpacking u = {.packed = packed, .limit = limit};
    clear(&u);
    u.room = packed.len < limit ? packed.len : limit; /* grows; the result is often that short */
    u.out = malloc(u.room + 1);                       /* never NULL for nothing */
    if (u.out == NULL) {
        return STATUS_NOMEM;
    }
    enum status status = unpack(&u);
    if (status != STATUS_OK) {
        free(u.out);
        return status;
    }
    *unpacked = u.out;
    *len = u.len;
    return STATUS_OK;
}
