/* tests/unit/config/spelling_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/spelling.h"

#include "config/check.h"

static void distance_counts_letters_to_change(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } ROWS[] = {
        {"", "", 0},
        {"abc", "abc", 0},
        {"abc", "abd", 1},
        {"abc", "ab", 1},
        {"", "abc", 3},
        {"ciphres", "ciphers", 1},
        {"idel", "idle", 1},
        {"kitten", "sitting", 3},
        {"backend", "backends", 1},
        {"lisen", "listen", 1},
        {"matermost", "mattermost", 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        assert_int_equal(spelling_distance(ROWS[i].a, ROWS[i].b), ROWS[i].distance);
        assert_int_equal(spelling_distance(ROWS[i].b, ROWS[i].a), ROWS[i].distance);
    }
}

static void words_that_are_too_long_are_never_near(void **state)
{
    char word[200];
    (void)state;
    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    assert_false(spelling_is_near(word, "aaaa"));
    assert_false(spelling_is_near("aaaa", word));
}

static void short_words_are_not_guessed(void **state)
{
    (void)state;
    assert_false(spelling_is_near("h3", "h2"));
    assert_true(spelling_is_near("idl", "idle"));
    assert_false(spelling_is_near("idol", "name"));
}

static void the_nearest_candidate_is_kept(void **state)
{
    const char *best = NULL;
    (void)state;
    spelling_consider("timeout", "timeboxes", &best);
    spelling_consider("timeout", "timeouts", &best);
    spelling_consider("timeout", "time", &best);
    assert_string_equal(best, "timeouts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_counts_letters_to_change),
        cmocka_unit_test(words_that_are_too_long_are_never_near),
        cmocka_unit_test(short_words_are_not_guessed),
        cmocka_unit_test(the_nearest_candidate_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
