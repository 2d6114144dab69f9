/* tests/unit/proxy/http1/chunked_test.c
 *
 * A chunked body goes in and comes out as content, "|", its trailers, "|" and what follows it; or
 * as the fault. Whole, byte by byte, split everywhere, into little room, and in place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http1/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
    const char *claim;
    slice input;
    slice expected;
};

#define ROW(claim, input, expected)                                                                \
    {                                                                                              \
        claim, {input, sizeof(input) - 1},                                                         \
        {                                                                                          \
            expected, sizeof(expected) - 1                                                         \
        }                                                                                          \
    }

/* clang-format off */
static const struct row rows[] = {
    ROW("one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello||"),
    ROW("several", "5\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n", "hello 0123456789||"),
    ROW("empty", "0\r\n\r\n", "||"),
    ROW("what follows is not ours", "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "a||GET / HTTP/1.1\r\n"),
    ROW("zeros before", "000000000000005\r\nhello\r\n00\r\n\r\n", "hello||"),
    ROW("hex of both cases", "a\r\n0123456789\r\nB\r\n01234567890\r\n0\r\n\r\n", "012345678901234567890||"),
    ROW("content of line ends", "6\r\n0\r\n\r\n0\r\n0\r\n\r\n", "0\r\n\r\n0||"),
    ROW("extensions", "1;a\r\nx\r\n1;a=b;c=\"d\\\"\t;e\";f\r\ny\r\n0;z=1\r\n\r\n", "xy||"),
    ROW("trailers", "1\r\na\r\n0\r\nX-Sum: 1 \r\nGrpc-Status:0\r\n\r\nrest", "a|x-sum=1,grpc-status=0,|rest"),
    ROW("cut in a size", "1", "again"),
    ROW("cut in content", "5\r\nhel", "again"),
    ROW("cut before the last chunk", "1\r\na\r\n", "again"),
    ROW("cut before the empty line", "1\r\na\r\n0\r\n", "again"),
    ROW("cut in trailers", "1\r\na\r\n0\r\nX: y\r\n", "again"),
    ROW("no size", "\r\nhello", "h1_chunk_size"),
    ROW("a sign", "+5\r\nhello\r\n0\r\n\r\n", "h1_chunk_size"),
    ROW("negative", "-1\r\n", "h1_chunk_size"),
    ROW("0x5", "0x5\r\nhello\r\n0\r\n\r\n", "h1_chunk_size"),
    ROW("underscore", "1_0\r\n", "h1_chunk_size"),
    ROW("space before", " 5\r\nhello\r\n0\r\n\r\n", "h1_chunk_size"),
    ROW("space behind", "5 \r\nhello\r\n0\r\n\r\n", "h1_chunk_size"),
    ROW("tab behind", "5\t;a\r\nhello\r\n0\r\n\r\n", "h1_chunk_size"),
    ROW("16 digits", "0000000000000005\r\nhello\r\n0\r\n\r\n", "h1_chunk_size"),
    ROW("a size that would wrap", "ffffffffffffffff5\r\n", "h1_chunk_size"),
    ROW("not hex", "g\r\n", "h1_chunk_size"),
    ROW("NUL", "5\0\r\nhello\r\n0\r\n\r\n", "h1_chunk_size"),
    ROW("bare LF behind the size", "5\nhello\r\n0\r\n\r\n", "h1_bare_lf"),
    ROW("bare CR behind the size", "5\rhello\r\n0\r\n\r\n", "h1_bare_cr"),
    ROW("content longer than told", "5\r\nhello!\r\n0\r\n\r\n", "h1_chunk_end"),
    ROW("bare LF behind the content", "5\r\nhello\n0\r\n\r\n", "h1_chunk_end"),
    ROW("CR without LF behind the content", "5\r\nhello\r0\r\n\r\n", "h1_chunk_end"),
    ROW("empty extension", "5;\r\nhello\r\n0\r\n\r\n", "h1_chunk_extension"),
    ROW("extension without value", "5;a=\r\nhello\r\n0\r\n\r\n", "h1_chunk_extension"),
    ROW("space in an extension", "5; a\r\nhello\r\n0\r\n\r\n", "h1_chunk_extension"),
    ROW("two values", "5;a=b=c\r\nhello\r\n0\r\n\r\n", "h1_chunk_extension"),
    ROW("more behind a quoted value", "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", "h1_chunk_extension"),
    ROW("CR in a quoted value", "5;a=\"b\r\nhello\r\n0\r\n\r\n", "h1_chunk_extension"),
    ROW("LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n", "h1_bare_lf"),
    ROW("LF in a quoted value", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", "h1_bare_lf"),
    ROW("bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", "h1_bare_cr"),
    ROW("NUL in an extension", "5;a\0\r\nhello\r\n0\r\n\r\n", "h1_chunk_extension"),
    ROW("framing in trailers", "0\r\nContent-Length: 5\r\n\r\n", "h1_trailer"),
    ROW("coding in trailers", "0\r\nTransfer-Encoding: chunked\r\n\r\n", "h1_trailer"),
    ROW("Host in trailers", "0\r\nHost: a\r\n\r\n", "h1_trailer"),
    ROW("identity in trailers", "0\r\nX-Forwarded-For: a\r\n\r\n", "h1_trailer"),
    ROW("identity in trailers as CGI spells it", "0\r\nX_Forwarded_For: a\r\n\r\n", "h1_trailer"),
    ROW("cookies in trailers", "0\r\nSet-Cookie: a\r\n\r\n", "h1_trailer"),
    ROW("content coding in trailers", "0\r\nContent-Encoding: gzip\r\n\r\n", "h1_trailer"),
    ROW("bad name in trailers", "0\r\na b: c\r\n\r\n", "h1_field_name"),
    ROW("space before the colon in trailers", "0\r\na : c\r\n\r\n", "h1_space_before_colon"),
    ROW("NUL in trailers", "0\r\na: b\0\r\n\r\n", "h1_field_value"),
    ROW("fold in trailers", "0\r\na: b\r\n c\r\n\r\n", "h1_obs_fold"),
    ROW("bare LF in trailers", "0\r\na: b\n\r\n", "h1_bare_lf"),
    ROW("bare CR in trailers", "0\r\na: b\rc\r\n\r\n", "h1_bare_cr"),
    ROW("a bare LF for the empty line", "0\r\n\n", "h1_bare_lf"),
    ROW("too many trailers", "0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n", "limit_header_count"),
    ROW("too long trailers", "0\r\na: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n", "limit_header_bytes"),
};
/* clang-format on */

static const struct message_limits limits = {.header_bytes = 64, .header_count = 3, .uri_bytes = 10};

struct text {
    char at[512];
    size_t len;
};

static void add(struct text *text, slice more)
{
    assert_true(more.len <= sizeof(text->at) - text->len);
    memcpy(text->at + text->len, more.at, more.len);
    text->len += more.len;
}

static struct text describe(const struct text *content, const struct chunked *chunked, slice rest)
{
    struct text out = *content;
    add(&out, SLICE("|"));
    for (size_t i = 0; i < chunked->trailers.count; i++) {
        add(&out, chunked->trailers.at[i].name);
        add(&out, SLICE("="));
        add(&out, chunked->trailers.at[i].value);
        add(&out, SLICE(","));
    }
    add(&out, SLICE("|"));
    add(&out, rest);
    return out;
}

static struct text named(const char *name)
{
    struct text text = {.len = 0};
    add(&text, slice_of(name));
    return text;
}

/* Pieces of `first` bytes, then of `step`; never more than `room` bytes of content at once. */
static struct text decode(slice input, size_t first, size_t step, size_t room, struct arena *arena)
{
    struct chunked chunked;
    chunked_init(&chunked, arena, &limits);
    struct text content = {.len = 0};
    size_t at = 0;
    for (size_t shown = first;; shown = shown + step < input.len ? shown + step : input.len) {
        enum status status = STATUS_AGAIN;
        size_t produced = 1;
        enum fault_code fault = FAULT_NONE;
        /* in place, as a conn does with its buffer */
        char *bytes = malloc(shown - at + 1);
        assert_non_null(bytes);
        memcpy(bytes, input.at + at, shown - at);
        for (size_t from = 0; status == STATUS_AGAIN && produced > 0;) {
            size_t consumed;
            status = chunked_decode(&chunked, (slice){bytes + from, shown - at}, &consumed,
                                    bytes + from, room, &produced, &fault);
            add(&content, (slice){bytes + from, produced});
            at += consumed;
            from += consumed;
        }
        free(bytes);
        if (status == STATUS_END) {
            return describe(&content, &chunked, slice_from(input, at));
        }
        if (status != STATUS_AGAIN) {
            return named(fault_name(fault));
        }
        assert_int_equal(at, shown);
        if (shown == input.len) {
            return named("again");
        }
    }
}

static void check(const struct row *row, size_t first, size_t step, size_t room)
{
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 20);
    struct text got = decode(row->input, first, step, room, &arena);
    if (!slice_equal((slice){got.at, got.len}, row->expected)) {
        fail_msg("%s (first %zu, step %zu, room %zu): got\n%.*s\nexpected\n%.*s", row->claim, first,
                 step, room, (int)got.len, got.at, SLICE_FORMAT(row->expected));
    }
    arena_reset(&arena);
    arena_pool_fini(&pool);
}

static void bodies_decode_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(&rows[i], rows[i].input.len, 1, 512);
        check(&rows[i], rows[i].input.len, 1, 1);
        check(&rows[i], rows[i].input.len, 1, 3);
    }
}

