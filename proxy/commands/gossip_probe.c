/* proxy/commands/gossip_probe.c
 *
 * sallyport gossip probe: pings a peer as a member of its cluster would, and tells what stands
 * between. Exit: 0 fine, 1 not fine, 2 bad input, 3 a system failure.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <jansson.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "proxy/commands/command.h"
#include "proxy/commands/gossip.h"
#include "proxy/commands/gossip_probe_options.h"
#include "proxy/commands/gossip_probe_run.h"
#include "proxy/gossip/endpoint.h"

#define VERB "sallyport gossip probe"

struct result {
    char address[ENDPOINT_TEXT_BYTES];
    struct gossip_probe_leg tcp;
    struct gossip_probe_leg udp;
    enum probe_verdict verdict;
};

/* ---- printing ---- */

static void print_key(const struct probe_reply *reply, const struct keyring *ring)
{
    char id[KEYRING_ID_BYTES];
    if (reply->has_key) {
        keyring_id(ring, reply->key, id);
        (void)printf("; its key is %s%s", id,
                     reply->key == 0 ? "" : ", which is not the first of the keyring");
    }
}

static void print_leg(const char *name, const struct gossip_probe_leg *leg,
                      const struct keyring *ring)
{
    (void)printf("%-6s %s", name, probe_answer_sentence(leg->reply.answer));
    if (leg->error != 0) {
        (void)printf(" (%s)", strerror(leg->error));
    }
    (void)printf(", %.1f ms", (double)leg->took_us / 1000);
    print_key(&leg->reply, ring);
    if (leg->reply.words[0] != '\0') {
        (void)printf("; it says: %s", leg->reply.words);
    }
    (void)printf("\n");
}

static void print_result(const struct result *result, const struct keyring *ring)
{
    (void)printf("%-6s %s\n", "peer", result->address);
    print_leg("TCP", &result->tcp, ring);
    print_leg("UDP", &result->udp, ring);
    (void)printf("%s: %s\n", probe_verdict_name(result->verdict),
                 probe_verdict_sentence(result->verdict));
    if (result->verdict != PROBE_VERDICT_FINE && result->tcp.is_unmarked) {
        (void)printf("note: the probe may not mark its packets (run it as root): if rules of "
                     "interception are installed here, they took them\n");
    }
}

static json_t *leg_to_json(const struct gossip_probe_leg *leg, const struct keyring *ring)
{
    char id[KEYRING_ID_BYTES] = "";
    if (leg->reply.has_key) {
        keyring_id(ring, leg->reply.key, id);
    }
    return json_pack("{s:s, s:f, s:s*, s:b, s:s*, s:s*}", "answer",
                     probe_answer_name(leg->reply.answer), "ms", (double)leg->took_us / 1000, "key",
                     id[0] != '\0' ? id : NULL, "is_first_key",
                     leg->reply.has_key && leg->reply.key == 0, "says",
                     leg->reply.words[0] != '\0' ? leg->reply.words : NULL, "error",
                     leg->error != 0 ? strerror(leg->error) : NULL);
}

static bool print_json(const struct result *result, const struct keyring *ring)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:b, s:o, s:o}", "peer", result->address, "verdict",
                  probe_verdict_name(result->verdict), "sentence",
                  probe_verdict_sentence(result->verdict), "is_marked", !result->tcp.is_unmarked,
                  "tcp", leg_to_json(&result->tcp, ring), "udp", leg_to_json(&result->udp, ring));
    bool is_printed =
        json != NULL && json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0;
    json_decref(json);
    return is_printed && printf("\n") == 1;
}

/* ---- asking ---- */

static bool ask(const struct probe *probe, const struct addrinfo *address, unsigned timeout_ms,
                struct result *result)
{
    struct endpoint endpoint;
    const struct gossip_probe_leg *failed = NULL;
    (void)endpoint_from_sockaddr(&endpoint, address->ai_addr);
    endpoint_format(&endpoint, result->address);
    if (gossip_probe_tcp(probe, address->ai_addr, address->ai_addrlen, timeout_ms, &result->tcp) !=
        STATUS_OK) {
        failed = &result->tcp;
    } else if (gossip_probe_udp(probe, address->ai_addr, address->ai_addrlen, timeout_ms,
                                &result->udp) != STATUS_OK) {
        failed = &result->udp;
    }
    if (failed != NULL) {
        (void)fprintf(stderr, VERB ": %s: %s\n", result->address, strerror(failed->error));
        return false;
    }
    result->verdict = probe_verdict(result->tcp.reply.answer, result->udp.reply.answer);
    return true;
}

/* One address after the other, until there is somebody. */
static bool ask_any(const struct probe *probe, const struct gossip_probe_options *options,
                    struct result *result)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", options->port);
    int failure = getaddrinfo(options->host, port, &wanted, &addresses);
    if (failure != 0) {
        (void)fprintf(stderr, VERB ": %s: %s\n", options->host, gai_strerror(failure));
        return false;
    }
    bool is_asked = false;
    for (const struct addrinfo *address = addresses; address != NULL; address = address->ai_next) {
        is_asked = ask(probe, address, options->timeout_ms, result);
        if (!is_asked || result->verdict != PROBE_VERDICT_NOTHING) {
            break;
        }
    }
    freeaddrinfo(addresses);
    return is_asked;
}

static enum command_exit tell(const struct result *result, const struct keyring *ring, bool is_json)
{
    bool is_printed = true;
    if (is_json) {
        is_printed = print_json(result, ring);
    } else {
        print_result(result, ring);
    }
    if (!is_printed || fflush(stdout) != 0) {
        (void)fprintf(stderr, VERB ": the result cannot be written\n");
        return COMMAND_SYSTEM;
    }
    return result->verdict == PROBE_VERDICT_FINE ? COMMAND_FINE : COMMAND_REFUSED;
}

static enum command_exit probe_with(const struct gossip_probe_options *options,
                                    const struct gossip_probe_settings *settings)
{
    struct crypto_error error = {{0}};
    struct result result = {.verdict = PROBE_VERDICT_NOTHING};
    struct probe probe = {.version = settings->version,
                          .cipher = gossip_cipher_new(settings->ring, &error)};
    if (settings->label != NULL) {
        probe.label = (struct bytes){(const uint8_t *)settings->label, strlen(settings->label)};
    }
    if (probe.cipher == NULL) {
        (void)fprintf(stderr, VERB ": %s\n", error.text);
        return COMMAND_SYSTEM;
    }
    bool is_asked =
        getrandom(&probe.number, sizeof(probe.number), 0) == (ssize_t)sizeof(probe.number) &&
        ask_any(&probe, options, &result);
    gossip_cipher_free(probe.cipher);
    return is_asked ? tell(&result, settings->ring, options->is_json) : COMMAND_SYSTEM;
}

int gossip_probe(int argc, char **argv)
{
    struct gossip_probe_options options;
    struct gossip_probe_settings settings;
    if (!gossip_probe_options_read(&options, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        gossip_probe_options_help();
        return COMMAND_FINE;
    }
    enum command_exit status = COMMAND_BAD_INPUT;
    if (gossip_probe_settings_read(&settings, &options)) {
        status = probe_with(&options, &settings);
    }
    gossip_probe_settings_fini(&settings);
    return (int)status;
}
