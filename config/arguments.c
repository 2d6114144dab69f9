/* config/arguments.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/arguments.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/bundle.h"
#include "config/load.h"
#include "config/source.h"

static const struct {
    const char *option;
    const char *variable;
    const char *doc;
} ROWS[ARGUMENT_COUNT] = {
    [ARGUMENT_TO] = {"--to", "SALLYPORT_TO",
                     "where requests go: http://HOST:PORT, https://HOST:PORT, h2://HOST:PORT, "
                     "h2c://HOST:PORT or unix:/PATH; several with commas"},
    [ARGUMENT_LISTEN] = {"--listen", "SALLYPORT_LISTEN",
                         "the https address; several with commas; default [::]:8443"},
    [ARGUMENT_HOST] = {"--host", "SALLYPORT_HOST",
                       "host names that are answered for, with commas; default: any"},
    [ARGUMENT_REDIRECT] = {"--redirect", "SALLYPORT_REDIRECT",
                           "an address that redirects http to https; default: none"},
    [ARGUMENT_CERTIFICATE] = {"--certificate", "SALLYPORT_CERTIFICATE",
                              "PEM file of the certificate chain; default: made by a local CA"},
    [ARGUMENT_KEY] = {"--key", "SALLYPORT_KEY", "PEM file of the certificate's private key"},
    [ARGUMENT_ENFORCEMENT] = {"--enforcement", "SALLYPORT_ENFORCEMENT",
                              "strict (default) or report"},
    [ARGUMENT_PLAINTEXT] = {"--plaintext", "SALLYPORT_PLAINTEXT",
                            "acceptable plaintext hops: never, loopback (default) or any"},
    [ARGUMENT_CIPHERS] = {"--ciphers", "SALLYPORT_CIPHERS", "aes256 (default) or modern"},
    [ARGUMENT_MINIMUM_TLS] = {"--minimum-tls", "SALLYPORT_MINIMUM_TLS", "1.2 (default) or 1.3"},
    [ARGUMENT_CLIENT_CA] = {"--client-ca", "SALLYPORT_CLIENT_CA",
                            "PEM file of CAs: clients must show a certificate of theirs"},
    [ARGUMENT_BACKEND_CA] = {"--backend-ca", "SALLYPORT_BACKEND_CA",
                             "PEM file of CAs that https and h2 servers are verified by"},
    [ARGUMENT_TRUSTED_PROXIES] = {"--trusted-proxies", "SALLYPORT_TRUSTED_PROXIES",
                                  "networks whose X-Forwarded-* fields are believed, with commas"},
    [ARGUMENT_SESSION_HEADER] = {"--session-header", "SALLYPORT_SESSION_HEADER",
                                 "on tells the backend the negotiated TLS session in "
                                 "Sallyport-Session; default off"},
    [ARGUMENT_BODY_LIMIT] = {"--body-limit", "SALLYPORT_BODY_LIMIT",
                             "the largest request body; default 100MiB"},
    [ARGUMENT_DRAIN] = {"--drain", "SALLYPORT_DRAIN",
                        "how long running exchanges may go on after SIGTERM; default 30s"},
    [ARGUMENT_WORKERS] = {"--workers", "SALLYPORT_WORKERS",
                          "worker processes; default: one a core"},
    [ARGUMENT_ADMIN] = {"--admin", "SALLYPORT_ADMIN", "the admin socket; default: off"},
    [ARGUMENT_LOG_ACCESS] = {"--log-access", "SALLYPORT_LOG_ACCESS",
                             "json (default), text, errors_only or off"},
    [ARGUMENT_LOG_FORMAT] = {"--log-format", "SALLYPORT_LOG_FORMAT",
                             "auto (default: text on a terminal), json or text"},
    [ARGUMENT_LOG_LEVEL] = {"--log-level", "SALLYPORT_LOG_LEVEL",
                            "error, warn, info (default) or debug"},
};

enum { LINES_MAX = 512 };

/* Writes lines of YAML and remembers which argument each came from. */
struct writer {
    FILE *out;
    const struct arguments *arguments;
    unsigned line; /* the next one, from 1 */
    enum argument sources[LINES_MAX];
};

const char *argument_option(enum argument argument)
{
    return ROWS[argument].option;
}

const char *argument_variable(enum argument argument)
{
    return ROWS[argument].variable;
}

const char *argument_doc(enum argument argument)
{
    return ROWS[argument].doc;
}

enum argument argument_find(const char *option)
{
    for (int i = 0; i < ARGUMENT_COUNT; i++) {
        if (strcmp(ROWS[i].option, option) == 0) {
            return (enum argument)i;
        }
    }
    return ARGUMENT_COUNT;
}

