/* config/read.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/include.h"
#include "config/memory.h"
#include "config/schema.h"
#include "config/spelling.h"
#include "config/value.h"

struct reader {
    struct memory *memory;
    struct config *config;
    const struct source *source;
    struct problem_list *problems;
};

/* One value on its way into the model. */
struct slot {
    const struct schema_key *key;
    char *out;       /* where the value goes */
    char *container; /* the struct that `beside` counts from */
    struct place place;
};

enum { QUOTE_BYTES = 100 };

static void read_section(struct reader *reader, const struct schema_section *section,
                         const struct yaml_node *node, struct place place, char *out);

/* --- sentences ---------------------------------------------------------------------------------
 */

/* The value in quotes, printable and short. */
static const char *quote(const char *text, char buffer[QUOTE_BYTES])
{
    size_t len = 0;
    buffer[len++] = '\'';
    for (; *text != '\0' && len < QUOTE_BYTES - 6; text++) {
        unsigned char c = (unsigned char)*text;
        buffer[len++] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    memcpy(buffer + len, *text == '\0' ? "'" : "...'", *text == '\0' ? 2 : 5);
    return buffer;
}

static void complain(struct reader *reader, const struct slot *slot, const char *text,
                     const char *wrong)
{
    char quoted[QUOTE_BYTES];
    char expected[512];
    schema_expected(slot->key, expected, sizeof(expected));
    /* A URL with a password in it is the one value that must not be repeated. */
    bool is_private = slot->key->type == SCHEMA_SERVER && strchr(text, '@') != NULL;
    problem_add(reader->problems, &slot->place, "%s: %s %s; expected %s", slot->key->name,
                is_private ? "this URL" : quote(text, quoted), wrong, expected);
}

static void complain_of_kind(struct reader *reader, const struct slot *slot,
                             const struct yaml_node *node)
{
    char expected[512];
    schema_expected(slot->key, expected, sizeof(expected));
    problem_add(reader->problems, &slot->place, "%s is %s; expected %s", slot->key->name,
                yaml_kind_name(node->kind), expected);
}

/* --- choices -----------------------------------------------------------------------------------
 */

/* The choice that was written; NULL after a problem. */
static const struct schema_choice *read_choice(struct reader *reader, const struct slot *slot,
                                               const char *text)
{
    const struct schema_key *key = slot->key;
    const struct schema_choice *choice = NULL;
    for (size_t i = 0; i < key->choice_count && choice == NULL; i++) {
        choice = strcmp(key->choices[i].word, text) == 0 ? &key->choices[i] : NULL;
    }
    if (choice != NULL && choice->availability == SCHEMA_NOW) {
        return choice;
    }
    if (choice != NULL && choice->availability == SCHEMA_LATER) {
        complain(reader, slot, text, "is not available yet");
        return NULL;
    }
    char wrong[200] = "is not one of the choices";
    if (choice != NULL) {
        (void)snprintf(wrong, sizeof(wrong), "can never be allowed: %s", choice->doc);
    }
    const char *meant = choice == NULL ? schema_suggest_choice(key, text) : NULL;
    if (meant == NULL) {
        complain(reader, slot, text, wrong);
        return NULL;
    }
    char quoted[QUOTE_BYTES];
    char expected[512];
    schema_expected(key, expected, sizeof(expected));
    problem_add(reader->problems, &slot->place, "%s: %s %s; expected %s; did you mean '%s'?",
                key->name, quote(text, quoted), wrong, expected, meant);
    return NULL;
}

static void read_choice_value(struct reader *reader, const struct slot *slot, const char *text)
{
    const struct schema_choice *choice = read_choice(reader, slot, text);
    if (choice == NULL) {
        return;
    }
    if (slot->key->type == SCHEMA_CHOICE_TEXT) {
        *(const char **)(void *)slot->out = choice->word;
        return;
    }
    *(unsigned *)(void *)slot->out = choice->value;
}

/* --- numbers -----------------------------------------------------------------------------------
 */

static const char *read_number(enum schema_type type, const char *text, uint64_t *value)
{
    if (type == SCHEMA_DURATION) {
        return value_duration(text, value);
    }
    if (type == SCHEMA_SIZE) {
        return value_size(text, value);
    }
    if (type == SCHEMA_RATE) {
        return value_rate(text, value);
    }
    return value_number(text, value);
}

static void read_number_value(struct reader *reader, const struct slot *slot, const char *text)
{
    const struct schema_key *key = slot->key;
    uint64_t value = 0;
    const char *wrong = read_number(key->type, text, &value);
    if (wrong == NULL && (value < key->least || value > key->most)) {
        wrong = "is out of range";
    }
    if (wrong != NULL) {
        complain(reader, slot, text, wrong);
        return;
    }
    *(uint64_t *)(void *)slot->out = value;
}

/* --- files and secrets -------------------------------------------------------------------------
 */

static const char *look_for(const struct reader *reader, const char *path)
{
    if (!source_can_look(reader->source)) {
        return NULL;
    }
    enum source_status status = source_look(reader->source, path);
    if (status == SOURCE_OK) {
        return NULL;
    }
    return status == SOURCE_MISSING ? "does not exist" : "cannot be read";
}

static void read_file_value(struct reader *reader, const struct slot *slot, const char *text)
{
    struct config_file *file = (struct config_file *)(void *)slot->out;
    const char *path = include_resolve(reader->memory, slot->place.file, text);
    *file = (struct config_file){.path = path, .place = slot->place};
    if (path == NULL) {
        return;
    }
    const char *wrong = text[0] == '\0'                    ? "is empty"
                        : slot->key->type == SCHEMA_OUTPUT ? NULL
                                                           : look_for(reader, path);
    if (wrong != NULL) {
        complain(reader, slot, path, wrong);
    }
}

static bool is_variable_name(const char *text)
{
    size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return len > 0 && text[len] == '\0' && (text[0] < '0' || text[0] > '9');
}

static void read_secret_source(struct reader *reader, const struct slot *slot,
                               const struct yaml_pair *pair, struct config_secret *secret)
{
    const char *text = pair->value->text;
    secret->place = pair->value->place;
    if (strcmp(pair->key, "env") == 0) {
        secret->kind = CONFIG_SECRET_ENVIRONMENT;
        secret->value = memory_copy_text(reader->memory, text);
        if (!is_variable_name(text)) {
            problem_add(reader->problems, &secret->place,
                        "%s: not the name of an environment variable; expected a name such as "
                        "KEY_PASSWORD",
                        slot->key->name);
        } else if (source_can_look(reader->source) && getenv(text) == NULL) {
            problem_add(reader->problems, &secret->place,
                        "%s: the environment variable %s is not set; expected it to hold the "
                        "secret",
                        slot->key->name, text);
        }
        return;
    }
    secret->kind = CONFIG_SECRET_FILE;
    secret->value = include_resolve(reader->memory, secret->place.file, text);
    const char *wrong = secret->value == NULL ? NULL : look_for(reader, secret->value);
    if (wrong != NULL) {
        problem_add(reader->problems, &secret->place,
                    "%s: '%s' %s; expected a file that can be "
                    "read",
                    slot->key->name, secret->value, wrong);
    }
}

/* A reference. A literal is refused without being repeated: it may be a real password. */
static void read_secret(struct reader *reader, const struct slot *slot,
                        const struct yaml_node *node)
{
    if (node->kind != YAML_MAPPING || node->count != 1 ||
        node->pairs[0].value->kind != YAML_SCALAR) {
        problem_add(reader->problems, &slot->place,
                    "%s: a secret cannot stand in the file; expected a reference: {file: PATH} or "
                    "{env: NAME}",
                    slot->key->name);
        return;
    }
    const struct yaml_pair *pair = &node->pairs[0];
    if (strcmp(pair->key, "secret") == 0) {
        problem_add(reader->problems, &pair->place,
                    "%s: sealed secrets are not available yet; expected {file: PATH} or {env: "
                    "NAME}",
                    slot->key->name);
        return;
    }
    if (strcmp(pair->key, "file") != 0 && strcmp(pair->key, "env") != 0) {
        problem_add(reader->problems, &pair->place,
                    "%s: not a kind of reference; expected {file: PATH} or {env: NAME}",
                    slot->key->name);
        return;
    }
    read_secret_source(reader, slot, pair, (struct config_secret *)(void *)slot->out);
}

/* --- references --------------------------------------------------------------------------------
 */

static void read_backend_name(struct reader *reader, const struct slot *slot, const char *text)
{
    const struct config *config = reader->config;
    const char *meant = NULL;
    for (size_t i = 0; i < config->backend_count; i++) {
        const char *name = config->backends[i].name;
        if (name != NULL && strcmp(name, text) == 0) {
            *(size_t *)(void *)slot->out = i;
            if (slot->key->beside != 0) {
                *(bool *)(slot->container + slot->key->beside) = true;
            }
            return;
        }
        if (name != NULL) {
            spelling_consider(text, name, &meant);
        }
    }
    char quoted[QUOTE_BYTES];
    problem_add(reader->problems, &slot->place,
                "%s: there is no backend %s; expected a name under 'backends'%s%s%s",
                slot->key->name, quote(text, quoted), meant != NULL ? "; did you mean '" : "",
                meant != NULL ? meant : "", meant != NULL ? "'?" : "");
}

static size_t count_certificates(const struct config *config, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < config->certificate_count; i++) {
        const char *own = config->certificates[i].name;
        count += own != NULL && strcmp(own, name) == 0 ? 1 : 0;
    }
    return count;
}

