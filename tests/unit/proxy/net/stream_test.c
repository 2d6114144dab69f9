/* tests/unit/proxy/net/stream_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/stream_rig.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/un.h>

enum { LIMIT_MS = 20000, BULK_BYTES = 4 * 1024 * 1024 };

/* Bytes with no short period, so that a shift or a repeat shows. */
static slice pattern(size_t len)
{
    static char bytes[BULK_BYTES];
    if (bytes[1] == 0) {
        uint32_t x = 1;
        for (size_t i = 0; i < sizeof(bytes); i++) {
            x = x * 1664525U + 1013904223U;
            bytes[i] = (char)(x >> 24);
        }
        bytes[1] = 1;
    }
    return (slice){bytes, len};
}

static bool got_is(const struct end *end, slice expected)
{
    return slice_equal((slice){end->got, end->got_len}, expected);
}

static bool both_ended(const struct rig *rig)
{
    return rig->server.has_end && rig->client.has_end;
}

static bool both_open(const struct rig *rig)
{
    return rig->server.opens > 0 && rig->client.opens > 0;
}

static bool server_ended(const struct rig *rig)
{
    return rig->server.has_end;
}

static bool client_ended(const struct rig *rig)
{
    return rig->client.has_end;
}

static bool server_failed(const struct rig *rig)
{
    return rig->server.fails > 0;
}

static bool client_failed(const struct rig *rig)
{
    return rig->client.fails > 0;
}

static bool both_failed(const struct rig *rig)
{
    return server_failed(rig) && client_failed(rig);
}

static void open_pair(struct rig *rig, bool is_tls)
{
    rig_pair(rig, is_tls);
    if (is_tls) {
        assert_true(rig_run(rig, LIMIT_MS, both_open));
        assert_true(stream_is_tls(rig->server.stream));
    }
}

static void moves_every_byte_whatever_the_room(void **state)
{
    static const struct {
        size_t room;
        size_t len;
    } cases[] = {{1, 20000},      {2, 20000},       {3, 20000},      {7, 60000},
                 {1000, 100000},  {4096, 300000},   {16384, 300000}, {16385, 300000},
                 {65536, 600000}, {300000, 1 << 20}};
    struct rig *rig = *state;
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        size_t row = i / 2;
        rig_pair(rig, i % 2 == 1);
        slice sent = pattern(cases[row].len);
        struct end *ends[] = {&rig->server, &rig->client};
        for (size_t e = 0; e < 2; e++) {
            ends[e]->read_room = cases[row].room;
            ends[e]->to_send = sent;
            ends[e]->finishes = true;
            if (i % 2 == 0) {
                end_send(ends[e]);
            }
        }
        assert_true(rig_run(rig, LIMIT_MS, both_ended));
        assert_true(got_is(&rig->server, sent));
        assert_true(got_is(&rig->client, sent));
    }
}

static bool server_is_stuck(const struct rig *rig)
{
    return rig->server.to_send.len > 0 && stream_has_unsent(rig->server.stream);
}

static void holds_a_writer_back_until_a_slow_reader_reads(void **state)
{
    struct rig *rig = *state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        open_pair(rig, is_tls != 0);
        rig->client.read_room = 0;
        rig->server.to_send = pattern(BULK_BYTES);
        rig->server.finishes = true;
        end_send(&rig->server);
        (void)rig_run(rig, 200, server_is_stuck);
        (void)rig_run(rig, 200, NULL);
        assert_true(rig->server.to_send.len > 0);
        size_t left = rig->server.to_send.len;
        assert_true(left < BULK_BYTES);
        rig->client.read_room = 5000;
        end_read(&rig->client);
        assert_true(rig_run(rig, LIMIT_MS, client_ended));
        assert_true(got_is(&rig->client, pattern(BULK_BYTES)));
        assert_true(rig->server.writables > 0);
        assert_false(stream_has_unsent(rig->server.stream));
        assert_true(stream_sent_bytes(rig->server.stream) >= BULK_BYTES);
    }
}

