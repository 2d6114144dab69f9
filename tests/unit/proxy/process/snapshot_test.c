/* tests/unit/proxy/process/snapshot_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/snapshot.h"

#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/load.h"
#include "crypto/error.h"
#include "crypto/key_file.h"
#include "crypto/local_ca.h"
#include "crypto/trust.h"
#include "proxy/process/memory_file.h"
#include "proxy/relay/relay.h"

enum { TEXT_BYTES = 16384 };

/* A folder with a certificate of a local authority, and other files made of it. */
struct folder {
    char path[64];
    struct local_ca_files local;
    size_t key_len;
    char key[TEXT_BYTES];
};

static void path_of(const struct folder *folder, const char *name, char out[TEXT_BYTES])
{
    assert_true(snprintf(out, TEXT_BYTES, "%s/%s", folder->path, name) < TEXT_BYTES);
}

static void write_file(const struct folder *folder, const char *name, const void *bytes, size_t len)
{
    char path[TEXT_BYTES];
    path_of(folder, name, path);
    assert_true(key_file_write(path, bytes, len, 0600, NULL));
}

static size_t read_text(const char *path, char out[TEXT_BYTES])
{
    size_t len = 0;
    uint8_t *bytes = key_file_read(path, TEXT_BYTES - 1, &len, NULL);
    assert_non_null(bytes);
    memcpy(out, bytes, len);
    out[len] = '\0';
    key_file_forget(bytes, len);
    return len;
}

/* The chain file with the key behind it. */
static void write_both(const struct folder *folder, const char *name, const char *public_path)
{
    char both[2 * TEXT_BYTES];
    size_t len = read_text(public_path, both);
    memcpy(both + len, folder->key, folder->key_len);
    write_file(folder, name, both, len + folder->key_len);
}

/* `other` alone: an archive has no certificate that is not its key's. NULL: the chain with its own.
 */
static void write_archive(const struct folder *folder, const char *name, EVP_PKEY *other)
{
    char text[TEXT_BYTES];
    size_t len = read_text(folder->local.chain, text);
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    X509 *leaf = other == NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    bio = BIO_new_mem_buf(folder->key, (int)folder->key_len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    PKCS12 *archive =
        PKCS12_create("secret", NULL, other == NULL ? key : other, leaf, NULL, 0, 0, 0, 0, 0);
    unsigned char *der = NULL;
    int der_len = i2d_PKCS12(archive, &der);
    assert_true(der_len > 0);
    write_file(folder, name, der, (size_t)der_len);
    OPENSSL_free(der);
    PKCS12_free(archive);
    EVP_PKEY_free(key);
    X509_free(leaf);
}

/* As long as a file's name may be, so that what is told of two is. */
#define TEN       "abcdefghij"
#define HUNDRED   TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define LONG_NAME HUNDRED HUNDRED TEN TEN

/* The old chain in two more files, with a key that is not its own. */
static void write_files_of_another_key(struct folder *folder)
{
    char text[2 * TEXT_BYTES];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    int len = BIO_read(bio, text, TEXT_BYTES);
    write_file(folder, "other-key.pem", text, (size_t)len);
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, EVP_aes_256_cbc(), NULL, 0, NULL,
                                              (void *)(uintptr_t) "secret"),
                     1);
    char locked[TEXT_BYTES];
    int locked_len = BIO_read(bio, locked, TEXT_BYTES);
    write_file(folder, "locked-key.pem", locked, (size_t)locked_len);
    size_t chain_len = read_text(folder->local.chain, text + len);
    write_file(folder, "other-both.pem", text, (size_t)len + chain_len);
    write_archive(folder, "other.p12", key);
    write_file(folder, LONG_NAME "other-key.pem", text, (size_t)len);
    write_file(folder, LONG_NAME "cert.pem", text + len, chain_len);
    EVP_PKEY_free(key);
    BIO_free(bio);
}

static int make_folder(void **state)
{
    static const char *const NAMES[] = {"localhost"};
    struct folder *folder = calloc(1, sizeof(*folder));
    struct crypto_error error;
    (void)snprintf(folder->path, sizeof(folder->path), "/tmp/snapshot-test-XXXXXX");
    if (mkdtemp(folder->path) == NULL || !local_ca_ensure(folder->path, LOCAL_KEY_EC, NAMES, 1,
                                                          time(NULL), &folder->local, &error)) {
        free(folder);
        return -1;
    }
    folder->key_len = read_text(folder->local.key, folder->key);
    char chain[TEXT_BYTES];
    size_t chain_len = read_text(folder->local.chain, chain);
    write_file(folder, "cert.pem", chain, chain_len);
    write_file(folder, "key.pem", folder->key, folder->key_len);
    write_both(folder, "both.pem", folder->local.chain);
    write_both(folder, "ca-with-key.pem", folder->local.ca);
    write_archive(folder, "chain.p12", NULL);
    write_file(folder, "password", "secret\n", 7);
    *state = folder;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;
    DIR *entries = opendir(folder->path);
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        (void)unlinkat(dirfd(entries), entry->d_name, 0);
    }
    (void)closedir(entries);
    (void)rmdir(folder->path);
    free(folder);
    return 0;
}

