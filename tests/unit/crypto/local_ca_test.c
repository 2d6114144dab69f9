/* tests/unit/crypto/local_ca_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_rig.h"

#include "crypto/key_file.h"
#include "crypto/local_ca.h"
#include "crypto/private_key.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/sallyport-ca-XXXXXX");
    return mkdtemp(folder) != NULL && rmdir(folder) == 0 ? 0 : -1;
}

static void in_folder(char out[128], const char *name)
{
    (void)snprintf(out, 128, "%s/%s", folder, name);
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const FILES[] = {"ca.pem", "ca.key", "leaf.pem", "leaf.key"};
    char path[128];
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        in_folder(path, FILES[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

static const char *const NAMES[] = {"localhost", "127.0.0.1", "0:0:0:0:0:0:0:1", "*.Local.example"};
static const char *const OTHERS[] = {"localhost", "other.example"};

static void ensure(enum local_key kind, const char *const *names, size_t count, time_t now,
                   struct local_ca_files *files)
{
    struct crypto_error error = {{0}};
    if (!local_ca_ensure(folder, kind, names, count, now, files, &error)) {
        fail_msg("%s", error.text);
    }
}

static struct certificate *read_file(const char *path)
{
    struct crypto_error error = {{0}};
    size_t len = 0;
    uint8_t *bytes = key_file_read(path, 1 << 20, &len, &error);
    assert_non_null(bytes);
    struct certificate *certificate = certificate_read((struct bytes){bytes, len}, NULL, &error);
    assert_non_null(certificate);
    key_file_forget(bytes, len);
    return certificate;
}

static int mode_of(const char *name)
{
    char path[128];
    struct stat facts;
    in_folder(path, name);
    assert_int_equal(stat(path, &facts), 0);
    return (int)(facts.st_mode & 0777);
}

static void makes_an_authority_and_a_leaf_that_clients_accept(void **state)
{
    (void)state;
    time_t now = time(NULL);
    struct local_ca_files files;
    ensure(LOCAL_KEY_EC, NAMES, 4, now, &files);
    assert_true(files.is_new_ca && files.is_new_leaf);
    assert_int_equal(mode_of("."), 0700);
    assert_int_equal(mode_of("ca.key"), 0600);
    assert_int_equal(mode_of("leaf.key"), 0600);
    assert_int_equal(mode_of("ca.pem"), 0644);

    struct certificate *ca = read_file(files.ca);
    struct certificate *leaf = read_file(files.chain);
    assert_true(certificate_facts(ca)->is_ca);
    assert_true(certificate_covers(leaf, "localhost"));
    assert_true(certificate_covers(leaf, "::1"));
    assert_true(certificate_covers(leaf, "a.local.example"));
    assert_false(certificate_covers(leaf, "other.example"));
    assert_int_equal(certificate_facts(leaf)->chain_len, 1);
    assert_non_null(certificate_issuer(leaf));

    struct crypto_error error = {{0}};
    size_t len = 0;
    uint8_t *bytes = key_file_read(files.key, 1 << 20, &len, &error);
    EVP_PKEY *key = private_key_read(bytes, len, NULL, &error);
    key_file_forget(bytes, len);
    struct identity *identity = identity_new(leaf, key, &error);
    EVP_PKEY_free(key);
    struct cert_store *store = cert_store_new();
    rig_store_take(store, identity);
    struct tls_server_settings server_settings = {.name = "web", .certificates = store};
    struct tls_server *server = rig_tls_server(&server_settings);
    struct trust *trust = rig_trust_with(certificate_leaf(ca), (struct bytes){0});
    struct tls_client_settings client_settings = {.servers = trust};
    struct tls_client *client = rig_tls_client(&client_settings);
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server), tls_client_ssl_new(client, "127.0.0.1"));
    assert_true(rig_handshake(&sides));
    rig_sides_fini(&sides);
    tls_client_free(client);
    tls_server_free(server);
    trust_unref(trust);
    cert_store_unref(store);
    certificate_unref(ca);
    certificate_unref(leaf);
}

static void keeps_what_is_good_and_renews_what_is_not(void **state)
{
    (void)state;
    time_t now = time(NULL);
    time_t day = 24 * 3600;
    const struct {
        const char *what;
        const char *removed; /* beforehand */
        enum local_key kind;
        const char *const *names;
        size_t count;
        time_t at;
        bool new_ca;
        bool new_leaf;
    } STEPS[] = {
        {"first", NULL, LOCAL_KEY_EC, NAMES, 4, now, true, true},
        {"again", NULL, LOCAL_KEY_EC, NAMES, 4, now, false, false},
        {"later", NULL, LOCAL_KEY_EC, NAMES, 4, now + 300 * day, false, false},
        {"near the end", NULL, LOCAL_KEY_EC, NAMES, 4, now + 370 * day, false, true},
        {"long after", NULL, LOCAL_KEY_EC, NAMES, 4, now + 9 * 365 * day, false, true},
        {"authority's end", NULL, LOCAL_KEY_EC, NAMES, 4, now + 10 * 365 * day, true, true},
        {"clock set back", NULL, LOCAL_KEY_EC, NAMES, 4, now, true, true},
        {"other names", NULL, LOCAL_KEY_EC, OTHERS, 2, now, false, true},
        {"other kind", NULL, LOCAL_KEY_RSA, OTHERS, 2, now, false, true},
        {"again", NULL, LOCAL_KEY_RSA, OTHERS, 2, now, false, false},
        {"leaf's key lost", "leaf.key", LOCAL_KEY_EC, OTHERS, 2, now, false, true},
        {"leaf lost", "leaf.pem", LOCAL_KEY_EC, OTHERS, 2, now, false, true},
        {"authority's key lost", "ca.key", LOCAL_KEY_EC, OTHERS, 2, now, true, true},
    };
    for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
        struct local_ca_files files;
        if (STEPS[i].removed != NULL) {
            char path[128];
            in_folder(path, STEPS[i].removed);
            assert_int_equal(unlink(path), 0);
        }
        ensure(STEPS[i].kind, STEPS[i].names, STEPS[i].count, STEPS[i].at, &files);
        if (files.is_new_ca != STEPS[i].new_ca || files.is_new_leaf != STEPS[i].new_leaf) {
            fail_msg("%s: authority %d, leaf %d", STEPS[i].what, files.is_new_ca,
                     files.is_new_leaf);
        }
    }
}