static void complain_of_certificate(struct reader *reader, const struct slot *slot,
                                    const char *name)
{
    const struct config *config = reader->config;
    const char *meant = NULL;
    for (size_t i = 0; i < config->certificate_count; i++) {
        if (config->certificates[i].name != NULL) {
            spelling_consider(name, config->certificates[i].name, &meant);
        }
    }
    char quoted[QUOTE_BYTES];
    problem_add(reader->problems, &slot->place,
                "%s: there is no certificate %s; expected a name under 'certificates'%s%s%s",
                slot->key->name, quote(name, quoted), meant != NULL ? "; did you mean '" : "",
                meant != NULL ? meant : "", meant != NULL ? "'?" : "");
}

/* Appends the indexes of all entries of that name; `indexes` has room for every certificate. */
static void append_certificates(const struct config *config, const char *name, size_t *indexes,
                                size_t *count)
{
    for (size_t i = 0; i < config->certificate_count; i++) {
        const char *own = config->certificates[i].name;
        bool known = own == NULL || strcmp(own, name) != 0;
        for (size_t k = 0; k < *count && !known; k++) {
            known = indexes[k] == i;
        }
        if (!known) {
            indexes[(*count)++] = i;
        }
    }
}

static void read_certificate_names(struct reader *reader, const struct slot *slot,
                                   const struct yaml_node *const *items, size_t item_count)
{
    const struct config *config = reader->config;
    size_t *indexes =
        memory_take_array(reader->memory, config->certificate_count, sizeof(*indexes));
    size_t count = 0;
    for (size_t i = 0; i < item_count && indexes != NULL; i++) {
        struct slot item = *slot;
        item.place = items[i]->place;
        if (items[i]->kind != YAML_SCALAR) {
            complain_of_kind(reader, &item, items[i]);
            continue;
        }
        if (count_certificates(config, items[i]->text) == 0) {
            complain_of_certificate(reader, &item, items[i]->text);
            continue;
        }
        append_certificates(config, items[i]->text, indexes, &count);
    }
    *(size_t **)(void *)slot->out = indexes;
    *(size_t *)(void *)(slot->container + slot->key->beside) = count;
}