/* `certificate` and `backend` are pieces of YAML; names of files are relative to the folder. */
static struct config *load(const struct folder *folder, const char *certificate,
                           const char *backend)
{
    char text[TEXT_BYTES];
    char path[TEXT_BYTES];
    int len =
        snprintf(text, sizeof(text),
                 "certificates: [{name: web, %s}]\n"
                 "listeners: [{name: web, address: \"127.0.0.1:8443\", default_backend: app}]\n"
                 "backends: {app: {%s}}\n",
                 certificate, backend);
    write_file(folder, "sallyport.yaml", text, (size_t)len);
    path_of(folder, "sallyport.yaml", path);
    struct problem_list *problems = problem_list_new();
    struct source source = source_files(NULL);
    struct config *config = config_load(&source, path, problems);
    problem_list_print(problems, stderr);
    problem_list_free(problems);
    assert_non_null(config);
    return config;
}

#define PLAIN_BACKEND "servers: [\"http://127.0.0.1:8065\"]"

/* The bundle in a sealed file. */
static struct bundle *bundle_in(int descriptor)
{
    struct memory_file file;
    assert_int_equal(memory_file_map(&file, descriptor, BUNDLE_BYTES_MAX), STATUS_OK);
    struct bundle *bundle = bundle_parse(file.bytes, file.len);
    memory_file_unmap(&file);
    assert_non_null(bundle);
    return bundle;
}

static bool holds(const struct bundle *bundle, const void *needle, size_t len)
{
    for (size_t i = 0; i < bundle_count(bundle); i++) {
        const struct bundle_entry *entry = bundle_at(bundle, i);
        if (memmem(entry->bytes, entry->len, needle, len) != NULL) {
            return true;
        }
    }
    return false;
}

static void workers_get_certificates_alone(void **state)
{
    const struct folder *folder = *state;
    static const char *const CERTIFICATES[] = {
        "chain: cert.pem, key: key.pem",
        "chain: both.pem",
        "chain: chain.p12, key: key.pem, password: {file: password}",
        "chain: chain.p12, password: {file: password}",
    };
    for (size_t i = 0; i < sizeof(CERTIFICATES) / sizeof(CERTIFICATES[0]); i++) {
        struct config *config = load(folder, CERTIFICATES[i], PLAIN_BACKEND);
        struct snapshot snapshot;
        struct process_error error;
        assert_int_equal(snapshot_open(&snapshot, config, NULL, NULL, &error), STATUS_OK);
        struct bundle *workers = bundle_in(snapshot.worker_file);
        struct bundle *keyholder = bundle_in(snapshot.key_file);
        const struct bundle_entry *chain = bundle_find(workers, config->certificates[0].chain.path);
        assert_non_null(chain);
        assert_memory_equal(chain->bytes, "-----BEGIN CERTIFICATE-----", 27);
        assert_false(holds(workers, "PRIVATE KEY", 11));
        assert_false(holds(workers, "secret", 6));
        assert_non_null(bundle_find(keyholder, SNAPSHOT_KEY "0"));
        assert_int_equal(bundle_find(keyholder, SNAPSHOT_TICKET_SECRET)->len,
                         SNAPSHOT_TICKET_SECRET_BYTES);
        assert_null(bundle_find(workers, RELAY_SYSTEM_CA));
        bundle_free(workers);
        snapshot_wipe_bundle(keyholder);
        snapshot_close(&snapshot);
        config_free(config);
    }
}