static void bodies_decode_the_same_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = rows[i].input.len;
        check(&rows[i], 0, 1, 512);
        check(&rows[i], 0, 1, 1);
        for (size_t first = 0; first < len; first++) {
            check(&rows[i], first, len, 512);
        }
    }
}

static enum status feed(struct chunked *chunked, slice in, enum fault_code *fault)
{
    char out[4096];
    size_t consumed;
    size_t produced;
    assert_true(in.len <= sizeof(out));
    return chunked_decode(chunked, in, &consumed, out, sizeof(out), &produced, fault);
}

static void gigabytes_of_extensions_are_refused(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 16);
    struct chunked chunked;
    chunked_init(&chunked, &arena, &limits);
    enum fault_code fault = FAULT_NONE;
    assert_int_equal(feed(&chunked, SLICE("5;a="), &fault), STATUS_AGAIN);
    size_t sent = 4;
    enum status status = STATUS_AGAIN;
    while (status == STATUS_AGAIN && sent < CHUNKED_OVERHEAD_BYTES * 2) {
        status = feed(&chunked, SLICE("bbbbbbbbbbbbbbbb"), &fault);
        sent += 16;
    }
    assert_int_equal(status, STATUS_REFUSED);
    assert_int_equal(fault, FAULT_H1_CHUNK_OVERHEAD);
    assert_true(sent <= CHUNKED_OVERHEAD_BYTES + 32);
    assert_int_equal(feed(&chunked, SLICE("b"), &fault), STATUS_PEER); /* stays failed */
    arena_pool_fini(&pool);
}

