/* tests/bench/gossip_load.c
 *
 * Sends UDP packets from one network namespace to another through whatever stands between, counts
 * what arrives, and prints one line of JSON: count, seconds, and the processor time that the
 * watched process used meanwhile.
 *
 *   bench_gossip_load --from NETNS=IP --to NETNS=IP --watch PID [--bytes N] [--seconds S]
 *                     [--key BASE64 --sent sealed | --got sealed] [--rate N] [--peers N]
 *                     [--pool N]
 *
 * As fast as they arrive: a fixed number of packets is on its way, so that nothing is lost to full
 * buffers and whoever stands between is always busy; or --rate packets in a second. Of each packet
 * that arrives length and source are checked, of some the bytes. --sent sealed: they were sealed
 * before the time is taken, --pool distinct ones, which are sent in turn: more of them than a
 * window against replay remembers pass it for ever. --peers: sent to so many addresses in turn,
 * from 10.79.0.1 on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/gossip_cipher.h"
#include "tests/bench/report.h"

enum {
    PORT = 7946,
    BATCH = 64,    /* of a system call */
    WINDOW = 128,  /* packets on their way: two batches, which any receive buffer holds */
    LOST_MS = 100, /* nothing came for this long: what was on its way is lost */
    CHECKED = 64,  /* of so many packets the bytes of one are looked at */
    ROOM_BYTES = 2048,
    MESSAGE_BYTES_MIN = 8,
    OVERHEAD_BYTES = GOSSIP_HEAD_BYTES + GOSSIP_TAG_BYTES,
    BUFFER_BYTES = 16 * 1024 * 1024,
    WARM_MS = 300,
    FIRST_PEER = 0x0a4f0001, /* 10.79.0.1 */
};

struct place {
    const char *netns;
    struct sockaddr_in address;
    int descriptor;
};

struct options {
    size_t bytes;
    double seconds;
    unsigned long rate;  /* packets a second; 0: as fast as they arrive */
    unsigned long peers; /* 0: only `to` */
    const char *key;
    bool is_sent_sealed;
    bool is_got_sealed;
    size_t pool; /* distinct packets */
};

struct load {
    struct options options;
    struct place from;
    struct place to;
    struct gossip_cipher *cipher; /* NULL: nothing is sealed */
    struct report report;
    uint64_t sent;
    uint64_t on_way;
    uint64_t lost;
    uint8_t *pool;
    size_t slot_bytes; /* of one in the pool */
    size_t packet_len; /* which begins where its slot does */
    uint8_t got[BATCH][ROOM_BYTES];
    struct sockaddr_in sources[BATCH];
};

/* ---- what is sent, and what is expected ---- */

/* The message says which of the pool it is: a compound of memberlist would look no different to
 * what stands between. */
static void fill(uint8_t *message, size_t bytes, uint32_t number)
{
    for (size_t i = 0; i < bytes; i++) {
        message[i] = (uint8_t)(number + i * 7);
    }
    message[0] = 8; /* a user message */
    memcpy(message + 1, &number, sizeof(number));
}

static bool make_pool(struct load *load)
{
    const struct options *options = &load->options;
    size_t overhead = options->is_sent_sealed ? OVERHEAD_BYTES : 0;
    load->slot_bytes = (options->bytes + OVERHEAD_BYTES + GOSSIP_PAD_BYTES_MAX + 63) / 64 * 64;
    load->packet_len = options->bytes + overhead;
    load->pool = calloc(options->pool, load->slot_bytes);
    for (size_t i = 0; load->pool != NULL && i < options->pool; i++) {
        uint8_t *slot = load->pool + i * load->slot_bytes;
        size_t len = 0;
        fill(slot + (overhead > 0 ? GOSSIP_HEAD_BYTES : 0), options->bytes, (uint32_t)i);
        if (options->is_sent_sealed && gossip_packet_seal(load->cipher, 1, (struct bytes){0}, slot,
                                                          options->bytes, &len) != GOSSIP_FINE) {
            return false;
        }
    }
    return load->pool != NULL;
}

static bool is_right_text(struct load *load, uint8_t *at, size_t len)
{
    struct bytes plain = {at, len};
    size_t key;
    uint8_t expected[ROOM_BYTES];
    if (load->options.is_got_sealed &&
        gossip_packet_open(load->cipher, (struct bytes){0}, at, len, &plain, &key) != GOSSIP_FINE) {
        return false;
    }
    uint32_t number;
    memcpy(&number, plain.at + 1, sizeof(number));
    fill(expected, load->options.bytes, number);
    return plain.len == load->options.bytes && memcmp(plain.at, expected, plain.len) == 0;
}

