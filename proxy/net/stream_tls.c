/* proxy/net/stream_tls.c
 *
 * TLS under a stream: a BIO of our own stands between OpenSSL and the stream's buffers, so that
 *   - one recv brings as many records as the reader has room for,
 *   - all records written in one turn leave in one send,
 *   - an idle conn holds no buffer, in OpenSSL (SSL_MODE_RELEASE_BUFFERS) or here.
 *
 *   socket ─recv─► loop's scratch (view) ─┐                    ┌─► owner's room
 *                  rx: what was left over ┴─► BIO ─► SSL_read ─┘
 *   owner's bytes ─► SSL_write ─► BIO ─► tx ─flush, or when there is much─► socket
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "crypto/tls_client.h"
#include "crypto/tls_facts.h"
#include "crypto/tls_server.h"
#include "proxy/net/stream_state.h"

enum {
    RECORD_PLAINTEXT_BYTES = 16 * 1024, /* RFC 8446 §5.1 */
    RECORD_HEADER_BYTES = 5,
    RECORD_OVERHEAD_BYTES = 29,    /* header, nonce, tag of TLS 1.2; 1.3 needs 22 */
    RECORD_FIRST_BYTES = 4 * 1024, /* while a bulk answer begins: the first bytes can be */
    BULK_AFTER_BYTES = 64 * 1024,  /* decrypted before a whole 16 KiB has crossed the path */
    BULK_PAUSE_MS = 1000,
    ASYNC_RETRY_MS = 100,
    /* Eight full records a call, in and out: fewer calls cost less, but what is copied and sealed
     * must not fall out of the processor's cache between two steps. */
    RECEIVE_MOST_BYTES = 8 * (RECORD_PLAINTEXT_BYTES + RECORD_OVERHEAD_BYTES),
    SEND_AT_BYTES = 8 * RECORD_PLAINTEXT_BYTES,
};

/* What OpenSSL may read during one call: bytes received that stand in rx or in the loop's scratch,
 * and how much more is worth receiving. */
struct tls_view {
    slice bytes;
    struct buffer held; /* rx, as it was */
    size_t wanted;
};

/* OpenSSL tells of a failure by what stands in the thread's queue of errors, so it has to be empty
 * before a call. It nearly always is, and looking costs a quarter of clearing. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

/* ---- the BIO ---- */

/* As many records as the reader has room for in one call, through the scratch: the copy of each to
 * where OpenSSL wants it is from the processor's cache, and costs less than a call each. */
static enum status receive_many(struct stream *stream)
{
    size_t scratch_bytes = 0;
    char *scratch = loop_scratch(stream->loop, &scratch_bytes);
    struct tls_view *view = stream->view;
    size_t wanted = view->wanted > BUFFER_SMALL_BYTES ? view->wanted : BUFFER_SMALL_BYTES;
    size_t moved = 0;
    enum status status = stream_receive(
        stream, scratch, wanted < RECEIVE_MOST_BYTES ? wanted : RECEIVE_MOST_BYTES, &moved);
    view->wanted -= moved < view->wanted ? moved : view->wanted;
    view->bytes = (slice){scratch, moved};
    return status;
}

static int bio_read(BIO *bio, char *at, int room)
{
    struct stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    struct tls_view *view = stream->view;
    if (view == NULL) {
        BIO_set_retry_read(bio); /* nobody reads now: a close that looks for the peer's answer */
        return -1;
    }
    if (view->bytes.len == 0) {
        enum status status = receive_many(stream);
        if (status == STATUS_AGAIN) {
            BIO_set_retry_read(bio);
            return -1;
        }
        if (status != STATUS_OK) {
            return 0;
        }
    }
    size_t len = view->bytes.len < (size_t)room ? view->bytes.len : (size_t)room;
    memcpy(at, view->bytes.at, len);
    view->bytes = slice_from(view->bytes, len);
    return (int)len;
}

static int bio_write(BIO *bio, const char *at, int len)
{
    struct stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    return stream_queue(stream, (slice){at, (size_t)len}) ? len : -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    const struct stream *stream = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return stream->has_hangup && !stream->is_readable &&
               (stream->view == NULL || stream->view->bytes.len == 0);
    default:
        return 0;
    }
}

/* One method table a process: it holds no state of any conn. */
static BIO_METHOD *stream_bio_method(void)
{
    static BIO_METHOD *method;
    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
        if (method != NULL) {
            (void)BIO_meth_set_read(method, bio_read);
            (void)BIO_meth_set_write(method, bio_write);
            (void)BIO_meth_set_ctrl(method, bio_control);
        }
    }
    return method;
}

