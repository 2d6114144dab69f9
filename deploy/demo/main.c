/* deploy/demo/main.c
 *
 * sallyport-demo: a plaintext web app with a live WebSocket, to stand behind the proxy. This file
 * starts libwebsockets, hands its events to site and live, and stops on SIGINT or SIGTERM.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "deploy/demo/live.h"
#include "deploy/demo/options.h"
#include "deploy/demo/site.h"

#include <libwebsockets.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_BYTES_MAX = 16 << 10, HEADER_POOL = 512, STOP_MS_MAX = 1000 };

/* What libwebsockets keeps for each connection: an HTTP answer, then perhaps a WebSocket. */
struct visitor {
    struct site_answer answer;
    struct live_conn conn;
};

/* A signal handler can reach nothing else. */
static volatile sig_atomic_t stop_asked;
static struct lws_context *lws_to_wake;

static void stop_ask(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
    if (lws_to_wake != NULL) {
        lws_cancel_service(lws_to_wake); /* writes to a pipe, which a handler may do */
    }
}

static int event_take(struct lws *wsi, enum lws_callback_reasons reason, void *memory, void *bytes,
                      size_t len)
{
    struct visitor *visitor = memory;
    struct live *live = lws_context_user(lws_get_context(wsi));
    /* Some sixty events exist; those without a case here want the library's own reaction. */
    switch ((int)reason) {
    case LWS_CALLBACK_HTTP:
        return site_answer_start(&visitor->answer, wsi, bytes);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return site_answer_send(&visitor->answer, wsi);
    case LWS_CALLBACK_CLOSED_HTTP:
        if (visitor != NULL) {
            site_answer_fini(&visitor->answer);
        }
        return 0;
    case LWS_CALLBACK_ESTABLISHED:
        return live_conn_open(live, &visitor->conn, wsi);
    case LWS_CALLBACK_RECEIVE:
        return live_conn_receive(live, &visitor->conn, bytes, len);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return live_conn_send(live, &visitor->conn);
    case LWS_CALLBACK_CLOSED:
        live_conn_close(live, &visitor->conn);
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, memory, bytes, len);
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "demo", .callback = event_take, .per_session_data_size = sizeof(struct visitor)},
    {.name = NULL},
};

static const struct lws_extension extensions[] = {
    {"permessage-deflate", lws_extension_callback_pm_deflate,
     "permessage-deflate; client_no_context_takeover; client_max_window_bits"},
    {NULL, NULL, NULL},
};

static void log_line(int level, const char *line)
{
    (void)level;
    fputs(line, stderr);
}

static struct lws_context_creation_info creation_info(const struct options *options,
                                                      struct live *live)
{
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof(info));
    info.port = options->unix_path != NULL ? 0 : options->port;
    info.iface = options->unix_path != NULL ? options->unix_path : options->address;
    info.protocols = protocols;
    info.extensions = extensions;
    info.user = live;
    info.options = LWS_SERVER_OPTION_VALIDATE_UTF8 | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                   LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    info.options |= options->unix_path != NULL ? LWS_SERVER_OPTION_UNIX_SOCK : 0;
    info.max_http_header_data = HEADER_BYTES_MAX;
    info.max_http_header_pool = HEADER_POOL;
    info.vhost_name = "demo";
    info.server_string = "sallyport-demo";
    return info;
}

static void listening_print(const struct options *options, struct lws_vhost *vhost)
{
    if (options->unix_path != NULL) {
        printf("sallyport-demo: listening on unix:%s\n", options->unix_path);
    } else {
        printf("sallyport-demo: listening on http://%s:%d\n", options->address,
               lws_get_vhost_listen_port(vhost));
    }
    (void)fflush(stdout);
}

/* Scheduled only so that lws_service returns at the deadline. */
static void deadline_reached(lws_sorted_usec_list_t *timer)
{
    (void)timer;
}

static void serve_until_asked(struct lws_context *lws, struct live *live)
{
    while (stop_asked == 0 && lws_service(lws, 0) >= 0) {
    }
    live_stop(live);
    lws_usec_t deadline = lws_now_usecs() + STOP_MS_MAX * LWS_US_PER_MS;
    lws_sorted_usec_list_t timer = {.us = 0};
    lws_sul_schedule(lws, 0, &timer, deadline_reached, STOP_MS_MAX * LWS_US_PER_MS);
    while (live->conn_count > 0 && lws_now_usecs() < deadline && lws_service(lws, 0) >= 0) {
    }
    lws_sul_schedule(lws, 0, &timer, NULL, LWS_SET_TIMER_USEC_CANCEL);
}

int main(int argc, char **argv)
{
    struct options options;
    if (!options_read(&options, argc, argv)) {
        return 2;
    }
    if (options.help) {
        fputs(options_usage(), stdout);
        return 0;
    }
    struct live live = {.tick_ms = options.tick_ms};
    struct sigaction action = {.sa_handler = stop_ask};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
    if (options.unix_path != NULL) {
        (void)unlink(options.unix_path); /* left by an earlier run */
    }
    struct lws_context_creation_info info = creation_info(&options, &live);
    struct lws_context *lws = lws_create_context(&info);
    if (lws == NULL) {
        fputs("sallyport-demo: libwebsockets could not start\n", stderr);
        return 3;
    }
    struct lws_vhost *vhost = lws_create_vhost(lws, &info);
    if (vhost == NULL) {
        fprintf(stderr, "sallyport-demo: cannot listen on %s\n", info.iface);
        lws_context_destroy(lws);
        return 3;
    }
    lws_to_wake = lws;
    live_start(&live, lws);
    listening_print(&options, vhost);
    serve_until_asked(lws, &live);
    lws_context_destroy(lws);
    return 0;
}