static void one_byte_chunks_are_not_refused(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 16);
    struct chunked chunked;
    chunked_init(&chunked, &arena, &limits);
    enum fault_code fault = FAULT_NONE;
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(feed(&chunked, SLICE("1\r\nx\r\n"), &fault), STATUS_AGAIN);
    }
    assert_int_equal(feed(&chunked, SLICE("0\r\n\r\n"), &fault), STATUS_END);
    arena_pool_fini(&pool);
}

static void sizes_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *line;
    } sizes[] = {{1, "1\r\n"},
                 {15, "f\r\n"},
                 {16, "10\r\n"},
                 {255, "ff\r\n"},
                 {16384, "4000\r\n"},
                 {0xabcdef, "abcdef\r\n"},
                 {UINT64_MAX, "ffffffffffffffff\r\n"}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char line[CHUNKED_SIZE_LINE_BYTES];
        size_t len = chunked_write_size(line, sizes[i].bytes);
        assert_true(slice_equal((slice){line, len}, slice_of(sizes[i].line)));
    }
}

static void an_end_is_written_with_its_trailers(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 16);
    struct fields trailers = {0};
    char out[64];
    size_t needed;
    assert_int_equal(chunked_write_end(NULL, out, sizeof(out), &needed), FAULT_NONE);
    assert_true(slice_equal((slice){out, needed}, SLICE("0\r\n\r\n")));
    assert_int_equal(fields_add_named(&trailers, &arena, SLICE("x-sum"), SLICE("1")), STATUS_OK);
    assert_int_equal(chunked_write_end(&trailers, out, 3, &needed), FAULT_NONE);
    assert_int_equal(needed, 15);
    assert_int_equal(chunked_write_end(&trailers, out, sizeof(out), &needed), FAULT_NONE);
    assert_true(slice_equal((slice){out, needed}, SLICE("0\r\nx-sum: 1\r\n\r\n")));
    assert_int_equal(fields_add_named(&trailers, &arena, SLICE("host"), SLICE("1")), STATUS_OK);
    assert_int_equal(chunked_write_end(&trailers, out, sizeof(out), &needed), FAULT_INTERNAL);
    arena_reset(&arena);
    arena_pool_fini(&pool);
}

static void split_trailer_values_are_not_sent(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 16);
    struct fields trailers = {0};
    char out[64];
    size_t needed;
    assert_int_equal(fields_add_named(&trailers, &arena, SLICE("x"), SLICE("1\r\ny: 2")),
                     STATUS_OK);
    assert_int_equal(chunked_write_end(&trailers, out, sizeof(out), &needed), FAULT_INTERNAL);
    arena_reset(&arena);
    arena_pool_fini(&pool);
}

static void out_of_memory_is_a_fault(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 16);
    struct chunked chunked;
    chunked_init(&chunked, &arena, &limits);
    enum fault_code fault = FAULT_NONE;
    assert_int_equal(feed(&chunked, SLICE("0\r\nx: y\r\n\r\n"), &fault), STATUS_NOMEM);
    assert_int_equal(fault, FAULT_LIMIT_MEMORY);
    arena_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_decode_whole),
        cmocka_unit_test(bodies_decode_the_same_in_pieces),
        cmocka_unit_test(gigabytes_of_extensions_are_refused),
        cmocka_unit_test(one_byte_chunks_are_not_refused),
        cmocka_unit_test(sizes_are_written_as_they_are_read),
        cmocka_unit_test(an_end_is_written_with_its_trailers),
        cmocka_unit_test(split_trailer_values_are_not_sent),
        cmocka_unit_test(out_of_memory_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
