/* tests/unit/proxy/gossip/complaints_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/complaints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOG_BYTES = 256 * 1024, NOW_MS = 1000000 };

struct fixture {
    struct complaints complaints;
    struct log *log;
    int file;
    char lines[LOG_BYTES + 1];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->file = memfd_create("log", MFD_CLOEXEC);
    fixture->log = log_new(LOG_WARN, LOG_JSON, fixture->file, "test");
    assert_non_null(fixture->log);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    log_free(fixture->log);
    (void)close(fixture->file);
    free(fixture);
    return 0;
}

static struct endpoint peer_of(uint32_t number)
{
    const uint8_t ip[] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    struct endpoint endpoint;
    assert_true(endpoint_from_ip(&endpoint, ip, sizeof(ip), 7946));
    return endpoint;
}

static void make(struct fixture *fixture, uint64_t now_ms, uint32_t peer, const char *direction,
                 const char *transport, const char *cause)
{
    struct endpoint endpoint = peer_of(peer);
    const struct complaint complaint = {.cluster = "test",
                                        .direction = direction,
                                        .transport = transport,
                                        .peer = &endpoint,
                                        .cause = cause,
                                        .sentence = "it was refused"};
    complaints_make(&fixture->complaints, fixture->log, now_ms, &complaint);
}

static size_t count(struct fixture *fixture, const char *text)
{
    size_t found = 0;
    log_flush(fixture->log);
    ssize_t len = pread(fixture->file, fixture->lines, LOG_BYTES, 0);
    assert_true(len >= 0);
    fixture->lines[len] = '\0';
    for (const char *at = fixture->lines; (at = strstr(at, text)) != NULL; at++) {
        found++;
    }
    return found;
}

static void names_peer_direction_cause_and_reason(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, NOW_MS, 7, "in", "udp", "no_key_fits");
    assert_int_equal(count(fixture, "\"event\":\"gossip_refused\",\"cluster\":\"test\","
                                    "\"direction\":\"in\",\"transport\":\"udp\","
                                    "\"peer\":\"10.0.0.7:7946\",\"cause\":\"no_key_fits\","
                                    "\"reason\":\"it was refused\",\"times\":1"),
                     1);
}

static void says_the_same_every_ten_seconds_with_how_many_there_were(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t ms = 0; ms <= 25000; ms += 10) {
        make(fixture, NOW_MS + ms, 7, "in", "udp", "no_key_fits");
    }
    assert_int_equal(count(fixture, "gossip_refused"), 3);
    assert_int_equal(count(fixture, "\"times\":1}"), 1);
    assert_int_equal(count(fixture, "\"times\":1000}"), 2);
}

static void each_other_peer_direction_transport_or_cause_is_said_at_once(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, NOW_MS, 7, "in", "udp", "no_key_fits");
    make(fixture, NOW_MS, 8, "in", "udp", "no_key_fits");
    make(fixture, NOW_MS, 7, "out", "udp", "no_key_fits");
    make(fixture, NOW_MS, 7, "in", "tcp", "no_key_fits");
    make(fixture, NOW_MS, 7, "in", "udp", "plaintext");
    assert_int_equal(count(fixture, "\"times\":1}"), 5);
}

static void whoever_forges_how_many_sources_a_second_has_twenty_lines(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t peer = 0; peer < 100000; peer++) {
        make(fixture, NOW_MS + peer / 1000 * 10, peer, "in", "udp", "no_key_fits");
    }
    assert_int_equal(count(fixture, "gossip_refused"), 20);
    make(fixture, NOW_MS + 1000, 200000, "in", "udp", "no_key_fits");
    assert_int_equal(count(fixture, "gossip_refused"), 21);
}

/* What the limit of a second has kept back counts, and is said later. */
static void what_was_kept_back_is_said_with_the_next_line(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, NOW_MS, 7, "in", "udp", "no_key_fits");
    uint64_t later_ms = NOW_MS + 11000;
    for (uint32_t peer = 100; peer < 120; peer++) {
        make(fixture, later_ms, peer, "in", "tcp", "plaintext");
    }
    make(fixture, later_ms, 7, "in", "udp", "no_key_fits");
    make(fixture, later_ms + 1000, 7, "in", "udp", "no_key_fits");
    assert_int_equal(count(fixture, "\"peer\":\"10.0.0.7:7946\""), 2);
    assert_int_equal(count(fixture, "\"times\":2}"), 1);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_peer_direction_cause_and_reason),
        TEST(says_the_same_every_ten_seconds_with_how_many_there_were),
        TEST(each_other_peer_direction_transport_or_cause_is_said_at_once),
        TEST(whoever_forges_how_many_sources_a_second_has_twenty_lines),
        TEST(what_was_kept_back_is_said_with_the_next_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
