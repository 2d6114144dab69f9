/* tests/unit/proxy/process/keyring_source_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/keyring_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/keyring.h"

static const char VARIABLE[] = "SALLYPORT_TEST_KEYRING";

struct fixture {
    char path[64];
    struct secret text;
    struct process_error error;
    struct config_gossip gossip;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    (void)snprintf(fixture->path, sizeof(fixture->path), "/tmp/keyring_source.XXXXXX");
    int descriptor = mkstemp(fixture->path);
    assert_true(descriptor >= 0);
    (void)close(descriptor);
    fixture->gossip = (struct config_gossip){
        .name = "mesh",
        .keyring = {.path = fixture->path, .place = {"a.yaml", 3, 5}},
        .key = {.place = {"a.yaml", 4, 6}},
    };
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    secret_fini(&fixture->text);
    (void)unlink(fixture->path);
    (void)unsetenv(VARIABLE);
    free(fixture);
    return 0;
}

static char *letters(size_t len)
{
    char *text = calloc(1, len + 1);
    assert_non_null(text);
    memset(text, 'k', len);
    return text;
}

static void write_file(const struct fixture *fixture, size_t len)
{
    char *text = letters(len);
    FILE *file = fopen(fixture->path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    free(text);
}

static enum status source_read(struct fixture *fixture)
{
    secret_fini(&fixture->text);
    fixture->error.text[0] = '\0';
    return keyring_source_read(&fixture->gossip, &fixture->text, &fixture->error);
}

/* Says where, of which cluster, what and why, and leaves nothing behind. */
static void expect_refused(struct fixture *fixture, enum status status, const char *sentence)
{
    assert_int_equal(source_read(fixture), status);
    assert_string_equal(fixture->error.text, sentence);
    assert_int_equal(secret_len(&fixture->text), 0);
    assert_null(secret_bytes(&fixture->text));
}

static const char *sentence_of(const struct fixture *fixture, const char *why)
{
    static char sentence[256];
    (void)snprintf(sentence, sizeof(sentence), "a.yaml:3:5: keyring of mesh: %s: %s", fixture->path,
                   why);
    return sentence;
}

static void a_file_is_read_as_it_is(void **state)
{
    static const size_t SIZES[] = {0, 1, 45, 4095, KEYRING_TEXT_BYTES_MAX};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        write_file(fixture, SIZES[i]);
        assert_int_equal(source_read(fixture), STATUS_OK);
        char *expected = letters(SIZES[i]);
        assert_true(secret_equals(&fixture->text, expected, SIZES[i]));
        free(expected);
    }
    assert_string_equal(keyring_source_path(&fixture->gossip), fixture->path);
}

static void a_file_that_is_too_long_is_refused(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture, KEYRING_TEXT_BYTES_MAX + 1);
    expect_refused(fixture, STATUS_REFUSED,
                   sentence_of(fixture, "is longer than a keyring can be"));
    write_file(fixture, 1000000);
    expect_refused(fixture, STATUS_REFUSED,
                   sentence_of(fixture, "is longer than a keyring can be"));
}

static void a_file_that_is_missing_or_none_is_told_with_its_place(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(unlink(fixture->path), 0);
    expect_refused(fixture, STATUS_SYS, sentence_of(fixture, "No such file or directory"));
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    expect_refused(fixture, STATUS_SYS, sentence_of(fixture, "Is a directory"));
    assert_int_equal(rmdir(fixture->path), 0);
}

static void a_pipe_without_a_writer_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    (void)alarm(20);
    assert_int_equal(source_read(fixture), STATUS_OK);
    (void)alarm(0);
    assert_int_equal(secret_len(&fixture->text), 0);
}

static void one_key_may_stand_in_a_file(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture, 44);
    fixture->gossip.key.kind = CONFIG_SECRET_FILE;
    fixture->gossip.key.value = fixture->path;
    fixture->gossip.keyring.path = NULL;
    assert_string_equal(keyring_source_path(&fixture->gossip), fixture->path);
    assert_int_equal(source_read(fixture), STATUS_OK);
    assert_int_equal(secret_len(&fixture->text), 44);
}

static void use_environment(struct fixture *fixture)
{
    fixture->gossip.keyring.path = NULL;
    fixture->gossip.key.kind = CONFIG_SECRET_ENVIRONMENT;
    fixture->gossip.key.value = VARIABLE;
}

static void or_in_the_environment_where_there_is_no_file_to_watch(void **state)
{
    struct fixture *fixture = *state;
    use_environment(fixture);
    assert_null(keyring_source_path(&fixture->gossip));
    assert_int_equal(setenv(VARIABLE, "a key", 1), 0);
    assert_int_equal(source_read(fixture), STATUS_OK);
    assert_true(secret_equals(&fixture->text, "a key", 5));
}

static void an_environment_without_it_or_with_too_much_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const size_t TOO_LONG[] = {KEYRING_TEXT_BYTES_MAX + 1, 2 * KEYRING_TEXT_BYTES_MAX};
    use_environment(fixture);
    expect_refused(fixture, STATUS_REFUSED,
                   "a.yaml:4:6: keyring of mesh: SALLYPORT_TEST_KEYRING: the environment variable "
                   "is not set");
    for (size_t i = 0; i < 2; i++) {
        char *text = letters(TOO_LONG[i]);
        assert_int_equal(setenv(VARIABLE, text, 1), 0);
        free(text);
        expect_refused(fixture, STATUS_REFUSED,
                       "a.yaml:4:6: keyring of mesh: SALLYPORT_TEST_KEYRING: is longer than a "
                       "keyring can be");
    }
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_read_as_it_is),
        TEST(a_file_that_is_too_long_is_refused),
        TEST(a_file_that_is_missing_or_none_is_told_with_its_place),
        TEST(a_pipe_without_a_writer_is_not_waited_for),
        TEST(one_key_may_stand_in_a_file),
        TEST(or_in_the_environment_where_there_is_no_file_to_watch),
        TEST(an_environment_without_it_or_with_too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