static void gathers_small_writes_in_their_order(void **state)
{
    struct rig *rig = *state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        open_pair(rig, is_tls != 0);
        size_t at = 0;
        static const size_t sizes[] = {1, 100, 4000, 20000, 3, 70000, 16384, 15, 1};
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            size_t taken = 0;
            slice part = {pattern(BULK_BYTES).at + at, sizes[i]};
            assert_int_equal(stream_write(rig->server.stream, part, &taken), STATUS_OK);
            assert_int_equal(taken, sizes[i]);
            at += taken;
        }
        stream_finish(rig->server.stream);
        size_t taken = 0;
        assert_int_equal(stream_write(rig->server.stream, SLICE("x"), &taken), STATUS_BROKEN);
        assert_true(rig_run(rig, LIMIT_MS, client_ended));
        assert_true(got_is(&rig->client, pattern(at)));
    }
}

/* A whole body must not be sealed before its first byte leaves, and not fall out of the cache. */
static void sends_bulk_before_all_of_it_is_written(void **state)
{
    struct rig *rig = *state;
    open_pair(rig, true);
    uint64_t before = stream_sent_bytes(rig->server.stream);
    size_t taken = 0;
    assert_int_equal(stream_write(rig->server.stream, pattern(100000), &taken), STATUS_OK);
    assert_true(stream_sent_bytes(rig->server.stream) == before); /* gathers until the turn ends */
    (void)!stream_write(rig->server.stream, pattern(100000), &taken);
    assert_true(stream_sent_bytes(rig->server.stream) > before);
}

static void says_whether_a_read_would_find_anything(void **state)
{
    struct rig *rig = *state;
    char at[4096];
    size_t moved = 0;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        open_pair(rig, is_tls != 0);
        rig->client.read_room = 0;
        (void)rig_run(rig, 20, NULL);
        while (stream_read(rig->client.stream, at, sizeof(at), &moved) == STATUS_OK) {
        }
        assert_false(stream_has_input(rig->client.stream));
        rig->server.to_send = SLICE("some bytes");
        rig->server.finishes = true;
        end_send(&rig->server);
        (void)rig_run(rig, 50, NULL);
        assert_true(stream_has_input(rig->client.stream));
        assert_int_equal(stream_read(rig->client.stream, at, 4, &moved), STATUS_OK);
        assert_true(stream_has_input(rig->client.stream)); /* the rest of the record */
        assert_int_equal(stream_read(rig->client.stream, at, sizeof(at), &moved), STATUS_OK);
        assert_int_equal(moved, 6);
        assert_true(stream_has_input(rig->client.stream)); /* the end */
        assert_int_equal(stream_read(rig->client.stream, at, 4, &moved), STATUS_END);
        assert_true(stream_has_input(rig->client.stream)); /* told as often as asked */
        assert_int_equal(stream_read(rig->client.stream, at, 4, &moved), STATUS_END);
    }
}

/* What is read too far has to be kept, and is copied once more. */
static void receives_hardly_more_than_its_reader_has_room_for(void **state)
{
    struct rig *rig = *state;
    open_pair(rig, true);
    rig->client.read_room = 0;
    rig->server.to_send = pattern(BULK_BYTES);
    end_send(&rig->server);
    (void)rig_run(rig, 100, NULL);
    static const size_t rooms[] = {40000, 1000, 16384, 5000};
    static char at[40000];
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        size_t moved = 0;
        assert_int_equal(stream_read(rig->client.stream, at, rooms[i], &moved), STATUS_OK);
        assert_int_equal(moved, rooms[i]);
        assert_true(buffer_len(&rig->client.stream->rx) <= BUFFER_SMALL_BYTES);
        /* Kept only between the records of one call. */
        assert_true((SSL_get_mode(rig->client.stream->ssl) & SSL_MODE_RELEASE_BUFFERS) != 0);
    }
}

static void ends_each_direction_by_itself(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 4; i++) {
        open_pair(rig, i % 2 == 1);
        struct end *first = i < 2 ? &rig->server : &rig->client;
        struct end *second = i < 2 ? &rig->client : &rig->server;
        first->to_send = SLICE("question");
        first->finishes = true;
        end_send(first);
        assert_true(rig_run(rig, LIMIT_MS, i < 2 ? client_ended : server_ended));
        assert_true(got_is(second, SLICE("question")));
        assert_false(first->has_end);
        second->to_send = pattern(500000);
        second->finishes = true;
        end_send(second);
        assert_true(rig_run(rig, LIMIT_MS, both_ended));
        assert_true(got_is(first, pattern(500000)));
        assert_int_equal(first->fails + second->fails, 0);
    }
}

