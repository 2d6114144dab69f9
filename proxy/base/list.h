/* proxy/base/list.h
 *
 * A doubly linked list whose links live in the objects: adding and removing never allocates. An
 * object is in at most one list per link. Zeroed links are "in no list".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *next;
    struct list_link *prev;
};

/* The head is a link of its own; call list_init before use. */
struct list {
    struct list_link head;
};

/* The object that embeds `link` as `member`. */
#define LIST_OBJECT(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->head.next = &list->head;
    list->head.prev = &list->head;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline bool list_has(const struct list_link *link)
{
    return link->next != NULL;
}

static inline void list_append(struct list *list, struct list_link *link)
{
    link->next = &list->head;
    link->prev = list->head.prev;
    link->prev->next = link;
    list->head.prev = link;
}

static inline void list_prepend(struct list *list, struct list_link *link)
{
    link->prev = &list->head;
    link->next = list->head.next;
    link->next->prev = link;
    list->head.next = link;
}

/* Fine for a link that is in no list. */
static inline void list_remove(struct list_link *link)
{
    if (link->next != NULL) {
        link->next->prev = link->prev;
        link->prev->next = link->next;
        *link = (struct list_link){NULL, NULL};
    }
}

/* NULL when empty. */
static inline struct list_link *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.next;
}

/* The one after `link`; NULL when it is the last. */
static inline struct list_link *list_next(const struct list *list, const struct list_link *link)
{
    return link->next == &list->head ? NULL : link->next;
}

/* Removes and returns the first link; NULL when empty. */
static inline struct list_link *list_take_first(struct list *list)
{
    struct list_link *first = list_first(list);
    if (first != NULL) {
        list_remove(first);
    }
    return first;
}
