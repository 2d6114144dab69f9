/* crypto/wiped_memory.h
 *
 * Memory for OpenSSL that is wiped when it is given back.
 *
 * Why it exists: OpenSSL reads a key file in several steps, and frees what lay between them (the
 * DER that it decoded from PEM) as it was. In a process that lives on, as the master does, whole
 * keys would stay in freed memory until something else happens to be written there.
 *
 * Not for workers: they have no keys, and make and free much.
 *
 * Owner: the process, from its first line on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

/* Before anything of OpenSSL is used. False: too late, OpenSSL holds memory already; all works as
 * it would without. */
bool wiped_memory_install(void);
