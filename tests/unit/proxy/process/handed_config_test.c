/* tests/unit/proxy/process/handed_config_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/handed_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/process/memory_file.h"

static const char GOOD[] = "gossip:\n"
                           "  - {name: mesh, keyring: keys, ports: [7946]}\n";

/* A bundle of that one file, as the master hands it over. */
static int hand(const char *name, const char *text)
{
    struct bundle *bundle = bundle_new();
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_true(bundle_add(bundle, name, text, strlen(text)));
    assert_true(bundle_serialise(bundle, &bytes, &len));
    int descriptor = memory_file_new("test", bytes, len);
    assert_true(descriptor >= 0);
    free(bytes);
    bundle_free(bundle);
    return descriptor;
}

/* Nothing is left to be ended but what fini ends. */
static void expect_refused(int descriptor, slice name, const char *expected)
{
    char sentence[HANDED_CONFIG_SENTENCE_BYTES] = "";
    struct handed_config handed = {0};
    assert_false(handed_config_take(&handed, descriptor, name, sentence));
    if (strstr(sentence, expected) == NULL) {
        fail_msg("%s", sentence);
    }
    assert_null(handed.config);
    handed_config_fini(&handed);
    handed_config_fini(&handed);
    if (descriptor >= 0) {
        assert_int_equal(close(descriptor), 0); /* it stayed ours */
    }
}

static void what_the_master_loaded_the_child_loads(void **state)
{
    (void)state;
    char sentence[HANDED_CONFIG_SENTENCE_BYTES] = "";
    struct handed_config handed = {0};
    int descriptor = hand("a.yaml", GOOD);
    if (!handed_config_take(&handed, descriptor, SLICE("a.yaml"), sentence)) {
        fail_msg("%s", sentence);
    }
    assert_int_equal(close(descriptor), 0);
    assert_int_equal(handed.config->gossip_count, 1);
    assert_string_equal(handed.config->gossip[0].name, "mesh");
    assert_int_equal(handed.config->gossip[0].ports[0], 7946);
    handed_config_fini(&handed);
    assert_null(handed.config);
    assert_null(handed.bundle);
}

static void what_cannot_be_loaded_is_told_with_its_place(void **state)
{
    (void)state;
    expect_refused(hand("a.yaml", "gossip:\n  - {name: mesh, colour: red}\n"), SLICE("a.yaml"),
                   "a.yaml:2:");
    expect_refused(hand("a.yaml", GOOD), SLICE("other.yaml"), "other.yaml");
}

static void what_is_no_bundle_is_refused(void **state)
{
    (void)state;
    static const char REASON[] = "the master's configuration cannot be read";
    expect_refused(-1, SLICE("a.yaml"), REASON);
    expect_refused(memory_file_new("test", "SPBUNDLE", 8), SLICE("a.yaml"), REASON);
    int open_for_writing = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(open_for_writing, "SPBUNDLE", 8), 8);
    expect_refused(open_for_writing, SLICE("a.yaml"), REASON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_master_loaded_the_child_loads),
        cmocka_unit_test(what_cannot_be_loaded_is_told_with_its_place),
        cmocka_unit_test(what_is_no_bundle_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
