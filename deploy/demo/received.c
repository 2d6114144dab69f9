/* deploy/demo/received.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "deploy/demo/received.h"

#include <libwebsockets.h>
#include <stdbool.h>
#include <string.h>

enum { VALUE_BYTES_MAX = 4096, NAME_BYTES_MAX = 64 };

/* libwebsockets has a slot for each field that it knows and keeps the others under their names. */
struct known_field {
    const char *name;
    enum lws_token_indexes token;
    bool secret;
};

static const struct known_field known_fields[] = {
    {"host", WSI_TOKEN_HOST, false},
    {"connection", WSI_TOKEN_CONNECTION, false},
    {"upgrade", WSI_TOKEN_UPGRADE, false},
    {"origin", WSI_TOKEN_ORIGIN, false},
    {"accept", WSI_TOKEN_HTTP_ACCEPT, false},
    {"accept-encoding", WSI_TOKEN_HTTP_ACCEPT_ENCODING, false},
    {"accept-language", WSI_TOKEN_HTTP_ACCEPT_LANGUAGE, false},
    {"cache-control", WSI_TOKEN_HTTP_CACHE_CONTROL, false},
    {"content-length", WSI_TOKEN_HTTP_CONTENT_LENGTH, false},
    {"content-type", WSI_TOKEN_HTTP_CONTENT_TYPE, false},
    {"referer", WSI_TOKEN_HTTP_REFERER, false},
    {"sec-websocket-extensions", WSI_TOKEN_EXTENSIONS, false},
    {"sec-websocket-version", WSI_TOKEN_VERSION, false},
    {"transfer-encoding", WSI_TOKEN_HTTP_TRANSFER_ENCODING, false},
    {"user-agent", WSI_TOKEN_HTTP_USER_AGENT, false},
    {"via", WSI_TOKEN_HTTP_VIA, false},
    {"x-forwarded-for", WSI_TOKEN_X_FORWARDED_FOR, false},
    {"x-real-ip", WSI_TOKEN_HTTP_X_REAL_IP, false},
    {"authorization", WSI_TOKEN_HTTP_AUTHORIZATION, true},
    {"cookie", WSI_TOKEN_HTTP_COOKIE, true},
};

static const char *const other_fields[] = {
    "sallyport-session", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
    "forwarded",         "traceparent",       "x-request-id",     "client-cert",
};

static const char *method_of(struct lws *wsi)
{
    static const struct {
        enum lws_token_indexes token;
        const char *name;
    } methods[] = {
        {WSI_TOKEN_GET_URI, "GET"},         {WSI_TOKEN_HEAD_URI, "HEAD"},
        {WSI_TOKEN_POST_URI, "POST"},       {WSI_TOKEN_PUT_URI, "PUT"},
        {WSI_TOKEN_PATCH_URI, "PATCH"},     {WSI_TOKEN_DELETE_URI, "DELETE"},
        {WSI_TOKEN_OPTIONS_URI, "OPTIONS"},
    };
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (lws_hdr_total_length(wsi, methods[i].token) > 0) {
            return methods[i].name;
        }
    }
    return "?";
}

static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    return value != NULL ? value : json_string("(not UTF-8)");
}

static void known_field_add(json_t *fields, struct lws *wsi, const struct known_field *field)
{
    char value[VALUE_BYTES_MAX];
    if (lws_hdr_total_length(wsi, field->token) <= 0) {
        return;
    }
    if (field->secret) {
        (void)json_object_set_new(fields, field->name, text_json("(sent, not shown)"));
        return;
    }
    if (lws_hdr_copy(wsi, value, sizeof(value), field->token) > 0) {
        (void)json_object_set_new(fields, field->name, text_json(value));
    }
}

static void other_field_add(json_t *fields, struct lws *wsi, const char *name)
{
    char value[VALUE_BYTES_MAX];
    char with_colon[NAME_BYTES_MAX];
    int name_len = lws_snprintf(with_colon, sizeof(with_colon), "%s:", name);
    if (lws_hdr_custom_length(wsi, with_colon, name_len) > 0 &&
        lws_hdr_custom_copy(wsi, value, sizeof(value), with_colon, name_len) > 0) {
        (void)json_object_set_new(fields, name, text_json(value));
    }
}

static json_t *fields_json(struct lws *wsi)
{
    json_t *fields = json_object();
    if (fields == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(other_fields) / sizeof(other_fields[0]); i++) {
        other_field_add(fields, wsi, other_fields[i]);
    }
    for (size_t i = 0; i < sizeof(known_fields) / sizeof(known_fields[0]); i++) {
        known_field_add(fields, wsi, &known_fields[i]);
    }
    return fields;
}

json_t *received_json(struct lws *wsi)
{
    char *path = NULL;
    int path_len = 0;
    char path_text[VALUE_BYTES_MAX] = "?";
    char version[32] = "?";
    char peer[64] = "";
    if (lws_http_get_uri_and_method(wsi, &path, &path_len) >= 0 && path != NULL) {
        (void)lws_strncpy(path_text, path, sizeof(path_text));
    }
    (void)lws_hdr_copy(wsi, version, sizeof(version), WSI_TOKEN_HTTP);
    (void)lws_get_peer_simple(wsi, peer, sizeof(peer));

    json_t *fields = fields_json(wsi);
    json_t *received = json_object();
    if (fields == NULL || received == NULL) {
        json_decref(fields);
        json_decref(received);
        return NULL;
    }
    bool encrypted = json_object_get(fields, "sallyport-session") != NULL;
    (void)json_object_set_new(received, "method", text_json(method_of(wsi)));
    (void)json_object_set_new(received, "path", text_json(path_text));
    (void)json_object_set_new(received, "version", text_json(version));
    (void)json_object_set_new(received, "peer", text_json(peer));
    (void)json_object_set_new(received, "encrypted", json_boolean(encrypted));
    (void)json_object_set_new(received, "headers", fields);
    return received;
}
