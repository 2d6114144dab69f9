/* config/read.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/read.h"

#include <string.h>

#include "config/memory.h"
#include "config/schema.h"
#include "config/slot.h"
#include "config/value.h"

static void read_section(struct reader *reader, const struct schema_section *section,
                         const struct yaml_node *node, struct place place, char *out);

/* --- shapes ------------------------------------------------------------------------------------
 */

static bool is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && !node->quoted &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0);
}

/* A section that may be `off`. */
static void read_switch(struct reader *reader, const struct slot *slot,
                        const struct yaml_node *node)
{
    bool *on = (bool *)(slot->container + slot->key->beside);
    *on = true;
    if (node->kind == YAML_SCALAR && !is_null(node) && value_flag(node->text, on) != NULL) {
        slot_complain(reader, slot, node->text, "is neither off nor a group of keys");
    }
    if (node->kind == YAML_SEQUENCE) {
        slot_complain_of_kind(reader, slot, node);
    }
    read_section(reader, slot->key->section, node->kind == YAML_MAPPING ? node : NULL, slot->place,
                 slot->out);
}

static void read_group(struct reader *reader, const struct slot *slot, const struct yaml_node *node)
{
    if (slot->key->word != NULL) {
        read_switch(reader, slot, node);
        return;
    }
    if (node->kind != YAML_MAPPING && !is_null(node)) {
        slot_complain_of_kind(reader, slot, node);
    }
    read_section(reader, slot->key->section, node->kind == YAML_MAPPING ? node : NULL, slot->place,
                 slot->out);
}

static void read_one(struct reader *reader, const struct slot *slot, const struct yaml_node *node)
{
    if (slot->key->type == SCHEMA_SECTION) {
        read_group(reader, slot, node);
        return;
    }
    if (is_null(node)) {
        char expected[512];
        schema_expected(slot->key, expected, sizeof(expected));
        problem_add(reader->problems, &slot->place, "%s has no value; expected %s", slot->key->name,
                    expected);
        return;
    }
    if (slot->key->type == SCHEMA_SECRET) {
        slot_read_secret(reader, slot, node);
        return;
    }
    if (node->kind != YAML_SCALAR) {
        slot_complain_of_kind(reader, slot, node);
        return;
    }
    if (slot_is_word(slot->key, node->text)) {
        slot_read_word(slot, node->text);
        return;
    }
    slot_read_scalar(reader, slot, node->text);
}

static void read_items(struct reader *reader, const struct slot *slot,
                       const struct yaml_node *const *items, size_t count)
{
    if (slot->key->type == SCHEMA_CERTIFICATE) {
        slot_read_certificates(reader, slot, items, count);
        return;
    }
    char *array = memory_take_array(reader->memory, count, slot->key->item_size);
    if (array == NULL) {
        return;
    }
    *(char **)(void *)slot->out = array;
    *(size_t *)(void *)(slot->container + slot->key->beside) = count;
    for (size_t i = 0; i < count; i++) {
        struct slot item = *slot;
        item.out = array + i * slot->key->item_size;
        item.place = items[i]->place;
        read_one(reader, &item, items[i]);
    }
}

static void read_list(struct reader *reader, const struct slot *slot, const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR && (is_null(node) || slot_is_word(slot->key, node->text))) {
        return;
    }
    if (node->kind == YAML_SEQUENCE) {
        if (node->count == 0 && (slot->key->required || slot->key->word != NULL)) {
            char expected[512];
            schema_expected(slot->key, expected, sizeof(expected));
            problem_add(reader->problems, &slot->place, "%s is an empty list; expected %s",
                        slot->key->name, expected);
        }
        read_items(reader, slot, node->items, node->count);
        return;
    }
    if (slot->key->type == SCHEMA_SECTION) {
        problem_add(reader->problems, &slot->place, "%s is %s; expected a list of groups of keys",
                    slot->key->name, yaml_kind_name(node->kind));
        return;
    }
    read_items(reader, slot, &node, 1);
}

/* A group whose keys are names. */
static void read_named(struct reader *reader, const struct slot *slot, const struct yaml_node *node)
{
    if (is_null(node)) {
        return;
    }
    if (node->kind != YAML_MAPPING) {
        problem_add(reader->problems, &slot->place,
                    "%s is %s; expected names, each with a group of keys", slot->key->name,
                    yaml_kind_name(node->kind));
        return;
    }
    char *array = memory_take_array(reader->memory, node->count, slot->key->item_size);
    if (array == NULL) {
        return;
    }
    *(char **)(void *)slot->out = array;
    *(size_t *)(void *)(slot->container + slot->key->beside) = node->count;
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_pair *pair = &node->pairs[i];
        struct slot item = *slot;
        item.out = array + i * slot->key->item_size;
        item.place = pair->place;
        const char **name = (const char **)(void *)(item.out + slot->key->section->name_offset);
        const char *wrong = value_name(reader->memory, pair->key, name);
        if (wrong != NULL) {
            slot_complain(reader, &item, pair->key, wrong);
        }
        read_one(reader, &item, pair->value);
    }
}

/* --- sections ----------------------------------------------------------------------------------
 */

/* Whether a key that is not available yet is written with the value that asks for nothing. */
static bool asks_for_nothing(const struct schema_key *key, const struct yaml_node *node)
{
    if (key->accepted == NULL || node->kind != YAML_SCALAR) {
        return false;
    }
    bool flag = true;
    bool is_off = key->type == SCHEMA_FLAG && value_flag(node->text, &flag) == NULL && !flag;
    return is_off || strcmp(node->text, key->accepted) == 0;
}

