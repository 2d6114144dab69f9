/* tests/unit/proxy/route/request_rules_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/request_rules.h"

#include "proxy/route/kit.h"

#define TRACE       "4bf92f3577b34da6a3ce929d0e0e4736"
#define TRACEPARENT "00-" TRACE "-00f067aa0ba902b7-01"

static void count_up(void *self, void *out, size_t len)
{
    unsigned char *next = self;
    for (size_t i = 0; i < len; i++) {
        ((unsigned char *)out)[i] = (*next)++;
    }
}

struct row {
    struct kit kit;
    struct request_rules rules;
    struct request_facts facts;
    struct request_identity identity;
};

/* A request over TLS from a client that nobody trusts. */
static void row_init(struct row *row)
{
    *row = (struct row){0};
    kit_init(&row->kit);
    row->kit.message = (struct message){
        .method = METHOD_GET,
        .method_name = SLICE("GET"),
        .scheme = SLICE("https"),
        .authority = SLICE("chat.example.com:8443"),
        .path = SLICE("/api"),
    };
    row->facts = (struct request_facts){
        .client_address = SLICE("192.0.2.1"),
        .listener_port = 9443,
        .is_tls = true,
        .tls_version = SLICE("TLSv1.3"),
        .tls_cipher = SLICE("TLS_AES_256_GCM_SHA384"),
        .tls_group = SLICE("X25519"),
        .id = SLICE("our-id"),
    };
}

static void row_apply(struct row *row)
{
    unsigned char next = 1;
    struct random_source random = {count_up, &next};
    assert_int_equal(request_rules_apply(&row->rules, &row->facts, &random, &row->kit.message,
                                         &row->kit.arena, &row->identity),
                     STATUS_OK);
}

static void says_who_the_client_is(void **state)
{
    (void)state;
    struct row row;
    row_init(&row);
    row_apply(&row);
    kit_expect(&row.kit, "x-forwarded-for", "192.0.2.1");
    kit_expect(&row.kit, "x-forwarded-proto", "https");
    kit_expect(&row.kit, "x-forwarded-host", "chat.example.com:8443");
    kit_expect(&row.kit, "x-forwarded-port", "8443");
    kit_expect(&row.kit, "x-real-ip", "192.0.2.1");
    kit_expect(&row.kit, "x-request-id", "our-id");
    kit_expect(&row.kit, "traceparent", "00-0102030405060708090a0b0c0d0e0f11-1112131415161719-01");
    kit_expect(&row.kit, "forwarded", NULL);
    kit_expect(&row.kit, "sallyport-session", NULL);
    kit_expect(&row.kit, "client-cert", NULL);
    kit_expect(&row.kit, "via", NULL);
    kit_expect_slice(row.identity.id, "our-id");
    kit_expect_slice(row.identity.trace_id, "0102030405060708090a0b0c0d0e0f11");
    kit_expect_slice(row.kit.message.authority, "chat.example.com:8443");
    kit_fini(&row.kit);
}

static void add_spoofed(struct kit *kit)
{
    kit_add(kit, "x-forwarded-for", "203.0.113.9, 203.0.113.10");
    kit_add(kit, "x-forwarded-proto", "https");
    kit_add(kit, "x-forwarded-host", "public.example.com");
    kit_add(kit, "x-forwarded-port", "443");
    kit_add(kit, "x-real-ip", "203.0.113.9");
    kit_add(kit, "forwarded", "for=203.0.113.9");
    kit_add(kit, "client-cert", ":c3Bvb2ZlZA==:");
    kit_add(kit, "sallyport-session", "version=TLSv1.3");
    kit_add(kit, "early-data", "1");
    kit_add(kit, "x_forwarded_for", "203.0.113.9");
}

static void strips_what_a_client_claims(void **state)
{
    (void)state;
    struct row row;
    row_init(&row);
    row.facts.is_tls = false;
    row.rules.forwarded = true;
    add_spoofed(&row.kit);
    row_apply(&row);
    kit_expect(&row.kit, "x-forwarded-for", "192.0.2.1");
    kit_expect(&row.kit, "x-forwarded-proto", "http");
    kit_expect(&row.kit, "x-forwarded-host", "chat.example.com:8443");
    kit_expect(&row.kit, "x-forwarded-port", "8443");
    kit_expect(&row.kit, "x-real-ip", "192.0.2.1");
    kit_expect(&row.kit, "forwarded", "for=192.0.2.1;host=\"chat.example.com:8443\";proto=http");
    kit_expect(&row.kit, "client-cert", NULL);
    kit_expect(&row.kit, "sallyport-session", NULL);
    kit_expect(&row.kit, "early-data", NULL);
    kit_expect(&row.kit, "x_forwarded_for", NULL);
    kit_fini(&row.kit);
}

