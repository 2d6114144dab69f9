/* proxy/net/timer.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/timer.h"

#include "proxy/net/timer_lists.h"

void timer_lists_init(struct timer_lists *lists)
{
    for (size_t i = 0; i < TIMER_DURATIONS_MAX; i++) {
        lists->at[i].after_ms = 0;
        list_init(&lists->at[i].deadlines);
    }
    list_init(&lists->mixed);
}

bool timer_lists_are_empty(const struct timer_lists *lists)
{
    for (size_t i = 0; i < TIMER_DURATIONS_MAX; i++) {
        if (!list_is_empty(&lists->at[i].deadlines)) {
            return false;
        }
    }
    return list_is_empty(&lists->mixed);
}

static struct timer_list *list_of(struct timer_lists *lists, uint64_t after_ms)
{
    struct timer_list *empty = NULL;
    for (size_t i = 0; i < TIMER_DURATIONS_MAX; i++) {
        struct timer_list *list = &lists->at[i];
        if (list->after_ms == after_ms) {
            return list;
        }
        if (empty == NULL && list_is_empty(&list->deadlines)) {
            empty = list;
        }
    }
    if (empty != NULL) {
        empty->after_ms = after_ms;
    }
    return empty;
}

static void add_sorted(struct list *list, struct deadline *deadline)
{
    struct list_link *after = list->head.prev;
    while (after != &list->head &&
           LIST_OBJECT(after, struct deadline, link)->at_ms > deadline->at_ms) {
        after = after->prev;
    }
    deadline->link.prev = after;
    deadline->link.next = after->next;
    after->next->prev = &deadline->link;
    after->next = &deadline->link;
}

void timer_lists_add(struct timer_lists *lists, struct deadline *deadline, uint64_t after_ms)
{
    struct timer_list *list = list_of(lists, after_ms);
    if (list != NULL) {
        list_append(&list->deadlines, &deadline->link);
        return;
    }
    add_sorted(&lists->mixed, deadline);
}

static void fire(struct list *list, uint64_t now_ms)
{
    for (struct list_link *link = list_first(list); link != NULL; link = list_first(list)) {
        struct deadline *deadline = LIST_OBJECT(link, struct deadline, link);
        if (deadline->at_ms > now_ms) {
            return;
        }
        list_remove(link);
        deadline->on_deadline(deadline->self);
    }
}

void timer_lists_fire(struct timer_lists *lists, uint64_t now_ms)
{
    for (size_t i = 0; i < TIMER_DURATIONS_MAX; i++) {
        fire(&lists->at[i].deadlines, now_ms);
    }
    fire(&lists->mixed, now_ms);
}

void deadline_disarm(struct deadline *deadline)
{
    list_remove(&deadline->link);
}
