/* tests/unit/config/hop_test.c · SPDX-License-Identifier: Apache-2.0
 *
 * What each hop claims about itself; how it is judged is in enforcement_test.c.
 */
#include "config/hop.h"

#include <stdio.h>

#include "config/bundle.h"
#include "config/check.h"
#include "config/load.h"
#include "config/memory.h"

static void check_hop(const char *enforcement, const char *tls, const char *server_tls,
                      const char *name, const char *evidence)
{
    char text[2000];
    (void)snprintf(text, sizeof(text),
                   "certificates: [{name: c, chain: c.pem, key: c.key}]\n"
                   "enforcement: {%s}\n"
                   "listeners: [{name: web, address: ['[::]:443', '127.0.0.1:1'], tls: %s,\n"
                   "             default_backend: app}]\n"
                   "backends: {app: {servers: [https://a, 'unix:/x', http://b, http://localhost,\n"
                   "                           h2://c, h2c://d, h2c://localhost:8080],\n"
                   "                 tls: {%s}}}\n"
                   "admin: {address: '127.0.0.1:9'}\n",
                   enforcement, tls, server_tls);
    struct bundle *bundle = bundle_new();
    assert_true(bundle_add(bundle, "f", text, strlen(text)));
    struct problem_list *problems = problem_list_new();
    struct source source = source_bundle(bundle);
    struct config *config = config_load(&source, "f", problems);
    problem_list_print(problems, stderr);
    assert_non_null(config);
    struct memory *memory = memory_new();
    struct hop_list list;
    assert_true(hop_list_make(config, memory, &list));
    const struct hop *found = NULL;
    for (size_t i = 0; i < list.count; i++) {
        found = strcmp(list.hops[i].name, name) == 0 ? &list.hops[i] : found;
    }
    assert_non_null(found);
    assert_string_equal(found->evidence, evidence);
    memory_free(memory);
    config_free(config);
    problem_list_free(problems);
    bundle_free(bundle);
}

static void evidence_follows_the_configuration(void **state)
{
    static const struct {
        const char *enforcement;
        const char *tls;
        const char *server_tls;
        const char *name;
        const char *evidence;
    } ROWS[] = {
        {"", "on", "", "listener/web", "TLS 1.2 or 1.3, AES-256-GCM, ECDHE"},
        {"minimum_tls: 1.3, ciphers: modern", "on", "", "listener/web",
         "TLS 1.3, AEAD cipher, ECDHE"},
        {"ciphers: [TLS_AES_128_GCM_SHA256]", "on", "", "listener/web",
         "TLS 1.2 or 1.3, listed cipher, ECDHE"},
        {"", "{client_ca: ca.pem, client_auth: required}", "", "listener/web",
         "TLS 1.2 or 1.3, AES-256-GCM, ECDHE, client certificate verified"},
        {"", "{client_ca: ca.pem, client_auth: optional}", "", "listener/web",
         "TLS 1.2 or 1.3, AES-256-GCM, ECDHE, client certificate verified if shown"},
        {"", "off", "", "listener/web", "none: readable by whoever sees it"},
        {"", "on", "", "backend/app/0",
         "TLS 1.2 or 1.3, AES-256-GCM, ECDHE, chain to a system CA, name a"},
        {"", "on",
         "ca: ca.pem, crl: crl.pem, server_name: x.y, pin: "
         "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
         "backend/app/0",
         "TLS 1.2 or 1.3, AES-256-GCM, ECDHE, chain to ca.pem, name x.y, not revoked, pinned key"},
        {"verify_backends: no", "on", "", "backend/app/0",
         "TLS 1.2 or 1.3, AES-256-GCM, ECDHE, certificate not verified"},
        {"", "on", "", "backend/app/1", "unix socket: never on a network"},
        {"", "on", "", "backend/app/2", "none: readable by whoever sees it"},
        {"", "on", "", "backend/app/3", "loopback: never on a network"},
        {"", "on", "", "backend/app/4",
         "TLS 1.2 or 1.3, AES-256-GCM, ECDHE, chain to a system CA, name c"},
        {"verify_backends: no", "on", "", "backend/app/4",
         "TLS 1.2 or 1.3, AES-256-GCM, ECDHE, certificate not verified"},
        {"", "on", "", "backend/app/5", "none: readable by whoever sees it"},
        {"", "on", "", "backend/app/6", "loopback: never on a network"},
        {"", "on", "", "admin", "loopback: never on a network"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        check_hop(ROWS[i].enforcement, ROWS[i].tls, ROWS[i].server_tls, ROWS[i].name,
                  ROWS[i].evidence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evidence_follows_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
