/* deploy/demo/options.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "deploy/demo/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS_DEFAULT = 1000, TICK_MS_MAX = 3600 * 1000, PORT_DEFAULT = 8080 };

static bool number_read(const char *name, const char *text, unsigned long max, unsigned long *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value > max) {
        fprintf(stderr, "sallyport-demo: --%s %s: expected a number from 0 to %lu\n", name, text,
                max);
        return false;
    }
    *out = value;
    return true;
}

static bool option_apply(struct options *options, int letter)
{
    unsigned long number = 0;
    switch (letter) {
    case 'p':
        if (!number_read("port", optarg, UINT16_MAX, &number)) {
            return false;
        }
        options->port = (uint16_t)number;
        return true;
    case 't':
        if (!number_read("tick-ms", optarg, TICK_MS_MAX, &number)) {
            return false;
        }
        options->tick_ms = (uint32_t)number;
        return true;
    case 'a':
        options->address = optarg;
        return true;
    case 'u':
        options->unix_path = optarg;
        return true;
    case 'h':
        options->help = true;
        return true;
    default:
        return false; /* getopt has said why */
    }
}

bool options_read(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"address", required_argument, NULL, 'a'}, {"port", required_argument, NULL, 'p'},
        {"unix", required_argument, NULL, 'u'},    {"tick-ms", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    *options =
        (struct options){.address = "127.0.0.1", .port = PORT_DEFAULT, .tick_ms = TICK_MS_DEFAULT};
    for (int letter; (letter = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        if (!option_apply(options, letter)) {
            return false;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "sallyport-demo: %s: expected an option, see --help\n", argv[optind]);
        return false;
    }
    return true;
}

const char *options_usage(void)
{
    return "usage: sallyport-demo [--address ADDR] [--port PORT] [--unix PATH] [--tick-ms N]\n"
           "\n"
           "A small web app with a live WebSocket, in plaintext, to put behind sallyport.\n"
           "\n"
           "  --address ADDR  listen on this address (127.0.0.1)\n"
           "  --port PORT     and port (8080); 0 lets the kernel choose and prints the choice\n"
           "  --unix PATH     listen on a unix socket instead\n"
           "  --tick-ms N     push a tick every N milliseconds (1000); 0 pushes none\n"
           "\n"
           "Paths: / the page, /ws the live WebSocket, /echo a WebSocket that returns each "
           "message\n"
           "as it came, /api/session the received fields as JSON, /healthz.\n";
}
