/* proxy/commands/cert.c
 *
 * sallyport cert: certificates from a local authority, and what is in a certificate.
 * Exit: 0 fine, 2 bad input, 3 the system failed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/local_ca.h"
#include "proxy/commands/cert_show.h"
#include "proxy/commands/command.h"

enum { ADVICE_BYTES = 8192 };

struct cert_options {
    const char *names[LOCAL_CA_NAMES_MAX];
    size_t name_count;
    const char *out;
    enum local_key key;
    bool is_json;
    const char *password_file;
    bool is_help;
};

enum { OPTION_NAME = 256, OPTION_OUT, OPTION_ECDSA, OPTION_JSON, OPTION_PASSWORD, OPTION_HELP };

static const struct option CREATE_OPTIONS[] = {
    {"name", required_argument, NULL, OPTION_NAME},
    {"out", required_argument, NULL, OPTION_OUT},
    {"ecdsa", no_argument, NULL, OPTION_ECDSA},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static const struct option SHOW_OPTIONS[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"password-file", required_argument, NULL, OPTION_PASSWORD},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool take_option(struct cert_options *options, int option)
{
    switch (option) {
    case OPTION_NAME:
        if (options->name_count == LOCAL_CA_NAMES_MAX) {
            (void)fprintf(stderr, "sallyport cert: more than %d names\n", LOCAL_CA_NAMES_MAX);
            return false;
        }
        options->names[options->name_count++] = optarg;
        return true;
    case OPTION_OUT:
        options->out = optarg;
        return true;
    case OPTION_ECDSA:
        options->key = LOCAL_KEY_EC;
        return true;
    case OPTION_JSON:
        options->is_json = true;
        return true;
    case OPTION_PASSWORD:
        options->password_file = optarg;
        return true;
    case OPTION_HELP:
        options->is_help = true;
        return true;
    default:
        return false; /* getopt has told */
    }
}

static bool read_options(struct cert_options *options, int argc, char **argv,
                         const struct option *known)
{
    *options = (struct cert_options){.key = LOCAL_KEY_RSA};
    optind = 0;
    for (int option = getopt_long(argc, argv, "h", known, NULL); option != -1;
         option = getopt_long(argc, argv, "h", known, NULL)) {
        if (!take_option(options, option == 'h' ? OPTION_HELP : option)) {
            return false;
        }
    }
    return true;
}

static void help(FILE *out)
{
    (void)fputs("sallyport cert create [--name NAME]... [--out FOLDER] [--ecdsa]\n"
                "  makes (or renews) an authority of this machine and a certificate from it.\n"
                "  --name NAME     a host name, *.DOMAIN or an IP address that it is for; without\n"
                "                  one: localhost, 127.0.0.1, ::1\n"
                "  --out FOLDER    where the files go (default: where `sallyport run` keeps its "
                "own)\n"
                "  --ecdsa         a P-256 key in place of RSA-2048\n"
                "sallyport cert show FILE [--json] [--password-file FILE]\n"
                "  what is in a certificate (PEM or PKCS#12): names, dates, key, fingerprints.\n",
                out);
}

/* ---- create ---- */

static void print_created(const struct local_ca_files *files)
{
    char advice[ADVICE_BYTES];
    (void)printf("authority    %s%s\n", files->ca, files->is_new_ca ? "  (new)" : "");
    (void)printf("certificate  %s%s\n", files->chain, files->is_new_leaf ? "  (new)" : "");
    (void)printf("key          %s\n", files->key);
    if (files->is_new_ca) {
        (void)local_ca_advice(files, advice, sizeof(advice));
        (void)printf("\n%s", advice);
    }
}

static int create(int argc, char **argv)
{
    static const char *const DEFAULT_NAMES[] = {"localhost", "127.0.0.1", "::1"};
    struct cert_options options;
    if (!read_options(&options, argc, argv, CREATE_OPTIONS)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        help(stdout);
        return COMMAND_FINE;
    }
    if (optind < argc) {
        (void)fprintf(stderr, "sallyport cert create: what is \"%s\"? Names go with --name\n",
                      argv[optind]);
        return COMMAND_BAD_INPUT;
    }
    char folder[LOCAL_CA_PATH_BYTES];
    if (options.out == NULL && !local_ca_folder(folder)) {
        (void)fprintf(stderr,
                      "sallyport cert create: no folder to write to; give one with --out\n");
        return COMMAND_SYSTEM;
    }
    bool is_default = options.name_count == 0;
    struct local_ca_files files;
    struct crypto_error error = {{0}};
    if (!local_ca_ensure(options.out != NULL ? options.out : folder, options.key,
                         is_default ? DEFAULT_NAMES : options.names,
                         is_default ? sizeof(DEFAULT_NAMES) / sizeof(DEFAULT_NAMES[0])
                                    : options.name_count,
                         time(NULL), &files, &error)) {
        (void)fprintf(stderr, "sallyport cert create: %s\n", error.text);
        return COMMAND_BAD_INPUT;
    }
    print_created(&files);
    return COMMAND_FINE;
}

/* ---- show ---- */

static int show(int argc, char **argv)
{
    struct cert_options options;
    if (!read_options(&options, argc, argv, SHOW_OPTIONS)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        help(stdout);
        return COMMAND_FINE;
    }
    if (optind + 1 != argc) {
        (void)fprintf(stderr, "sallyport cert show: expected one FILE\n");
        return COMMAND_BAD_INPUT;
    }
    struct crypto_error error = {{0}};
    if (!cert_show(argv[optind], options.password_file, options.is_json, &error)) {
        (void)fprintf(stderr, "%s: %s\n", argv[optind], error.text);
        return COMMAND_BAD_INPUT;
    }
    return COMMAND_FINE;
}

int command_cert(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "create") == 0) {
        return create(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "show") == 0) {
        return show(argc - 1, argv + 1);
    }
    bool is_help = argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    help(is_help ? stdout : stderr);
    return is_help ? COMMAND_FINE : COMMAND_BAD_INPUT;
}
