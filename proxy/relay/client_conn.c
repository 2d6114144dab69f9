/* proxy/relay/client_conn.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/client_conn.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "proxy/relay/error_page.h"
#include "proxy/relay/relay_exchange.h"
#include "proxy/relay/server_codecs.h"

static void begin(struct client_conn *conn);
static void sniff(struct client_conn *conn);
static uint16_t port_of(const struct sockaddr_storage *address);

static struct relay_shared *shared_of(const struct client_conn *conn)
{
    return conn->entry->shared;
}

/* ---- the end ---- */

static void reap(void *self)
{
    struct client_conn *conn = self;
    free(conn->tls.server_name);
    free(conn->tls.client_cert);
    free(conn->tls.client_subject);
    free(conn);
}

/* A conn that ended outside any exchange leaves a line only when somebody may want to act. */
static void note_fault(const struct client_conn *conn, enum fault_code fault, const char *reason)
{
    if (fault == FAULT_NONE) {
        return;
    }
    struct relay_shared *shared = shared_of(conn);
    counter_fault(shared->counters, fault);
    if (fault == FAULT_TIMEOUT_IDLE || !log_has(shared->log, LOG_INFO)) {
        return;
    }
    LOG_EVENT(shared->log, LOG_INFO, "conn_failed", log_text("listener", conn->entry->config->name),
              log_slice("client", conn->address_slice), log_text("fault", fault_name(fault)),
              log_text("reason", reason));
}

void client_conn_dissolve(struct client_conn *conn)
{
    struct relay_shared *shared = shared_of(conn);
    conn->codec = NULL;
    deadline_disarm(&conn->deadline);
    buffer_clear(&conn->first, loop_buffer_pool(shared->loop));
    list_remove(&conn->link);
    loop_post_reap(shared->loop, &conn->post_reap);
    relay_shared_leave(shared);
}

static void end_conn(struct client_conn *conn)
{
    struct relay_shared *shared = shared_of(conn);
    client_conn_dissolve(conn);
    shared->on_conn_closed(shared->self);
}

/* Before the codec: the stream is still ours. */
static void refuse(struct client_conn *conn, enum fault_code fault, const char *reason)
{
    struct stream *stream = conn->stream;
    conn->stream = NULL;
    if (stream != NULL) {
        stream_close(stream);
    }
    note_fault(conn, fault, reason);
    end_conn(conn);
}

/* ---- one generation after the other ---- */

static void judge_trust(struct client_conn *conn)
{
    const struct config_listener *config = conn->entry->config;
    conn->is_trusted =
        conn->has_address &&
        cidr_any_has(config->trusted_proxies, config->trusted_proxy_count, &conn->address);
}

static void move(struct client_conn *conn, struct entry *to)
{
    struct relay_shared *from = shared_of(conn);
    list_remove(&conn->link);
    list_append(&to->conns, &conn->link);
    conn->entry = to;
    judge_trust(conn);
    relay_shared_use(to->shared);
    relay_shared_leave(from);
}

void client_conn_follow(struct client_conn *conn)
{
    struct entry *successor = conn->entry->successor;
    if (successor != NULL && conn->codec != NULL) {
        conn->codec->calls->retune(conn->codec, &successor->settings);
        move(conn, successor);
    }
}

void client_conn_drain(struct client_conn *conn)
{
    if (conn->codec != NULL) {
        conn->codec->calls->drain(conn->codec);
    } else if (conn->is_sniffing && buffer_is_empty(&conn->first)) {
        refuse(conn, FAULT_NONE, "");
    }
}

void client_conn_wind_down(struct client_conn *conn)
{
    if (conn->codec != NULL) {
        conn->codec->calls->wind_down(conn->codec);
    }
}

void client_conn_close(struct client_conn *conn, enum fault_code fault)
{
    if (conn->codec != NULL) {
        conn->codec->calls->close(conn->codec, fault);
        return;
    }
    refuse(conn, fault, "");
}

static void on_codec_closed(void *self, enum fault_code fault)
{
    struct client_conn *conn = self;
    conn->codec = NULL;
    note_fault(conn, fault, "");
    end_conn(conn);
}

/* ---- the codec ---- */