/* Between view_begin and view_end OpenSSL may read: first what an earlier read left in rx, then
 * the socket. */
static void view_begin(struct stream *stream, struct tls_view *view, size_t wanted)
{
    size_t held = buffer_len(&stream->rx);
    *view = (struct tls_view){.bytes = buffer_bytes(&stream->rx),
                              .held = stream->rx,
                              .wanted = wanted > held ? wanted - held : 0};
    stream->rx = (struct buffer){0};
    stream->view = view;
}

/* Keeps in rx what OpenSSL has not taken. False: no memory. */
static bool view_end(struct stream *stream, struct tls_view *view)
{
    struct buffer_pool *pool = loop_buffer_pool(stream->loop);
    slice rest = view->bytes;
    struct buffer *held = &view->held;
    stream->view = NULL;
    bool is_in_held =
        held->base != NULL && rest.at >= held->base && rest.at <= held->base + held->size;
    if (rest.len > 0 && is_in_held) {
        held->start = (uint32_t)(rest.at - held->base);
        stream->rx = *held;
        return true;
    }
    bool is_kept = buffer_append(&stream->rx, pool, rest);
    buffer_clear(held, pool);
    return is_kept;
}

/* ---- handshake ---- */

static int on_async_answer(SSL *ssl, void *self)
{
    (void)ssl;
    struct stream *stream = self;
    if (stream->phase == PHASE_CLOSED) {
        loop_post_reap(stream->loop, &stream->post_step);
    } else {
        loop_post(stream->loop, &stream->post_step);
    }
    return 1;
}

/* Takes over `ssl`. */
static enum status start_tls(struct stream *stream, SSL *ssl)
{
    if (ssl == NULL) {
        return STATUS_NOMEM;
    }
    BIO_METHOD *method = stream_bio_method();
    BIO *bio = method != NULL ? BIO_new(method) : NULL;
    if (bio == NULL) {
        SSL_free(ssl);
        return STATUS_NOMEM;
    }
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    (void)SSL_set_mode(ssl, SSL_MODE_ASYNC);
    (void)SSL_set_async_callback(ssl, on_async_answer);
    (void)SSL_set_async_callback_arg(ssl, stream);
    stream->ssl = ssl;
    stream->phase = PHASE_HANDSHAKE;
    /* The first flight may be here already (read too far before), or a client has to begin. */
    if (!SSL_is_server(ssl) || stream->is_readable || !buffer_is_empty(&stream->rx)) {
        loop_post(stream->loop, &stream->post_step);
    }
    return STATUS_OK;
}

enum status stream_start_tls_server(struct stream *stream, struct tls_server *server)
{
    return start_tls(stream, tls_server_ssl_new(server));
}

enum status stream_start_tls_client(struct stream *stream, struct tls_client *client,
                                    const char *name)
{
    return start_tls(stream, tls_client_ssl_new(client, name));
}

static void fail(struct stream *stream, enum stream_failure failure, const char *reason)
{
    (void)stream_break(stream, failure, reason);
    stream->events->on_failed(stream->self, stream->failure);
}

static void handshake_failed(struct stream *stream)
{
    const char *reason = tls_failure_reason(stream->ssl);
    bool is_unverified =
        !SSL_is_server(stream->ssl) && SSL_get_verify_result(stream->ssl) != X509_V_OK;
    ERR_clear_error();
    enum stream_failure failure = is_unverified ? STREAM_UNVERIFIED : STREAM_HANDSHAKE_FAILED;
    fail(stream, failure, reason);
}

static void handshake_done(struct stream *stream)
{
    (void)SSL_clear_mode(stream->ssl, SSL_MODE_ASYNC);
    stream->phase = PHASE_OPEN;
    stream->events->on_open(stream->self);
    /* The peer's first bytes often come together with the end of its handshake: no event of the
     * socket will tell of them. */
    if (stream->phase == PHASE_OPEN &&
        (!buffer_is_empty(&stream->rx) || SSL_has_pending(stream->ssl))) {
        stream->events->on_readable(stream->self);
    }
}

/* RFC 8446 §5.1: the first record is a handshake record, type 22, version 3.x. */
static bool is_not_tls(const struct stream *stream, slice first)
{
    return SSL_is_server(stream->ssl) && SSL_in_before(stream->ssl) && first.len > 0 &&
           (first.at[0] != 0x16 || (first.len > 1 && first.at[1] != 0x03));
}

static void retry_step(void *self)
{
    struct stream *stream = self;
    if (stream->phase == PHASE_HANDSHAKE) {
        stream_tls_step(stream);
    }
}

