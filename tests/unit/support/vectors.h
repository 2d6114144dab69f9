/* tests/unit/support/vectors.h
 *
 * The vectors that the real library made (tests/vectors/memberlist.json). Unit tests run in the
 * top folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "proxy/base/assert.h"
#include "proxy/base/slice.h"

static inline json_t *vectors_load(const char *path)
{
    json_error_t error;
    json_t *vectors = json_load_file(path, 0, &error);
    assert_always(vectors != NULL);
    return vectors;
}

static inline int vectors_digit(char digit)
{
    return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

/* The bytes of a field in hex, in a block of exactly their length that the caller frees, so that a
 * sanitizer sees who reads behind them. `at` is NULL where there is no such field. */
static inline slice vectors_bytes(const json_t *vector, const char *field)
{
    const char *hex = json_string_value(json_object_get(vector, field));
    if (hex == NULL) {
        return (slice){NULL, 0};
    }
    size_t len = strlen(hex) / 2;
    char *bytes = malloc(len > 0 ? len : 1);
    assert_always(bytes != NULL);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(vectors_digit(hex[2 * i]) << 4 | vectors_digit(hex[2 * i + 1]));
    }
    return (slice){bytes, len};
}
