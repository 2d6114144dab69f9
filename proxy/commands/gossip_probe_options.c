/* proxy/commands/gossip_probe_options.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/gossip_probe_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "crypto/gossip_cipher.h"
#include "crypto/key_file.h"
#include "proxy/base/slice.h"

#define VERB "sallyport gossip probe"

enum { DEFAULT_PORT = 7946, DEFAULT_TIMEOUT_MS = 5000, TIMEOUT_S_MAX = 600 };

/* ---- options ---- */

enum {
    OPTION_KEYRING = 256,
    OPTION_LABEL,
    OPTION_CONFIG,
    OPTION_CLUSTER,
    OPTION_TIMEOUT,
    OPTION_JSON,
    OPTION_HELP,
};

static const struct option KNOWN[] = {
    {"keyring", required_argument, NULL, OPTION_KEYRING},
    {"label", required_argument, NULL, OPTION_LABEL},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"cluster", required_argument, NULL, OPTION_CLUSTER},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool take_timeout(struct gossip_probe_options *options, const char *text)
{
    char *end = NULL;
    double seconds = strtod(text, &end);
    bool is_number = end != text && (*end == '\0' || strcmp(end, "s") == 0);
    if (!is_number || !(seconds >= 0.001 && seconds <= TIMEOUT_S_MAX)) {
        (void)fprintf(stderr, VERB ": --timeout takes a number of seconds, up to %d\n",
                      TIMEOUT_S_MAX);
        return false;
    }
    options->timeout_ms = (unsigned)(seconds * 1000);
    return true;
}

static bool take_label(struct gossip_probe_options *options, const char *text)
{
    if (strlen(text) > GOSSIP_LABEL_BYTES_MAX) {
        (void)fprintf(stderr, VERB ": --label takes up to %d bytes\n", GOSSIP_LABEL_BYTES_MAX);
        return false;
    }
    options->label = text;
    return true;
}

static bool take_option(struct gossip_probe_options *options, int option)
{
    switch (option) {
    case OPTION_KEYRING:
        options->keyring = optarg;
        return true;
    case OPTION_LABEL:
        return take_label(options, optarg);
    case 'c':
    case OPTION_CONFIG:
        options->config = optarg;
        return true;
    case OPTION_CLUSTER:
        options->cluster = optarg;
        return true;
    case OPTION_TIMEOUT:
        return take_timeout(options, optarg);
    case OPTION_JSON:
        options->is_json = true;
        return true;
    case 'h':
    case OPTION_HELP:
        options->is_help = true;
        return true;
    default:
        return false; /* getopt has told */
    }
}

/* HOST, HOST:PORT, [IPv6]:PORT, or an IPv6 address by itself. */
static bool take_peer(struct gossip_probe_options *options, const char *text)
{
    slice host = slice_of(text);
    slice port = {NULL, 0};
    size_t colon = slice_find(host, ':');
    if (host.len > 0 && host.at[0] == '[') {
        size_t end = slice_find(host, ']');
        port = slice_from(host, end < host.len ? end + 1 : host.len);
        host = (slice){host.at + 1, end < host.len ? end - 1 : 0};
    } else if (colon < host.len &&
               slice_find(slice_from(host, colon + 1), ':') == host.len - colon - 1) {
        port = slice_from(host, colon);
        host = slice_first(host, colon);
    }
    uint64_t number = 0;
    bool has_port = port.len > 0;
    if (host.len == 0 || host.len >= sizeof(options->host) ||
        (has_port && (port.at[0] != ':' || !slice_to_number(slice_from(port, 1), &number) ||
                      number == 0 || number > UINT16_MAX))) {
        (void)fprintf(stderr, VERB ": what is \"%s\"? Expected PEER, PEER:PORT or [IPv6]:PORT\n",
                      text);
        return false;
    }
    memcpy(options->host, host.at, host.len);
    options->host[host.len] = '\0';
    options->port = (uint16_t)number;
    return true;
}

/* What goes with what. */
static bool are_complete(const struct gossip_probe_options *options)
{
    const char *lack = NULL;
    if (options->keyring == NULL && options->config == NULL) {
        lack = "expected the keys: --keyring FILE, or -c CONFIG";
    } else if (options->cluster != NULL && options->config == NULL) {
        lack = "--cluster goes with -c CONFIG";
    }
    if (lack != NULL) {
        (void)fprintf(stderr, VERB ": %s\n", lack);
    }
    return lack == NULL;
}

bool gossip_probe_options_read(struct gossip_probe_options *options, int argc, char **argv)
{
    *options = (struct gossip_probe_options){.timeout_ms = DEFAULT_TIMEOUT_MS};
    optind = 0;
    for (int option = getopt_long(argc, argv, "hc:", KNOWN, NULL); option != -1;
         option = getopt_long(argc, argv, "hc:", KNOWN, NULL)) {
        if (!take_option(options, option)) {
            return false;
        }
    }
    if (options->is_help) {
        return true;
    }
    if (optind + 1 != argc) {
        (void)fprintf(stderr, VERB ": expected one PEER; see --help\n");
        return false;
    }
    return take_peer(options, argv[optind]) && are_complete(options);
}

