/* crypto/library.h
 *
 * libcrypto reads its configuration file and looks for modules when something of it is used for the
 * first time. A process that will lose its files has that done before.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

/* False: libcrypto cannot be used (a configuration that it does not understand, no randomness). */
bool crypto_library_load(void) __attribute__((warn_unused_result));
