/* proxy/commands/answer.h
 *
 * What commands read of an instance's answer: members that are missing are told as such, not
 * crashed on, because the instance may be of another version.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <jansson.h>

/* "?" when there is no such text. Lives as long as the object. */
static inline const char *answer_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "?" : text;
}

/* 0 when there is no such number. */
static inline long long answer_number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}