static void finds_the_end_that_came_with_the_last_bytes(void **state)
{
    struct rig *rig = *state;
    open_pair(rig, true);
    size_t taken = 0;
    assert_int_equal(stream_write(rig->client.stream, SLICE("all"), &taken), STATUS_OK);
    assert_int_equal(SSL_shutdown(rig->client.stream->ssl), 0); /* without a FIN */
    assert_true(rig_run(rig, 2000, server_ended));
    assert_true(got_is(&rig->server, SLICE("all")));
}

static void reports_a_missing_close_notify_after_the_bytes(void **state)
{
    struct rig *rig = *state;
    open_pair(rig, true);
    (void)rig_run(rig, 100, NULL); /* the client has read its tickets: no reset at close */
    SSL_set_quiet_shutdown(rig->client.stream->ssl, 1);
    size_t taken = 0;
    assert_int_equal(stream_write(rig->client.stream, SLICE("some"), &taken), STATUS_OK);
    stream_close(rig->client.stream);
    rig->client.stream = NULL;
    assert_true(rig_run(rig, LIMIT_MS, server_failed));
    assert_true(got_is(&rig->server, SLICE("some")));
    assert_int_equal(rig->server.failure, STREAM_TRUNCATED);
    assert_int_equal(rig->server.fails, 1);
}

static void reports_a_reset(void **state)
{
    struct rig *rig = *state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        open_pair(rig, is_tls != 0);
        stream_reset(rig->client.stream);
        rig->client.stream = NULL;
        assert_true(rig_run(rig, LIMIT_MS, server_failed));
        assert_int_equal(rig->server.failure, STREAM_RESET);
        assert_int_equal(rig->server.fails, 1);
    }
}

/* The socket tells of a reset only once. A body that ends with its conn must not look complete
 * because it was a send that was told. */
static void a_reset_that_a_write_has_met_is_no_end_for_the_reader(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++) {
        open_pair(rig, false);
        rig->server.read_room = 0;
        rig->client.to_send = SLICE("half");
        end_send(&rig->client);
        (void)rig_run(rig, 50, NULL);
        stream_reset(rig->client.stream);
        rig->client.stream = NULL;
        (void)rig_run(rig, 50, NULL);
        rig->server.to_send = pattern(i == 0 ? 100 : BULK_BYTES); /* gathered, or sent at once */
        end_send(&rig->server);
        (void)rig_run(rig, 50, NULL);
        rig->server.read_room = 100;
        end_read(&rig->server);
        assert_true(rig_run(rig, LIMIT_MS, server_failed));
        assert_true(got_is(&rig->server, SLICE("half")));
        assert_false(rig->server.has_end);
        assert_int_equal(rig->server.failure, STREAM_RESET);
    }
}

static void finds_the_reset_that_came_with_the_last_bytes(void **state)
{
    struct rig *rig = *state;
    rig_pair(rig, false);
    size_t taken = 0;
    assert_int_equal(stream_write(rig->server.stream, SLICE("unread"), &taken), STATUS_OK);
    rig->client.read_room = 0;
    (void)rig_run(rig, 100, NULL);
    assert_int_equal(stream_write(rig->client.stream, SLICE("some"), &taken), STATUS_OK);
    stream_close(rig->client.stream); /* with unread bytes: the system sends a reset */
    rig->client.stream = NULL;
    assert_true(rig_run(rig, LIMIT_MS, server_failed));
    assert_true(got_is(&rig->server, SLICE("some")));
    assert_int_equal(rig->server.failure, STREAM_RESET);
}

