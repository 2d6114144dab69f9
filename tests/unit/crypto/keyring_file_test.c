/* tests/unit/crypto/keyring_file_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/keyring_file.h"

#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define K16 "Y3qgfuHq8j3HOW0NpngWgA=="
#define K32 "Z/PRmPCMiNOQND8U0ar/ckgnNfneNE6wShDY1YN+EKQ="

enum { KILLS = 60, KILLS_MAX = 1200, KILL_AFTER_US_MAX = 4000 };

struct rig {
    char folder[64];
    char path[96];
    char beside[96];
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/sallyport-keyring-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->path, sizeof(rig->path), "%s/ring", rig->folder);
    (void)snprintf(rig->beside, sizeof(rig->beside), "%s/.ring.new", rig->folder);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    char link[96];
    (void)snprintf(link, sizeof(link), "%s/link", rig->folder);
    (void)unlink(link);
    (void)unlink(rig->path);
    (void)unlink(rig->beside);
    int status = rmdir(rig->folder); /* nothing else is left in it */
    free(rig);
    return status;
}

static void put_file(const char *path, const char *text, mode_t mode)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(file, mode), 0);
    assert_int_equal(close(file), 0);
}

static void assert_file(const char *path, const char *expected)
{
    char text[8192];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    ssize_t len = read(file, text, sizeof(text) - 1);
    assert_true(len >= 0);
    text[len] = '\0';
    assert_string_equal(text, expected);
    assert_int_equal(close(file), 0);
}

static mode_t mode_of(const char *path)
{
    struct stat facts;
    assert_int_equal(lstat(path, &facts), 0);
    return facts.st_mode;
}

/* Appends this key, 16 bytes of that value. */
static enum keyring_file_result add_to(const char *path, uint8_t value, struct crypto_error *error)
{
    struct keyring_file file;
    struct keyring *ring = NULL;
    uint8_t key[16];
    memset(key, value, sizeof(key));
    enum keyring_file_result result = keyring_file_open(&file, path, error);
    if (result == KEYRING_FILE_FINE) {
        result = keyring_file_load(&file, &ring, error);
    }
    if (result == KEYRING_FILE_FINE) {
        (void)keyring_add(ring, (struct bytes){key, sizeof(key)});
        result = keyring_file_replace(&file, ring, error);
    }
    keyring_free(ring);
    keyring_file_close(&file);
    return result;
}

static void makes_a_file_for_its_owner_alone_and_never_over_another(void **state)
{
    struct rig *rig = *state;
    struct keyring_file file;
    struct crypto_error error = {{0}};
    struct keyring *ring = keyring_parse((struct bytes){(const uint8_t *)K32, strlen(K32)}, NULL);
    assert_int_equal(keyring_file_open(&file, rig->path, &error), KEYRING_FILE_FINE);
    assert_int_equal(keyring_file_create(&file, ring, &error), KEYRING_FILE_FINE);
    assert_int_equal(keyring_file_create(&file, ring, &error), KEYRING_FILE_EXISTS);
    keyring_file_close(&file);
    keyring_file_close(&file);
    keyring_free(ring);
    assert_file(rig->path, K32 "\n");
    assert_int_equal(mode_of(rig->path), S_IFREG | 0600);
    assert_int_equal(access(rig->beside, F_OK), -1);
}

static void keeps_the_mode_and_the_form(void **state)
{
    struct rig *rig = *state;
    put_file(rig->path, "[\"" K32 "\"]", 0640);
    assert_int_equal(add_to(rig->path, 0, NULL), KEYRING_FILE_FINE);
    assert_file(rig->path, "[\n  \"" K32 "\",\n  \"AAAAAAAAAAAAAAAAAAAAAA==\"\n]\n");
    assert_int_equal(mode_of(rig->path), S_IFREG | 0640);
}

/* As a user who may not give files away, to a file of his that has another's group. */
static int add_as(const char *path, uid_t user)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool is_user = setgroups(0, NULL) == 0 && setgid(user) == 0 && setuid(user) == 0;
        _exit(is_user && add_to(path, 1, NULL) == KEYRING_FILE_FINE ? 0 : 1);
    }
    int how = -1;
    assert_int_equal(waitpid(child, &how, 0), child);
    return how;
}

static void keeps_the_owner_or_lets_the_group_see_nothing(void **state)
{
    struct rig *rig = *state;
    struct stat facts;
    if (geteuid() != 0) {
        skip();
    }
    put_file(rig->path, K32, 0640);
    assert_int_equal(chown(rig->path, 12345, 23456), 0);
    assert_int_equal(add_to(rig->path, 0, NULL), KEYRING_FILE_FINE);
    assert_int_equal(lstat(rig->path, &facts), 0);
    assert_int_equal(facts.st_uid, 12345);
    assert_int_equal(facts.st_gid, 23456);
    assert_int_equal(facts.st_mode, S_IFREG | 0640);

    assert_int_equal(chown(rig->folder, 12345, 12345), 0);
    assert_int_equal(add_as(rig->path, 12345), 0);
    assert_int_equal(lstat(rig->path, &facts), 0);
    assert_int_equal(facts.st_gid, 12345);
    assert_int_equal(facts.st_mode, S_IFREG | 0600);
}

static void changes_what_a_link_points_at_and_leaves_the_link(void **state)
{
    struct rig *rig = *state;
    char link[96];
    (void)snprintf(link, sizeof(link), "%s/link", rig->folder);
    put_file(rig->path, K32, 0600);
    assert_int_equal(symlink("ring", link), 0);
    assert_int_equal(add_to(link, 0, NULL), KEYRING_FILE_FINE);
    assert_true(S_ISLNK(mode_of(link)));
    assert_file(rig->path, K32 "\nAAAAAAAAAAAAAAAAAAAAAA==\n");
}

