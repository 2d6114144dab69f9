/* proxy/gossip/lzw.h
 *
 * Unpacks LZW as memberlist packs with it (Go's compress/lzw): least significant bit first,
 * literals of 8 bits, codes of 9 to 12 bits, a code that clears the table and one that ends.
 *
 * Why it exists: what a node is told may be packed, and must be looked into all the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

#include "proxy/base/slice.h"
#include "proxy/base/status.h"

/* Unpacks all of `packed` to `*unpacked`, which the caller frees; it is untouched when not OK.
 * PEER: malformed, cut short, or with more behind its end. REFUSED: would be longer than `limit`
 * bytes. NOMEM. */
MUST_CHECK enum status lzw_unpack(slice packed, size_t limit, char **unpacked, size_t *len);
