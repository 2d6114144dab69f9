/* config/schema_json.c: the JSON Schema · SPDX-License-Identifier: Apache-2.0
 *
 * Declared in schema_print.h. An editor checks shapes, words and units with it; what one key says
 * about another is left to the loader.
 */
#include <stdbool.h>
#include <string.h>

#include "config/schema.h"
#include "config/schema_print.h"

/* YAML readers turn `on`, `off`, `yes` and `no` into booleans (1.1) or leave them text (1.2). */
static json_t *flag_schema(void)
{
    return json_pack("{s:[{s:s},{s:[s,s,s,s]}]}", "anyOf", "type", "boolean", "enum", "yes", "no",
                     "on", "off");
}

static json_t *pattern_schema(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

static json_t *number_schema(const struct schema_key *key)
{
    return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)key->least,
                     "maximum", (json_int_t)key->most);
}

static json_t *choices_schema(const struct schema_key *key)
{
    json_t *words = json_array();
    for (size_t i = 0; i < key->choice_count; i++) {
        const struct schema_choice *choice = &key->choices[i];
        if (choice->availability != SCHEMA_NOW) {
            continue;
        }
        (void)json_array_append_new(words, json_string(choice->word));
        /* 1.2 and 308 without quotes are numbers for a YAML reader. */
        if (choice->word[strspn(choice->word, "0123456789")] == '\0') {
            (void)json_array_append_new(words, json_integer((json_int_t)choice->value));
        } else if (choice->word[strspn(choice->word, "0123456789.")] == '\0') {
            (void)json_array_append_new(words,
                                        json_real(strcmp(choice->word, "1.3") == 0 ? 1.3 : 1.2));
        }
    }
    return json_pack("{s:o}", "enum", words);
}

static json_t *secret_schema(void)
{
    json_t *file =
        json_pack("{s:s, s:{s:{s:s}}, s:[s], s:b}", "type", "object", "properties", "file", "type",
                  "string", "required", "file", "additionalProperties", 0);
    json_t *variable =
        json_pack("{s:s, s:{s:{s:s}}, s:[s], s:b}", "type", "object", "properties", "env", "type",
                  "string", "required", "env", "additionalProperties", 0);
    return json_pack("{s:[o,o]}", "oneOf", file, variable);
}

static json_t *section_schema(const struct schema_section *section);

/* One value, without its words. */
static json_t *type_schema(const struct schema_key *key)
{
    switch (key->type) {
    case SCHEMA_FLAG:
        return flag_schema();
    case SCHEMA_NUMBER:
    case SCHEMA_PORT:
        return number_schema(key);
    case SCHEMA_DURATION:
        return pattern_schema("^[0-9]+(\\.[0-9]{1,3})?(ms|s|m|h|d)$");
    case SCHEMA_SIZE:
        return pattern_schema("^[0-9]+(\\.[0-9]{1,3})?(B|KiB|MiB|GiB)$");
    case SCHEMA_RATE:
        return pattern_schema("^[0-9]+(\\.[0-9]{1,3})?(B|KiB|MiB|GiB)/s$");
    case SCHEMA_CHOICE:
    case SCHEMA_CHOICE_TEXT:
    case SCHEMA_CHOICE_FLAG:
    case SCHEMA_CIPHERS:
        return choices_schema(key);
    case SCHEMA_NAME:
        return pattern_schema("^[A-Za-z0-9._-]{1,64}$");
    case SCHEMA_SECRET:
        return secret_schema();
    case SCHEMA_DAY:
        return json_pack("{s:s, s:s, s:s}", "type", "string", "format", "date", "pattern",
                         "^[0-9]{4}-[0-9]{2}-[0-9]{2}$");
    case SCHEMA_PIN:
        return pattern_schema("^sha256/[A-Za-z0-9+/]{43}=$");
    case SCHEMA_ADDRESS:
        return pattern_schema("^(unix:/.+|\\[[0-9A-Fa-f:.]+\\]:[0-9]+|[0-9.]+:[0-9]+)$");
    case SCHEMA_STAND_IN:
        return pattern_schema("^127(\\.[0-9]+){3}(:[0-9]+)?$");
    case SCHEMA_SERVER:
        return pattern_schema("^((https?|h2c?)://[^/?#@]+/?|unix:/.+)$");
    case SCHEMA_PATH:
        return pattern_schema("^/");
    case SCHEMA_SECTION:
        return section_schema(key->section);
    case SCHEMA_TEXT:
    case SCHEMA_HOST_NAME:
    case SCHEMA_FILE:
    case SCHEMA_OUTPUT:
    case SCHEMA_NETWORK:
    case SCHEMA_HOST:
    case SCHEMA_BACKEND:
    case SCHEMA_CERTIFICATE:
    case SCHEMA_TYPE_COUNT:
        break;
    }
    return json_pack("{s:s, s:i}", "type", "string", "minLength", 1);
}