static void read_key(struct reader *reader, const struct schema_key *key,
                     const struct yaml_pair *pair, char *container)
{
    if (key->availability == SCHEMA_LATER) {
        if (!asks_for_nothing(key, pair->value)) {
            problem_add(reader->problems, &pair->place,
                        "'%s' is not available yet; expected it to be left out", key->name);
        }
        return;
    }
    if (key->type == SCHEMA_TEXT && strcmp(key->name, "include") == 0) {
        return; /* include.c has read it */
    }
    struct slot slot = {.key = key,
                        .out = container + key->offset,
                        .container = container,
                        .place = pair->value->place};
    if (key->type == SCHEMA_CIPHERS) {
        bool is_list = pair->value->kind == YAML_SEQUENCE;
        slot_read_ciphers(reader, &slot, is_list ? pair->value->items : &pair->value,
                          is_list ? pair->value->count : 1);
        return;
    }
    if (key->shape == SCHEMA_LIST) {
        read_list(reader, &slot, pair->value);
        return;
    }
    if (key->shape == SCHEMA_NAMED) {
        read_named(reader, &slot, pair->value);
        return;
    }
    read_one(reader, &slot, pair->value);
}

/* The default as the node that it would be in a file. False when out of memory. */
static bool make_fallback(struct reader *reader, const struct schema_key *key, struct place place,
                          struct yaml_node *node)
{
    char item[SCHEMA_ITEM_BYTES];
    size_t count = 0;
    while (schema_fallback_item(key, count, item)) {
        count++;
    }
    *node = (struct yaml_node){.kind = YAML_SCALAR, .text = key->fallback, .place = place};
    if (count == 0) {
        return true;
    }
    *node = (struct yaml_node){
        .kind = YAML_SEQUENCE,
        .place = place,
        .items = memory_take_array(reader->memory, count, sizeof(struct yaml_node *)),
        .count = count,
    };
    struct yaml_node *items = memory_take_array(reader->memory, count, sizeof(*items));
    for (size_t i = 0; i < count && items != NULL && node->items != NULL; i++) {
        (void)schema_fallback_item(key, i, item);
        items[i] = (struct yaml_node){
            .kind = YAML_SCALAR, .text = memory_copy_text(reader->memory, item), .place = place};
        node->items[i] = &items[i];
    }
    return !memory_failed(reader->memory);
}

/* What a key is when it is not written: its default, read like any other text. */
static void read_absent(struct reader *reader, const struct schema_section *section,
                        const struct schema_key *key, struct place place, char *container)
{
    if (key->availability != SCHEMA_NOW) {
        return;
    }
    if (key->required) {
        char expected[512];
        schema_expected(key, expected, sizeof(expected));
        problem_add(reader->problems, &place, "'%s' is missing in %s; expected %s", key->name,
                    section->title, expected);
        return;
    }
    struct place nowhere = {.file = place.file};
    if (key->type == SCHEMA_SECTION && key->shape == SCHEMA_ONE) {
        if (key->word != NULL) {
            *(bool *)(container + key->beside) = true;
        }
        read_section(reader, key->section, NULL, nowhere, container + key->offset);
        return;
    }
    if (key->fallback != NULL) {
        struct yaml_node node;
        const struct yaml_pair pair = {.key = key->name, .place = place, .value = &node};
        if (make_fallback(reader, key, place, &node)) {
            read_key(reader, key, &pair, container);
        }
    }
}

static void complain_of_key(struct reader *reader, const struct schema_section *section,
                            const struct yaml_pair *pair)
{
    char quoted[SLOT_QUOTE_BYTES];
    char elsewhere[200];
    slot_quote(pair->key, quoted);
    const char *meant = schema_suggest_key(section, pair->key);
    if (meant != NULL) {
        problem_add(reader->problems, &pair->place, "%s is not a key of %s; did you mean '%s'?",
                    quoted, section->title, meant);
        return;
    }
    if (schema_find_elsewhere(pair->key, elsewhere, sizeof(elsewhere))) {
        problem_add(reader->problems, &pair->place, "%s is not a key of %s; did you mean '%s'?",
                    quoted, section->title, elsewhere);
        return;
    }
    problem_add(reader->problems, &pair->place,
                "%s is not a key of %s; expected one that `sallyport config reference` lists",
                quoted, section->title);
}

/* Keys that start with x- at the top of the file are the operator's own: a place for anchors. */
static bool is_own_key(const struct schema_section *section, const char *name)
{
    return section == schema_root() && strncmp(name, "x-", 2) == 0;
}

static void read_unknown_keys(struct reader *reader, const struct schema_section *section,
                              const struct yaml_node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        const char *name = node->pairs[i].key;
        if (schema_find(section, name) == NULL && !is_own_key(section, name)) {
            complain_of_key(reader, section, &node->pairs[i]);
        }
    }
}

/* `node` is a mapping, or NULL for all defaults. */
static void read_section(struct reader *reader, const struct schema_section *section,
                         const struct yaml_node *node, struct place place, char *out)
{
    if (section->has_place) {
        *(struct place *)(void *)(out + section->place_offset) = place;
    }
    for (size_t i = 0; i < section->key_count; i++) {
        const struct schema_key *key = &section->keys[i];
        const struct yaml_pair *pair = node == NULL ? NULL : yaml_tree_find(node, key->name);
        if (pair != NULL) {
            read_key(reader, key, pair, out);
        } else {
            read_absent(reader, section, key, place, out);
        }
    }
    if (node != NULL) {
        read_unknown_keys(reader, section, node);
    }
}

void read_config(struct config *config, const struct yaml_node *root, const struct source *source,
                 struct problem_list *problems)
{
    struct reader reader = {
        .memory = config->memory, .config = config, .source = source, .problems = problems};
    read_section(&reader, schema_root(), root, root->place, (char *)config);
}
