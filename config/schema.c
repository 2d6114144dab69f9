/* config/schema.c: questions about the table · SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/spelling.h"
#include "config/value.h"

/* What a value of each type looks like; a range or the choices are added where there are some. */
static const char *const EXPECTED[SCHEMA_TYPE_COUNT] = {
    [SCHEMA_FLAG] = "yes or no",
    [SCHEMA_NUMBER] = "a whole number",
    [SCHEMA_PORT] = "a port number",
    [SCHEMA_DURATION] = "a duration such as 500ms, 5s, 10m, 1h or 1d",
    [SCHEMA_SIZE] = "a size such as 512B, 64KiB or 100MiB",
    [SCHEMA_RATE] = "a rate such as 240B/s or 1KiB/s",
    [SCHEMA_CHOICE] = NULL,
    [SCHEMA_CHOICE_TEXT] = NULL,
    [SCHEMA_CHOICE_FLAG] = NULL,
    [SCHEMA_NAME] = "a name of letters, digits, '-', '_' and '.'",
    [SCHEMA_TEXT] = "text",
    [SCHEMA_HOST_NAME] = "a host name",
    [SCHEMA_FILE] = "a file that can be read",
    [SCHEMA_OUTPUT] = "a file name",
    [SCHEMA_SECRET] = "a reference: {file: PATH} or {env: NAME}",
    [SCHEMA_ADDRESS] = "IP:PORT, [IP6]:PORT or unix:/PATH",
    [SCHEMA_STAND_IN] = "an address of 127.0.0.0/8 such as 127.77.0.2, with or without :PORT",
    [SCHEMA_NETWORK] = "a network such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7",
    [SCHEMA_DAY] = "a date as YYYY-MM-DD",
    [SCHEMA_PIN] = "sha256/ and 32 bytes in base64",
    [SCHEMA_SERVER] =
        "http://HOST:PORT, https://HOST:PORT, h2://HOST:PORT, h2c://HOST:PORT or unix:/PATH",
    [SCHEMA_HOST] = "a host name, *.NAME, an IP address or *",
    [SCHEMA_PATH] = "a path such as / or /app",
    [SCHEMA_BACKEND] = "the name of a backend",
    [SCHEMA_CERTIFICATE] = "the name of a certificate",
    [SCHEMA_CIPHERS] = NULL,
    [SCHEMA_SECTION] = "a group of keys",
};

/* A sentence that grows in a buffer of fixed size; what does not fit is cut. */
struct sentence {
    char *buffer;
    size_t size;
    size_t len;
};

static void append(struct sentence *sentence, const char *text)
{
    if (sentence->len + 1 >= sentence->size) {
        return;
    }
    int len =
        snprintf(sentence->buffer + sentence->len, sentence->size - sentence->len, "%s", text);
    sentence->len += len > 0 ? (size_t)len : 0;
    if (sentence->len >= sentence->size) {
        sentence->len = sentence->size - 1;
    }
}

static void append_choices(struct sentence *sentence, const struct schema_key *key)
{
    size_t left = 0;
    for (size_t i = 0; i < key->choice_count; i++) {
        left += key->choices[i].availability == SCHEMA_NOW ? 1 : 0;
    }
    for (size_t i = 0; i < key->choice_count; i++) {
        if (key->choices[i].availability != SCHEMA_NOW) {
            continue;
        }
        append(sentence, key->choices[i].word);
        left--;
        append(sentence, left > 1 ? ", " : left == 1 ? " or " : "");
    }
}

static void print_bound(enum schema_type type, uint64_t value, char *buffer, size_t size)
{
    if (type == SCHEMA_DURATION) {
        value_print_duration(value, buffer, size);
        return;
    }
    if (type == SCHEMA_SIZE || type == SCHEMA_RATE) {
        value_print_size(value, buffer, size);
        return;
    }
    (void)snprintf(buffer, size, "%" PRIu64, value);
}

static void append_range(struct sentence *sentence, const struct schema_key *key)
{
    char least[32];
    char most[32];
    char range[80];
    print_bound(key->type, key->least, least, sizeof(least));
    print_bound(key->type, key->most, most, sizeof(most));
    const char *unit = key->type == SCHEMA_RATE ? "/s" : "";
    (void)snprintf(range, sizeof(range), ", from %s%s to %s%s", least, unit, most, unit);
    append(sentence, range);
}

static void append_word(struct sentence *sentence, const char *word)
{
    if (word != NULL) {
        append(sentence, ", or ");
        append(sentence, word);
    }
}

void schema_expected(const struct schema_key *key, char *buffer, size_t size)
{
    struct sentence sentence = {.buffer = buffer, .size = size};
    buffer[0] = '\0';
    if (EXPECTED[key->type] != NULL) {
        append(&sentence, EXPECTED[key->type]);
    } else {
        append_choices(&sentence, key);
    }
    if (key->most > 0) {
        append_range(&sentence, key);
    }
    append_word(&sentence, key->word);
    append_word(&sentence, key->second_word);
}

const struct schema_key *schema_find(const struct schema_section *section, const char *name)
{
    for (size_t i = 0; i < section->key_count; i++) {
        if (strcmp(section->keys[i].name, name) == 0) {
            return &section->keys[i];
        }
    }
    return NULL;
}

const char *schema_suggest_key(const struct schema_section *section, const char *name)
{
    const char *best = NULL;
    for (size_t i = 0; i < section->key_count; i++) {
        spelling_consider(name, section->keys[i].name, &best);
    }
    return best;
}

const char *schema_suggest_choice(const struct schema_key *key, const char *word)
{
    const char *best = NULL;
    for (size_t i = 0; i < key->choice_count; i++) {
        if (key->choices[i].availability != SCHEMA_NEVER) {
            spelling_consider(word, key->choices[i].word, &best);
        }
    }
    if (key->word != NULL) {
        spelling_consider(word, key->word, &best);
    }
    return best;
}

bool schema_fallback_item(const struct schema_key *key, size_t index, char item[SCHEMA_ITEM_BYTES])
{
    if (key->fallback == NULL || key->fallback[0] != '[') {
        return false;
    }
    const char *at = key->fallback + 1;
    for (; index > 0; index--) {
        at += strcspn(at, ",]");
        if (*at != ',') {
            return false;
        }
        at += strspn(at, ", ");
    }
    (void)snprintf(item, SCHEMA_ITEM_BYTES, "%.*s", (int)strcspn(at, ",]"), at);
    return true;
}

/* Depth first; the path that was gone down is in `buffer` when the key is found. */
static bool find_below(const struct schema_section *section, const char *name, char *buffer,
                       size_t size, size_t len)
{
    for (size_t i = 0; i < section->key_count; i++) {
        const struct schema_key *key = &section->keys[i];
        int added = snprintf(buffer + len, size - len, "%s%s", len == 0 ? "" : ".", key->name);
        if (added < 0 || len + (size_t)added >= size) {
            return false;
        }
        if (strcmp(key->name, name) == 0) {
            return true;
        }
        if (key->section != NULL && key->availability == SCHEMA_NOW &&
            find_below(key->section, name, buffer, size, len + (size_t)added)) {
            return true;
        }
    }
    return false;
}

bool schema_find_elsewhere(const char *name, char *buffer, size_t size)
{
    return find_below(schema_root(), name, buffer, size, 0);
}