static void adds_to_what_a_trusted_proxy_says(void **state)
{
    (void)state;
    struct row row;
    row_init(&row);
    row.facts.is_tls = false;
    row.facts.client_is_trusted = true;
    row.rules.forwarded = true;
    add_spoofed(&row.kit);
    row_apply(&row);
    kit_expect(&row.kit, "x-forwarded-for", "203.0.113.9, 203.0.113.10, 192.0.2.1");
    kit_expect(&row.kit, "x-forwarded-proto", "https");
    kit_expect(&row.kit, "x-forwarded-host", "public.example.com");
    kit_expect(&row.kit, "x-forwarded-port", "443");
    kit_expect(&row.kit, "x-real-ip", "203.0.113.9");
    kit_expect(&row.kit, "forwarded",
               "for=203.0.113.9, for=192.0.2.1;host=\"chat.example.com:8443\";proto=http");
    kit_expect(&row.kit, "client-cert", NULL);
    kit_expect(&row.kit, "sallyport-session", NULL);
    kit_fini(&row.kit);
}

static void does_not_believe_nonsense_of_a_trusted_proxy(void **state)
{
    (void)state;
    struct row row;
    row_init(&row);
    row.facts.client_is_trusted = true;
    kit_add(&row.kit, "x-forwarded-for", "203.0.113.9, 203.0.113.10");
    kit_add(&row.kit, "x-forwarded-proto", "gopher");
    kit_add(&row.kit, "x-forwarded-host", "not a host");
    kit_add(&row.kit, "x-forwarded-port", "70000");
    kit_add(&row.kit, "x-real-ip", "me");
    row_apply(&row);
    kit_expect(&row.kit, "x-forwarded-proto", "https");
    kit_expect(&row.kit, "x-forwarded-host", "chat.example.com:8443");
    kit_expect(&row.kit, "x-forwarded-port", "8443");
    kit_expect(&row.kit, "x-real-ip", "203.0.113.10");
    kit_fini(&row.kit);
}

