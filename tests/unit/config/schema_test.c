/* tests/unit/config/schema_test.c · SPDX-License-Identifier: Apache-2.0
 *
 * Claims about the whole table, so that a new row is checked without a new test.
 */
#include "config/schema.h"

#include <stdio.h>

#include "config/check.h"
#include "config/schema_print.h"

typedef void key_check(const struct schema_key *key);

/* Keys that are not available yet have no place in the model, nor has anything below them. */
static void check_place_in_model(const struct schema_key *key)
{
    if (key->shape != SCHEMA_ONE && strcmp(key->name, "include") != 0) {
        assert_true(key->beside != 0);
        assert_true(key->item_size != 0);
    }
}

static void walk(const struct schema_section *section, key_check *check)
{
    for (size_t i = 0; i < section->key_count; i++) {
        if (check == check_place_in_model && section->keys[i].availability != SCHEMA_NOW) {
            continue;
        }
        check(&section->keys[i]);
        if (section->keys[i].section != NULL) {
            walk(section->keys[i].section, check);
        }
    }
}

static void check_doc(const struct schema_key *key)
{
    assert_non_null(key->doc);
    assert_true(strlen(key->doc) > 10);
    assert_int_equal(key->doc[strlen(key->doc) - 1], '.');
}

static void check_rules(const struct schema_key *key)
{
    bool numeric = key->type == SCHEMA_NUMBER || key->type == SCHEMA_PORT ||
                   key->type == SCHEMA_DURATION || key->type == SCHEMA_SIZE ||
                   key->type == SCHEMA_RATE;
    assert_int_equal(numeric, key->most > 0);
    assert_true(key->least <= key->most);
    bool chosen = key->type == SCHEMA_CHOICE || key->type == SCHEMA_CHOICE_FLAG ||
                  key->type == SCHEMA_CHOICE_TEXT || key->type == SCHEMA_CIPHERS;
    assert_int_equal(chosen, key->choice_count > 0);
    assert_int_equal(key->type == SCHEMA_SECTION, key->section != NULL);
    assert_false(key->required && key->fallback != NULL);
    assert_true(key->accepted == NULL || key->availability == SCHEMA_LATER);
}

static void check_sentence(const struct schema_key *key)
{
    char expected[640];
    schema_expected(key, expected, sizeof(expected));
    if (key->choice_count == 0) {
        assert_true(strlen(expected) > 1);
    }
    char small[8];
    schema_expected(key, small, sizeof(small));
    assert_true(strlen(small) < sizeof(small));
}

static void each_key_is_documented(void **state)
{
    (void)state;
    walk(schema_root(), check_doc);
}

static void each_row_is_consistent(void **state)
{
    (void)state;
    walk(schema_root(), check_rules);
    walk(schema_root(), check_place_in_model);
    walk(schema_root(), check_sentence);
}

static void names_are_unique_in_their_section(void **state)
{
    const struct schema_section *const SECTIONS[] = {
        schema_root(), &SCHEMA_LISTENER_SECTION, &SCHEMA_BACKEND_SECTION, &SCHEMA_GOSSIP_SECTION};
    (void)state;
    for (size_t s = 0; s < COUNT(SECTIONS); s++) {
        for (size_t i = 0; i < SECTIONS[s]->key_count; i++) {
            const struct schema_key *key = &SECTIONS[s]->keys[i];
            assert_ptr_equal(schema_find(SECTIONS[s], key->name), key);
        }
    }
}

static void suggests_what_was_meant(void **state)
{
    char elsewhere[100];
    (void)state;
    assert_string_equal(schema_suggest_key(schema_root(), "listener"), "listeners");
    assert_string_equal(schema_suggest_key(schema_root(), "tiemouts"), "timeouts");
    assert_null(schema_suggest_key(schema_root(), "upstream"));
    assert_true(schema_find_elsewhere("minimum_rate", elsewhere, sizeof(elsewhere)));
    assert_string_equal(elsewhere, "timeouts.minimum_rate");
    assert_true(schema_find_elsewhere("client_ca", elsewhere, sizeof(elsewhere)));
    assert_string_equal(elsewhere, "listeners.tls.client_ca");
    assert_false(schema_find_elsewhere("nonsense", elsewhere, sizeof(elsewhere)));
}

static void a_default_that_is_a_list_has_items(void **state)
{
    static const struct {
        const char *fallback;
        const char *items[3]; /* up to NULL */
    } ROWS[] = {
        {"[h2, http/1.1]", {"h2", "http/1.1"}},
        {"[a]", {"a"}},
        {"[a,b]", {"a", "b"}},
        {"a, b", {NULL}},
        {"a", {NULL}},
        {NULL, {NULL}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        const struct schema_key key = {.fallback = ROWS[i].fallback};
        char item[SCHEMA_ITEM_BYTES];
        for (size_t k = 0; k < COUNT(ROWS[i].items); k++) {
            bool is_there = schema_fallback_item(&key, k, item);
            assert_int_equal(is_there, ROWS[i].items[k] != NULL);
            if (!is_there) {
                break;
            }
            assert_string_equal(item, ROWS[i].items[k]);
        }
    }
}

static char *reference_text;

static void check_in_reference(const struct schema_key *key)
{
    assert_non_null(strstr(reference_text, key->name));
    assert_non_null(strstr(reference_text, key->doc));
}

static void the_reference_holds_each_key(void **state)
{
    size_t len = 0;
    (void)state;
    FILE *out = open_memstream(&reference_text, &len);
    assert_non_null(out);
    schema_print_reference(out);
    assert_int_equal(fclose(out), 0);
    walk(schema_root(), check_in_reference);
    free(reference_text);
}

static void check_json_section(const struct schema_section *section, const json_t *schema)
{
    const json_t *properties = json_object_get(schema, "properties");
    assert_int_equal(json_object_size(properties), section->key_count);
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    for (size_t i = 0; i < section->key_count; i++) {
        const json_t *key = json_object_get(properties, section->keys[i].name);
        assert_true(json_is_string(json_object_get(key, "description")));
    }
}

static void the_json_schema_holds_each_key(void **state)
{
    (void)state;
    json_t *schema = schema_to_json();
    assert_non_null(schema);
    assert_string_equal(json_string_value(json_object_get(schema, "$schema")),
                        "https://json-schema.org/draft/2020-12/schema");
    check_json_section(schema_root(), schema);
    const json_t *properties = json_object_get(schema, "properties");
    check_json_section(&SCHEMA_LISTENER_SECTION,
                       json_object_get(json_object_get(properties, "listeners"), "items"));
    check_json_section(
        &SCHEMA_BACKEND_SECTION,
        json_object_get(json_object_get(properties, "backends"), "additionalProperties"));
    /* A default that is a list is one for an editor too. */
    json_t *words = NULL;
    json_t *listener = json_object_get(json_object_get(properties, "listeners"), "items");
    const char *first = NULL;
    const char *second = NULL;
    assert_int_equal(json_unpack(listener, "{s:{s:{s:[{s:{s:{s:[s,s]}}},o]}}}", "properties", "tls",
                                 "anyOf", "properties", "alpn", "default", &first, &second, &words),
                     0);
    assert_string_equal(first, "h2");
    assert_string_equal(second, "http/1.1");
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_is_documented),
        cmocka_unit_test(each_row_is_consistent),
        cmocka_unit_test(names_are_unique_in_their_section),
        cmocka_unit_test(suggests_what_was_meant),
        cmocka_unit_test(a_default_that_is_a_list_has_items),
        cmocka_unit_test(the_reference_holds_each_key),
        cmocka_unit_test(the_json_schema_holds_each_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