/* Makes sure that the first bytes are in rx and looks at them. False: not TLS. */
static bool looks_like_tls(struct stream *stream)
{
    if (!SSL_is_server(stream->ssl) || !SSL_in_before(stream->ssl)) {
        return true;
    }
    struct buffer_pool *pool = loop_buffer_pool(stream->loop);
    if (buffer_is_empty(&stream->rx) && buffer_reserve(&stream->rx, pool, BUFFER_SMALL_BYTES)) {
        size_t moved = 0;
        (void)!stream_receive(stream, buffer_room_at(&stream->rx), BUFFER_SMALL_BYTES, &moved);
        buffer_commit(&stream->rx, moved);
        if (moved == 0) {
            buffer_clear(&stream->rx, pool);
        }
    }
    return !is_not_tls(stream, buffer_bytes(&stream->rx));
}

void stream_tls_step(struct stream *stream)
{
    if (!looks_like_tls(stream)) {
        fail(stream, STREAM_NOT_TLS, "not_tls");
        return;
    }
    struct tls_view view;
    view_begin(stream, &view, BUFFER_RECORD_BYTES);
    ERR_clear_error();
    int result = SSL_do_handshake(stream->ssl);
    int error = SSL_get_error(stream->ssl, result);
    bool is_kept = view_end(stream, &view);
    if (!is_kept) {
        fail(stream, STREAM_NO_MEMORY, "no_memory");
        return;
    }
    switch (error) {
    case SSL_ERROR_NONE:
        handshake_done(stream);
        break;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        break;
    case SSL_ERROR_WANT_ASYNC:
        stream->is_parked = true;
        break;
    case SSL_ERROR_WANT_ASYNC_JOB:
        /* More handshakes wait than may: this one asks again a tick later. */
        deadline_arm(&stream->later, stream->loop, ASYNC_RETRY_MS, retry_step, stream);
        break;
    default:
        handshake_failed(stream);
        break;
    }
}

/* ---- records ---- */

static enum status read_result(struct stream *stream, int result)
{
    int error = SSL_get_error(stream->ssl, result);
    switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return STATUS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return STATUS_END;
    default:
        break;
    }
    if (stream->failure != STREAM_FINE) {
        ERR_clear_error();
        return STATUS_BROKEN;
    }
    unsigned long queued = ERR_peek_error();
    bool is_truncated = queued == 0 || ERR_GET_REASON(queued) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    const char *reason = is_truncated ? "truncated" : tls_failure_reason(stream->ssl);
    ERR_clear_error();
    return stream_break(stream, is_truncated ? STREAM_TRUNCATED : STREAM_RECORD_REFUSED, reason);
}