/* --- ciphers -----------------------------------------------------------------------------------
 */

static void read_ciphers(struct reader *reader, const struct slot *slot,
                         const struct yaml_node *const *items, size_t count)
{
    struct config_enforcement *enforcement = (struct config_enforcement *)(void *)slot->container;
    const char **names = memory_take_array(reader->memory, count, sizeof(*names));
    size_t name_count = 0;
    for (size_t i = 0; i < count && names != NULL; i++) {
        struct slot item = *slot;
        item.place = items[i]->place;
        if (items[i]->kind != YAML_SCALAR) {
            complain_of_kind(reader, &item, items[i]);
            continue;
        }
        const struct schema_choice *choice = read_choice(reader, &item, items[i]->text);
        if (choice == NULL) {
            continue;
        }
        enforcement->cipher_policy = (enum config_cipher_policy)choice->value;
        if (choice->value != CONFIG_CIPHERS_LIST && count > 1) {
            complain(reader, &item, choice->word, "is a whole set and must stand alone");
            continue;
        }
        if (choice->value == CONFIG_CIPHERS_LIST) {
            names[name_count++] = choice->word;
        }
    }
    enforcement->cipher_names = names;
    enforcement->cipher_name_count = name_count;
}

/* --- scalars -----------------------------------------------------------------------------------
 */

