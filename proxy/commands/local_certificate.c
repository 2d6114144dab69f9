/* proxy/commands/local_certificate.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/local_certificate.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"

enum { HOST_NAME_BYTES = 256, ADVICE_BYTES = 4096 };

struct names {
    const char *at[LOCAL_CA_NAMES_MAX];
    size_t count;
};

/* Machines may have names that no certificate can hold. */
static bool is_host_name(const char *name)
{
    static const char LETTERS[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    return name[0] != '\0' && name[0] != '-' && name[0] != '.' &&
           strspn(name, LETTERS) == strlen(name);
}

static void add(struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->at[i], name) == 0) {
            return;
        }
    }
    if (names->count < LOCAL_CA_NAMES_MAX && name[0] != '\0') {
        names->at[names->count++] = name;
    }
}

/* Cuts `hosts` at its commas. */
static void add_hosts(struct names *names, char *hosts)
{
    char *rest = NULL;
    for (char *host = strtok_r(hosts, ", ", &rest); host != NULL;
         host = strtok_r(NULL, ", ", &rest)) {
        if (strcmp(host, "*") != 0) {
            add(names, host);
        }
    }
}

bool local_certificate_make(struct local_ca_files *files, const char *hosts)
{
    char folder[LOCAL_CA_PATH_BYTES];
    char machine[HOST_NAME_BYTES] = "";
    struct names names = {0};
    struct crypto_error error = {{0}};
    char *copy = strdup(hosts == NULL ? "" : hosts);
    if (copy == NULL) {
        (void)fprintf(stderr, "sallyport: out of memory\n");
        return false;
    }
    add(&names, "localhost");
    add(&names, "127.0.0.1");
    add(&names, "::1");
    (void)gethostname(machine, sizeof(machine) - 1);
    if (is_host_name(machine)) {
        add(&names, machine);
    }
    add_hosts(&names, copy);
    bool is_made = false;
    if (!local_ca_folder(folder)) {
        (void)fprintf(stderr, "sallyport: no folder to keep the local authority in; set "
                              "STATE_DIRECTORY or HOME to one that can be written\n");
    } else if (!local_ca_ensure(folder, LOCAL_KEY_RSA, names.at, names.count, time(NULL), files,
                                &error)) {
        (void)fprintf(stderr, "sallyport: local certificate in %s: %s\n", folder, error.text);
    } else {
        is_made = true;
    }
    free(copy);
    return is_made;
}

void local_certificate_print_advice(const struct local_ca_files *files, FILE *out)
{
    char advice[ADVICE_BYTES];
    size_t len = local_ca_advice(files, advice, sizeof(advice));
    (void)fprintf(out, "%.*s\n", (int)len, advice);
}
