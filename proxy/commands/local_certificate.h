/* proxy/commands/local_certificate.h
 *
 * The certificate of an instance that was given none: from a local authority, made once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "crypto/local_ca.h"

struct bundle;

/* The name in an overlay of a rehearsed certificate with its key. */
#define LOCAL_CERTIFICATE_REHEARSED "(local certificate)"

/* For localhost, the loopback addresses, this machine's name and `hosts` (a list with commas; NULL:
 * none). False: told on standard error. */
bool local_certificate_make(struct local_ca_files *files, const char *hosts);

/* The same kind of certificate for the same names, made for the moment and put into `overlay`,
 * whose owner wipes it. Nothing is read or written. False: told on standard error. */
bool local_certificate_rehearse(struct bundle *overlay, const char *hosts);

/* How to make clients believe it. */
void local_certificate_print_advice(const struct local_ca_files *files, FILE *out);
