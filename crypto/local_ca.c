/* crypto/local_ca.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/local_ca.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/key_file.h"
#include "crypto/private_key.h"

enum { DAY_SECONDS = 24 * 3600, FILE_BYTES_MAX = 64 * 1024 };

/* ---- where ---- */

static bool make_folders(const char *folder)
{
    char path[LOCAL_CA_PATH_BYTES];
    if (snprintf(path, sizeof(path), "%s", folder) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST) {
            return false;
        }
        *slash = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool is_usable(const char *folder)
{
    return make_folders(folder) && access(folder, W_OK | X_OK) == 0;
}

static bool try_folder(char out[LOCAL_CA_PATH_BYTES], const char *base, const char *rest)
{
    if (base == NULL || base[0] != '/') {
        return false;
    }
    int len = snprintf(out, LOCAL_CA_PATH_BYTES, "%s%s", base, rest);
    return len > 0 && len < LOCAL_CA_PATH_BYTES && is_usable(out);
}

/* systemd gives a list with colons when a unit has several: the first is ours. */
static bool try_state_folder(char out[LOCAL_CA_PATH_BYTES])
{
    const char *list = getenv("STATE_DIRECTORY");
    char *first = list != NULL ? strndup(list, strcspn(list, ":")) : NULL;
    bool is_found = try_folder(out, first, "/local-ca");
    free(first);
    return is_found;
}

bool local_ca_folder(char out[LOCAL_CA_PATH_BYTES])
{
    return try_state_folder(out) || try_folder(out, "/var/lib/sallyport", "/local-ca") ||
           try_folder(out, getenv("XDG_DATA_HOME"), "/sallyport/local-ca") ||
           try_folder(out, getenv("HOME"), "/.local/share/sallyport/local-ca");
}

/* ---- one certificate with its key, as files ---- */

struct pair {
    struct certificate *certificate; /* NULL: not there */
    EVP_PKEY *key;
};

static void pair_fini(struct pair *pair)
{
    certificate_unref(pair->certificate);
    EVP_PKEY_free(pair->key);
    *pair = (struct pair){0};
}

static void say_which(const char *path, struct crypto_error *error)
{
    struct crypto_error why = *error;
    crypto_error_set(error, "%.120s: %.160s (remove it to have a new one made)", path, why.text);
}

/* After key_file_read failed. */
static bool is_just_missing(const char *path, struct crypto_error *error)
{
    if (errno == ENOENT) {
        return true;
    }
    say_which(path, error);
    return false;
}

/* Nothing there is fine, and so is half of a pair: it was cut short, and is made anew. A file that
 * is there and cannot be understood is not ours to overwrite. */
static bool pair_read(struct pair *pair, const char *certificate_path, const char *key_path,
                      struct crypto_error *error)
{
    size_t len = 0;
    uint8_t *bytes = key_file_read(certificate_path, FILE_BYTES_MAX, &len, error);
    if (bytes == NULL) {
        return is_just_missing(certificate_path, error);
    }
    pair->certificate = certificate_read((struct bytes){bytes, len}, NULL, error);
    free(bytes);
    if (pair->certificate == NULL) {
        say_which(certificate_path, error);
        return false;
    }
    bytes = key_file_read(key_path, FILE_BYTES_MAX, &len, error);
    if (bytes == NULL) {
        return is_just_missing(key_path, error);
    }
    pair->key = private_key_read(bytes, len, NULL, error);
    key_file_forget(bytes, len);
    if (pair->key == NULL) {
        say_which(key_path, error);
    }
    return pair->key != NULL;
}

static bool pair_is_usable(const struct pair *pair, time_t now)
{
    if (pair->certificate == NULL || pair->key == NULL ||
        !certificate_fits_key(pair->certificate, pair->key)) {
        return false;
    }
    const struct certificate_facts *facts = certificate_facts(pair->certificate);
    return facts->not_before <= now && now < facts->not_after - LOCAL_RENEW_DAYS * DAY_SECONDS;
}

/* ---- the authority ---- */

struct folder {
    char ca_key[LOCAL_CA_PATH_BYTES];
    struct local_ca_files *files;
    struct pair ca;
    struct pair leaf;
};

static bool make_authority(struct folder *folder, enum local_key kind, time_t now,
                           struct crypto_error *error)
{
    EVP_PKEY *key = local_key_new(kind, error);
    X509 *certificate = key != NULL ? local_ca_certificate(key, now, error) : NULL;
    /* The key first: what is cut short between the two is seen and made anew. */
    bool is_made = certificate != NULL && key_file_write_key(folder->ca_key, key, error) &&
                   key_file_write_certificates(folder->files->ca, &certificate, 1, error);
    X509_free(certificate);
    EVP_PKEY_free(key);
    pair_fini(&folder->ca);
    folder->files->is_new_ca = is_made;
    return is_made && pair_read(&folder->ca, folder->files->ca, folder->ca_key, error);
}

static bool ensure_authority(struct folder *folder, enum local_key kind, time_t now,
                             struct crypto_error *error)
{
    if (!pair_read(&folder->ca, folder->files->ca, folder->ca_key, error)) {
        return false;
    }
    return pair_is_usable(&folder->ca, now) || make_authority(folder, kind, now, error);
}

/* ---- the leaf ---- */

static bool is_same_name(const char *wanted, const char *held)
{
    unsigned char a[16];
    unsigned char b[16];
    if (inet_pton(AF_INET6, wanted, a) == 1 && inet_pton(AF_INET6, held, b) == 1) {
        return memcmp(a, b, sizeof(a)) == 0;
    }
    return strcasecmp(wanted, held) == 0;
}

static bool has_name(const struct certificate_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->name_count; i++) {
        if (is_same_name(name, facts->names[i])) {
            return true;
        }
    }
    return false;
}