static struct exchange *open_exchange(void *self, struct responder *responder)
{
    return relay_exchange_open(self, responder);
}

static void start_codec(struct client_conn *conn, server_codec_open *open)
{
    if (conn->entry->successor != NULL) {
        move(conn, conn->entry->successor);
    }
    struct relay_shared *shared = shared_of(conn);
    const struct server_codec_start start = {
        .loop = shared->loop,
        .settings = &conn->entry->settings,
        .source = {.open = open_exchange, .self = conn},
        .scheme = conn->entry->scheme,
        .on_closed = on_codec_closed,
        .self = conn,
    };
    struct stream *stream = conn->stream;
    conn->stream = NULL;
    deadline_disarm(&conn->deadline);
    conn->codec = open(stream, &start);
    if (conn->codec == NULL) {
        note_fault(conn, FAULT_LIMIT_MEMORY, "");
        end_conn(conn);
        return;
    }
    if (conn->entry->is_draining) {
        conn->codec->calls->drain(conn->codec);
    } else if (conn->entry->is_winding_down) {
        conn->codec->calls->wind_down(conn->codec);
    }
}

/* ---- TLS ---- */

static void keep_tls_facts(struct client_conn *conn)
{
    struct tls_facts facts;
    stream_tls_facts(conn->stream, &facts);
    conn->tls = (struct client_tls){
        .version = facts.version,
        .cipher = facts.suite,
        .is_resumed = facts.is_resumed,
        .server_name = facts.server_name[0] != '\0' ? strdup(facts.server_name) : NULL,
    };
    memcpy(conn->tls.group, facts.group, sizeof(conn->tls.group));
    if (facts.is_peer_verified) {
        conn->tls.client_cert = stream_peer_certificate(conn->stream);
        conn->tls.client_subject = strdup(facts.peer_subject);
    }
    enum counter counter = facts.is_resumed ? COUNTER_HANDSHAKES_RESUMED : COUNTER_HANDSHAKES_FULL;
    counter_add(shared_of(conn)->counters, counter, 1);
}

static void on_handshake_deadline(void *self)
{
    refuse(self, FAULT_TIMEOUT_HANDSHAKE, "");
}

static void start_tls(struct client_conn *conn)
{
    if (stream_start_tls_server(conn->stream, conn->entry->tls) != STATUS_OK) {
        refuse(conn, FAULT_LIMIT_MEMORY, "");
    }
}

static void on_open(void *self)
{
    struct client_conn *conn = self;
    conn->tls_us = loop_now_us(shared_of(conn)->loop) - conn->accepted_us;
    keep_tls_facts(conn);
    start_codec(conn, server_codec_of_tls(conn->stream));
}

/* A browser that was pointed at http://host:443 is told so, in clear, since nothing else would
 * reach it. */
static void answer_in_clear(struct client_conn *conn)
{
    static const char body[] = "400 Bad Request: this port speaks TLS. Use https:// in the address."
                               "\r\n";
    static const char head[] = "HTTP/1.1 400 Bad Request\r\n"
                               "content-type: text/plain; charset=utf-8\r\n"
                               "content-length: %zu\r\n"
                               "connection: close\r\n\r\n%s";
    char response[512];
    int len = snprintf(response, sizeof(response), head, sizeof(body) - 1, body);
    struct stream *stream = conn->stream;
    conn->stream = NULL;
    stream_refuse_in_clear(stream, (slice){response, (size_t)len});
    note_fault(conn, FAULT_HTTP_ON_TLS_PORT, "");
    end_conn(conn);
}

static enum fault_code fault_of(enum stream_failure failure)
{
    switch (failure) {
    case STREAM_HANDSHAKE_FAILED:
    case STREAM_UNVERIFIED:
    case STREAM_NOT_TLS:
        return FAULT_TLS_HANDSHAKE;
    case STREAM_RECORD_REFUSED:
        return FAULT_TLS_RECORD;
    case STREAM_TRUNCATED:
        return FAULT_CLIENT_GONE;
    case STREAM_NO_MEMORY:
        return FAULT_LIMIT_MEMORY;
    case STREAM_FINE:
    case STREAM_RESET:
    case STREAM_REFUSED:
    case STREAM_UNREACHABLE:
        break;
    }
    return FAULT_CLIENT_RESET;
}