static const char *read_text(struct reader *reader, const struct slot *slot, const char *text)
{
    const char **out = (const char **)(void *)slot->out;
    if (slot->key->type == SCHEMA_NAME) {
        return value_name(reader->memory, text, out);
    }
    if (text[0] == '\0') {
        return "is empty";
    }
    if (slot->key->type == SCHEMA_HOST_NAME && !value_is_host_name(text)) {
        return "is not a host name";
    }
    *out = memory_copy_text(reader->memory, text);
    return NULL;
}

static const char *read_host(struct reader *reader, const struct slot *slot, const char *text)
{
    enum config_host_kind *kind =
        (enum config_host_kind *)(void *)(slot->container + slot->key->beside);
    return value_host(reader->memory, text, kind, (const char **)(void *)slot->out);
}

/* The types whose whole work is one parser. */
static const char *read_plain(struct reader *reader, const struct slot *slot, const char *text)
{
    void *out = slot->out;
    switch (slot->key->type) {
    case SCHEMA_FLAG:
        return value_flag(text, out);
    case SCHEMA_DAY:
        return value_day(text, out);
    case SCHEMA_PIN:
        ((struct config_pin *)out)->place = slot->place;
        return value_pin(text, ((struct config_pin *)out)->sha256);
    case SCHEMA_ADDRESS: {
        struct config_address *address = out;
        const char *wrong = value_address(reader->memory, text, address);
        address->place = slot->place;
        if (wrong != NULL) {
            address->kind = CONFIG_ADDRESS_NONE; /* so that nothing clashes with half an address */
        }
        return wrong;
    }
    case SCHEMA_NETWORK: {
        const char *wrong = value_network(reader->memory, text, out);
        ((struct config_network *)out)->place = slot->place;
        return wrong;
    }
    case SCHEMA_SERVER: {
        const char *wrong = value_server(reader->memory, text, out);
        ((struct config_server *)out)->place = slot->place;
        return wrong;
    }
    case SCHEMA_HOST:
        return read_host(reader, slot, text);
    case SCHEMA_PATH:
        return value_path(reader->memory, text, out);
    case SCHEMA_NAME:
    case SCHEMA_TEXT:
    case SCHEMA_HOST_NAME:
        return read_text(reader, slot, text);
    case SCHEMA_NUMBER:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
    case SCHEMA_RATE:
    case SCHEMA_CHOICE:
    case SCHEMA_CHOICE_TEXT:
    case SCHEMA_FILE:
    case SCHEMA_OUTPUT:
    case SCHEMA_SECRET:
    case SCHEMA_BACKEND:
    case SCHEMA_CERTIFICATE:
    case SCHEMA_CIPHERS:
    case SCHEMA_SECTION:
    case SCHEMA_TYPE_COUNT:
        break;
    }
    return "is not understood here";
}

