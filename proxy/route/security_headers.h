/* proxy/route/security_headers.h
 *
 * Fields that tell a browser to be careful, by preset. They go on the response (on a request to
 * the backend, as some published recipes have them, they do nothing), once; a value that the
 * backend sets itself wins.
 *
 *   basic   X-Content-Type-Options: nosniff; X-Frame-Options: SAMEORIGIN;
 *           Referrer-Policy: strict-origin-when-cross-origin
 *   strict  basic and X-Permitted-Cross-Domain-Policies: none;
 *           Cross-Origin-Opener-Policy: same-origin-allow-popups;
 *           Permissions-Policy: camera, microphone, geolocation and display-capture for the own
 *           origin only (so that calls keep working), payment and usb for nobody
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "proxy/base/arena.h"
#include "proxy/base/status.h"
#include "proxy/http/field.h"

MUST_CHECK enum status security_headers_add(enum config_security_headers preset,
                                            struct fields *fields, struct arena *arena);
