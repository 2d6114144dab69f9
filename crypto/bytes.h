/* crypto/bytes.h
 *
 * Borrowed bytes, such as the content of a file: most callers here have no file system of their
 * own. `= {0}` means none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *at;
    size_t len;
};
