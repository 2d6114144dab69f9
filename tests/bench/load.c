/* tests/bench/load.c
 *
 * The load program: one thread, one epoll loop, OpenSSL. It runs one scenario against a proxy on
 * 127.0.0.1 and prints one line of JSON: what was right, what was wrong, how long it took and, for
 * the processes given by --watch, the processor time used meanwhile.
 *
 * Usage: bench_load SCENARIO --port N --name HOST --ca FILE [--tls 1.2|1.3] [--clients N]
 *        [--in-flight N] [--bytes N] [--seconds S] [--watch PID]...
 * The idle scenarios print {"held": N} when all is open and hold until their input ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/load.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/client.h"
#include "tests/bench/pattern.h"
#include "tests/bench/scenario.h"

enum {
    EVENTS_MAX = 256,
    FAULTS_MAX = 100, /* then the run is over */
    READY_WAIT_S = 20,
    OPEN_WAIT_S = 180, /* the same for idle scenarios */
};

static const double warm_up_seconds = 0.3;

struct scenario {
    const char *name;
    const char *unit;
    bool (*start)(struct load *load);
    bool is_held;  /* opened and kept, instead of measured for some seconds */
    bool is_http2; /* instead of HTTP/1.1 */
};

static const struct scenario scenarios[] = {
    {"handshake", "handshakes", handshake_start, false, false},
    {"resume", "handshakes", handshake_start_resumed, false, false},
    {"request", "requests", request_start, false, false},
    {"download", "bytes", bulk_start_download, false, false},
    {"upload", "bytes", bulk_start_upload, false, false},
    {"websocket", "messages", websocket_start, false, false},
    {"idle", "connections", idle_start_requests, true, false},
    {"idle-websocket", "connections", idle_start_websockets, true, false},
    {"idle-http2", "connections", idle_start_http2, true, true},
};

void load_turn(struct load *load, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(load->epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++) {
        client_on_event(events[i].data.ptr, events[i].events);
    }
}

bool load_add(struct load *load, struct client *client)
{
    if (load->client_count == load->client_room) {
        size_t room = load->client_room == 0 ? 64 : load->client_room * 2;
        struct client **clients = realloc(load->clients, room * sizeof(struct client *));
        if (clients == NULL) {
            return false;
        }
        load->clients = clients;
        load->client_room = room;
    }
    load->clients[load->client_count++] = client;
    return true;
}

void load_fail(struct load *load, enum report_fault fault, const char *sentence)
{
    report_fail(&load->report, fault, sentence);
    load->is_stopping = load->is_stopping || load->report.fault_total >= FAULTS_MAX;
}

static void run_for(struct load *load, double seconds)
{
    int64_t end_ns = report_now_ns() + (int64_t)(seconds * 1e9);
    for (int64_t left = end_ns - report_now_ns(); left > 0 && !load->is_stopping;
         left = end_ns - report_now_ns()) {
        load_turn(load, (int)(left / 1000000) + 1);
    }
}

/* False when not all connections got ready in time. */
static bool run_until_ready(struct load *load, int seconds)
{
    int64_t end_ns = report_now_ns() + (int64_t)seconds * 1000000000;
    while (load->ready < load->options.clients && !load->is_stopping) {
        if (report_now_ns() > end_ns) {
            load_fail(load, REPORT_STUCK, "not all connections got as far as to be measured");
            return false;
        }
        load_turn(load, 100);
    }
    return !load->is_stopping;
}

/* A connection that got nowhere in the whole stretch is not merely slow. */
static void find_stuck(struct load *load)
{
    for (size_t i = 0; i < load->client_count; i++) {
        const struct client *client = load->clients[i];
        if (client->progress_ns != 0 && client->progress_ns < load->report.begin_ns) {
            load_fail(load, REPORT_STUCK, "nothing came in all the measured time");
        }
    }
}

static void measure(struct load *load)
{
    report_begin(&load->report);
    if (run_until_ready(load, READY_WAIT_S)) {
        run_for(load, warm_up_seconds);
        report_begin(&load->report);
        run_for(load, load->options.seconds);
    }
    report_end(&load->report);
    find_stuck(load);
}

static bool input_has_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) != 0;
}

static void hold(struct load *load)
{
    report_begin(&load->report);
    (void)run_until_ready(load, OPEN_WAIT_S);
    report_end(&load->report);
    printf("{\"held\": %llu}\n", (unsigned long long)load->report.units);
    (void)fflush(stdout);
    while (!input_has_ended()) {
        load_turn(load, 50);
    }
}

