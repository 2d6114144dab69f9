/* proxy/commands/local_certificate.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/local_certificate.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/bundle.h"
#include "crypto/error.h"
#include "crypto/local_issue.h"

enum { HOST_NAME_BYTES = 256, ADVICE_BYTES = 4096 };

struct names {
    const char *at[LOCAL_CA_NAMES_MAX];
    size_t count;
    char machine[HOST_NAME_BYTES];
    char *hosts; /* cut into names */
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

/* False: out of memory, which was told. names_fini is due in any case. */
static bool names_init(struct names *names, const char *hosts)
{
    *names = (struct names){.hosts = strdup(hosts == NULL ? "" : hosts)};
    if (names->hosts == NULL) {
        (void)fprintf(stderr, "sallyport: out of memory\n");
        return false;
    }
    add(names, "localhost");
    add(names, "127.0.0.1");
    add(names, "::1");
    (void)gethostname(names->machine, sizeof(names->machine) - 1);
    if (is_host_name(names->machine)) {
        add(names, names->machine);
    }
    add_hosts(names, names->hosts);
    return true;
}

static void names_fini(struct names *names)
{
    free(names->hosts);
}

/* ---- kept ---- */

bool local_certificate_make(struct local_ca_files *files, const char *hosts)
{
    char folder[LOCAL_CA_PATH_BYTES];
    struct names names;
    struct crypto_error error = {{0}};
    bool is_made = false;
    if (!names_init(&names, hosts)) {
        return false;
    }
    if (!local_ca_folder(folder)) {
        (void)fprintf(stderr, "sallyport: no folder to keep the local authority in; set "
                              "STATE_DIRECTORY or HOME to one that can be written\n");
    } else if (!local_ca_ensure(folder, LOCAL_KEY_RSA, names.at, names.count, time(NULL), files,
                                &error)) {
        (void)fprintf(stderr, "sallyport: local certificate in %s: %s\n", folder, error.text);
    } else {
        is_made = true;
    }
    names_fini(&names);
    return is_made;
}

/* ---- rehearsed ---- */

/* Certificate and key in one PEM file. */
static bool add_pem(struct bundle *overlay, X509 *certificate, EVP_PKEY *key,
                    struct crypto_error *error)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    bool is_added = false;
    if (bio != NULL && PEM_write_bio_X509(bio, certificate) == 1 &&
        PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        long len = BIO_get_mem_data(bio, &text);
        is_added = bundle_add(overlay, LOCAL_CERTIFICATE_REHEARSED, text, (size_t)len);
        OPENSSL_cleanse(text, (size_t)len);
    }
    if (!is_added) {
        crypto_error_set_openssl(error, "out of memory");
    }
    BIO_free(bio);
    return is_added;
}

static bool rehearse(struct bundle *overlay, const struct names *names, struct crypto_error *error)
{
    time_t now = time(NULL);
    EVP_PKEY *ca_key = local_key_new(LOCAL_KEY_EC, error);
    EVP_PKEY *key = ca_key == NULL ? NULL : local_key_new(LOCAL_KEY_RSA, error);
    X509 *ca = key == NULL ? NULL : local_ca_certificate(ca_key, now, error);
    X509 *leaf = ca == NULL
                     ? NULL
                     : local_leaf_certificate(key, ca, ca_key, names->at, names->count, now, error);
    bool is_added = leaf != NULL && add_pem(overlay, leaf, key, error);
    X509_free(leaf);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return is_added;
}

bool local_certificate_rehearse(struct bundle *overlay, const char *hosts)
{
    struct names names;
    struct crypto_error error = {{0}};
    if (!names_init(&names, hosts)) {
        return false;
    }
    bool is_made = rehearse(overlay, &names, &error);
    if (!is_made) {
        (void)fprintf(stderr, "sallyport: local certificate: %s\n", error.text);
    }
    names_fini(&names);
    return is_made;
}

void local_certificate_print_advice(const struct local_ca_files *files, FILE *out)
{
    char advice[ADVICE_BYTES];
    size_t len = local_ca_advice(files, advice, sizeof(advice));
    (void)fprintf(out, "%.*s\n", (int)len, advice);
}
