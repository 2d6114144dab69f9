/* tests/unit/proxy/relay/access_log_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/access_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>
#include <unistd.h>

static const struct exchange_facts typical = {
    .end_wall_us = UINT64_C(784111777123456),
    .id = SLICE("7f-12"),
    .request_id = SLICE("7f-12"),
    .trace_id = SLICE("4bf92f3577b34da6a3ce929d0e0e4736"),
    .client = SLICE("192.0.2.1"),
    .listener = SLICE("web"),
    .is_tls = true,
    .tls_version = SLICE("TLSv1.3"),
    .tls_cipher = SLICE("TLS_AES_256_GCM_SHA384"),
    .tls_group = SLICE("X25519"),
    .sni = SLICE("chat.test"),
    .method = SLICE("GET"),
    .host = SLICE("chat.test"),
    .path = SLICE("/api/v4/users"),
    .has_query = true,
    .user_agent = SLICE("curl/8 (x)"),
    .protocol = SLICE("HTTP/1.1"),
    .status = 200,
    .bytes_in = 5,
    .bytes_out = 1234,
    .route = SLICE("chat.test/"),
    .backend = SLICE("mattermost"),
    .server = SLICE("127.0.0.1:8065"),
    .tls_us = ACCESS_LOG_NEVER,
    .header_us = 12,
    .queue_us = 0,
    .connect_us = ACCESS_LOG_NEVER,
    .first_byte_us = 4100,
    .total_us = 5279,
};

static json_t *write_json(const struct exchange_facts *facts)
{
    char out[ACCESS_LOG_LINE_BYTES];
    size_t len = access_log_write(facts, LOG_JSON, out);
    assert_true(len > 0 && len <= sizeof(out));
    assert_int_equal(out[len - 1], '\n');
    assert_null(memchr(out, '\n', len - 1));
    json_error_t error;
    json_t *line = json_loadb(out, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (line == NULL) {
        fail_msg("%s in %.*s", error.text, (int)len, out);
    }
    return line;
}

static void expect_text(const struct exchange_facts *facts, const char *expected)
{
    char out[ACCESS_LOG_LINE_BYTES + 1];
    size_t len = access_log_write(facts, LOG_TEXT, out);
    out[len] = '\0';
    assert_string_equal(out, expected);
}

static void json_has_every_fact(void **state)
{
    (void)state;
    json_t *line = write_json(&typical);
    static const struct {
        const char *key;
        const char *value;
    } texts[] = {
        {"time", "1994-11-06T08:49:37.123Z"},
        {"event", "access"},
        {"id", "7f-12"},
        {"trace", "4bf92f3577b34da6a3ce929d0e0e4736"},
        {"client", "192.0.2.1"},
        {"listener", "web"},
        {"protocol", "HTTP/1.1"},
        {"method", "GET"},
        {"host", "chat.test"},
        {"path", "/api/v4/users"},
        {"user_agent", "curl/8 (x)"},
        {"tls_version", "TLSv1.3"},
        {"tls_cipher", "TLS_AES_256_GCM_SHA384"},
        {"tls_group", "X25519"},
        {"sni", "chat.test"},
        {"route", "chat.test/"},
        {"backend", "mattermost"},
        {"server", "127.0.0.1:8065"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_string_equal(json_string_value(json_object_get(line, texts[i].key)), texts[i].value);
    }
    assert_true(json_is_true(json_object_get(line, "query")));
    assert_true(json_is_false(json_object_get(line, "tls_resumed")));
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 200);
    assert_int_equal(json_integer_value(json_object_get(line, "bytes_in")), 5);
    assert_int_equal(json_integer_value(json_object_get(line, "bytes_out")), 1234);
    assert_int_equal(json_integer_value(json_object_get(line, "header_us")), 12);
    assert_int_equal(json_integer_value(json_object_get(line, "total_us")), 5279);
    assert_non_null(json_object_get(line, "queue_us"));
    static const char *const absent[] = {"fault",      "tunnel",     "retries",       "tls_us",
                                         "connect_us", "request_id", "client_subject"};
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        assert_null(json_object_get(line, absent[i]));
    }
    json_decref(line);
}

static void json_has_what_went_wrong(void **state)
{
    (void)state;
    struct exchange_facts facts = typical;
    facts.is_tunnel = true;
    facts.retries = 2;
    facts.fault = FAULT_BACKEND_RESET;
    facts.request_id = SLICE("theirs");
    facts.client_subject = SLICE("CN=\"a\"");
    facts.is_tls = true;
    json_t *line = write_json(&facts);
    assert_true(json_is_true(json_object_get(line, "tunnel")));
    assert_int_equal(json_integer_value(json_object_get(line, "retries")), 2);
    assert_string_equal(json_string_value(json_object_get(line, "fault")), "backend_reset");
    assert_string_equal(json_string_value(json_object_get(line, "request_id")), "theirs");
    assert_string_equal(json_string_value(json_object_get(line, "client_subject")), "CN=\"a\"");
    json_decref(line);
}

static void text_can_be_read(void **state)
{
    (void)state;
    expect_text(&typical,
                "1994-11-06T08:49:37.123Z 200 GET https://chat.test/api/v4/users?... 5.27ms "
                "tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 group=X25519 client=192.0.2.1 "
                "listener=web protocol=HTTP/1.1 route=chat.test/ backend=mattermost "
                "server=127.0.0.1:8065 in=5 out=1234 header=0.01ms queue=0.00ms "
                "first_byte=4.10ms agent=curl/8\\x20(x) id=7f-12 "
                "trace=4bf92f3577b34da6a3ce929d0e0e4736\n");
}

static void text_of_nothing_is_still_a_line(void **state)
{
    (void)state;
    struct exchange_facts facts = {
        .tls_us = ACCESS_LOG_NEVER,
        .header_us = ACCESS_LOG_NEVER,
        .queue_us = ACCESS_LOG_NEVER,
        .connect_us = ACCESS_LOG_NEVER,
        .first_byte_us = ACCESS_LOG_NEVER,
        .total_us = ACCESS_LOG_NEVER,
        .fault = FAULT_TIMEOUT_HEADER,
    };
    expect_text(&facts, "1970-01-01T00:00:00.000Z 0 - http://- fault=timeout_header in=0 out=0\n");
    json_decref(write_json(&facts));
}

static void the_longest_line_fits(void **state)
{
    (void)state;
    static char noise[6000];
    static const unsigned char bytes[] = {0, 'a', 0xff};
    for (size_t i = 0; i < sizeof(bytes); i++) {
        memset(noise, bytes[i], sizeof(noise));
        slice text = {noise, sizeof(noise)};
        struct exchange_facts facts = {
            .end_wall_us = UINT64_C(4102444800000000),
            .id = text,
            .request_id = {noise, sizeof(noise) - 1},
            .trace_id = text,
            .client = text,
            .listener = text,
            .is_tls = true,
            .tls_version = text,
            .tls_cipher = text,
            .tls_group = text,
            .tls_is_resumed = true,
            .sni = {noise, sizeof(noise) - 1},
            .client_subject = text,
            .method = text,
            .host = text,
            .path = text,
            .has_query = true,
            .user_agent = text,
            .protocol = text,
            .status = UINT32_MAX,
            .bytes_in = INT64_MAX,
            .bytes_out = INT64_MAX,
            .route = text,
            .backend = text,
            .server = text,
            .retries = UINT32_MAX,
            .tls_us = INT64_MAX,
            .header_us = INT64_MAX,
            .queue_us = INT64_MAX,
            .connect_us = INT64_MAX,
            .first_byte_us = INT64_MAX,
            .total_us = INT64_MAX,
            .is_tunnel = true,
            .fault = FAULT_BACKEND_HEADER_BYTES,
        };
        json_decref(write_json(&facts));
        char out[ACCESS_LOG_LINE_BYTES];
        size_t len = access_log_write(&facts, LOG_TEXT, out);
        assert_true(len <= sizeof(out));
        assert_null(memchr(out, '\n', len - 1));
    }
}

static void errors_are_known(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        enum fault_code fault;
        bool is_error;
    } cases[] = {{200, FAULT_NONE, false},       {101, FAULT_NONE, false},
                 {308, FAULT_NONE, false},       {400, FAULT_NONE, true},
                 {502, FAULT_NONE, true},        {0, FAULT_NONE, true},
                 {200, FAULT_CLIENT_GONE, true}, {200, FAULT_BACKEND_TRUNCATED, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct exchange_facts facts = {.status = cases[i].status, .fault = cases[i].fault};
        assert_int_equal(access_log_is_error(&facts), cases[i].is_error);
    }
}

static void hands_wanted_lines_to_the_log(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct log *log = log_new(LOG_INFO, LOG_JSON, ends[1], "worker 1");
    assert_non_null(log);
    struct exchange_facts failed = typical;
    failed.status = 502;
    struct access_log off = {0};
    struct access_log errors = {.log = log, .format = LOG_TEXT, .errors_only = true};
    access_log_add(&off, &failed);
    access_log_add(&errors, &typical);
    access_log_add(&errors, &failed);
    log_flush(log);
    char out[2 * ACCESS_LOG_LINE_BYTES];
    ssize_t len = read(ends[0], out, sizeof(out));
    assert_true(len > 0);
    assert_int_equal(out[len - 1], '\n');
    assert_null(memchr(out, '\n', (size_t)len - 1));
    assert_non_null(memmem(out, (size_t)len, " 502 GET ", 9));
    log_free(log);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_every_fact),
        cmocka_unit_test(json_has_what_went_wrong),
        cmocka_unit_test(text_can_be_read),
        cmocka_unit_test(text_of_nothing_is_still_a_line),
        cmocka_unit_test(the_longest_line_fits),
        cmocka_unit_test(errors_are_known),
        cmocka_unit_test(hands_wanted_lines_to_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
