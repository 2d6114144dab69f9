/* tests/fuzz/route_rules_fuzz.c
 *
 * Fields as a codec would hand them over, through the request and response rules and into an
 * access line. The first byte chooses trust and options, each further line is `name: value`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/assert.h"
#include "proxy/http/uri.h"
#include "proxy/relay/access_log.h"
#include "proxy/relay/error_page.h"
#include "proxy/route/request_rules.h"
#include "proxy/route/response_rules.h"
#include "proxy/route/traceparent.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

enum { TRUSTED = 1, TLS = 2, FORWARDED = 4, SESSION = 8, CERTIFICATE = 16, BACKEND_NAME = 32 };

static void fill_zero(void *self, void *out, size_t len)
{
    (void)self;
    memset(out, 0, len);
}

/* Only what a codec lets through gets into the message. */
static void read_fields(slice text, struct message *message, struct arena *arena)
{
    while (text.len > 0) {
        size_t end = slice_find(text, '\n');
        slice row = slice_first(text, end);
        text = slice_from(text, end < text.len ? end + 1 : end);
        size_t colon = slice_find(row, ':');
        slice name = arena_copy(arena, slice_first(row, colon));
        slice value = slice_trim(slice_from(row, colon < row.len ? colon + 1 : colon));
        if (name.at == NULL || !field_name_make_lower((char *)(uintptr_t)name.at, name.len) ||
            !field_value_is_valid(value)) {
            continue;
        }
        struct authority authority;
        if (field_token_of(name) == FIELD_HOST) {
            message->authority = authority_parse(value, &authority) ? value : message->authority;
            continue;
        }
        if (fields_add_named(&message->fields, arena, name, value) != STATUS_OK) {
            return;
        }
    }
}

static void check_fields(const struct fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        assert_always(fields->at[i].name.len > 0);
        assert_always(field_value_is_valid(fields->at[i].value));
    }
}

static void check_said_once(const struct fields *fields)
{
    static const enum field_token once[] = {FIELD_X_FORWARDED_FOR,  FIELD_X_FORWARDED_PROTO,
                                            FIELD_X_FORWARDED_HOST, FIELD_X_FORWARDED_PORT,
                                            FIELD_X_REAL_IP,        FIELD_TRACEPARENT,
                                            FIELD_X_REQUEST_ID,     FIELD_FORWARDED,
                                            FIELD_CLIENT_CERT,      FIELD_SALLYPORT_SESSION};
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
        assert_always(fields_count(fields, once[i]) <= 1);
    }
    assert_always(fields_count(fields, FIELD_CLIENT_CERT_CHAIN) == 0);
    assert_always(fields_count(fields, FIELD_EARLY_DATA) == 0);
    slice trace_id;
    const struct field *trace = fields_find(fields, FIELD_TRACEPARENT);
    assert_always(trace != NULL && traceparent_parse(trace->value, &trace_id));
}

static void check_untrusted(const struct fields *fields)
{
    const struct field *claimed = fields_find(fields, FIELD_X_FORWARDED_FOR);
    assert_always(claimed != NULL && slice_equal(claimed->value, SLICE("192.0.2.1")));
    claimed = fields_find(fields, FIELD_X_REAL_IP);
    assert_always(claimed != NULL && slice_equal(claimed->value, SLICE("192.0.2.1")));
    assert_always(fields_find_named(fields, SLICE("x_forwarded_for")) == NULL);
    assert_always(fields_find_named(fields, SLICE("x-forwarded-user")) == NULL);
}

static void run_request(uint8_t options, slice text, struct arena *arena)
{
    struct message request = {.method = METHOD_GET, .path = SLICE("/"), .query = SLICE("")};
    read_fields(text, &request, arena);
    struct request_rules rules = {
        .forwarded = (options & FORWARDED) != 0,
        .session_header = (options & SESSION) != 0,
        .backend_authority = (options & BACKEND_NAME) != 0 ? SLICE("b.test:1") : SLICE(""),
    };
    struct request_facts facts = {
        .client_address = SLICE("192.0.2.1"),
        .client_is_trusted = (options & TRUSTED) != 0,
        .listener_port = 443,
        .is_tls = (options & TLS) != 0,
        .tls_version = SLICE("TLSv1.3"),
        .client_certificate = (options & CERTIFICATE) != 0 ? SLICE(":AA==:") : SLICE(""),
        .id = SLICE("id"),
    };
    struct random_source random = {fill_zero, NULL};
    struct request_identity identity;
    if (request_rules_apply(&rules, &facts, &random, &request, arena, &identity) != STATUS_OK) {
        return;
    }
    check_fields(&request.fields);
    check_said_once(&request.fields);
    if (!facts.client_is_trusted) {
        check_untrusted(&request.fields);
    }
}

static void run_response(uint8_t options, slice text, struct arena *arena)
{
    struct message response = {.status = 200};
    read_fields(text, &response, arena);
    size_t cookies = fields_count(&response.fields, FIELD_SET_COOKIE);
    struct response_rules rules = {.security_headers = CONFIG_SECURITY_HEADERS_STRICT};
    hsts_init(&rules.hsts, 31536000, true);
    struct response_facts facts = {
        .is_tls = (options & TLS) != 0,
        .client_authority = response.authority.len > 0 ? response.authority : SLICE("a.test"),
        .backend_authority = (options & BACKEND_NAME) != 0 ? SLICE("b.test:1") : SLICE(""),
        .secure_cookies = true,
        .date = SLICE("Sun, 06 Nov 1994 08:49:37 GMT"),
    };
    if (response_rules_apply(&rules, &facts, &response, arena) == STATUS_OK) {
        check_fields(&response.fields);
        assert_always(fields_count(&response.fields, FIELD_SET_COOKIE) == cookies);
        assert_always(fields_count(&response.fields, FIELD_STRICT_TRANSPORT_SECURITY) <= 1);
        assert_always(fields_find(&response.fields, FIELD_DATE) != NULL);
    }
}

static void run_log(slice text)
{
    char out[ACCESS_LOG_LINE_BYTES];
    struct exchange_facts facts = {.path = text, .user_agent = text, .host = text, .is_tls = true};
    enum log_format formats[] = {LOG_JSON, LOG_TEXT};
    for (size_t i = 0; i < 2; i++) {
        size_t len = access_log_write(&facts, formats[i], out);
        assert_always(len > 0 && len <= sizeof(out) && out[len - 1] == '\n');
        for (size_t at = 0; at + 1 < len; at++) {
            assert_always((unsigned char)out[at] >= 0x20 && out[at] != 0x7f);
        }
    }
}

static void run_error_page(slice text, struct arena *arena)
{
    struct message response;
    slice body;
    struct error_page_facts facts = {.fault = FAULT_NO_ROUTE, .id = text, .accept = text};
    if (error_page_make(&facts, &response, &body, arena) == STATUS_OK) {
        assert_always(response.framing.length == body.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct arena_pool pool = {0};
    struct arena arena;
    slice text = {(const char *)input + 1, size - 1};
    arena_init(&arena, &pool, 1 << 20);
    run_request(input[0], text, &arena);
    run_response(input[0], text, &arena);
    run_error_page(text, &arena);
    run_log(text);
    arena_reset(&arena);
    arena_pool_fini(&pool);
    return 0;
}