void arguments_from_environment(struct arguments *arguments)
{
    for (int i = 0; i < ARGUMENT_COUNT; i++) {
        const char *value = getenv(ROWS[i].variable);
        if (arguments->values[i] == NULL && value != NULL && value[0] != '\0') {
            arguments->values[i] = value;
            arguments->from_environment[i] = true;
        }
    }
}

bool arguments_are_enough(const struct arguments *arguments)
{
    return arguments->values[ARGUMENT_TO] != NULL;
}

/* --- writing -----------------------------------------------------------------------------------
 */

/* A double-quoted scalar (YAML 1.2 §7.3.1): nothing in a value can end it. */
static void write_quoted(struct writer *writer, const char *text, size_t len)
{
    (void)fputc('"', writer->out);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 0x7f) {
            (void)fprintf(writer->out, "\\x%02x", c);
            continue;
        }
        if (c == '"' || c == '\\') {
            (void)fputc('\\', writer->out);
        }
        (void)fputc(c, writer->out);
    }
    (void)fputc('"', writer->out);
}

static void end_line(struct writer *writer, enum argument source)
{
    (void)fputc('\n', writer->out);
    if (writer->line < LINES_MAX) {
        writer->sources[writer->line] = source;
    }
    writer->line++;
}

static void write_line(struct writer *writer, const char *text)
{
    (void)fputs(text, writer->out);
    end_line(writer, ARGUMENT_COUNT);
}

/* `before` and the value, if there is one (or a default). */
static void write_value(struct writer *writer, const char *before, enum argument source,
                        const char *fallback)
{
    const char *value = writer->arguments->values[source];
    if (value == NULL) {
        value = fallback;
    }
    if (value == NULL) {
        return;
    }
    (void)fputs(before, writer->out);
    write_quoted(writer, value, strlen(value));
    end_line(writer, source);
}

/* One line each of the values between commas: `before` and the value, then `after` on its own. */
static void write_values(struct writer *writer, const char *before, enum argument source,
                         const char *fallback, const char *after)
{
    const char *value = writer->arguments->values[source];
    for (const char *at = value != NULL ? value : fallback; at != NULL;) {
        size_t len = strcspn(at, ",");
        size_t skip = strspn(at, " ");
        size_t start = skip < len ? skip : len;
        size_t end = len;
        while (end > start && at[end - 1] == ' ') {
            end--;
        }
        (void)fputs(before, writer->out);
        write_quoted(writer, at + start, end - start);
        end_line(writer, source);
        if (after != NULL) {
            write_line(writer, after);
        }
        at = at[len] == ',' ? at + len + 1 : NULL;
    }
}

static bool has(const struct writer *writer, enum argument argument)
{
    return writer->arguments->values[argument] != NULL;
}

static void write_enforcement(struct writer *writer)
{
    write_line(writer, "enforcement:");
    write_value(writer, "  mode: ", ARGUMENT_ENFORCEMENT, "strict");
    write_value(writer, "  plaintext: ", ARGUMENT_PLAINTEXT, "loopback");
    write_value(writer, "  ciphers: ", ARGUMENT_CIPHERS, NULL);
    write_value(writer, "  minimum_tls: ", ARGUMENT_MINIMUM_TLS, NULL);
}

static void write_certificate(struct writer *writer)
{
    if (!has(writer, ARGUMENT_CERTIFICATE)) {
        return;
    }
    write_line(writer, "certificates:");
    write_line(writer, "  - name: local");
    write_value(writer, "    chain: ", ARGUMENT_CERTIFICATE, NULL);
    write_value(writer, "    key: ", ARGUMENT_KEY, NULL);
}

/* The port that clients are redirected to: the one that is listened on. */
static void write_redirect_port(struct writer *writer)
{
    const char *listen = writer->arguments->values[ARGUMENT_LISTEN];
    const char *colon = listen == NULL ? NULL : strrchr(listen, ':');
    const char *port = listen == NULL ? "8443" : colon == NULL ? NULL : colon + 1;
    if (port != NULL && port[0] != '\0' && port[strspn(port, "0123456789")] == '\0') {
        (void)fprintf(writer->out, "    redirect_port: %s", port);
        end_line(writer, ARGUMENT_LISTEN);
    }
}

