/* proxy/http/message.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/message.h"

struct method_row {
    slice name;
    enum method method;
};

static const struct method_row methods[] = {
    {{"GET", 3}, METHOD_GET},       {{"POST", 4}, METHOD_POST},
    {{"HEAD", 4}, METHOD_HEAD},     {{"PUT", 3}, METHOD_PUT},
    {{"DELETE", 6}, METHOD_DELETE}, {{"OPTIONS", 7}, METHOD_OPTIONS},
    {{"PATCH", 5}, METHOD_PATCH},   {{"CONNECT", 7}, METHOD_CONNECT},
    {{"TRACE", 5}, METHOD_TRACE},
};

enum method method_of(slice name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (slice_equal(name, methods[i].name)) {
            return methods[i].method;
        }
    }
    return METHOD_OTHER;
}

bool method_is_safe(enum method method)
{
    return method == METHOD_GET || method == METHOD_HEAD || method == METHOD_OPTIONS ||
           method == METHOD_TRACE;
}

bool method_is_idempotent(enum method method)
{
    return method_is_safe(method) || method == METHOD_PUT || method == METHOD_DELETE;
}

bool message_is_grpc(const struct message *request)
{
    static const slice type = {"application/grpc", 16};
    const struct field *field = fields_find(&request->fields, FIELD_CONTENT_TYPE);
    if (field == NULL || field->value.len < type.len ||
        !slice_equal_nocase(slice_first(field->value, type.len), type)) {
        return false;
    }
    /* application/grpc+proto and the like, but not application/grpc-web, which is plain HTTP */
    slice rest = slice_from(field->value, type.len);
    return rest.len == 0 || rest.at[0] == '+' || rest.at[0] == ';' || rest.at[0] == ' ';
}
