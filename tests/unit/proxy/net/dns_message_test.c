/* tests/unit/proxy/net/dns_message_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/dns_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define QUERY    "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0\1"
#define QUESTION "\1a\4test\0\0\1\0\1"
#define ADDRESS  "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
#define ALIAS    "\xc0\x0c\0\5\0\1\0\0\0\x09\0\4\1b\xc0\x0c"
#define SOA      "\xc0\x0c\0\6\0\1\0\0\0\x3c\0\x16\0\0aaaabbbbccccdddd\0\0\0\7"

static void writes_a_query_and_refuses_what_is_no_name(void **state)
{
    (void)state;
    char out[DNS_QUERY_BYTES];
    size_t len = dns_query_write(out, 0x1234, SLICE("a.test"), DNS_TYPE_A);
    assert_true(slice_equal((slice){out, len}, SLICE(QUERY)));
    char name[300];
    memset(name, 'a', sizeof(name));
    for (size_t at = 63; at < sizeof(name); at += 64) {
        name[at] = '.';
    }
    assert_true(dns_query_write(out, 1, (slice){name, 253}, DNS_TYPE_A) > 253);
    assert_int_equal(dns_query_write(out, 1, (slice){name, 254}, DNS_TYPE_A), 0);
    name[63] = 'a';
    assert_int_equal(dns_query_write(out, 1, (slice){name, 64}, DNS_TYPE_A), 0);
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a b", "a\n", "\x80"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(dns_name_is_valid(slice_of(bad[i])));
    }
}

static const struct {
    const char *claim;
    slice message;
    enum dns_outcome outcome;
    size_t count;
    uint32_t ttl_s;
} cases[] = {
    {"an address", SLICE("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION ADDRESS), DNS_FOUND, 1, 60},
    {"the least ttl on the way counts",
     SLICE("\x12\x34\x81\x80\0\1\0\2\0\0\0\0" QUESTION ALIAS ADDRESS), DNS_FOUND, 1, 9},
    {"an alias alone is no address", SLICE("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION ALIAS),
     DNS_NO_ADDRESS, 0, 0},
    {"no such name", SLICE("\x12\x34\x81\x83\0\1\0\0\0\1\0\0" QUESTION SOA), DNS_NO_NAME, 0, 7},
    {"no address", SLICE("\x12\x34\x81\x80\0\1\0\0\0\1\0\0" QUESTION SOA), DNS_NO_ADDRESS, 0, 7},
    {"truncated", SLICE("\x12\x34\x83\x80\0\1\0\0\0\0\0\0" QUESTION), DNS_TRUNCATED, 0, 0},
    {"server failure", SLICE("\x12\x34\x81\x82\0\1\0\0\0\0\0\0" QUESTION), DNS_FAILED, 0, 0},
    {"refused", SLICE("\x12\x34\x81\x85\0\1\0\0\0\0\0\0" QUESTION), DNS_FAILED, 0, 0},
    {"the case of letters is free",
     SLICE("\x12\x34\x81\x80\0\1\0\1\0\0\0\0\1A\4tEsT\0\0\1\0\1" ADDRESS), DNS_FOUND, 1, 60},
    {"another id", SLICE("\x12\x35\x81\x80\0\1\0\1\0\0\0\0" QUESTION ADDRESS), DNS_UNANSWERED, 0,
     0},
    {"a query", SLICE("\x12\x34\1\0\0\1\0\1\0\0\0\0" QUESTION ADDRESS), DNS_UNANSWERED, 0, 0},
    {"another name", SLICE("\x12\x34\x81\x80\0\1\0\1\0\0\0\0\1b\4test\0\0\1\0\1" ADDRESS),
     DNS_UNANSWERED, 0, 0},
    {"another type", SLICE("\x12\x34\x81\x80\0\1\0\1\0\0\0\0\1a\4test\0\0\x1c\0\1" ADDRESS),
     DNS_UNANSWERED, 0, 0},
    {"fewer records than told", SLICE("\x12\x34\x81\x80\0\1\0\2\0\0\0\0" QUESTION ADDRESS),
     DNS_FAILED, 0, 0},
    {"an address of another size",
     SLICE("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\3\xc0\0\2"),
     DNS_FAILED, 0, 0},
    {"a ttl with the highest bit is zero",
     SLICE("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION
           "\xc0\x0c\0\1\0\1\xff\xff\xff\xff\0\4\xc0\0\2\1"),
     DNS_FOUND, 1, 0},
};

static void reads_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dns_answer answer;
        dns_answer_parse(cases[i].message, SLICE(QUERY), &answer);
        if (answer.outcome != cases[i].outcome || answer.count != cases[i].count ||
            answer.ttl_s != cases[i].ttl_s) {
            fail_msg("%s: outcome %d, %zu, ttl %u", cases[i].claim, answer.outcome, answer.count,
                     answer.ttl_s);
        }
    }
}

static void takes_no_piece_for_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t len = 0; len < cases[i].message.len; len++) {
            char *piece = malloc(len + 1); /* of just that size, for the sanitizer */
            struct dns_answer answer;
            memcpy(piece, cases[i].message.at, len);
            char *fitting = realloc(piece, len > 0 ? len : 1);
            dns_answer_parse((slice){fitting, len}, SLICE(QUERY), &answer);
            assert_true(answer.outcome != DNS_FOUND);
            free(fitting);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_query_and_refuses_what_is_no_name),
        cmocka_unit_test(reads_what_the_table_says),
        cmocka_unit_test(takes_no_piece_for_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