static void write_listeners(struct writer *writer)
{
    write_line(writer, "listeners:");
    write_line(writer, "  - name: web");
    write_line(writer, "    address:");
    write_values(writer, "      - ", ARGUMENT_LISTEN, "[::]:8443", NULL);
    if (has(writer, ARGUMENT_CLIENT_CA)) {
        write_line(writer, "    tls:");
        write_line(writer, "      client_auth: required");
        write_value(writer, "      client_ca: ", ARGUMENT_CLIENT_CA, NULL);
    }
    if (has(writer, ARGUMENT_TRUSTED_PROXIES)) {
        write_line(writer, "    trusted_proxies:");
        write_values(writer, "      - ", ARGUMENT_TRUSTED_PROXIES, NULL, NULL);
    }
    write_value(writer, "    session_header: ", ARGUMENT_SESSION_HEADER, NULL);
    write_line(writer, "    routes:");
    write_values(writer, "      - host: ", ARGUMENT_HOST, "*", "        backend: app");
    if (has(writer, ARGUMENT_REDIRECT)) {
        write_line(writer, "  - name: redirect");
        write_line(writer, "    mode: redirect");
        write_line(writer, "    address:");
        write_values(writer, "      - ", ARGUMENT_REDIRECT, NULL, NULL);
        write_redirect_port(writer);
    }
}

static void write_backend(struct writer *writer)
{
    write_line(writer, "backends:");
    write_line(writer, "  app:");
    write_line(writer, "    servers:");
    write_values(writer, "      - ", ARGUMENT_TO, NULL, NULL);
    if (has(writer, ARGUMENT_BACKEND_CA)) {
        write_line(writer, "    tls:");
        write_value(writer, "      ca: ", ARGUMENT_BACKEND_CA, NULL);
    }
}

static void write_rest(struct writer *writer)
{
    write_line(writer, "admin:");
    write_value(writer, "  address: ", ARGUMENT_ADMIN, "off");
    write_line(writer, "log:");
    write_value(writer, "  access: ", ARGUMENT_LOG_ACCESS, NULL);
    write_value(writer, "  format: ", ARGUMENT_LOG_FORMAT, NULL);
    write_value(writer, "  level: ", ARGUMENT_LOG_LEVEL, NULL);
    write_line(writer, "limits:");
    write_value(writer, "  body_bytes: ", ARGUMENT_BODY_LIMIT, NULL);
    write_line(writer, "timeouts:");
    write_value(writer, "  drain: ", ARGUMENT_DRAIN, NULL);
    write_value(writer, "workers: ", ARGUMENT_WORKERS, NULL);
}

/* The YAML, malloc'ed; the writer keeps what came from where. */
static char *write_all(struct writer *writer, const struct arguments *arguments)
{
    char *text = NULL;
    size_t len = 0;
    *writer =
        (struct writer){.out = open_memstream(&text, &len), .arguments = arguments, .line = 1};
    if (writer->out == NULL) {
        return NULL;
    }
    write_enforcement(writer);
    write_certificate(writer);
    write_listeners(writer);
    write_backend(writer);
    write_rest(writer);
    bool failed = ferror(writer->out) != 0;
    if (fclose(writer->out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

char *arguments_to_yaml(const struct arguments *arguments)
{
    struct writer writer;
    return write_all(&writer, arguments);
}

/* --- loading -----------------------------------------------------------------------------------
 */

static void relabel(const struct writer *writer, struct problem_list *problems)
{
    for (unsigned line = 1; line < writer->line && line < LINES_MAX; line++) {
        enum argument source = writer->sources[line];
        if (source == ARGUMENT_COUNT) {
            continue;
        }
        bool variable = writer->arguments->from_environment[source];
        problem_relabel(problems, ARGUMENTS_FILE, line,
                        variable ? ROWS[source].variable : ROWS[source].option);
    }
}

static bool is_consistent(const struct arguments *arguments, struct problem_list *problems)
{
    if (arguments->values[ARGUMENT_TO] == NULL) {
        problem_add(problems, &(struct place){.file = ROWS[ARGUMENT_TO].option},
                    "missing; expected http://HOST:PORT, https://HOST:PORT, h2://HOST:PORT, "
                    "h2c://HOST:PORT or unix:/PATH");
        return false;
    }
    if (arguments->values[ARGUMENT_KEY] != NULL &&
        arguments->values[ARGUMENT_CERTIFICATE] == NULL) {
        problem_add(problems, &(struct place){.file = ROWS[ARGUMENT_KEY].option},
                    "a key without a certificate; expected --certificate (or "
                    "SALLYPORT_CERTIFICATE) beside it");
        return false;
    }
    return true;
}

struct config *arguments_load(const struct arguments *arguments, struct bundle *bundle,
                              struct problem_list *problems)
{
    if (!is_consistent(arguments, problems)) {
        return NULL;
    }
    struct writer writer;
    char *text = write_all(&writer, arguments);
    if (text == NULL || !bundle_add(bundle, ARGUMENTS_FILE, text, strlen(text))) {
        free(text);
        problem_add(problems, NULL, "out of memory while reading the options");
        return NULL;
    }
    free(text);
    struct source source = source_files(bundle);
    struct config *config = config_load(&source, ARGUMENTS_FILE, problems);
    if (config == NULL) {
        relabel(&writer, problems);
    }
    return config;
}