static void refuses_a_record_that_was_changed(void **state)
{
    struct rig *rig = *state;
    open_pair(rig, true);
    rig->client.keeps = true;
    struct sockaddr_storage address;
    assert_true(stream_peer_address(rig->client.stream, &address));
    static const char forged[] = "\x17\x03\x03\x00\x20qwertyuiopasdfghjklzxcvbnm123456";
    size_t taken = 0;
    assert_int_equal(stream_write(rig->client.stream, SLICE("good"), &taken), STATUS_OK);
    BIO *bio = SSL_get_wbio(rig->client.stream->ssl);
    assert_int_equal(BIO_write(bio, forged, sizeof(forged) - 1), (int)sizeof(forged) - 1);
    assert_true(rig_run(rig, LIMIT_MS, both_failed));
    assert_true(got_is(&rig->server, SLICE("good")));
    assert_int_equal(rig->server.failure, STREAM_RECORD_REFUSED);
    assert_int_equal(rig->client.failure, STREAM_RECORD_REFUSED); /* by the alert */
}

static void a_write_after_the_peer_closed_fails(void **state)
{
    struct rig *rig = *state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        open_pair(rig, is_tls != 0);
        rig->client.read_room = 0;
        size_t taken = 0;
        assert_int_equal(stream_write(rig->client.stream, SLICE("bye"), &taken), STATUS_OK);
        stream_close(rig->client.stream);
        rig->client.stream = NULL;
        assert_true(rig_run(rig, LIMIT_MS, server_ended));
        assert_true(got_is(&rig->server, SLICE("bye")));
        rig->server.to_send = pattern(BULK_BYTES);
        for (int i = 0; i < 100 && rig->server.unsendables == 0; i++) {
            end_send(&rig->server);
            (void)rig_run(rig, 1, NULL);
        }
        assert_int_equal(rig->server.unsendables, 1);
    }
}

/* ---- the handshake ---- */

static void answers_plaintext_on_a_tls_port_in_clear(void **state)
{
    struct rig *rig = *state;
    static const char *const firsts[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x02zzz", "\n"};
    for (size_t i = 0; i < 3; i++) {
        rig_pair(rig, false);
        rig->server.keeps = true;
        end_start_tls(&rig->server);
        rig->client.to_send = slice_of(firsts[i]);
        end_send(&rig->client);
        assert_true(rig_run(rig, LIMIT_MS, server_failed));
        assert_int_equal(rig->server.failure, STREAM_NOT_TLS);
        stream_refuse_in_clear(rig->server.stream, SLICE("HTTP/1.1 400 Bad Request\r\n\r\n"));
        rig->server.stream = NULL;
        assert_true(rig_run(rig, LIMIT_MS, client_ended));
        assert_true(got_is(&rig->client, SLICE("HTTP/1.1 400 Bad Request\r\n\r\n")));
    }
}

static void finds_the_reset_that_came_with_half_a_hello(void **state)
{
    static const char half[] = "\x16\x03\x01\x02\x00\x01";
    struct rig *rig = *state;
    rig_pair(rig, false);
    end_start_tls(&rig->server);
    int client = rig->client.stream->descriptor;
    assert_int_equal(send(client, half, sizeof(half) - 1, 0), (int)sizeof(half) - 1);
    stream_reset(rig->client.stream);
    rig->client.stream = NULL;
    assert_true(rig_run(rig, LIMIT_MS, server_failed));
    assert_int_equal(rig->server.failure, STREAM_RESET);
}

static bool server_has_ten(const struct rig *rig)
{
    return rig->server.got_len >= 10;
}

static void goes_on_with_bytes_that_were_read_too_far(void **state)
{
    struct rig *rig = *state;
    rig_pair(rig, false);
    end_start_tls(&rig->client);
    assert_true(rig_run(rig, LIMIT_MS, server_has_ten));
    slice hello = {rig->server.got, rig->server.got_len};
    assert_int_equal(stream_unread(rig->server.stream, hello), STATUS_OK);
    rig->server.got_len = 0;
    end_start_tls(&rig->server);
    rig->client.to_send = SLICE("hello"); /* leaves together with the client's Finished */
    rig->client.finishes = true;
    assert_true(rig_run(rig, LIMIT_MS, server_ended));
    assert_true(got_is(&rig->server, SLICE("hello")));
}

static void gives_unread_bytes_again(void **state)
{
    struct rig *rig = *state;
    rig_pair(rig, false);
    assert_int_equal(stream_unread(rig->server.stream, SLICE("before ")), STATUS_OK);
    rig->client.to_send = SLICE("after");
    rig->client.finishes = true;
    end_send(&rig->client);
    rig->server.read_room = 3;
    assert_true(rig_run(rig, LIMIT_MS, server_ended));
    assert_true(got_is(&rig->server, SLICE("before after")));
}

static void tells_why_a_handshake_failed_on_both_sides(void **state)
{
    struct rig *rig = *state;
    (void)SSL_CTX_set_min_proto_version(rig->server_context, TLS1_3_VERSION);
    (void)SSL_CTX_set_max_proto_version(rig->client_context, TLS1_2_VERSION);
    rig_pair(rig, true);
    assert_true(rig_run(rig, LIMIT_MS, both_failed));
    assert_int_equal(rig->server.failure, STREAM_HANDSHAKE_FAILED);
    assert_int_equal(rig->client.failure, STREAM_HANDSHAKE_FAILED); /* the alert arrived */
    assert_true(rig->client.reason[0] != '\0');
    assert_true(rig->server.reason[0] != '\0');
}

static void tells_a_certificate_that_is_not_accepted(void **state)
{
    struct rig *rig = *state;
    SSL_CTX_set_verify(rig->client_context, SSL_VERIFY_PEER, NULL);
    rig_pair(rig, true);
    assert_true(rig_run(rig, LIMIT_MS, both_failed));
    assert_int_equal(rig->client.failure, STREAM_UNVERIFIED);
    assert_true(rig->client.reason[0] != '\0');
    assert_int_not_equal(rig->server.failure, STREAM_RESET);
}

static void closes_at_any_moment_of_a_handshake(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 6; i++) {
        rig_pair(rig, true);
        struct end *leaver = i % 2 == 0 ? &rig->server : &rig->client;
        for (int turn = 0; turn < i / 2; turn++) {
            (void)rig_run(rig, 1, both_open);
        }
        if (leaver->opens == 0) {
            stream_close(leaver->stream);
            leaver->stream = NULL;
            assert_true(rig_run(rig, LIMIT_MS, i % 2 == 0 ? client_failed : server_failed));
        }
    }
}

