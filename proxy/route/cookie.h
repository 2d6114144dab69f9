/* proxy/route/cookie.h
 *
 * Set-Cookie as browsers read it (RFC 6265 §5.2): split at each ";", attributes without case.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/base/arena.h"
#include "proxy/base/slice.h"

/* True when the attribute is there, with or without a value. Its name in the cookie's own name or
 * value, quoted or not, does not count. */
bool cookie_has_attribute(slice set_cookie, slice name);

/* The same cookie with Secure; the slice itself when it has it. at == NULL: the arena is full. */
slice cookie_make_secure(slice set_cookie, struct arena *arena);