static void on_failed(void *self, enum stream_failure failure)
{
    struct client_conn *conn = self;
    if (failure == STREAM_NOT_TLS) {
        answer_in_clear(conn);
        return;
    }
    bool was_quiet = conn->is_sniffing && buffer_is_empty(&conn->first);
    refuse(conn, was_quiet ? FAULT_NONE : fault_of(failure), stream_failure_reason(conn->stream));
}

/* ---- the PROXY header ---- */

static void settle_address(struct client_conn *conn)
{
    conn->address_slice = (slice){"", 0};
    if (conn->has_address) {
        conn->address_slice = cidr_write(&conn->address, conn->address_text);
    }
    judge_trust(conn);
}

/* From here on the conn is the client's that the balancer names, and so is its trust. */
static void take_proxy_address(struct client_conn *conn, const struct proxy_protocol *header)
{
    if (header->is_local) {
        return;
    }
    conn->has_address = cidr_address_of((const struct sockaddr *)&header->source, &conn->address);
    conn->port = port_of(&header->source);
    settle_address(conn);
}

/* True when the header is complete and taken off. */
static bool read_proxy_header(struct client_conn *conn)
{
    struct buffer_pool *pool = loop_buffer_pool(shared_of(conn)->loop);
    if (!buffer_reserve(&conn->first, pool, PROXY_PROTOCOL_V2_BYTES)) {
        refuse(conn, FAULT_LIMIT_MEMORY, "");
        return false;
    }
    size_t moved = 0;
    enum status status =
        stream_read(conn->stream, buffer_room_at(&conn->first), buffer_room(&conn->first), &moved);
    buffer_commit(&conn->first, moved);
    if (status != STATUS_OK && status != STATUS_AGAIN) {
        refuse(conn, buffer_is_empty(&conn->first) ? FAULT_NONE : FAULT_CLIENT_GONE, "");
        return false;
    }
    struct proxy_protocol header;
    size_t consumed = 0;
    status = proxy_protocol_parse(buffer_bytes(&conn->first), &header, &consumed);
    if (status == STATUS_AGAIN && buffer_len(&conn->first) < PROXY_PROTOCOL_V2_BYTES) {
        return false;
    }
    if (status != STATUS_OK) {
        refuse(conn, FAULT_PROXY_PROTOCOL, "");
        return false;
    }
    take_proxy_address(conn, &header);
    slice rest = slice_from(buffer_bytes(&conn->first), consumed);
    bool is_kept = rest.len == 0 || stream_unread(conn->stream, rest) == STATUS_OK;
    buffer_clear(&conn->first, pool);
    if (!is_kept) {
        refuse(conn, FAULT_LIMIT_MEMORY, "");
    }
    return is_kept;
}

/* ---- which codec a plaintext conn needs ---- */

static void on_first_bytes_deadline(void *self)
{
    struct client_conn *conn = self;
    bool was_quiet = buffer_is_empty(&conn->first);
    refuse(conn, was_quiet ? FAULT_TIMEOUT_IDLE : FAULT_TIMEOUT_HEADER, "");
}

static void read_first_bytes(struct client_conn *conn)
{
    struct buffer_pool *pool = loop_buffer_pool(shared_of(conn)->loop);
    if (!buffer_reserve(&conn->first, pool, SERVER_CODEC_BYTES)) {
        refuse(conn, FAULT_LIMIT_MEMORY, "");
        return;
    }
    size_t moved = 0;
    enum status status =
        stream_read(conn->stream, buffer_room_at(&conn->first), buffer_room(&conn->first), &moved);
    buffer_commit(&conn->first, moved);
    slice first = buffer_bytes(&conn->first);
    server_codec_open *open = first.len > 0 ? server_codec_of_bytes(first) : NULL;
    if (open == NULL && (status == STATUS_OK || status == STATUS_AGAIN)) {
        if (first.len == 0) {
            buffer_clear(&conn->first, pool);
        }
        return;
    }
    if (open == NULL) {
        refuse(conn, first.len > 0 ? FAULT_CLIENT_GONE : FAULT_NONE, "");
        return;
    }
    bool is_kept = stream_unread(conn->stream, first) == STATUS_OK;
    buffer_clear(&conn->first, pool);
    if (!is_kept) {
        refuse(conn, FAULT_LIMIT_MEMORY, "");
        return;
    }
    conn->is_sniffing = false;
    start_codec(conn, open);
}