/* ---- lingering and connecting ---- */

static bool client_over(const struct rig *rig)
{
    return rig->client.has_end || rig->client.fails > 0;
}

static void lingers_until_a_slow_reader_has_it_all(void **state)
{
    struct rig *rig = *state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        open_pair(rig, is_tls != 0);
        rig->client.read_room = 0;
        stream_finish(rig->client.stream); /* the peer has ended its side before */
        assert_true(rig_run(rig, LIMIT_MS, server_ended));
        rig->server.to_send = pattern(BULK_BYTES);
        end_send(&rig->server);
        (void)rig_run(rig, 100, NULL);
        size_t sent = BULK_BYTES - rig->server.to_send.len;
        stream_linger(rig->server.stream);
        rig->server.stream = NULL;
        (void)rig_run(rig, 3000, NULL);
        rig->client.read_room = 9000;
        end_read(&rig->client);
        assert_true(rig_run(rig, LIMIT_MS, client_over));
        assert_int_equal(rig->client.got_len, sent);
        assert_true(rig->client.has_end);
    }
}

/* A peer that goes on sending and never closes is cut: what it sends after that is answered with a
 * reset. */
static void lingers_no_longer_than_its_owner_says(void **state)
{
    struct rig *rig = *state;
    static const struct {
        uint64_t linger_ms;
        bool is_finished_before;
    } rows[] = {{0, false}, {300, false}, {300, true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_pair(rig, false);
        rig->client.keeps = true;
        stream_set_linger(rig->server.stream, rows[i].linger_ms);
        if (rows[i].is_finished_before) {
            stream_finish(rig->server.stream);
            (void)rig_run(rig, 50, NULL);
        }
        uint64_t began_ms = loop_now_ms(rig->loop);
        stream_linger(rig->server.stream);
        rig->server.stream = NULL;
        enum status status = STATUS_OK;
        while (status == STATUS_OK && loop_now_ms(rig->loop) - began_ms < 1500) {
            size_t taken = 0;
            status = stream_write(rig->client.stream, SLICE("more"), &taken);
            (void)rig_run(rig, 50, NULL);
        }
        uint64_t took_ms = loop_now_ms(rig->loop) - began_ms;
        assert_true(took_ms >= rows[i].linger_ms && took_ms < 1500);
    }
}

static void lingers_while_the_peer_still_floods(void **state)
{
    struct rig *rig = *state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        open_pair(rig, is_tls != 0);
        rig->server.read_room = 0;
        rig->client.to_send = pattern(BULK_BYTES);
        end_send(&rig->client);
        (void)rig_run(rig, 100, NULL);
        size_t taken = 0;
        assert_int_equal(stream_write(rig->server.stream, SLICE("too large"), &taken), STATUS_OK);
        stream_linger(rig->server.stream);
        rig->server.stream = NULL;
        assert_true(rig_run(rig, LIMIT_MS, client_over));
        assert_true(rig->client.has_end);
        assert_true(got_is(&rig->client, SLICE("too large")));
    }
}