static bool has_exactly(const struct certificate_facts *facts, const char *const *names,
                        size_t count)
{
    if (facts->name_count != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!has_name(facts, names[i])) {
            return false;
        }
    }
    return true;
}

static bool leaf_is_usable(const struct folder *folder, enum local_key kind,
                           const char *const *names, size_t name_count, time_t now)
{
    if (!pair_is_usable(&folder->leaf, now)) {
        return false;
    }
    const struct certificate_facts *facts = certificate_facts(folder->leaf.certificate);
    enum certificate_key key = kind == LOCAL_KEY_RSA ? CERTIFICATE_RSA : CERTIFICATE_EC;
    EVP_PKEY *ca_key = X509_get0_pubkey(certificate_leaf(folder->ca.certificate));
    return facts->key == key && has_exactly(facts, names, name_count) &&
           X509_verify(certificate_leaf(folder->leaf.certificate), ca_key) == 1;
}

static bool make_leaf(struct folder *folder, enum local_key kind, const char *const *names,
                      size_t name_count, time_t now, struct crypto_error *error)
{
    X509 *ca = certificate_leaf(folder->ca.certificate);
    EVP_PKEY *key = local_key_new(kind, error);
    X509 *chain[2] = {NULL, ca};
    if (key != NULL) {
        chain[0] = local_leaf_certificate(key, ca, folder->ca.key, names, name_count, now, error);
    }
    bool is_made = chain[0] != NULL && key_file_write_key(folder->files->key, key, error) &&
                   key_file_write_certificates(folder->files->chain, chain, 2, error);
    X509_free(chain[0]);
    EVP_PKEY_free(key);
    folder->files->is_new_leaf = is_made;
    return is_made;
}

static bool ensure_leaf(struct folder *folder, enum local_key kind, const char *const *names,
                        size_t name_count, time_t now, struct crypto_error *error)
{
    if (!pair_read(&folder->leaf, folder->files->chain, folder->files->key, error)) {
        return false;
    }
    return leaf_is_usable(folder, kind, names, name_count, now) ||
           make_leaf(folder, kind, names, name_count, now, error);
}

/* ---- all of it ---- */

static bool name_files(struct folder *folder, const char *path, struct crypto_error *error)
{
    const struct {
        char *out;
        const char *name;
    } FILES[] = {{folder->files->ca, "ca.pem"},
                 {folder->ca_key, "ca.key"},
                 {folder->files->chain, "leaf.pem"},
                 {folder->files->key, "leaf.key"}};
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        int len = snprintf(FILES[i].out, LOCAL_CA_PATH_BYTES, "%s/%s", path, FILES[i].name);
        if (len < 0 || len >= LOCAL_CA_PATH_BYTES) {
            crypto_error_set(error, "the path of the folder is too long");
            return false;
        }
    }
    return true;
}

/* One at a time: two starts at once must not mix their files. -1 with a sentence. */
static int lock_folder(const char *path, struct crypto_error *error)
{
    int descriptor = -1;
    if (make_folders(path)) {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (descriptor < 0) {
        crypto_error_set(error, "the folder %.200s cannot be made: %s", path, strerror(errno));
        return -1;
    }
    while (flock(descriptor, LOCK_EX) != 0) {
        if (errno != EINTR) {
            crypto_error_set(error, "the folder %.200s cannot be locked: %s", path,
                             strerror(errno));
            (void)close(descriptor);
            return -1;
        }
    }
    return descriptor;
}

bool local_ca_ensure(const char *path, enum local_key kind, const char *const *names,
                     size_t name_count, time_t now, struct local_ca_files *out,
                     struct crypto_error *error)
{
    *out = (struct local_ca_files){.is_new_ca = false};
    struct folder folder = {.files = out};
    if (!name_files(&folder, path, error)) {
        return false;
    }
    int lock = lock_folder(path, error);
    if (lock < 0) {
        return false;
    }
    bool is_fine = ensure_authority(&folder, kind, now, error) &&
                   ensure_leaf(&folder, kind, names, name_count, now, error);
    pair_fini(&folder.ca);
    pair_fini(&folder.leaf);
    (void)close(lock);
    return is_fine;
}

size_t local_ca_advice(const struct local_ca_files *files, char *out, size_t size)
{
    int len = snprintf(
        out, size,
        "Clients have to be told to trust this machine's own authority:\n"
        "  one command:     curl --cacert %s https://...\n"
        "  Debian, Ubuntu:  sudo cp %s /usr/local/share/ca-certificates/sallyport-local.crt\n"
        "                   sudo update-ca-certificates\n"
        "  Firefox:         Settings > Certificates > View > Authorities > Import\n"
        "  Chromium:        certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n sallyport-local -i %s\n"
        "It is meant for development and tests. Whoever holds ca.key can vouch for any name to\n"
        "the clients that trust it.\n",
        files->ca, files->ca, files->ca);
    if (len < 0 || size == 0) {
        return 0;
    }
    return (size_t)len < size ? (size_t)len : size - 1;
}