static void the_port_is_what_the_client_sees(void **state)
{
    (void)state;
    static const struct {
        slice authority;
        bool is_tls;
        uint16_t listener_port;
        const char *port;
    } cases[] = {
        {SLICE("chat.example.com"), true, 9443, "443"},
        {SLICE("chat.example.com"), false, 9443, "80"},
        {SLICE("chat.example.com:8443"), true, 9443, "8443"},
        {SLICE("[::1]"), true, 9443, "443"},
        {SLICE("[::1]:7"), true, 9443, "7"},
        {SLICE(""), true, 9443, "9443"},
        {{NULL, 0}, true, 65535, "65535"},
        {SLICE(""), true, 0, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct row row;
        row_init(&row);
        row.kit.message.authority = cases[i].authority;
        row.facts.is_tls = cases[i].is_tls;
        row.facts.listener_port = cases[i].listener_port;
        row_apply(&row);
        kit_expect(&row.kit, "x-forwarded-port", cases[i].port);
        if (cases[i].authority.len == 0) {
            kit_expect(&row.kit, "x-forwarded-host", NULL);
        }
        kit_fini(&row.kit);
    }
}

static void the_port_follows_a_trusted_proxys_scheme(void **state)
{
    (void)state;
    static const struct {
        const char *proto;
        const char *port;
    } cases[] = {{"https", "443"}, {"HTTPS", "443"}, {"wss", "443"}, {"http", "80"}, {"ws", "80"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct row row;
        row_init(&row);
        row.facts.client_is_trusted = true;
        row.kit.message.authority = SLICE("chat.example.com");
        kit_add(&row.kit, "x-forwarded-proto", cases[i].proto);
        row_apply(&row);
        kit_expect(&row.kit, "x-forwarded-proto", cases[i].proto);
        kit_expect(&row.kit, "x-forwarded-port", cases[i].port);
        kit_fini(&row.kit);
    }
}

static void a_unix_socket_has_no_address(void **state)
{
    (void)state;
    struct row row;
    row_init(&row);
    row.facts.client_address = (slice){NULL, 0};
    row.rules.forwarded = true;
    row_apply(&row);
    kit_expect(&row.kit, "x-forwarded-for", NULL);
    kit_expect(&row.kit, "x-real-ip", NULL);
    kit_expect(&row.kit, "forwarded", "for=unknown;host=\"chat.example.com:8443\";proto=https");
    kit_fini(&row.kit);
}

static void tells_the_session_by_option(void **state)
{
    (void)state;
    static const struct {
        slice group;
        bool is_resumed;
        bool is_tls;
        const char *value;
    } cases[] = {
        {SLICE("X25519"), false, true,
         "version=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, group=X25519, resumed=?0"},
        {SLICE(""), true, true, "version=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, resumed=?1"},
        {SLICE("0x11ec"), false, true,
         "version=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, resumed=?0"},
        {SLICE("X25519"), false, false, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct row row;
        row_init(&row);
        row.rules.session_header = true;
        row.facts.tls_group = cases[i].group;
        row.facts.tls_is_resumed = cases[i].is_resumed;
        row.facts.is_tls = cases[i].is_tls;
        row_apply(&row);
        kit_expect(&row.kit, "sallyport-session", cases[i].value);
        kit_fini(&row.kit);
    }
}

static void passes_only_a_verified_certificate(void **state)
{
    (void)state;
    struct row row;
    row_init(&row);
    kit_add(&row.kit, "client-cert", ":c3Bvb2ZlZA==:");
    kit_add(&row.kit, "client-cert-chain", ":c3Bvb2ZlZA==:");
    row.facts.client_certificate = SLICE(":dmVyaWZpZWQ=:");
    row_apply(&row);
    kit_expect(&row.kit, "client-cert", ":dmVyaWZpZWQ=:");
    kit_expect(&row.kit, "client-cert-chain", NULL);
    kit_fini(&row.kit);
}

static void keeps_a_valid_trace_and_id(void **state)
{
    (void)state;
    struct row row;
    row_init(&row);
    kit_add(&row.kit, "traceparent", TRACEPARENT);
    kit_add(&row.kit, "tracestate", "vendor=1");
    kit_add(&row.kit, "x-request-id", "theirs-1");
    row_apply(&row);
    kit_expect(&row.kit, "traceparent", TRACEPARENT);
    kit_expect(&row.kit, "tracestate", "vendor=1");
    kit_expect(&row.kit, "x-request-id", "theirs-1");
    kit_expect_slice(row.identity.trace_id, TRACE);
    kit_expect_slice(row.identity.id, "theirs-1");
    kit_fini(&row.kit);
}

static void starts_a_trace_anew_where_it_is_invalid(void **state)
{
    (void)state;
    static const struct {
        const char *first;
        const char *second;
    } cases[] = {{"00-nonsense", NULL}, {TRACEPARENT, TRACEPARENT}, {NULL, NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct row row;
        row_init(&row);
        kit_add(&row.kit, "tracestate", "vendor=1");
        if (cases[i].first != NULL) {
            kit_add(&row.kit, "traceparent", cases[i].first);
        }
        if (cases[i].second != NULL) {
            kit_add(&row.kit, "traceparent", cases[i].second);
        }
        row_apply(&row);
        kit_expect(&row.kit, "traceparent",
                   "00-0102030405060708090a0b0c0d0e0f11-1112131415161719-01");
        kit_expect(&row.kit, "tracestate", NULL);
        kit_fini(&row.kit);
    }
}

static void sends_the_backends_name_by_option(void **state)
{
    (void)state;
    struct row row;
    row_init(&row);
    row.rules.backend_authority = SLICE("mm2.internal:8065");
    row_apply(&row);
    kit_expect_slice(row.kit.message.authority, "mm2.internal:8065");
    kit_expect_slice(row.identity.client_authority, "chat.example.com:8443");
    kit_expect(&row.kit, "x-forwarded-host", "chat.example.com:8443");
    kit_fini(&row.kit);
}

static void reports_a_full_arena_at_every_point(void **state)
{
    (void)state;
    enum { ENOUGH = 8192 };
    bool has_succeeded = false;
    for (size_t limit = 0; limit <= ENOUGH; limit += 16) {
        struct row row;
        row_init(&row);
        row.rules = (struct request_rules){.forwarded = true, .session_header = true};
        row.facts.client_is_trusted = true;
        add_spoofed(&row.kit);
        row.kit.arena.limit_bytes = row.kit.arena.taken_bytes + limit;
        unsigned char next = 1;
        struct random_source random = {count_up, &next};
        enum status status = request_rules_apply(&row.rules, &row.facts, &random, &row.kit.message,
                                                 &row.kit.arena, &row.identity);
        assert_true(status == STATUS_NOMEM || status == STATUS_OK);
        assert_false(has_succeeded && status != STATUS_OK);
        has_succeeded = status == STATUS_OK;
        kit_fini(&row.kit);
    }
    assert_true(has_succeeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_who_the_client_is),
        cmocka_unit_test(strips_what_a_client_claims),
        cmocka_unit_test(adds_to_what_a_trusted_proxy_says),
        cmocka_unit_test(does_not_believe_nonsense_of_a_trusted_proxy),
        cmocka_unit_test(the_port_is_what_the_client_sees),
        cmocka_unit_test(the_port_follows_a_trusted_proxys_scheme),
        cmocka_unit_test(a_unix_socket_has_no_address),
        cmocka_unit_test(tells_the_session_by_option),
        cmocka_unit_test(passes_only_a_verified_certificate),
        cmocka_unit_test(keeps_a_valid_trace_and_id),
        cmocka_unit_test(starts_a_trace_anew_where_it_is_invalid),
        cmocka_unit_test(sends_the_backends_name_by_option),
        cmocka_unit_test(reports_a_full_arena_at_every_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