static void check(struct load *load, const struct mmsghdr *message, size_t at)
{
    size_t expected = load->options.bytes + (load->options.is_got_sealed ? OVERHEAD_BYTES : 0);
    const struct sockaddr_in *source = &load->sources[at];
    if (message->msg_len != expected) {
        report_fail(&load->report, REPORT_ANSWER, "a packet arrived with another length");
    } else if (source->sin_port != load->from.address.sin_port ||
               source->sin_addr.s_addr != load->from.address.sin_addr.s_addr) {
        report_fail(&load->report, REPORT_ANSWER, "a packet arrived from another address");
    } else if (load->report.units % CHECKED == 0 &&
               !is_right_text(load, load->got[at], message->msg_len)) {
        report_fail(&load->report, REPORT_ANSWER, "a packet arrived with other bytes");
    }
}

/* ---- sending and receiving ---- */

static struct sockaddr_in destination_of(const struct load *load, uint64_t number)
{
    struct sockaddr_in address = load->to.address;
    if (load->options.peers > 0) {
        address.sin_addr.s_addr = htonl((uint32_t)(FIRST_PEER + number % load->options.peers));
    }
    return address;
}

static void send_some(struct load *load, size_t count)
{
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    struct sockaddr_in destinations[BATCH];
    for (size_t i = 0; i < count; i++) {
        uint8_t *slot = load->pool + (load->sent + i) % load->options.pool * load->slot_bytes;
        parts[i] = (struct iovec){slot, load->packet_len};
        destinations[i] = destination_of(load, load->sent + i);
        messages[i].msg_hdr = (struct msghdr){.msg_name = &destinations[i],
                                              .msg_namelen = sizeof(destinations[i]),
                                              .msg_iov = &parts[i],
                                              .msg_iovlen = 1};
    }
    int done = sendmmsg(load->from.descriptor, messages, (unsigned)count, MSG_DONTWAIT);
    if (done > 0) {
        load->sent += (uint64_t)done;
        load->on_way += (uint64_t)done;
    } else if (errno != EAGAIN && errno != ENOBUFS) {
        report_fail(&load->report, REPORT_CONNECT, strerror(errno));
    }
}

static size_t receive_some(struct load *load)
{
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){load->got[i], ROOM_BYTES};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &load->sources[i],
                                              .msg_namelen = sizeof(load->sources[i]),
                                              .msg_iov = &parts[i],
                                              .msg_iovlen = 1};
    }
    int count = recvmmsg(load->to.descriptor, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        check(load, &messages[i], (size_t)i);
        load->report.units++;
        load->on_way -= load->on_way > 0;
    }
    return count > 0 ? (size_t)count : 0;
}

static void wait_for_packets(struct load *load, int ms)
{
    struct pollfd watched = {.fd = load->to.descriptor, .events = POLLIN};
    if (poll(&watched, 1, ms) == 0 && ms == LOST_MS) {
        load->lost += load->on_way;
        load->on_way = 0;
    }
}

/* How many are due at this moment. */
static size_t due(const struct load *load, int64_t since_ns, uint64_t sent_before)
{
    uint64_t room = load->on_way < WINDOW ? WINDOW - load->on_way : 0;
    if (load->options.rate > 0) {
        double seconds = (double)(report_now_ns() - since_ns) / 1e9;
        uint64_t wanted = (uint64_t)(seconds * (double)load->options.rate);
        uint64_t sent = load->sent - sent_before;
        room = wanted > sent ? wanted - sent : 0;
    }
    return room > BATCH ? BATCH : (size_t)room;
}

static void run_for(struct load *load, double seconds)
{
    int64_t since_ns = report_now_ns();
    int64_t until_ns = since_ns + (int64_t)(seconds * 1e9);
    uint64_t sent_before = load->sent;
    while (report_now_ns() < until_ns) {
        size_t count = due(load, since_ns, sent_before);
        if (count > 0) {
            send_some(load, count);
        }
        while (receive_some(load) == BATCH) {
        }
        if (load->options.rate > 0) {
            wait_for_packets(load, 1);
        } else if (due(load, since_ns, sent_before) < BATCH / 2) {
            wait_for_packets(load, LOST_MS);
        }
    }
}

/* ---- life ---- */