bool stream_tls_has_input(const struct stream *stream)
{
    bool has_close_notify = (SSL_get_shutdown(stream->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
    return has_close_notify || SSL_has_pending(stream->ssl);
}

/* Nothing is left that another SSL_read could look at: asking would cost as much as a record. */
static bool is_drained(const struct stream *stream)
{
    return !stream->is_readable && stream->view->bytes.len == 0 && !SSL_has_pending(stream->ssl);
}

/* Another record stands behind the next one, as far as its header tells. Between two records the
 * view begins with a header; where it does not, the answer is wrong and does no harm. */
static bool has_two_records(const struct tls_view *view)
{
    const unsigned char *at = (const unsigned char *)view->bytes.at;
    return view->bytes.len > RECORD_HEADER_BYTES &&
           view->bytes.len > RECORD_HEADER_BYTES + (size_t)(at[3] << 8 | at[4]);
}

/* OpenSSL gives its buffer back after each record, for conns that fall idle. Between records that
 * follow one another that is an allocation each for nothing. */
static void keep_buffers(struct stream *stream, bool is_kept)
{
    if (is_kept != stream->keeps_buffers) {
        stream->keeps_buffers = is_kept;
        (void)(is_kept ? SSL_clear_mode(stream->ssl, SSL_MODE_RELEASE_BUFFERS)
                       : SSL_set_mode(stream->ssl, SSL_MODE_RELEASE_BUFFERS));
    }
}

enum status stream_tls_read(struct stream *stream, char *at, size_t room, size_t *moved)
{
    if ((SSL_get_shutdown(stream->ssl) & SSL_RECEIVED_SHUTDOWN) != 0) {
        return STATUS_END; /* close_notify came with the bytes that were read last */
    }
    /* What fills the owner's room, if the records are full. */
    size_t wanted = room + (room / RECORD_PLAINTEXT_BYTES + 1) * RECORD_OVERHEAD_BYTES;
    struct tls_view view;
    view_begin(stream, &view, wanted);
    enum status status = STATUS_AGAIN;
    forget_errors();
    while (*moved < room && !is_drained(stream)) {
        size_t got = 0;
        keep_buffers(stream, has_two_records(&view));
        int result = SSL_read_ex(stream->ssl, at + *moved, room - *moved, &got);
        if (result != 1) {
            status = read_result(stream, result);
            break;
        }
        *moved += got;
    }
    keep_buffers(stream, false);
    if (!view_end(stream, &view)) {
        return stream_break(stream, STREAM_NO_MEMORY, "no_memory");
    }
    /* What was read before an end or a failure counts first: the next call tells of it again. */
    return *moved > 0 ? STATUS_OK : status;
}

static size_t record_limit(struct stream *stream, size_t len)
{
    uint32_t now_ms = (uint32_t)loop_now_ms(stream->loop); /* wraps; so does the difference */
    if (now_ms - stream->bulk_at_ms > BULK_PAUSE_MS) {
        stream->bulk_bytes = 0;
    }
    stream->bulk_at_ms = now_ms;
    bool is_beginning = stream->bulk_bytes < BULK_AFTER_BYTES && len > RECORD_PLAINTEXT_BYTES;
    return is_beginning ? RECORD_FIRST_BYTES : RECORD_PLAINTEXT_BYTES;
}

/* Room in tx for the records of `len` more bytes, or for as many as fit. */
static bool reserve_records(struct stream *stream, size_t len)
{
    size_t all = len + (len / RECORD_FIRST_BYTES + 1) * RECORD_OVERHEAD_BYTES;
    size_t most = BUFFER_LARGE_BYTES - buffer_len(&stream->tx);
    return buffer_reserve(&stream->tx, loop_buffer_pool(stream->loop), all < most ? all : most);
}

enum status stream_tls_write(struct stream *stream, slice bytes, size_t *taken)
{
    forget_errors();
    while (*taken < bytes.len) {
        slice rest = slice_from(bytes, *taken);
        size_t limit = record_limit(stream, rest.len);
        size_t len = rest.len < limit ? rest.len : limit;
        if (buffer_len(&stream->tx) + len + RECORD_OVERHEAD_BYTES > BUFFER_LARGE_BYTES) {
            stream->wants_writable = true;
            return STATUS_AGAIN;
        }
        if (!reserve_records(stream, rest.len)) {
            return stream_break(stream, STREAM_NO_MEMORY, "no_memory");
        }
        size_t written = 0;
        keep_buffers(stream, rest.len > len);
        if (SSL_write_ex(stream->ssl, rest.at, len, &written) != 1) {
            ERR_clear_error();
            return stream_break(stream, STREAM_RECORD_REFUSED, "write");
        }
        stream->bulk_bytes += stream->bulk_bytes < BULK_AFTER_BYTES ? (uint32_t)written : 0U;
        *taken += written;
        bool is_much = buffer_len(&stream->tx) >= SEND_AT_BYTES;
        if (is_much && stream->is_writable && stream_send_rest(stream) == STATUS_BROKEN) {
            return STATUS_BROKEN; /* what the peer said before can still be read */
        }
    }
    return STATUS_OK;
}

/* ---- the end ---- */

void stream_tls_finish(struct stream *stream)
{
    if (SSL_is_init_finished(stream->ssl) &&
        (SSL_get_shutdown(stream->ssl) & SSL_SENT_SHUTDOWN) == 0) {
        ERR_clear_error();
        (void)SSL_shutdown(stream->ssl);
        ERR_clear_error();
    }
}

bool stream_tls_free(struct stream *stream)
{
    if (stream->ssl == NULL) {
        return true;
    }
    if (SSL_waiting_for_async(stream->ssl)) {
        /* The answer is in: resumed once, whatever comes of it, so that its fibre ends. */
        ERR_clear_error();
        (void)SSL_do_handshake(stream->ssl);
        ERR_clear_error();
        if (SSL_waiting_for_async(stream->ssl)) {
            stream->is_parked = true;
            return false;
        }
    }
    SSL_free(stream->ssl);
    stream->ssl = NULL;
    return true;
}

void stream_tls_facts(const struct stream *stream, struct tls_facts *facts)
{
    tls_facts_read(facts, stream->ssl);
}

char *stream_peer_certificate(const struct stream *stream)
{
    size_t len = 0;
    return tls_client_cert_value(stream->ssl, &len);
}
