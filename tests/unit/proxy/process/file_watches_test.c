/* tests/unit/proxy/process/file_watches_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/file_watches.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/turns.h"

enum { FAR_AHEAD_S = 3600 };

struct stage {
    struct turns turns;
    char folder[32];
    char chain[64];
    char key[64];
    struct config_certificate certificate;
    struct config config;
    struct file_watches watches;
    int changes;
};

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void on_change(void *self)
{
    ((struct stage *)self)->changes++;
}

static int stage_init(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    turns_init(&stage->turns);
    strcpy(stage->folder, "/tmp/watches-XXXXXX");
    assert_non_null(mkdtemp(stage->folder));
    (void)snprintf(stage->chain, sizeof(stage->chain), "%s/chain.pem", stage->folder);
    (void)snprintf(stage->key, sizeof(stage->key), "%s/key.pem", stage->folder);
    put(stage->chain, "chain");
    put(stage->key, "key");
    stage->certificate = (struct config_certificate){
        .name = "web", .chain = {.path = stage->chain}, .key = {.path = stage->key}};
    stage->config.certificates = &stage->certificate;
    stage->config.certificate_count = 1;
    *state = stage;
    return 0;
}

static int stage_fini(void **state)
{
    struct stage *stage = *state;
    file_watches_close(&stage->watches);
    (void)unlink(stage->chain);
    (void)unlink(stage->key);
    (void)rmdir(stage->folder);
    turns_fini(&stage->turns);
    free(stage);
    return 0;
}

static void open_at(struct stage *stage, int64_t since)
{
    assert_int_equal(file_watches_open(&stage->watches, stage->turns.loop, &stage->config, since,
                                       on_change, stage),
                     STATUS_OK);
}

static bool has_changed(void *self)
{
    return ((struct stage *)self)->changes > 0;
}

static void turn_for(struct stage *stage, uint64_t ms)
{
    uint64_t until = loop_now_ms(stage->turns.loop) + ms;
    while (loop_now_ms(stage->turns.loop) < until) {
        turns_settle(&stage->turns, NULL, NULL);
        (void)usleep(10000);
    }
}

static void a_changed_file_is_told_once(void **state)
{
    struct stage *stage = *state;
    open_at(stage, (int64_t)time(NULL) + FAR_AHEAD_S);
    put(stage->key, "another key");
    put(stage->chain, "another chain");
    turns_until(&stage->turns, has_changed, stage);
    turn_for(stage, 2 * FILE_WATCH_SETTLE_MS);
    assert_int_equal(stage->changes, 1);
}

static void other_files_of_the_folder_are_nobodys_business(void **state)
{
    struct stage *stage = *state;
    char other[64];
    open_at(stage, (int64_t)time(NULL) + FAR_AHEAD_S);
    (void)snprintf(other, sizeof(other), "%s/other", stage->folder);
    put(other, "something");
    turn_for(stage, 4 * FILE_WATCH_SETTLE_MS);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(stage->changes, 0);
}

static void what_changed_before_it_was_watched_is_told(void **state)
{
    struct stage *stage = *state;
    open_at(stage, (int64_t)time(NULL) - 1);
    turns_until(&stage->turns, has_changed, stage);
    assert_int_equal(stage->changes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_changed_file_is_told_once, stage_init, stage_fini),
        cmocka_unit_test_setup_teardown(other_files_of_the_folder_are_nobodys_business, stage_init,
                                        stage_fini),
        cmocka_unit_test_setup_teardown(what_changed_before_it_was_watched_is_told, stage_init,
                                        stage_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
