/* tests/unit/proxy/route/kit.h
 *
 * Messages for the tests of rules: fields in, fields out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/base/arena.h"
#include "proxy/http/message.h"

struct kit {
    struct arena_pool pool;
    struct arena arena;
    struct message message;
};

static inline void kit_init(struct kit *kit)
{
    *kit = (struct kit){0};
    arena_init(&kit->arena, &kit->pool, 1 << 20);
}

static inline void kit_fini(struct kit *kit)
{
    arena_reset(&kit->arena);
    arena_pool_fini(&kit->pool);
}

static inline void kit_add(struct kit *kit, const char *name, const char *value)
{
    assert_int_equal(
        fields_add_named(&kit->message.fields, &kit->arena, slice_of(name), slice_of(value)),
        STATUS_OK);
}

/* The value of the only field of that name; NULL when there is none. Valid until kit_fini. */
static inline const char *kit_value(struct kit *kit, const char *name)
{
    const struct field *found = NULL;
    for (size_t i = 0; i < kit->message.fields.count; i++) {
        const struct field *field = &kit->message.fields.at[i];
        if (slice_equal(field->name, slice_of(name))) {
            assert_null(found); /* more than one */
            found = field;
        }
    }
    if (found == NULL) {
        return NULL;
    }
    slice parts[] = {found->value, {"\0", 1}};
    return arena_join(&kit->arena, parts, 2).at;
}

static inline void kit_expect(struct kit *kit, const char *name, const char *value)
{
    const char *found = kit_value(kit, name);
    if (found == NULL || value == NULL) {
        if (found != value) {
            fail_msg("%s: found %s, expected %s", name, found != NULL ? found : "none",
                     value != NULL ? value : "none");
        }
        return;
    }
    if (strcmp(found, value) != 0) {
        fail_msg("%s: found \"%s\", expected \"%s\"", name, found, value);
    }
}

static inline void kit_expect_slice(slice found, const char *expected)
{
    if (!slice_equal(found, slice_of(expected))) {
        fail_msg("found \"%.*s\", expected \"%s\"", SLICE_FORMAT(found), expected);
    }
}
