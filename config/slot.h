/* config/slot.h
 *
 * One value on its way from the tree into the model: the types of the schema, each read, checked
 * and stored, with the sentence for what is wrong.
 *
 * Why it exists: read.c walks sections, lists and defaults; what a single value means is told apart
 * here (slot.c), as is what names something else (slot_reference.c).
 *
 * Owner: read.c; plain values on its stack.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "config/problem.h"
#include "config/schema.h"
#include "config/source.h"
#include "config/yaml_tree.h"

enum { SLOT_QUOTE_BYTES = 100 };

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

/* The value in quotes, printable and short. */
const char *slot_quote(const char *text, char buffer[SLOT_QUOTE_BYTES]);

/* Adds "KEY: 'TEXT' WRONG; expected …", or that the node is of the wrong kind. */
void slot_complain(struct reader *reader, const struct slot *slot, const char *text,
                   const char *wrong);
void slot_complain_of_kind(struct reader *reader, const struct slot *slot,
                           const struct yaml_node *node);

/* The choice that was written; NULL after a problem. */
const struct schema_choice *slot_read_choice(struct reader *reader, const struct slot *slot,
                                             const char *text);

/* Whether the text is the key's word for no value; storing it. */
bool slot_is_word(const struct schema_key *key, const char *text);
void slot_read_word(const struct slot *slot, const char *text);

/* Any type that is written as one scalar. */
void slot_read_scalar(struct reader *reader, const struct slot *slot, const char *text);

/* A reference to a secret. A literal is refused without being repeated. */
void slot_read_secret(struct reader *reader, const struct slot *slot, const struct yaml_node *node);

/* Names of backends and certificates, as indexes; names of ciphers. */
void slot_read_backend(struct reader *reader, const struct slot *slot, const char *text);
void slot_read_certificates(struct reader *reader, const struct slot *slot,
                            const struct yaml_node *const *items, size_t item_count);
void slot_read_ciphers(struct reader *reader, const struct slot *slot,
                       const struct yaml_node *const *items, size_t count);