static bool open_place(struct place *place, bool is_any)
{
    static const int BUFFER = BUFFER_BYTES;
    char path[64];
    (void)snprintf(path, sizeof(path), "/run/netns/%s", place->netns);
    int netns = open(path, O_RDONLY | O_CLOEXEC);
    if (netns < 0 || setns(netns, CLONE_NEWNET) != 0) {
        return false;
    }
    (void)close(netns);
    struct sockaddr_in address = place->address;
    if (is_any) {
        address.sin_addr.s_addr = htonl(INADDR_ANY);
    }
    place->descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return place->descriptor >= 0 &&
           setsockopt(place->descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &BUFFER, sizeof(BUFFER)) ==
               0 &&
           setsockopt(place->descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &BUFFER, sizeof(BUFFER)) ==
               0 &&
           bind(place->descriptor, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool open_cipher(struct load *load)
{
    if (load->options.key == NULL) {
        return !load->options.is_sent_sealed && !load->options.is_got_sealed;
    }
    struct bytes text = {(const uint8_t *)load->options.key, strlen(load->options.key)};
    struct keyring *ring = keyring_parse(text, NULL);
    load->cipher = ring != NULL ? gossip_cipher_new(ring, NULL) : NULL;
    keyring_free(ring);
    return load->cipher != NULL;
}

/* "NETNS=IP" */
static bool parse_place(struct place *place, char *text)
{
    char *ip = strchr(text, '=');
    if (ip == NULL) {
        return false;
    }
    *ip++ = '\0';
    *place = (struct place){.netns = text,
                            .address = {.sin_family = AF_INET, .sin_port = htons(PORT)},
                            .descriptor = -1};
    return inet_pton(AF_INET, ip, &place->address.sin_addr) == 1;
}

static bool take_option(struct load *load, int letter, char *value)
{
    struct options *options = &load->options;
    switch (letter) {
    case 'f':
        return parse_place(&load->from, value);
    case 't':
        return parse_place(&load->to, value);
    case 'w':
        return report_watch(&load->report, (pid_t)strtol(value, NULL, 10));
    case 'b':
        options->bytes = strtoul(value, NULL, 10);
        return options->bytes >= MESSAGE_BYTES_MIN &&
               options->bytes <= ROOM_BYTES - 2 * OVERHEAD_BYTES;
    case 's':
        options->seconds = strtod(value, NULL);
        return options->seconds > 0;
    case 'r':
        options->rate = strtoul(value, NULL, 10);
        return options->rate > 0;
    case 'p':
        options->peers = strtoul(value, NULL, 10);
        return options->peers > 0 && options->peers < 65536;
    case 'n':
        options->pool = strtoul(value, NULL, 10);
        return options->pool > 0 && options->pool <= UINT32_MAX;
    case 'k':
        options->key = value;
        return true;
    case 'S':
        options->is_sent_sealed = strcmp(value, "sealed") == 0;
        return true;
    case 'G':
        options->is_got_sealed = strcmp(value, "sealed") == 0;
        return true;
    default:
        return false;
    }
}

static bool parse(struct load *load, int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"from", required_argument, NULL, 'f'},  {"to", required_argument, NULL, 't'},
        {"watch", required_argument, NULL, 'w'}, {"bytes", required_argument, NULL, 'b'},
        {"rate", required_argument, NULL, 'r'},  {"seconds", required_argument, NULL, 's'},
        {"peers", required_argument, NULL, 'p'}, {"key", required_argument, NULL, 'k'},
        {"pool", required_argument, NULL, 'n'},  {"sent", required_argument, NULL, 'S'},
        {"got", required_argument, NULL, 'G'},   {0},
    };
    load->options = (struct options){.bytes = 1400, .seconds = 2, .pool = 256};
    int letter;
    while ((letter = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        if (!take_option(load, letter, optarg)) {
            return false;
        }
    }
    return optind == argc && load->from.netns != NULL && load->to.netns != NULL;
}

int main(int argc, char **argv)
{
    static struct load load;
    if (!parse(&load, argc, argv)) {
        (void)fprintf(stderr, "usage: see the beginning of tests/bench/gossip_load.c\n");
        return 2;
    }
    if (!open_cipher(&load) || !make_pool(&load) || !open_place(&load.from, false) ||
        !open_place(&load.to, true)) {
        (void)fprintf(stderr, "bench_gossip_load: cannot begin: %s\n", strerror(errno));
        return 1;
    }
    run_for(&load, WARM_MS / 1e3);
    load.lost = 0;
    report_begin(&load.report);
    run_for(&load, load.options.seconds);
    report_end(&load.report);
    report_print(&load.report, "gossip", "packets", stdout);
    (void)fprintf(stderr, "lost %llu\n", (unsigned long long)load.lost);
    gossip_cipher_free(load.cipher);
    free(load.pool);
    return 0;
}