/* What a writer was given before it was cut arrives, the reset comes behind it, and the peer's own
 * end in between changes nothing. */
static void resets_only_after_what_must_arrive(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 4; i++) {
        open_pair(rig, i % 2 != 0);
        rig->client.read_room = 0;
        rig->server.to_send = pattern(BULK_BYTES);
        end_send(&rig->server);
        size_t first = BULK_BYTES - rig->server.to_send.len;
        uint64_t written = stream_written_bytes(rig->server.stream);
        size_t taken = 0;
        (void)!stream_write(rig->server.stream, SLICE("cut off"), &taken);
        stream_reset_after(rig->server.stream, written);
        rig->server.stream = NULL;
        if (i < 2) {
            stream_finish(rig->client.stream);
        }
        (void)rig_run(rig, 500, NULL);
        assert_int_equal(rig->client.fails, 0);
        assert_true(loop_is_held(rig->loop));
        rig->client.read_room = 9000;
        end_read(&rig->client);
        assert_true(rig_run(rig, LIMIT_MS, client_over));
        assert_true(rig->client.got_len >= first);
        assert_memory_equal(rig->client.got, pattern(first).at, first);
        assert_false(rig->client.has_end);
        assert_int_equal(rig->client.failure, STREAM_RESET);
        assert_false(loop_is_held(rig->loop));
    }
}

static void resets_at_once_when_nothing_must_arrive(void **state)
{
    struct rig *rig = *state;
    for (int has_arrived = 0; has_arrived < 2; has_arrived++) {
        open_pair(rig, false);
        uint64_t written = 0;
        if (has_arrived) {
            rig->server.to_send = SLICE("first");
            end_send(&rig->server);
            (void)rig_run(rig, 100, NULL);
            written = stream_written_bytes(rig->server.stream);
        }
        rig->server.to_send = pattern(200000);
        end_send(&rig->server);
        stream_reset_after(rig->server.stream, written);
        rig->server.stream = NULL;
        assert_false(loop_is_held(rig->loop));
        assert_true(rig_run(rig, LIMIT_MS, client_failed));
        assert_int_equal(rig->client.failure, STREAM_RESET);
        assert_true(rig->client.got_len < 200000);
    }
}

static void connect_end(struct rig *rig, const void *address, socklen_t len)
{
    if (rig->client.stream != NULL) {
        stream_close(rig->client.stream);
    }
    rig->client = (struct end){.rig = rig, .read_room = 100};
    assert_int_equal(stream_connect(&rig->client.stream, rig->loop, address, len, 60000,
                                    &end_events, &rig->client),
                     STATUS_OK);
    assert_int_equal(rig->client.opens + rig->client.fails, 0);
}

static bool connect_is_over(const struct rig *rig)
{
    return rig->client.opens + rig->client.fails > 0;
}