static void read_scalar(struct reader *reader, const struct slot *slot, const char *text)
{
    switch (slot->key->type) {
    case SCHEMA_NUMBER:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
    case SCHEMA_RATE:
        read_number_value(reader, slot, text);
        return;
    case SCHEMA_CHOICE:
    case SCHEMA_CHOICE_TEXT:
        read_choice_value(reader, slot, text);
        return;
    case SCHEMA_FILE:
    case SCHEMA_OUTPUT:
        read_file_value(reader, slot, text);
        return;
    case SCHEMA_BACKEND:
        read_backend_name(reader, slot, text);
        return;
    case SCHEMA_FLAG:
    case SCHEMA_NAME:
    case SCHEMA_TEXT:
    case SCHEMA_HOST_NAME:
    case SCHEMA_SECRET:
    case SCHEMA_ADDRESS:
    case SCHEMA_NETWORK:
    case SCHEMA_DAY:
    case SCHEMA_PIN:
    case SCHEMA_SERVER:
    case SCHEMA_HOST:
    case SCHEMA_PATH:
    case SCHEMA_CERTIFICATE:
    case SCHEMA_CIPHERS:
    case SCHEMA_SECTION:
    case SCHEMA_TYPE_COUNT:
        break;
    }
    const char *wrong = read_plain(reader, slot, text);
    if (wrong != NULL) {
        complain(reader, slot, text, wrong);
    }
}

static bool is_word(const struct schema_key *key, const char *text)
{
    return (key->word != NULL && strcmp(key->word, text) == 0) ||
           (key->second_word != NULL && strcmp(key->second_word, text) == 0);
}

/* The word that stands for no value: everything is zero already, only files remember which. */
static void read_word(const struct slot *slot, const char *text)
{
    if (slot->key->type != SCHEMA_FILE && slot->key->type != SCHEMA_OUTPUT) {
        return;
    }
    struct config_file *file = (struct config_file *)(void *)slot->out;
    const char *second = slot->key->second_word;
    file->word = second != NULL && strcmp(second, text) == 0 ? second : slot->key->word;
    file->place = slot->place;
}

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
        complain(reader, slot, node->text, "is neither off nor a group of keys");
    }
    if (node->kind == YAML_SEQUENCE) {
        complain_of_kind(reader, slot, node);
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
        complain_of_kind(reader, slot, node);
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
        read_secret(reader, slot, node);
        return;
    }
    if (node->kind != YAML_SCALAR) {
        complain_of_kind(reader, slot, node);
        return;
    }
    if (is_word(slot->key, node->text)) {
        read_word(slot, node->text);
        return;
    }
    read_scalar(reader, slot, node->text);
}

static void read_items(struct reader *reader, const struct slot *slot,
                       const struct yaml_node *const *items, size_t count)
{
    if (slot->key->type == SCHEMA_CERTIFICATE) {
        read_certificate_names(reader, slot, items, count);
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
    if (node->kind == YAML_SCALAR && (is_null(node) || is_word(slot->key, node->text))) {
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
            complain(reader, &item, pair->key, wrong);
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
        read_ciphers(reader, &slot, is_list ? pair->value->items : &pair->value,
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
        const struct yaml_node node = {.kind = YAML_SCALAR, .text = key->fallback, .place = place};
        const struct yaml_pair pair = {.key = key->name, .place = place, .value = &node};
        read_key(reader, key, &pair, container);
    }
}

static void complain_of_key(struct reader *reader, const struct schema_section *section,
                            const struct yaml_pair *pair)
{
    char quoted[QUOTE_BYTES];
    char elsewhere[200];
    quote(pair->key, quoted);
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
