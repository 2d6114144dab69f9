/* config/yaml_tree.c
 *
 * libyaml's events are composed into nodes by hand rather than by its own document loader: that one
 * has no columns for keys, expands nothing, and has no bounds.
 *
 * An alias is the same node again (nodes are immutable), but it is counted in full: `node_count` is
 * what a walk over the tree would visit, so ten levels of ten aliases are seen to be ten thousand
 * million nodes before anything walks them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config/yaml_tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/memory.h"

/* Keys of one mapping, and anchors, are looked up one by one: bounded, so that this stays quick. */
enum {
    KEYS_MAX = 2000,
    ANCHORS_MAX = 1000,
};

struct anchor {
    const char *name;
    const struct yaml_node *node;
    bool open; /* still being composed: an alias to it would be a circle */
    struct anchor *next;
};

struct composer {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one, while has_event */
    bool has_event;
    struct memory *memory;
    const char *file;
    struct problem_list *problems;
    size_t anchor_count;
    struct anchor *anchors; /* newest first: a later anchor of the same name hides an earlier one */
};

/* Items gathered before their number is known. */
struct gathered {
    void *items;
    size_t count;
    size_t capacity;
};

static struct place place_of(const struct composer *composer, yaml_mark_t mark)
{
    return (struct place){.file = composer->file,
                          .line = (unsigned)mark.line + 1,
                          .column = (unsigned)mark.column + 1};
}

static void *complain(struct composer *composer, yaml_mark_t mark, const char *text)
{
    struct place place = place_of(composer, mark);
    problem_add(composer->problems, &place, "%s", text);
    return NULL;
}

static void *out_of_memory(struct composer *composer)
{
    problem_add(composer->problems, NULL, "out of memory while reading %s", composer->file);
    return NULL;
}

static void syntax_error(struct composer *composer)
{
    const yaml_parser_t *parser = &composer->parser;
    if (parser->error == YAML_MEMORY_ERROR) {
        (void)out_of_memory(composer);
        return;
    }
    const char *text = parser->problem != NULL ? parser->problem : "not YAML";
    if (parser->error == YAML_READER_ERROR) {
        problem_add(composer->problems, &(struct place){.file = composer->file},
                    "not valid UTF-8 text at byte %zu: %s", parser->problem_offset, text);
        return;
    }
    struct place place = place_of(composer, parser->problem_mark);
    problem_add(composer->problems, &place, "not valid YAML: %s%s%s", text,
                parser->context != NULL ? ", " : "",
                parser->context != NULL ? parser->context : "");
}

/* Moves on to the next event; false after a syntax error, which is reported. */
static bool advance(struct composer *composer)
{
    if (composer->has_event) {
        yaml_event_delete(&composer->event);
        composer->has_event = false;
    }
    if (yaml_parser_parse(&composer->parser, &composer->event) == 0) {
        syntax_error(composer);
        return false;
    }
    composer->has_event = true;
    return true;
}

static bool is_core_tag(const yaml_char_t *tag)
{
    static const char *const CORE[] = {YAML_STR_TAG,  YAML_INT_TAG, YAML_FLOAT_TAG, YAML_BOOL_TAG,
                                       YAML_NULL_TAG, YAML_SEQ_TAG, YAML_MAP_TAG,   "!"};
    for (size_t i = 0; tag != NULL && i < sizeof(CORE) / sizeof(CORE[0]); i++) {
        if (strcmp((const char *)tag, CORE[i]) == 0) {
            return true;
        }
    }
    return tag == NULL;
}

static struct anchor *anchor_open(struct composer *composer, const yaml_char_t *name)
{
    if (composer->anchor_count == ANCHORS_MAX) {
        return complain(composer, composer->event.start_mark,
                        "too many anchors; expected at most 1000");
    }
    composer->anchor_count++;
    struct anchor *anchor = memory_take(composer->memory, sizeof(*anchor));
    const char *copy = memory_copy_text(composer->memory, (const char *)name);
    if (anchor == NULL || copy == NULL) {
        return out_of_memory(composer);
    }
    *anchor = (struct anchor){.name = copy, .open = true, .next = composer->anchors};
    composer->anchors = anchor;
    return anchor;
}