void gossip_probe_options_help(void)
{
    (void)fputs(
        "Usage: " VERB " PEER[:PORT] --keyring FILE [--label LABEL]\n"
        "       " VERB " PEER[:PORT] -c FILE [--cluster NAME]\n\n"
        "Pings a member of a gossip cluster over TCP and UDP, as another member would, and tells\n"
        "apart: fine, UDP or TCP blocked, another key, another label, plaintext, nobody there,\n"
        "no gossip.\n\n"
        "  --keyring FILE     the keys; the first one encrypts\n"
        "  --label LABEL      the cluster's label, if it has one\n"
        "  -c, --config FILE  keys, label, port and version of a cluster of this configuration\n"
        "  --cluster NAME     which one, if it has several\n"
        "  --timeout 5s       how long to wait for each answer\n"
        "  --json             the result as JSON\n\n"
        "Where rules of interception are installed on this machine, run it as root: its packets\n"
        "are marked, so that the rules let them pass.\n"
        "Exit status: 0 fine, 1 not fine, 2 bad input, 3 a system failure.\n",
        stdout);
}

/* ---- settings ---- */

static bool parse_keys(struct gossip_probe_settings *settings, const char *place, struct bytes text)
{
    struct crypto_error error = {{0}};
    settings->ring = keyring_parse(text, &error);
    if (settings->ring == NULL) {
        (void)fprintf(stderr, "%s: %s\n", place, error.text);
    }
    return settings->ring != NULL;
}

static bool read_key_file(struct gossip_probe_settings *settings, const char *path)
{
    struct crypto_error error = {{0}};
    size_t len = 0;
    uint8_t *text = key_file_read(path, KEYRING_TEXT_BYTES_MAX, &len, &error);
    if (text == NULL) {
        (void)fprintf(stderr, "%s: %s\n", path, error.text);
        return false;
    }
    bool is_parsed = parse_keys(settings, path, (struct bytes){text, len});
    key_file_forget(text, len);
    return is_parsed;
}

static bool read_key_variable(struct gossip_probe_settings *settings, const char *name)
{
    const char *text = getenv(name);
    if (text == NULL) {
        (void)fprintf(stderr, VERB ": the environment variable %s is not set\n", name);
        return false;
    }
    return parse_keys(settings, name, (struct bytes){(const uint8_t *)text, strlen(text)});
}

static bool load_config(struct gossip_probe_settings *settings, const char *file)
{
    struct problem_list *problems = problem_list_new();
    struct source source = source_files(NULL);
    settings->config = problems == NULL ? NULL : config_load(&source, file, problems);
    if (settings->config == NULL && problems != NULL) {
        problem_list_print(problems, stderr);
    }
    problem_list_free(problems);
    return settings->config != NULL;
}

static const struct config_gossip *find_cluster(const struct config *config,
                                                const struct gossip_probe_options *options)
{
    if (options->cluster == NULL && config->gossip_count == 1) {
        return &config->gossip[0];
    }
    for (size_t i = 0; options->cluster != NULL && i < config->gossip_count; i++) {
        if (strcmp(config->gossip[i].name, options->cluster) == 0) {
            return &config->gossip[i];
        }
    }
    if (options->cluster != NULL) {
        (void)fprintf(stderr, "%s: there is no gossip cluster `%s`\n", options->config,
                      options->cluster);
    } else {
        (void)fprintf(stderr, "%s: it has %zu gossip clusters; name one with --cluster\n",
                      options->config, config->gossip_count);
    }
    return NULL;
}

static bool read_cluster(struct gossip_probe_settings *settings,
                         struct gossip_probe_options *options)
{
    const struct config_gossip *cluster = find_cluster(settings->config, options);
    if (cluster == NULL) {
        return false;
    }
    settings->version = cluster->version;
    settings->label = options->label != NULL ? options->label : cluster->label;
    options->port = options->port != 0 ? options->port : cluster->ports[0];
    if (options->keyring != NULL) {
        return read_key_file(settings, options->keyring);
    }
    if (cluster->keyring.path != NULL) {
        return read_key_file(settings, cluster->keyring.path);
    }
    return cluster->key.kind == CONFIG_SECRET_ENVIRONMENT
               ? read_key_variable(settings, cluster->key.value)
               : read_key_file(settings, cluster->key.value);
}

bool gossip_probe_settings_read(struct gossip_probe_settings *settings,
                                struct gossip_probe_options *options)
{
    *settings = (struct gossip_probe_settings){.label = options->label, .version = 1};
    if (options->config != NULL) {
        return load_config(settings, options->config) && read_cluster(settings, options);
    }
    options->port = options->port != 0 ? options->port : DEFAULT_PORT;
    return read_key_file(settings, options->keyring);
}

void gossip_probe_settings_fini(struct gossip_probe_settings *settings)
{
    keyring_free(settings->ring);
    config_free(settings->config);
}
