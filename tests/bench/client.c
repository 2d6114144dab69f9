/* tests/bench/client.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/load.h"

/* Connections come from several loopback addresses, so that the ports of closed ones do not run
 * out. */
enum { SOURCES = 16 };

bool client_init(struct client *client, struct load *load, const struct client_events *events,
                 void *slot)
{
    *client = (struct client){.load = load, .events = events, .slot = slot, .fd = -1};
    return load_add(load, client);
}

static int open_socket(struct load *load)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int on = 1;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + load->next_source++ % SOURCES);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&source, sizeof(source)) != 0 ||
        (connect(fd, (struct sockaddr *)&load->address, sizeof(load->address)) != 0 &&
         errno != EINPROGRESS)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool open_tls(struct client *client, SSL_SESSION *resume)
{
    client->ssl = SSL_new(client->load->tls);
    if (client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1 ||
        SSL_set_tlsext_host_name(client->ssl, client->load->options.name) != 1 ||
        SSL_set1_host(client->ssl, client->load->options.name) != 1 ||
        (resume != NULL && SSL_set_session(client->ssl, resume) != 1)) {
        return false;
    }
    SSL_set_app_data(client->ssl, client);
    SSL_set_connect_state(client->ssl);
    return true;
}

static void lose(struct client *client, enum report_fault fault, const char *sentence)
{
    client_close(client);
    load_fail(client->load, fault, sentence);
    client->events->on_lost(client);
}

void client_open(struct client *client, SSL_SESSION *resume)
{
    client->since_ns = report_now_ns();
    client->progress_ns = client->since_ns;
    client->is_open = false;
    client->has_ended = false;
    client->wants_write = true;
    client->fd = open_socket(client->load);
    if (client->fd < 0) {
        lose(client, REPORT_CONNECT, strerror(errno));
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = client};
    if (!open_tls(client, resume) ||
        epoll_ctl(client->load->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0) {
        lose(client, REPORT_CONNECT, "cannot make a TLS connection object");
    }
}

/* Whether OpenSSL only wants to be called again; otherwise the connection is over. */
static bool is_waiting(struct client *client, int result)
{
    int reason = SSL_get_error(client->ssl, result);
    client->has_ended = client->has_ended || reason == SSL_ERROR_ZERO_RETURN;
    return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
}

ssize_t client_read(struct client *client, void *bytes, size_t room)
{
    size_t got = 0;
    ERR_clear_error();
    int result = SSL_read_ex(client->ssl, bytes, room, &got);
    if (result == 1) {
        client->progress_ns = client->progress_ns == 0 ? 0 : report_now_ns();
        return (ssize_t)got;
    }
    return is_waiting(client, result) ? 0 : -1;
}

ssize_t client_write(struct client *client, const void *bytes, size_t len)
{
    size_t put = 0;
    ERR_clear_error();
    int result = SSL_write_ex(client->ssl, bytes, len, &put);
    if (result == 1) {
        return (ssize_t)put;
    }
    return is_waiting(client, result) ? 0 : -1;
}

bool client_gather(struct client *client)
{
    enum { GATHERED_MAX = 32 * 1024 };
    BIO *gather = BIO_new(BIO_f_buffer());
    if (gather == NULL || BIO_set_write_buffer_size(gather, GATHERED_MAX) != 1) {
        BIO_free(gather);
        return false;
    }
    BIO *socket = SSL_get_wbio(client->ssl);
    (void)BIO_up_ref(socket);
    SSL_set0_wbio(client->ssl, BIO_push(gather, socket));
    return true;
}

bool client_flush(struct client *client)
{
    ERR_clear_error();
    return BIO_flush(SSL_get_wbio(client->ssl)) == 1;
}

void client_want_write(struct client *client, bool wants)
{
    if (wants == client->wants_write) {
        return;
    }
    struct epoll_event event = {.events = wants ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = client};
    (void)epoll_ctl(client->load->epoll, EPOLL_CTL_MOD, client->fd, &event);
    client->wants_write = wants;
}

void client_finish(struct client *client)
{
    ERR_clear_error();
    (void)SSL_shutdown(client->ssl);
    (void)shutdown(client->fd, SHUT_WR);
}

void client_close(struct client *client)
{
    if (client->has_ended) {
        /* OpenSSL forgets our close_notify at an end of file that it was told to accept, and would
         * mark the session as not to be resumed. */
        SSL_set_shutdown(client->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(client->ssl);
    client->ssl = NULL;
    client->has_ended = false;
    if (client->fd >= 0) {
        (void)close(client->fd);
        client->fd = -1;
    }
    client->is_open = false;
    client->progress_ns = 0;
}

static bool is_as_asked(struct client *client)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(client->ssl);
    uint16_t suite = cipher == NULL ? 0 : SSL_CIPHER_get_protocol_id(cipher);
    return SSL_version(client->ssl) == client->load->options.tls_version &&
           (suite == 0x1302 || suite == 0xc030); /* the one suite of each version */
}

/* Without ALPN a proxy speaks HTTP/1.1, so only HTTP/2 has to be chosen. */
static bool is_protocol_as_asked(struct client *client)
{
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(client->ssl, &chosen, &len);
    return !client->load->options.is_http2 || (len == 2 && memcmp(chosen, "h2", len) == 0);
}

static void shake_hands(struct client *client)
{
    ERR_clear_error();
    int result = SSL_do_handshake(client->ssl);
    if (result != 1) {
        if (!is_waiting(client, result)) {
            const char *reason = ERR_reason_error_string(ERR_peek_last_error());
            lose(client, REPORT_HANDSHAKE, reason == NULL ? "cut off in the handshake" : reason);
            return;
        }
        client_want_write(client, SSL_want_write(client->ssl));
        return;
    }
    if (!is_as_asked(client)) {
        lose(client, REPORT_PARAMETERS, SSL_get_cipher_name(client->ssl));
        return;
    }
    if (!is_protocol_as_asked(client)) {
        lose(client, REPORT_PARAMETERS, "HTTP/2 was not negotiated");
        return;
    }
    client_want_write(client, false);
    client->is_open = true;
    client->events->on_open(client);
}

static bool is_connected(struct client *client)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        lose(client, REPORT_CONNECT, strerror(error));
        return false;
    }
    return true;
}

void client_on_event(struct client *client, uint32_t events)
{
    if (!client->is_open) {
        if ((events & EPOLLERR) != 0 && !is_connected(client)) {
            return;
        }
        shake_hands(client);
        return;
    }
    client->events->on_ready(client);
}