static bool gather(struct gathered *gathered, const void *item, size_t size)
{
    if (gathered->count == gathered->capacity) {
        size_t capacity = gathered->capacity == 0 ? 8 : gathered->capacity * 2;
        void *items = reallocarray(gathered->items, capacity, size);
        if (items == NULL) {
            return false;
        }
        gathered->items = items;
        gathered->capacity = capacity;
    }
    memcpy((char *)gathered->items + gathered->count * size, item, size);
    gathered->count++;
    return true;
}

/* Moves what was gathered into the tree's memory. */
static void *settle(struct composer *composer, struct gathered *gathered, size_t size)
{
    void *items = memory_take_array(composer->memory, gathered->count, size);
    if (items != NULL && gathered->count > 0) {
        memcpy(items, gathered->items, gathered->count * size);
    }
    return items;
}

/* Adds a child's size and height to its parent's; false when the whole has become too much. */
static bool account(struct composer *composer, struct yaml_node *parent,
                    const struct yaml_node *child, yaml_mark_t mark)
{
    parent->node_count += child->node_count;
    if (child->height + 1 > parent->height) {
        parent->height = child->height + 1;
    }
    if (parent->node_count > YAML_NODES_MAX) {
        (void)complain(composer, mark,
                       "too large once its aliases are written out; expected at "
                       "most 100000 values");
        return false;
    }
    return true;
}

static const struct yaml_node *compose(struct composer *composer, unsigned depth);

static const struct yaml_node *compose_alias(struct composer *composer, unsigned depth)
{
    yaml_mark_t mark = composer->event.start_mark;
    const char *name = (const char *)composer->event.data.alias.anchor;
    for (const struct anchor *anchor = composer->anchors; anchor != NULL; anchor = anchor->next) {
        if (strcmp(anchor->name, name) != 0) {
            continue;
        }
        if (anchor->open) {
            return complain(composer, mark, "this alias stands for the value that contains it");
        }
        if (depth + anchor->node->height > YAML_DEPTH_MAX) {
            return complain(composer, mark, "nested too deeply; expected at most 32 levels");
        }
        return anchor->node;
    }
    struct place place = place_of(composer, mark);
    problem_add(composer->problems, &place,
                "no anchor named '%s'; expected &%s at a value before it", name, name);
    return NULL;
}

static const struct yaml_node *compose_scalar(struct composer *composer, struct yaml_node *node)
{
    const char *value = (const char *)composer->event.data.scalar.value;
    size_t len = composer->event.data.scalar.length;
    if (memchr(value, '\0', len) != NULL) {
        return complain(composer, composer->event.start_mark, "holds a NUL character");
    }
    node->kind = YAML_SCALAR;
    node->quoted = composer->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = memory_copy(composer->memory, value, len);
    return node->text != NULL ? node : out_of_memory(composer);
}

static bool gather_items(struct composer *composer, struct yaml_node *node,
                         struct gathered *gathered, unsigned depth)
{
    for (;;) {
        if (!advance(composer)) {
            return false;
        }
        if (composer->event.type == YAML_SEQUENCE_END_EVENT) {
            return true;
        }
        yaml_mark_t mark = composer->event.start_mark;
        const struct yaml_node *item = compose(composer, depth + 1);
        if (item == NULL || !account(composer, node, item, mark)) {
            return false;
        }
        if (!gather(gathered, &item, sizeof(item))) {
            return out_of_memory(composer) != NULL;
        }
    }
}

static const struct yaml_node *compose_sequence(struct composer *composer, struct yaml_node *node,
                                                unsigned depth)
{
    struct gathered gathered = {0};
    node->kind = YAML_SEQUENCE;
    bool complete = gather_items(composer, node, &gathered, depth);
    if (complete) {
        node->count = gathered.count;
        node->items = settle(composer, &gathered, sizeof(node->items[0]));
    }
    free(gathered.items);
    if (complete && node->items == NULL) {
        return out_of_memory(composer);
    }
    return complete ? node : NULL;
}

static const struct yaml_pair *find_gathered(const struct gathered *gathered, const char *key)
{
    const struct yaml_pair *pairs = gathered->items;
    for (size_t i = 0; i < gathered->count; i++) {
        if (strcmp(pairs[i].key, key) == 0) {
            return &pairs[i];
        }
    }
    return NULL;
}

/* Takes over each key of `from` that is not there yet: what a mapping says itself counts more than
 * what it merges, and an earlier merged mapping more than a later one. */
