/* proxy/route/security_headers.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/security_headers.h"

#include <stddef.h>

struct preset_field {
    enum config_security_headers from; /* the weakest preset that has it */
    slice name;
    slice value;
};

static const struct preset_field preset_fields[] = {
    {CONFIG_SECURITY_HEADERS_BASIC, SLICE("x-content-type-options"), SLICE("nosniff")},
    {CONFIG_SECURITY_HEADERS_BASIC, SLICE("x-frame-options"), SLICE("SAMEORIGIN")},
    {CONFIG_SECURITY_HEADERS_BASIC, SLICE("referrer-policy"),
     SLICE("strict-origin-when-cross-origin")},
    {CONFIG_SECURITY_HEADERS_STRICT, SLICE("x-permitted-cross-domain-policies"), SLICE("none")},
    {CONFIG_SECURITY_HEADERS_STRICT, SLICE("cross-origin-opener-policy"),
     SLICE("same-origin-allow-popups")},
    {CONFIG_SECURITY_HEADERS_STRICT, SLICE("permissions-policy"),
     SLICE("camera=(self), microphone=(self), geolocation=(self), display-capture=(self), "
           "payment=(), usb=()")},
};

enum status security_headers_add(enum config_security_headers preset, struct fields *fields,
                                 struct arena *arena)
{
    if (preset == CONFIG_SECURITY_HEADERS_OFF) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < sizeof(preset_fields) / sizeof(preset_fields[0]); i++) {
        const struct preset_field *field = &preset_fields[i];
        if (field->from > preset || fields_find_named(fields, field->name) != NULL) {
            continue;
        }
        enum status status = fields_add_named(fields, arena, field->name, field->value);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}
