/* proxy/process/memory_file.h
 *
 * Bytes in a sealed memory file: what the master hands to a child once and nobody can change
 * afterwards.
 *
 * Owner: whoever holds the descriptor; a mapping outlives it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/status.h"

/* A copy of the bytes, sealed against writing and resizing. Returns a descriptor, or -1 with
 * errno. `name` is seen in /proc only. */
int memory_file_new(const char *name, const void *bytes, size_t len);

struct memory_file {
    const uint8_t *bytes;
    size_t len;
};

/* Maps a sealed file of 1 to `limit_bytes` bytes for reading; the descriptor stays the caller's.
 * REFUSED: not sealed, or of another size. */
MUST_CHECK enum status memory_file_map(struct memory_file *file, int descriptor,
                                       size_t limit_bytes);
void memory_file_unmap(struct memory_file *file);