static bool merge_mapping(struct composer *composer, struct gathered *pairs,
                          const struct yaml_node *from)
{
    if (from->kind != YAML_MAPPING) {
        problem_add(composer->problems, &from->place,
                    "cannot be merged; expected an alias of a group of keys, or a list of them");
        return true;
    }
    for (size_t i = 0; i < from->count; i++) {
        if (find_gathered(pairs, from->pairs[i].key) == NULL &&
            !gather(pairs, &from->pairs[i], sizeof(from->pairs[i]))) {
            return out_of_memory(composer) != NULL;
        }
    }
    return true;
}

static bool merge(struct composer *composer, struct gathered *pairs, const struct yaml_node *from)
{
    if (from->kind != YAML_SEQUENCE) {
        return merge_mapping(composer, pairs, from);
    }
    for (size_t i = 0; i < from->count; i++) {
        if (!merge_mapping(composer, pairs, from->items[i])) {
            return false;
        }
    }
    return true;
}

/* Reads the key that the current event is. False after a problem. */
static bool compose_key(struct composer *composer, struct yaml_pair *pair, bool *is_merge)
{
    const yaml_event_t *event = &composer->event;
    pair->place = place_of(composer, event->start_mark);
    if (event->type != YAML_SCALAR_EVENT) {
        (void)complain(composer, event->start_mark, "not a usable key; expected a plain word");
        return false;
    }
    const char *text = (const char *)event->data.scalar.value;
    *is_merge = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "<<") == 0;
    if (memchr(text, '\0', event->data.scalar.length) != NULL || event->data.scalar.anchor) {
        (void)complain(composer, event->start_mark, "not a usable key; expected a plain word");
        return false;
    }
    pair->key = memory_copy_text(composer->memory, text);
    return pair->key != NULL || out_of_memory(composer) != NULL;
}

static bool add_pair(struct composer *composer, struct gathered *pairs,
                     const struct yaml_pair *pair)
{
    const struct yaml_pair *first = find_gathered(pairs, pair->key);
    if (first != NULL) {
        problem_add(composer->problems, &pair->place,
                    "'%s' is given twice; expected once, the first is at line %u", pair->key,
                    first->place.line);
        return true;
    }
    return gather(pairs, pair, sizeof(*pair)) || out_of_memory(composer) != NULL;
}

static bool gather_pairs(struct composer *composer, struct yaml_node *node, struct gathered *pairs,
                         unsigned depth)
{
    const struct yaml_node *merged = NULL;
    for (;;) {
        if (!advance(composer)) {
            return false;
        }
        if (composer->event.type == YAML_MAPPING_END_EVENT) {
            return merged == NULL || merge(composer, pairs, merged);
        }
        if (pairs->count == KEYS_MAX) {
            return complain(composer, composer->event.start_mark,
                            "too many keys; expected at most 2000 in one group") != NULL;
        }
        struct yaml_pair pair = {0};
        bool is_merge = false;
        if (!compose_key(composer, &pair, &is_merge) || !advance(composer)) {
            return false;
        }
        yaml_mark_t mark = composer->event.start_mark;
        pair.value = compose(composer, depth + 1);
        if (pair.value == NULL || !account(composer, node, pair.value, mark)) {
            return false;
        }
        if (is_merge && merged == NULL) {
            merged = pair.value;
            continue;
        }
        if (!add_pair(composer, pairs, &pair)) {
            return false;
        }
    }
}

static const struct yaml_node *compose_mapping(struct composer *composer, struct yaml_node *node,
                                               unsigned depth)
{
    struct gathered pairs = {0};
    node->kind = YAML_MAPPING;
    bool complete = gather_pairs(composer, node, &pairs, depth);
    if (complete) {
        node->count = pairs.count;
        node->pairs = settle(composer, &pairs, sizeof(node->pairs[0]));
    }
    free(pairs.items);
    if (complete && node->pairs == NULL) {
        return out_of_memory(composer);
    }
    return complete ? node : NULL;
}

static const struct yaml_node *compose_by_type(struct composer *composer, struct yaml_node *node,
                                               unsigned depth)
{
    if (composer->event.type == YAML_SEQUENCE_START_EVENT) {
        return compose_sequence(composer, node, depth);
    }
    if (composer->event.type == YAML_MAPPING_START_EVENT) {
        return compose_mapping(composer, node, depth);
    }
    return compose_scalar(composer, node);
}