static SSL_CTX *make_tls(const struct load_options *options)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL) {
        return NULL;
    }
    (void)SSL_CTX_set_mode(tls,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Several proxies end a connection without close_notify; a reset is still told apart. */
    (void)SSL_CTX_set_options(tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    const char *alpn = options->is_http2 ? "\x02h2" : "\x08http/1.1";
    if (SSL_CTX_load_verify_file(tls, options->ca) != 1 ||
        SSL_CTX_set_min_proto_version(tls, options->tls_version) != 1 ||
        SSL_CTX_set_max_proto_version(tls, options->tls_version) != 1 ||
        SSL_CTX_set_ciphersuites(tls, "TLS_AES_256_GCM_SHA384") != 1 ||
        SSL_CTX_set_cipher_list(tls, "ECDHE-RSA-AES256-GCM-SHA384") != 1 ||
        SSL_CTX_set1_groups_list(tls, "X25519") != 1 ||
        SSL_CTX_set_alpn_protos(tls, (const unsigned char *)alpn, (unsigned)strlen(alpn)) != 0) {
        SSL_CTX_free(tls);
        return NULL;
    }
    return tls;
}

static int take_option(struct load *load, int letter, const char *value)
{
    struct load_options *options = &load->options;
    switch (letter) {
    case 'p':
        options->port = (uint16_t)strtoul(value, NULL, 10);
        return 0;
    case 'n':
        options->name = value;
        return 0;
    case 'a':
        options->ca = value;
        return 0;
    case 't':
        options->tls_version = strcmp(value, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
        return 0;
    case 'c':
        options->clients = strtoul(value, NULL, 10);
        return 0;
    case 'f':
        options->in_flight = strtoul(value, NULL, 10);
        return 0;
    case 'b':
        options->bytes = strtoull(value, NULL, 10);
        return 0;
    case 's':
        options->seconds = strtod(value, NULL);
        return 0;
    case 'w':
        return report_watch(&load->report, (pid_t)strtol(value, NULL, 10)) ? 0 : -1;
    default:
        return -1;
    }
}

static int take_options(struct load *load, int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},    {"name", required_argument, NULL, 'n'},
        {"ca", required_argument, NULL, 'a'},      {"tls", required_argument, NULL, 't'},
        {"clients", required_argument, NULL, 'c'}, {"in-flight", required_argument, NULL, 'f'},
        {"bytes", required_argument, NULL, 'b'},   {"seconds", required_argument, NULL, 's'},
        {"watch", required_argument, NULL, 'w'},   {0},
    };
    int letter = 0;
    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (take_option(load, letter, optarg) != 0) {
            return -1;
        }
    }
    load->options.scenario = optind == argc - 1 ? argv[optind] : NULL;
    bool is_complete = load->options.scenario != NULL && load->options.port != 0 &&
                       load->options.name != NULL && load->options.ca != NULL &&
                       load->options.clients > 0 && load->options.in_flight > 0 &&
                       load->options.bytes > 0;
    return is_complete ? 0 : -1;
}

static const struct scenario *find_scenario(const char *name)
{
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return &scenarios[i];
        }
    }
    return NULL;
}

static int load_run(struct load *load, const struct scenario *scenario)
{
    load->address = (struct sockaddr_in){.sin_family = AF_INET,
                                         .sin_port = htons(load->options.port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->tls = make_tls(&load->options);
    if (load->epoll < 0 || load->tls == NULL || !scenario->start(load)) {
        fprintf(stderr, "bench_load: cannot start: %s\n", strerror(errno));
        return 1;
    }
    if (scenario->is_held) {
        hold(load);
    } else {
        measure(load);
    }
    report_print(&load->report, scenario->name, scenario->unit, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static struct load load = {.options = {.tls_version = TLS1_3_VERSION,
                                           .clients = 64,
                                           .in_flight = 1,
                                           .bytes = 64 * 1024 * 1024,
                                           .seconds = 2.5}};
    if (take_options(&load, argc, argv) != 0) {
        fprintf(stderr, "usage: bench_load SCENARIO --port N --name HOST --ca FILE [--tls 1.2|1.3]"
                        " [--clients N]\n       [--in-flight N] [--bytes N] [--seconds S]"
                        " [--watch PID]...\n");
        return 2;
    }
    const struct scenario *scenario = find_scenario(load.options.scenario);
    if (scenario == NULL) {
        fprintf(stderr, "bench_load: no scenario %s\n", load.options.scenario);
        return 2;
    }
    load.options.is_http2 = scenario->is_http2;
    (void)signal(SIGPIPE, SIG_IGN); /* a connection that was reset is a fault, not the end */
    pattern_fill();
    return load_run(&load, scenario);
}