static void does_not_overwrite_what_it_does_not_understand(void **state)
{
    (void)state;
    struct crypto_error error = {{0}};
    struct local_ca_files files;
    ensure(LOCAL_KEY_EC, OTHERS, 2, time(NULL), &files);
    assert_true(key_file_write(files.ca, "rubbish", 7, 0644, &error));
    assert_false(local_ca_ensure(folder, LOCAL_KEY_EC, OTHERS, 2, time(NULL), &files, &error));
    assert_non_null(strstr(error.text, "ca.pem"));
    size_t len = 0;
    uint8_t *bytes = key_file_read(files.ca, 100, &len, &error);
    assert_string_equal((char *)bytes, "rubbish");
    key_file_forget(bytes, len);
}

static void refuses_names_that_are_none(void **state)
{
    (void)state;
    static const char *const BAD[] = {"",        "a b", ".example", "example.", "*",
                                      "*.*.org", "a/b", "a\nb",     "http://x", "[::1]"};
    struct crypto_error error = {{0}};
    EVP_PKEY *key = local_key_new(LOCAL_KEY_EC, &error);
    X509 *ca = local_ca_certificate(key, time(NULL), &error);
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_null(local_leaf_certificate(key, ca, key, &BAD[i], 1, time(NULL), &error));
        assert_non_null(strstr(error.text, "is no name for a certificate"));
    }
    assert_null(local_leaf_certificate(key, ca, key, BAD, 0, time(NULL), &error));
    X509_free(ca);
    EVP_PKEY_free(key);
}

static void finds_a_folder_by_the_environment(void **state)
{
    (void)state;
    char found[LOCAL_CA_PATH_BYTES];
    char expected[128];
    assert_int_equal(mkdir(folder, 0700), 0);
    static const char *const RESTS[] = {"", ":/nowhere"};
    for (size_t i = 0; i < 2; i++) {
        char list[128];
        (void)snprintf(list, sizeof(list), "%s%s", folder, RESTS[i]);
        setenv("STATE_DIRECTORY", list, 1);
        assert_true(local_ca_folder(found));
        unsetenv("STATE_DIRECTORY");
        in_folder(expected, "local-ca");
        assert_string_equal(found, expected);
        assert_int_equal(rmdir(expected), 0);
    }
}

static void advises_in_words_that_hold_the_path(void **state)
{
    (void)state;
    struct local_ca_files files = {.ca = "/somewhere/ca.pem"};
    char text[2048];
    size_t len = local_ca_advice(&files, text, sizeof(text));
    assert_int_equal(len, strlen(text));
    assert_non_null(strstr(text, "curl --cacert /somewhere/ca.pem"));
    assert_non_null(strstr(text, "update-ca-certificates"));
    assert_int_equal(local_ca_advice(&files, text, 10), 9);
    assert_int_equal(local_ca_advice(&files, text, 0), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(makes_an_authority_and_a_leaf_that_clients_accept),
        TEST(keeps_what_is_good_and_renews_what_is_not),
        TEST(does_not_overwrite_what_it_does_not_understand),
        cmocka_unit_test(refuses_names_that_are_none),
        TEST(finds_a_folder_by_the_environment),
        cmocka_unit_test(advises_in_words_that_hold_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