/* The anchor and the tag of a scalar, sequence or mapping event. */
static void marks_of(const yaml_event_t *event, const yaml_char_t **anchor, const yaml_char_t **tag)
{
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        *anchor = event->data.sequence_start.anchor;
        *tag = event->data.sequence_start.tag;
        return;
    }
    if (event->type == YAML_MAPPING_START_EVENT) {
        *anchor = event->data.mapping_start.anchor;
        *tag = event->data.mapping_start.tag;
        return;
    }
    *anchor = event->data.scalar.anchor;
    *tag = event->data.scalar.tag;
}

/* The node that starts at the current event. NULL after a problem. */
static const struct yaml_node *compose(struct composer *composer, unsigned depth)
{
    const yaml_event_t *event = &composer->event;
    if (depth > YAML_DEPTH_MAX) {
        return complain(composer, event->start_mark,
                        "nested too deeply; expected at most 32 levels");
    }
    if (event->type == YAML_ALIAS_EVENT) {
        return compose_alias(composer, depth);
    }
    const yaml_char_t *anchor_name;
    const yaml_char_t *tag;
    marks_of(event, &anchor_name, &tag);
    if (!is_core_tag(tag)) {
        return complain(composer, event->start_mark, "has a tag; expected a value without one");
    }
    struct yaml_node *node = memory_take(composer->memory, sizeof(*node));
    if (node == NULL) {
        return out_of_memory(composer);
    }
    *node = (struct yaml_node){.place = place_of(composer, event->start_mark), .node_count = 1};
    if (anchor_name == NULL) {
        return compose_by_type(composer, node, depth);
    }
    struct anchor *anchor = anchor_open(composer, anchor_name);
    if (anchor == NULL || compose_by_type(composer, node, depth) == NULL) {
        return NULL;
    }
    anchor->node = node;
    anchor->open = false;
    return node;
}

static const struct yaml_node *empty_mapping(struct composer *composer)
{
    struct yaml_node *node = memory_take(composer->memory, sizeof(*node));
    if (node == NULL) {
        return out_of_memory(composer);
    }
    *node = (struct yaml_node){.kind = YAML_MAPPING,
                               .place = {.file = composer->file, .line = 1, .column = 1},
                               .node_count = 1};
    return node;
}

/* stream-start, document-start, node, document-end, stream-end. */
static const struct yaml_node *compose_stream(struct composer *composer)
{
    if (!advance(composer) || !advance(composer)) {
        return NULL;
    }
    if (composer->event.type == YAML_STREAM_END_EVENT) {
        return empty_mapping(composer);
    }
    if (!advance(composer)) {
        return NULL;
    }
    const struct yaml_node *root = compose(composer, 1);
    if (root == NULL || !advance(composer) || !advance(composer)) {
        return NULL;
    }
    if (composer->event.type != YAML_STREAM_END_EVENT) {
        return complain(composer, composer->event.start_mark,
                        "a second document; expected one document a file");
    }
    return root;
}

const struct yaml_node *yaml_tree_read(struct memory *memory, const char *file, const char *bytes,
                                       size_t len, struct problem_list *problems)
{
    struct composer composer = {.memory = memory, .file = file, .problems = problems};
    if (len > YAML_BYTES_MAX) {
        problem_add(problems, &(struct place){.file = file}, "larger than 1 MiB");
        return NULL;
    }
    if (yaml_parser_initialize(&composer.parser) == 0) {
        return out_of_memory(&composer);
    }
    yaml_parser_set_encoding(&composer.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&composer.parser, (const unsigned char *)bytes, len);
    const struct yaml_node *root = compose_stream(&composer);
    if (composer.has_event) {
        yaml_event_delete(&composer.event);
    }
    yaml_parser_delete(&composer.parser);
    return root;
}

const struct yaml_pair *yaml_tree_find(const struct yaml_node *mapping, const char *key)
{
    for (size_t i = 0; mapping->kind == YAML_MAPPING && i < mapping->count; i++) {
        if (strcmp(mapping->pairs[i].key, key) == 0) {
            return &mapping->pairs[i];
        }
    }
    return NULL;
}

const char *yaml_kind_name(enum yaml_kind kind)
{
    switch (kind) {
    case YAML_SCALAR:
        return "a single value";
    case YAML_SEQUENCE:
        return "a list";
    case YAML_MAPPING:
        break;
    }
    return "a group of keys";
}