static void a_dangling_link_is_no_place_for_a_new_file(void **state)
{
    struct rig *rig = *state;
    struct keyring_file file;
    struct keyring *ring = keyring_new_random(128);
    assert_int_equal(symlink("nowhere", rig->path), 0);
    assert_int_equal(keyring_file_open(&file, rig->path, NULL), KEYRING_FILE_FINE);
    assert_int_equal(keyring_file_create(&file, ring, NULL), KEYRING_FILE_EXISTS);
    keyring_file_close(&file);
    keyring_free(ring);
}

static void what_cannot_be_read_is_told_apart_from_what_is_no_keyring(void **state)
{
    struct rig *rig = *state;
    struct keyring *ring;
    struct crypto_error error = {{0}};
    char text[KEYRING_TEXT_BYTES_MAX + 2];
    assert_int_equal(keyring_file_read(rig->path, &ring, &error), KEYRING_FILE_SYSTEM);
    assert_string_equal(error.text, "cannot be opened: No such file or directory");
    assert_int_equal(add_to(rig->path, 0, &error), KEYRING_FILE_SYSTEM);
    assert_int_equal(keyring_file_read(rig->folder, &ring, &error), KEYRING_FILE_SYSTEM);
    put_file(rig->path, "no key\n", 0600);
    assert_int_equal(keyring_file_read(rig->path, &ring, &error), KEYRING_FILE_MALFORMED);
    assert_int_equal(add_to(rig->path, 0, &error), KEYRING_FILE_MALFORMED);
    assert_file(rig->path, "no key\n");
    memset(text, '#', sizeof(text));
    memcpy(text, K16 "\n", strlen(K16) + 1);
    text[sizeof(text) - 1] = '\0';
    put_file(rig->path, text, 0600);
    assert_int_equal(keyring_file_read(rig->path, &ring, &error), KEYRING_FILE_MALFORMED);
    assert_non_null(strstr(error.text, "too long"));
}

static void removes_what_a_crash_left_beside(void **state)
{
    struct rig *rig = *state;
    put_file(rig->path, K32, 0600);
    put_file(rig->beside, "half of a ke", 0644);
    assert_int_equal(add_to(rig->path, 0, NULL), KEYRING_FILE_FINE);
    assert_file(rig->path, K32 "\nAAAAAAAAAAAAAAAAAAAAAA==\n");
    assert_int_equal(access(rig->beside, F_OK), -1);
}

/* Four children add three keys each to one ring: none of the twelve is lost. */
static void editors_at_the_same_time_lose_nothing(void **state)
{
    struct rig *rig = *state;
    put_file(rig->path, K32, 0600);
    for (uint8_t child = 0; child < 4; child++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            int failed = 0;
            for (uint8_t i = 0; i < 3; i++) {
                failed += add_to(rig->path, (uint8_t)(3 * child + i), NULL) != KEYRING_FILE_FINE;
            }
            _exit(failed);
        }
    }
    for (int i = 0; i < 4; i++) {
        int how = -1;
        assert_true(wait(&how) > 0);
        assert_int_equal(how, 0);
    }
    struct keyring *ring;
    assert_int_equal(keyring_file_read(rig->path, &ring, NULL), KEYRING_FILE_FINE);
    assert_int_equal(keyring_count(ring), 13);
    keyring_free(ring);
}

/* Changes the primary for ever. */
static void edit_for_ever(const char *path)
{
    for (;;) {
        struct keyring_file file;
        struct keyring *ring;
        if (keyring_file_open(&file, path, NULL) != KEYRING_FILE_FINE ||
            keyring_file_load(&file, &ring, NULL) != KEYRING_FILE_FINE ||
            keyring_use(ring, 1) != KEYRING_CHANGED ||
            keyring_file_replace(&file, ring, NULL) != KEYRING_FILE_FINE) {
            _exit(1);
        }
        keyring_free(ring);
        keyring_file_close(&file);
    }
}

static void a_crash_at_any_moment_leaves_a_whole_file(void **state)
{
    struct rig *rig = *state;
    size_t primaries[2] = {0};
    put_file(rig->path, K16 "\n" K32 "\n", 0600);
    /* Later and later, until edits were made at all: a disk may be slow. */
    for (unsigned i = 0; i < KILLS || ((primaries[0] == 0 || primaries[1] == 0) && i < KILLS_MAX);
         i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            edit_for_ever(rig->path);
        }
        struct timespec pause = {.tv_nsec =
                                     (i * 997) % KILL_AFTER_US_MAX * (1 + i / KILLS) * 1000L};
        (void)nanosleep(&pause, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        int how = 0;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how)); /* it did not fail on what the one before had left */
        struct keyring *ring;
        assert_int_equal(keyring_file_read(rig->path, &ring, NULL), KEYRING_FILE_FINE);
        assert_int_equal(keyring_count(ring), 2);
        primaries[keyring_key_bits(ring, 0) == 128 ? 0 : 1]++;
        keyring_free(ring);
    }
    assert_true(primaries[0] > 0 && primaries[1] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_a_file_for_its_owner_alone_and_never_over_another,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_the_mode_and_the_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_the_owner_or_lets_the_group_see_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(changes_what_a_link_points_at_and_leaves_the_link, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_dangling_link_is_no_place_for_a_new_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_told_apart_from_what_is_no_keyring,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(removes_what_a_crash_left_beside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(editors_at_the_same_time_lose_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crash_at_any_moment_leaves_a_whole_file, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
