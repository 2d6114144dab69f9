/* proxy/process/fetcher_process.h
 *
 * The main of the short-lived process that asks one OCSP responder over HTTP (RFC 6960 appendix A):
 * request bytes in, response bytes out. It parses neither: the master checks the response before
 * a worker gets it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

/* The exit status. `index` is not used. */
int fetcher_process_run(size_t index);
