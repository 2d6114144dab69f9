/* config/schema.h
 *
 * The one table of the configuration's vocabulary: each key with its type, unit, default, range,
 * words, availability and meaning, and where its value goes in the model.
 *
 * Why it exists: the loader, the reference manual and the editor's JSON Schema all read it, so they
 * cannot disagree. Adding a setting is: a member in model.h, a row here.
 *
 * Owner: constant tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_type {
    SCHEMA_FLAG,        /* bool */
    SCHEMA_NUMBER,      /* uint64_t */
    SCHEMA_PORT,        /* uint16_t */
    SCHEMA_DURATION,    /* uint64_t, ms */
    SCHEMA_SIZE,        /* uint64_t, bytes */
    SCHEMA_RATE,        /* uint64_t, bytes per second */
    SCHEMA_CHOICE,      /* an enum */
    SCHEMA_CHOICE_TEXT, /* const char *, one of the choices */
    SCHEMA_CHOICE_FLAG, /* bool, the choice's value 0 or 1 */
    SCHEMA_NAME,        /* const char *, given to the thing it belongs to */
    SCHEMA_TEXT,        /* const char *, not empty */
    SCHEMA_HOST_NAME,   /* const char * */
    SCHEMA_FILE,        /* struct config_file, must exist */
    SCHEMA_OUTPUT,      /* struct config_file, need not exist */
    SCHEMA_SECRET,      /* struct config_secret */
    SCHEMA_ADDRESS,     /* struct config_address */
    SCHEMA_STAND_IN,    /* struct config_address: IPv4 loopback, port 0 when it was left out */
    SCHEMA_NETWORK,     /* struct config_network */
    SCHEMA_DAY,         /* config_day */
    SCHEMA_PIN,         /* struct config_pin */
    SCHEMA_SERVER,      /* struct config_server */
    SCHEMA_HOST,        /* const char *, with enum config_host_kind at `beside` */
    SCHEMA_PATH,        /* const char *, a URI path */
    SCHEMA_BACKEND,     /* size_t, an index; with a bool at `beside` when it may be left out */
    SCHEMA_CERTIFICATE, /* size_t array and count: all entries of the names given */
    SCHEMA_CIPHERS,     /* members of struct config_enforcement: `offset` is not used */
    SCHEMA_SECTION, /* a struct, read by `section`; with a bool at `beside` when it may be off */
    SCHEMA_TYPE_COUNT,
};

enum schema_shape {
    SCHEMA_ONE,
    SCHEMA_LIST,  /* pointer at `offset`, count at `beside`; one value alone is a list of one */
    SCHEMA_NAMED, /* the same, written as a group whose keys are the items' names */
};

enum schema_availability {
    SCHEMA_NOW,
    SCHEMA_LATER, /* known, and refused with "not available yet" */
    SCHEMA_NEVER, /* a choice that the policy can never allow; its doc says why */
};

struct schema_choice {
    const char *word;
    unsigned value;
    const char *doc;
    enum schema_availability availability;
};

struct schema_section;

struct schema_key {
    const char *name;
    enum schema_type type;
    enum schema_shape shape;
    enum schema_availability availability;
    bool required;
    const char *fallback;    /* the default, as it would be written (a list: [a, b] of plain words);
                                NULL: none, or said in doc */
    const char *word;        /* a word taken instead of a value: 0 for numbers, NULL for strings */
    const char *second_word; /* another one, for files only */
    const char *accepted;    /* LATER: the value that asks for nothing, so it is no error */
    uint64_t least;          /* range of NUMBER, DURATION, SIZE, RATE */
    uint64_t most;
    const struct schema_choice *choices;
    size_t choice_count;
    const struct schema_section *section;
    size_t offset;
    size_t beside;    /* see the types; 0: nothing */
    size_t item_size; /* of a list's items */
    const char *doc;  /* Markdown; one paragraph */
};

struct schema_section {
    const char *title; /* "a listener": for sentences and headings */
    const struct schema_key *keys;
    size_t key_count;
    bool has_place;
    size_t place_offset;
    size_t name_offset; /* NAMED: where the name goes */
};

/* The whole file. */
const struct schema_section *schema_root(void);

/* Parts of it that have a file of their own. */
extern const struct schema_section SCHEMA_LISTENER_SECTION;
extern const struct schema_section SCHEMA_BACKEND_SECTION;
extern const struct schema_section SCHEMA_GOSSIP_SECTION;

/* The key of that name in a section, or NULL. */
const struct schema_key *schema_find(const struct schema_section *section, const char *name);

/* One word of a default that is a list. False: past its end, or the default is no list. */
enum { SCHEMA_ITEM_BYTES = 64 };
bool schema_fallback_item(const struct schema_key *key, size_t index, char item[SCHEMA_ITEM_BYTES]);

/* What a value of this key looks like: "a duration such as 5s, or off". Always terminated. */
void schema_expected(const struct schema_key *key, char *buffer, size_t size);

/* The known key that was most likely meant, or NULL. */
const char *schema_suggest_key(const struct schema_section *section, const char *name);

/* The same for a word among choices. */
const char *schema_suggest_choice(const struct schema_key *key, const char *word);

/* Where else in the file a key of exactly this name is known ("timeouts.idle"), for a key that was
 * written in the wrong section. False: nowhere. */
bool schema_find_elsewhere(const char *name, char *buffer, size_t size);
