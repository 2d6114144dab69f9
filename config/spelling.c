/* config/spelling.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/spelling.h"

#include <stdint.h>
#include <string.h>

enum { WORD_MAX = 63 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t spelling_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX) {
        return SIZE_MAX;
    }
    size_t rows[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= a_len; i++) {
        rows[i][0] = i;
    }
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0);
            rows[i][j] = least(replaced, least(rows[i - 1][j], rows[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
            }
        }
    }
    return rows[a_len][b_len];
}

bool spelling_is_near(const char *written, const char *meant)
{
    size_t len = strlen(meant);
    size_t allowed = len < 3 ? 0 : len < 6 ? 1 : len / 3;
    return spelling_distance(written, meant) <= allowed;
}

void spelling_consider(const char *written, const char *candidate, const char **best)
{
    if (!spelling_is_near(written, candidate)) {
        return;
    }
    if (*best == NULL ||
        spelling_distance(written, candidate) < spelling_distance(written, *best)) {
        *best = candidate;
    }
}