/* The value in its shape. */
static json_t *shape_schema(const struct schema_key *key)
{
    json_t *value = type_schema(key);
    if (key->shape == SCHEMA_NAMED) {
        return json_pack("{s:s, s:o, s:{s:s}}", "type", "object", "additionalProperties", value,
                         "propertyNames", "pattern", "^[A-Za-z0-9._-]{1,64}$");
    }
    if (key->shape != SCHEMA_LIST && key->type != SCHEMA_CIPHERS) {
        return value;
    }
    json_t *list = json_pack("{s:s, s:O}", "type", "array", "items", value);
    if (key->type == SCHEMA_SECTION) {
        json_decref(value);
        return list;
    }
    return json_pack("{s:[o,o]}", "anyOf", value, list);
}

/* A YAML 1.1 reader has made a boolean of `off`. */
static void append_word(json_t *words, const char *word)
{
    if (word == NULL) {
        return;
    }
    (void)json_array_append_new(words, json_string(word));
    if (strcmp(word, "off") == 0) {
        (void)json_array_append_new(words, json_false());
    }
}

static json_t *with_words(const struct schema_key *key, json_t *value)
{
    if (key->word == NULL) {
        return value;
    }
    json_t *words = json_array();
    append_word(words, key->word);
    append_word(words, key->second_word);
    return json_pack("{s:[o,{s:o}]}", "anyOf", value, "enum", words);
}

/* Only the value that asks for nothing passes; the description says why. */
static json_t *later_schema(const struct schema_key *key)
{
    if (key->accepted == NULL) {
        return json_pack("{s:{}, s:b}", "not", "deprecated", 1);
    }
    json_t *words = json_array();
    append_word(words, key->accepted);
    return json_pack("{s:o, s:b}", "enum", words, "deprecated", 1);
}

static json_t *default_schema(const struct schema_key *key)
{
    char item[SCHEMA_ITEM_BYTES];
    if (!schema_fallback_item(key, 0, item)) {
        return json_string(key->fallback);
    }
    json_t *items = json_array();
    for (size_t i = 0; schema_fallback_item(key, i, item); i++) {
        (void)json_array_append_new(items, json_string(item));
    }
    return items;
}

static json_t *key_schema(const struct schema_key *key)
{
    bool later = key->availability == SCHEMA_LATER;
    json_t *schema = later ? later_schema(key) : with_words(key, shape_schema(key));
    json_t *doc = json_sprintf("%s%s", later ? "Not available yet. " : "", key->doc);
    (void)json_object_set_new(schema, "description", doc);
    if (key->fallback != NULL && !later) {
        (void)json_object_set_new(schema, "default", default_schema(key));
    }
    return schema;
}

static json_t *section_schema(const struct schema_section *section)
{
    json_t *properties = json_object();
    json_t *required = json_array();
    for (size_t i = 0; i < section->key_count; i++) {
        const struct schema_key *key = &section->keys[i];
        (void)json_object_set_new(properties, key->name, key_schema(key));
        if (key->required) {
            (void)json_array_append_new(required, json_string(key->name));
        }
    }
    return json_pack("{s:[s,s], s:o, s:o, s:b}", "type", "object", "null", "properties", properties,
                     "required", required, "additionalProperties", 0);
}

json_t *schema_to_json(void)
{
    json_t *schema = section_schema(schema_root());
    if (schema == NULL) {
        return NULL;
    }
    json_t *own = json_object();
    (void)json_object_set_new(own, "^x-", json_true());
    int failed = json_object_set_new(schema, "$schema",
                                     json_string("https://json-schema.org/draft/2020-12/schema"));
    failed |= json_object_set_new(schema, "title", json_string("Sallyport configuration"));
    failed |= json_object_set_new(schema, "patternProperties", own);
    failed |= json_object_set_new(schema, "type", json_string("object"));
    if (failed != 0) {
        json_decref(schema);
        return NULL;
    }
    return schema;
}