static void a_public_file_with_a_key_is_refused_at_its_place(void **state)
{
    const struct folder *folder = *state;
    static const struct {
        const char *certificate;
        const char *backend;
        const char *place;
        const char *words;
    } CASES[] = {
        {"chain: both.pem, key: key.pem", PLAIN_BACKEND,
         "sallyport.yaml:1:", "holds a private key, while `key` names another file"},
        {"chain: cert.pem, key: key.pem",
         "servers: [\"https://127.0.0.1:1\"], tls: {ca: ca-with-key.pem}",
         "sallyport.yaml:3:", "holds a private key; expected none"},
        {"chain: cert.pem, key: key.pem, ocsp: key.pem", PLAIN_BACKEND,
         "sallyport.yaml:1:", "is named as a key or password too"},
        {"chain: cert.pem, key: key.pem",
         "servers: [\"https://127.0.0.1:1\"], tls: {ca: chain.p12}",
         "sallyport.yaml:3:", "is a PKCS#12 file"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct config *config = load(folder, CASES[i].certificate, CASES[i].backend);
        struct snapshot snapshot;
        struct process_error error;
        assert_int_equal(snapshot_open(&snapshot, config, NULL, NULL, &error), STATUS_REFUSED);
        assert_int_equal(snapshot.worker_file, -1);
        assert_int_equal(snapshot.key_file, -1);
        if (strstr(error.text, CASES[i].place) == NULL ||
            strstr(error.text, CASES[i].words) == NULL) {
            fail_msg("case %zu: %s", i, error.text);
        }
        config_free(config);
    }
}

/* As they are when one of two files has been replaced since the configuration was planned. */
static void a_key_of_another_certificate_is_refused(void **state)
{
    struct folder *folder = *state;
    static const char *const CERTIFICATES[] = {
        "chain: cert.pem, key: other-key.pem",
        "chain: other-both.pem",
        "chain: cert.pem, key: locked-key.pem, password: {file: password}",
        "chain: chain.p12, key: other-key.pem, password: {file: password}",
        "chain: cert.pem, key: other.p12, password: {file: password}",
        "chain: " LONG_NAME "cert.pem, key: " LONG_NAME "other-key.pem",
    };
    write_files_of_another_key(folder);
    for (size_t i = 0; i < sizeof(CERTIFICATES) / sizeof(CERTIFICATES[0]); i++) {
        struct config *config = load(folder, CERTIFICATES[i], PLAIN_BACKEND);
        const struct config_certificate *own = &config->certificates[0];
        struct snapshot snapshot;
        struct process_error error;
        assert_int_equal(snapshot_open(&snapshot, config, NULL, NULL, &error), STATUS_REFUSED);
        assert_int_equal(snapshot.worker_file, -1);
        assert_int_equal(snapshot.key_file, -1);
        assert_non_null(strstr(error.text, "sallyport.yaml:1:"));
        assert_non_null(strstr(error.text, own->chain.path));
        assert_non_null(strstr(error.text, own->key.path));
        assert_non_null(strstr(error.text, "is not the key of the certificate"));
        config_free(config);
    }
}

static void check_system_authorities(const struct folder *folder, const char *backend)
{
    struct config *config = load(folder, "chain: cert.pem, key: key.pem", backend);
    struct snapshot snapshot;
    struct process_error error;
    enum status status = snapshot_open(&snapshot, config, NULL, NULL, &error);
    if (snapshot_system_ca_path() == NULL) {
        assert_int_equal(status, STATUS_REFUSED);
        assert_non_null(strstr(error.text, SNAPSHOT_NO_SYSTEM_CA));
        config_free(config);
        return;
    }
    assert_int_equal(status, STATUS_OK);
    struct bundle *workers = bundle_in(snapshot.worker_file);
    const struct bundle_entry *entry = bundle_find(workers, RELAY_SYSTEM_CA);
    assert_non_null(entry);
    struct trust *trust =
        trust_read((struct bytes){entry->bytes, entry->len}, (struct bytes){0}, NULL);
    assert_non_null(trust);
    trust_unref(trust);
    bundle_free(workers);
    snapshot_close(&snapshot);
    config_free(config);
}

static void workers_get_the_systems_authorities_for_servers_in_tls(void **state)
{
    check_system_authorities(*state, "servers: [\"https://127.0.0.1:1\"]");
    check_system_authorities(*state, "servers: [\"http://127.0.0.1:1\", \"h2://127.0.0.1:2\"]");
}

static void workers_do_not_get_them_for_servers_in_plaintext(void **state)
{
    struct config *config =
        load(*state, "chain: cert.pem, key: key.pem",
             "servers: [\"http://127.0.0.1:1\", \"h2c://127.0.0.1:2\", \"unix:/x\"]");
    struct snapshot snapshot;
    struct process_error error;
    assert_int_equal(snapshot_open(&snapshot, config, NULL, NULL, &error), STATUS_OK);
    struct bundle *workers = bundle_in(snapshot.worker_file);
    assert_null(bundle_find(workers, RELAY_SYSTEM_CA));
    bundle_free(workers);
    snapshot_close(&snapshot);
    config_free(config);
}

#define CERTIFICATE "chain: cert.pem, key: key.pem"

/* Whatever follows the backends in the file of load(). */
#define WITH_TICKETS(reference)                                                                    \
    "servers: [\"http://127.0.0.1:1\"]}}\ntickets: {secret: {" reference "}}\n#"

static void the_shared_ticket_secret_goes_to_the_keyholder_alone(void **state)
{
    const struct folder *folder = *state;
    static const char SECRET[] = "0123456789abcdef0123456789abcdef\n";
    write_file(folder, "ticket.secret", SECRET, sizeof(SECRET) - 1);
    struct config *config = load(folder, CERTIFICATE, WITH_TICKETS("file: ticket.secret"));
    struct snapshot snapshot;
    struct process_error error;
    assert_int_equal(snapshot_open(&snapshot, config, NULL, NULL, &error), STATUS_OK);
    struct bundle *workers = bundle_in(snapshot.worker_file);
    struct bundle *keyholder = bundle_in(snapshot.key_file);
    const struct bundle_entry *secret = bundle_find(keyholder, SNAPSHOT_TICKET_SECRET);
    assert_int_equal(secret->len, sizeof(SECRET) - 2); /* its last newline off */
    assert_memory_equal(secret->bytes, SECRET, secret->len);
    assert_false(holds(workers, SECRET, 16));
    bundle_free(workers);
    snapshot_wipe_bundle(keyholder);
    snapshot_close(&snapshot);
    config_free(config);
}

static void the_next_one_has_the_same_ticket_secret(void **state)
{
    struct config *config = load(*state, "chain: cert.pem, key: key.pem", PLAIN_BACKEND);
    struct snapshot first;
    struct snapshot next;
    struct snapshot other;
    struct process_error error;
    assert_int_equal(snapshot_open(&first, config, NULL, NULL, &error), STATUS_OK);
    assert_int_equal(snapshot_open(&next, config, NULL, &first, &error), STATUS_OK);
    assert_int_equal(snapshot_open(&other, config, NULL, NULL, &error), STATUS_OK);
    assert_true(snapshot_is_same(&first, &next)); /* keys, secret and all */
    assert_false(snapshot_is_same(&first, &other));
    snapshot_close_public(&first);
    assert_false(snapshot_is_same(&first, &next));
    struct snapshot last;
    assert_int_equal(snapshot_open(&last, config, NULL, &first, &error), STATUS_OK);
    assert_true(snapshot_is_same(&last, &next));
    snapshot_close(&first);
    snapshot_close(&next);
    snapshot_close(&other);
    snapshot_close(&last);
    config_free(config);
}

static void the_yaml_can_be_had_again_and_nothing_else(void **state)
{
    struct config *config = load(*state, "chain: cert.pem, key: key.pem", PLAIN_BACKEND);
    struct snapshot snapshot;
    struct process_error error;
    assert_int_equal(snapshot_open(&snapshot, config, NULL, NULL, &error), STATUS_OK);
    struct bundle *yaml = snapshot_yaml(&snapshot, config);
    assert_non_null(yaml);
    assert_int_equal(bundle_count(yaml), 1);
    assert_non_null(bundle_find(yaml, config->file));
    bundle_free(yaml);
    snapshot_close(&snapshot);
    config_free(config);
}

static void a_short_ticket_secret_is_refused_at_its_place(void **state)
{
    const struct folder *folder = *state;
    write_file(folder, "ticket.secret", "0123456789abcdef0123456789abcde\n", 32);
    struct config *config = load(folder, CERTIFICATE, WITH_TICKETS("file: ticket.secret"));
    struct snapshot snapshot;
    struct process_error error;
    assert_int_equal(snapshot_open(&snapshot, config, NULL, NULL, &error), STATUS_REFUSED);
    assert_non_null(strstr(error.text, "sallyport.yaml:4:"));
    assert_non_null(strstr(error.text, "at least 32 bytes"));
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_get_certificates_alone),
        cmocka_unit_test(a_public_file_with_a_key_is_refused_at_its_place),
        cmocka_unit_test(a_key_of_another_certificate_is_refused),
        cmocka_unit_test(workers_get_the_systems_authorities_for_servers_in_tls),
        cmocka_unit_test(workers_do_not_get_them_for_servers_in_plaintext),
        cmocka_unit_test(the_shared_ticket_secret_goes_to_the_keyholder_alone),
        cmocka_unit_test(a_short_ticket_secret_is_refused_at_its_place),
        cmocka_unit_test(the_next_one_has_the_same_ticket_secret),
        cmocka_unit_test(the_yaml_can_be_had_again_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
