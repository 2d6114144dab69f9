/* config/slot.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/include.h"
#include "config/memory.h"
#include "config/value.h"

/* --- sentences ---------------------------------------------------------------------------------
 */

/* The value in quotes, printable and short. */
const char *slot_quote(const char *text, char buffer[SLOT_QUOTE_BYTES])
{
    size_t len = 0;
    buffer[len++] = '\'';
    for (; *text != '\0' && len < SLOT_QUOTE_BYTES - 6; text++) {
        unsigned char c = (unsigned char)*text;
        buffer[len++] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    memcpy(buffer + len, *text == '\0' ? "'" : "...'", *text == '\0' ? 2 : 5);
    return buffer;
}

void slot_complain(struct reader *reader, const struct slot *slot, const char *text,
                   const char *wrong)
{
    char quoted[SLOT_QUOTE_BYTES];
    char expected[512];
    schema_expected(slot->key, expected, sizeof(expected));
    /* A URL with a password in it is the one value that must not be repeated. */
    bool is_private = slot->key->type == SCHEMA_SERVER && strchr(text, '@') != NULL;
    problem_add(reader->problems, &slot->place, "%s: %s %s; expected %s", slot->key->name,
                is_private ? "this URL" : slot_quote(text, quoted), wrong, expected);
}

void slot_complain_of_kind(struct reader *reader, const struct slot *slot,
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
const struct schema_choice *slot_read_choice(struct reader *reader, const struct slot *slot,
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
        slot_complain(reader, slot, text, "is not available yet");
        return NULL;
    }
    char wrong[200] = "is not one of the choices";
    if (choice != NULL) {
        (void)snprintf(wrong, sizeof(wrong), "can never be allowed: %s", choice->doc);
    }
    const char *meant = choice == NULL ? schema_suggest_choice(key, text) : NULL;
    if (meant == NULL) {
        slot_complain(reader, slot, text, wrong);
        return NULL;
    }
    char quoted[SLOT_QUOTE_BYTES];
    char expected[512];
    schema_expected(key, expected, sizeof(expected));
    problem_add(reader->problems, &slot->place, "%s: %s %s; expected %s; did you mean '%s'?",
                key->name, slot_quote(text, quoted), wrong, expected, meant);
    return NULL;
}

static void read_choice_value(struct reader *reader, const struct slot *slot, const char *text)
{
    const struct schema_choice *choice = slot_read_choice(reader, slot, text);
    if (choice == NULL) {
        return;
    }
    if (slot->key->type == SCHEMA_CHOICE_TEXT) {
        *(const char **)(void *)slot->out = choice->word;
        return;
    }
    if (slot->key->type == SCHEMA_CHOICE_FLAG) {
        *(bool *)slot->out = choice->value != 0;
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
        slot_complain(reader, slot, text, wrong);
        return;
    }
    if (key->type == SCHEMA_PORT) {
        *(uint16_t *)(void *)slot->out = (uint16_t)value;
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
        slot_complain(reader, slot, path, wrong);
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
void slot_read_secret(struct reader *reader, const struct slot *slot, const struct yaml_node *node)
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

static const char *read_address(struct reader *reader, const struct slot *slot, const char *text)
{
    struct config_address *address = (struct config_address *)(void *)slot->out;
    const char *wrong = slot->key->type == SCHEMA_STAND_IN
                            ? value_stand_in(reader->memory, text, address)
                            : value_address(reader->memory, text, address);
    address->place = slot->place;
    if (wrong != NULL) {
        address->kind = CONFIG_ADDRESS_NONE; /* so that nothing clashes with half an address */
    }
    return wrong;
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
    case SCHEMA_ADDRESS:
    case SCHEMA_STAND_IN:
        return read_address(reader, slot, text);
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
    case SCHEMA_PORT:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
    case SCHEMA_RATE:
    case SCHEMA_CHOICE:
    case SCHEMA_CHOICE_TEXT:
    case SCHEMA_CHOICE_FLAG:
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

void slot_read_scalar(struct reader *reader, const struct slot *slot, const char *text)
{
    switch (slot->key->type) {
    case SCHEMA_NUMBER:
    case SCHEMA_PORT:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
    case SCHEMA_RATE:
        read_number_value(reader, slot, text);
        return;
    case SCHEMA_CHOICE:
    case SCHEMA_CHOICE_TEXT:
    case SCHEMA_CHOICE_FLAG:
        read_choice_value(reader, slot, text);
        return;
    case SCHEMA_FILE:
    case SCHEMA_OUTPUT:
        read_file_value(reader, slot, text);
        return;
    case SCHEMA_BACKEND:
        slot_read_backend(reader, slot, text);
        return;
    case SCHEMA_FLAG:
    case SCHEMA_NAME:
    case SCHEMA_TEXT:
    case SCHEMA_HOST_NAME:
    case SCHEMA_SECRET:
    case SCHEMA_ADDRESS:
    case SCHEMA_STAND_IN:
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
        slot_complain(reader, slot, text, wrong);
    }
}

bool slot_is_word(const struct schema_key *key, const char *text)
{
    return (key->word != NULL && strcmp(key->word, text) == 0) ||
           (key->second_word != NULL && strcmp(key->second_word, text) == 0);
}

/* The word that stands for no value: everything is zero already, only files remember which. */
void slot_read_word(const struct slot *slot, const char *text)
{
    if (slot->key->type != SCHEMA_FILE && slot->key->type != SCHEMA_OUTPUT) {
        return;
    }
    struct config_file *file = (struct config_file *)(void *)slot->out;
    const char *second = slot->key->second_word;
    file->word = second != NULL && strcmp(second, text) == 0 ? second : slot->key->word;
    file->place = slot->place;
}
