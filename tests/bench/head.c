/* tests/bench/head.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/head.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

size_t head_length(const char *bytes, size_t len)
{
    const char *end = memmem(bytes, len, "\r\n\r\n", 4);
    return end == NULL ? 0 : (size_t)(end - bytes) + 4;
}

static const char *trim(const char *value, const char *end, size_t *value_len)
{
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *value_len = (size_t)(end - value);
    return value;
}

const char *head_field(const char *head, size_t head_len, const char *name, size_t *value_len)
{
    const char *end = head + head_len;
    size_t name_len = strlen(name);
    const char *line = head;
    for (;;) {
        const char *line_end = memmem(line, (size_t)(end - line), "\r\n", 2);
        if (line_end == NULL || line_end == line) {
            return NULL;
        }
        if ((size_t)(line_end - line) >= name_len && strncasecmp(line, name, name_len) == 0) {
            return trim(line + name_len, line_end, value_len);
        }
        line = line_end + 2;
    }
}

bool head_content_length(const char *head, size_t head_len, uint64_t *length)
{
    size_t len = 0;
    const char *value = head_field(head, head_len, "content-length:", &len);
    if (value == NULL || len == 0 || len > 18) {
        return false;
    }
    *length = 0;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)value[i])) {
            return false;
        }
        *length = *length * 10 + (uint64_t)(value[i] - '0');
    }
    return true;
}

bool head_says_close(const char *head, size_t head_len)
{
    size_t len = 0;
    const char *value = head_field(head, head_len, "connection:", &len);
    return value != NULL && len == 5 && strncasecmp(value, "close", 5) == 0;
}

int head_status(const char *head, size_t head_len)
{
    if (head_len < 13 || memcmp(head, "HTTP/1.1 ", 9) != 0) {
        return -1;
    }
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (!isdigit((unsigned char)head[i])) {
            return -1;
        }
        status = status * 10 + (head[i] - '0');
    }
    return status;
}