/* Prior knowledge is for conns that do not leave the machine; others are what they always were. */
static void sniff(struct client_conn *conn)
{
    bool is_local = !conn->has_own_address || cidr_is_loopback(&conn->own_address);
    if (!is_local) {
        start_codec(conn, server_codec_common());
        return;
    }
    conn->is_sniffing = true;
    deadline_arm(&conn->deadline, shared_of(conn)->loop,
                 shared_of(conn)->config->timeouts.header_ms, on_first_bytes_deadline, conn);
    stream_read_later(conn->stream);
}

static void on_readable(void *self)
{
    struct client_conn *conn = self;
    if (conn->is_sniffing) {
        read_first_bytes(conn);
    } else if (!stream_is_tls(conn->stream) && read_proxy_header(conn)) {
        begin(conn);
    }
}

static void on_writable(void *self)
{
    (void)self;
}

static const struct stream_events stream_events = {
    .on_open = on_open,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_failed = on_failed,
};

/* ---- accept ---- */

/* What comes after the PROXY header, or at once where there is none. */
static void begin(struct client_conn *conn)
{
    if (conn->entry->tls != NULL) {
        start_tls(conn);
    } else {
        sniff(conn);
    }
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    }
    if (address->ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    }
    return 0;
}

static void learn_addresses(struct client_conn *conn)
{
    struct sockaddr_storage address;
    if (stream_peer_address(conn->stream, &address)) {
        conn->has_address = cidr_address_of((struct sockaddr *)&address, &conn->address);
        conn->port = port_of(&address);
    }
    settle_address(conn);
    if (stream_own_address(conn->stream, &address)) {
        conn->has_own_address = cidr_address_of((struct sockaddr *)&address, &conn->own_address);
        conn->listener_port = port_of(&address);
    }
}

void client_conn_accept(struct entry *entry, int descriptor)
{
    struct relay_shared *shared = entry->shared;
    struct stream *stream = NULL;
    struct client_conn *conn = calloc(1, sizeof(*conn));
    enum status status = stream_adopt(&stream, shared->loop, descriptor, &stream_events, conn);
    if (conn == NULL || status != STATUS_OK) {
        counter_fault(shared->counters, FAULT_LIMIT_MEMORY);
        if (stream != NULL) {
            stream_close(stream);
        }
        free(conn);
        return;
    }
    stream_set_linger(stream, shared->config->timeouts.linger_ms);
    conn->entry = entry;
    conn->stream = stream;
    conn->is_first = true;
    conn->address_slice = (slice){"", 0};
    conn->accepted_us = loop_now_us(shared->loop);
    conn->post_reap = (struct loop_post){.run = reap, .self = conn};
    list_append(&entry->conns, &conn->link);
    relay_shared_use(shared);
    shared->on_conn_opened(shared->self);
    learn_addresses(conn);
    deadline_arm(&conn->deadline, shared->loop, shared->config->timeouts.handshake_ms,
                 on_handshake_deadline, conn);
    if (entry->config->proxy_protocol != CONFIG_PROXY_PROTOCOL_ACCEPT) {
        begin(conn);
    } else if (!conn->is_trusted) {
        refuse(conn, FAULT_PROXY_UNTRUSTED, "");
    }
}

void client_conn_describe(const struct client_conn *conn, struct proxy_protocol *out)
{
    *out = (struct proxy_protocol){.version = 2, .is_local = !conn->has_address};
    if (conn->has_address) {
        cidr_address_to(&conn->address, conn->port, &out->source);
        cidr_address_to(&conn->own_address, conn->listener_port, &out->destination);
    }
    if (conn->tls.version != NULL) {
        out->client_used_tls = true;
        out->client_verified = conn->tls.client_cert != NULL;
        out->tls_version = slice_of(conn->tls.version);
        out->tls_cipher = slice_of(conn->tls.cipher);
    }
    if (conn->tls.server_name != NULL) {
        out->authority = slice_of(conn->tls.server_name);
    }
}
