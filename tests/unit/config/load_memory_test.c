/* tests/unit/config/load_memory_test.c · SPDX-License-Identifier: Apache-2.0
 *
 * Loads a configuration with the n-th piece of memory missing, for every n until it succeeds. This
 * file stands in for memory.c, so that each piece is an allocation of its own.
 */
#include <stdio.h>

#include "config/bundle.h"
#include "config/check.h"
#include "config/enforcement.h"
#include "config/load.h"
#include "config/memory.h"

static const char TEXT[] =
    "include: more.yaml\n"
    "enforcement: {ciphers: [TLS_AES_256_GCM_SHA384],\n"
    "              waivers: [{hop: backend/app/0, reason: r, expires: 2027-03-31}]}\n"
    "certificates: [{name: a, chain: a.pem, key: a.key, password: {file: p}, ocsp: auto}]\n"
    "backends: {app: {servers: [https://a, 'unix:/x', 'http://[::1]:80'],\n"
    "                 tls: {ca: ca.pem, server_name: x.y, certificate: a,\n"
    "                       pin: sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=}}}\n"
    "listeners: [{name: web, address: ['[::]:443', 'unix:/y'], trusted_proxies: 10.0.0.0/8,\n"
    "             routes: [{host: '*.a.b', path: /x, backend: app}, {host: '[::1]', backend: "
    "app}]}]\n"
    "x-anchor: &limits {uri_bytes: 1KiB}\n"
    "limits: {<<: *limits}\n"
    "gossip:\n"
    "  - {name: a, key: {file: a.key}, ports: [1, 2], label: blue}\n"
    "  - {name: b, keyring: b, mode: relay, ports: 3,\n"
    "     node: {virtual: 127.77.0.1, address: '10.0.0.5:3'},\n"
    "     peers: [{virtual: '127.77.0.2:3', address: '10.0.0.6:3'}]}\n";

/* How many more pieces there are; SIZE_MAX: any number. */
static size_t pieces_left = SIZE_MAX;

struct memory {
    void **pieces;
    size_t count;
    bool failed;
};

struct memory *memory_new(void)
{
    return calloc(1, sizeof(struct memory));
}

void memory_free(struct memory *memory)
{
    for (size_t i = 0; memory != NULL && i < memory->count; i++) {
        free(memory->pieces[i]);
    }
    if (memory != NULL) {
        free(memory->pieces);
    }
    free(memory);
}

void *memory_take(struct memory *memory, size_t size)
{
    if (pieces_left == 0) {
        memory->failed = true;
        return NULL;
    }
    pieces_left -= pieces_left == SIZE_MAX ? 0 : 1;
    void **pieces = reallocarray(memory->pieces, memory->count + 1, sizeof(*pieces));
    assert_non_null(pieces);
    memory->pieces = pieces;
    pieces[memory->count] = calloc(1, size + 1);
    assert_non_null(pieces[memory->count]);
    return pieces[memory->count++];
}

void *memory_take_array(struct memory *memory, size_t count, size_t size)
{
    return memory_take(memory, count * size);
}

char *memory_copy(struct memory *memory, const char *text, size_t len)
{
    char *copy = memory_take(memory, len + 1);
    if (copy != NULL) {
        memcpy(copy, text, len);
    }
    return copy;
}

char *memory_copy_text(struct memory *memory, const char *text)
{
    return memory_copy(memory, text, strlen(text));
}

char *memory_format_list(struct memory *memory, const char *format, va_list arguments)
{
    char text[4096];
    int len = vsnprintf(text, sizeof(text), format, arguments);
    assert_true(len >= 0 && (size_t)len < sizeof(text));
    return memory_copy(memory, text, (size_t)len);
}

char *memory_format(struct memory *memory, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = memory_format_list(memory, format, arguments);
    va_end(arguments);
    return text;
}

bool memory_failed(const struct memory *memory)
{
    return memory->failed;
}

static const struct enforcement_gossip_facts RING = {.primary_bits = 256, .least_bits = 128};
static const struct enforcement_findings FINDINGS = {.gossip = &RING, .gossip_count = 1};

static bool loads(const char *text, size_t pieces)
{
    struct bundle *bundle = bundle_new();
    assert_true(bundle_add(bundle, "f", text, strlen(text)));
    assert_true(bundle_add(bundle, "more.yaml", "log: {level: warn}\n", 19));
    struct problem_list *problems = problem_list_new();
    struct source source = source_bundle(bundle);
    pieces_left = pieces;
    struct config *config = config_load(&source, "f", problems);
    bool is_loaded = config != NULL;
    assert_int_equal(is_loaded, problem_count(problems) == 0);
    if (is_loaded) {
        struct posture *posture = posture_new(config, &FINDINGS);
        posture_free(posture);
    }
    pieces_left = SIZE_MAX;
    (void)problem_at(problems, 0);
    config_free(config);
    problem_list_free(problems);
    bundle_free(bundle);
    return is_loaded;
}

static void a_load_short_of_memory_is_never_a_good_one(void **state)
{
    (void)state;
    size_t pieces = 0;
    while (!loads(TEXT, pieces)) {
        pieces++;
        assert_true(pieces < 5000);
    }
    assert_true(pieces > 100);
}

static void sentences_short_of_memory_still_count(void **state)
{
    (void)state;
    static const char WRONG[] = "include: nope\nlog: {level: x}\nlisteners: [{name: 'a b'}]\n"
                                "enforcement: {waivers: [{hop: x, reason: y}]}\n"
                                "gossip: [{name: a, ports: [7, 7], own_port: 7, mode: relay,\n"
                                "  node: {virtual: 127.77.0.1, address: '[::1]:1'}, peers:\n"
                                "  [{virtual: 127.77.0.1, address: '[::1]:1'}]}]\n";
    for (size_t pieces = 0; pieces < 300; pieces++) {
        assert_false(loads(WRONG, pieces));
    }
}

static void a_posture_short_of_memory_is_none(void **state)
{
    (void)state;
    struct bundle *bundle = bundle_new();
    assert_true(bundle_add(bundle, "f", TEXT, strlen(TEXT)));
    assert_true(bundle_add(bundle, "more.yaml", "", 0));
    struct problem_list *problems = problem_list_new();
    struct source source = source_bundle(bundle);
    struct config *config = config_load(&source, "f", problems);
    assert_non_null(config);
    struct posture *posture = NULL;
    for (size_t pieces = 0; posture == NULL; pieces++) {
        pieces_left = pieces;
        posture = posture_new(config, &FINDINGS);
        assert_true(pieces < 500);
    }
    pieces_left = SIZE_MAX;
    posture_free(posture);
    config_free(config);
    problem_list_free(problems);
    bundle_free(bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_short_of_memory_is_never_a_good_one),
        cmocka_unit_test(sentences_short_of_memory_still_count),
        cmocka_unit_test(a_posture_short_of_memory_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
