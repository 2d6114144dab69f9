/* config/spelling.h
 *
 * How far two words are apart, for "did you mean".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The number of letters to insert, drop, replace or swap with their neighbour to get from a to b
 * (optimal string alignment); words longer than 63 letters are never near. */
size_t spelling_distance(const char *a, const char *b);

/* True if `meant` is near enough to `written` to be worth suggesting: one mistake, or one in each
 * three letters. */
bool spelling_is_near(const char *written, const char *meant);

/* Keeps the nearest of several: call for each candidate; `best` starts as NULL. */
void spelling_consider(const char *written, const char *candidate, const char **best);