/* Before the loop has seen that the conn was there. */
static void tells_a_reset_at_once_from_nobody_there(void **state)
{
    struct rig *rig = *state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(listen(listening, 1), 0);
    connect_end(rig, &at, len);
    int accepted = accept(listening, NULL, NULL);
    const struct linger at_once = {.l_onoff = 1};
    assert_int_equal(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    assert_int_equal(close(accepted), 0);
    assert_true(rig_run(rig, LIMIT_MS, connect_is_over));
    assert_int_equal(rig->client.fails, 1);
    assert_int_equal(rig->client.failure, STREAM_RESET);
    assert_int_equal(close(listening), 0);
}

static void tells_how_connecting_went(void **state)
{
    struct rig *rig = *state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_un unix_at = {.sun_family = AF_UNIX, .sun_path = "\0sallyport-stream-test"};
    socklen_t len = sizeof(at);
    int descriptors[] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_STREAM, 0)};
    assert_int_equal(bind(descriptors[0], (struct sockaddr *)&at, len), 0);
    assert_int_equal(bind(descriptors[1], (struct sockaddr *)&unix_at, sizeof(unix_at)), 0);
    assert_int_equal(getsockname(descriptors[0], (struct sockaddr *)&at, &len), 0);
    for (int is_listening = 0; is_listening < 2; is_listening++) {
        for (int is_unix = 0; is_unix < 2; is_unix++) {
            assert_int_equal(is_listening ? listen(descriptors[is_unix], 4) : 0, 0);
            connect_end(rig, is_unix ? (const void *)&unix_at : (const void *)&at,
                        is_unix ? (socklen_t)sizeof(unix_at) : len);
            assert_true(rig_run(rig, LIMIT_MS, connect_is_over));
            assert_int_equal(rig->client.opens, is_listening);
            assert_int_equal(rig->client.failure, is_listening ? STREAM_FINE : STREAM_REFUSED);
        }
    }
    struct sockaddr_un missing = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
    connect_end(rig, &missing, sizeof(missing));
    assert_true(rig_run(rig, LIMIT_MS, connect_is_over));
    assert_int_equal(rig->client.failure, STREAM_REFUSED);
    connect_end(rig, &at, len); /* closed before it is known */
    stream_close(rig->client.stream);
    rig->client.stream = NULL;
    (void)rig_run(rig, 100, NULL);
    assert_int_equal(rig->client.opens + rig->client.fails, 0);
    (void)close(descriptors[0]);
    (void)close(descriptors[1]);
}

#define STREAM_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(moves_every_byte_whatever_the_room),
        STREAM_TEST(holds_a_writer_back_until_a_slow_reader_reads),
        STREAM_TEST(gathers_small_writes_in_their_order),
        STREAM_TEST(sends_bulk_before_all_of_it_is_written),
        STREAM_TEST(receives_hardly_more_than_its_reader_has_room_for),
        STREAM_TEST(says_whether_a_read_would_find_anything),
        STREAM_TEST(ends_each_direction_by_itself),
        STREAM_TEST(finds_the_end_that_came_with_the_last_bytes),
        STREAM_TEST(reports_a_missing_close_notify_after_the_bytes),
        STREAM_TEST(reports_a_reset),
        STREAM_TEST(a_reset_that_a_write_has_met_is_no_end_for_the_reader),
        STREAM_TEST(finds_the_reset_that_came_with_the_last_bytes),
        STREAM_TEST(finds_the_reset_that_came_with_half_a_hello),
        STREAM_TEST(refuses_a_record_that_was_changed),
        STREAM_TEST(a_write_after_the_peer_closed_fails),
        STREAM_TEST(answers_plaintext_on_a_tls_port_in_clear),
        STREAM_TEST(goes_on_with_bytes_that_were_read_too_far),
        STREAM_TEST(gives_unread_bytes_again),
        STREAM_TEST(tells_why_a_handshake_failed_on_both_sides),
        STREAM_TEST(tells_a_certificate_that_is_not_accepted),
        STREAM_TEST(closes_at_any_moment_of_a_handshake),
        STREAM_TEST(lingers_until_a_slow_reader_has_it_all),
        STREAM_TEST(lingers_no_longer_than_its_owner_says),
        STREAM_TEST(lingers_while_the_peer_still_floods),
        STREAM_TEST(resets_only_after_what_must_arrive),
        STREAM_TEST(resets_at_once_when_nothing_must_arrive),
        STREAM_TEST(tells_how_connecting_went),
        STREAM_TEST(tells_a_reset_at_once_from_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
