/* crypto/pem.h
 *
 * What reading PEM text object by object needs where the objects are public (certificates,
 * revocation lists): nobody is asked for a password, and running out of objects is no mistake.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

/* For OpenSSL's PEM readers: answers every question for a password with a refusal, where the
 * default would ask on the terminal. */
int pem_no_password(char *out, int size, int writing, void *argument);

/* After a PEM reader returned NULL: true if the text held no further object, false if the next one
 * is malformed. Reads OpenSSL's error queue and leaves it as it is. */
bool pem_is_end(void);
