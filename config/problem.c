/* config/problem.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/problem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/memory.h"

enum {
    PROBLEMS_MAX = 200,
    FILES_MAX = 128,
};

struct row {
    struct problem problem;
    size_t file;  /* order in which files were first complained about */
    size_t order; /* in which it was added: keeps the sort stable */
};

struct problem_list {
    struct memory *memory;
    struct row rows[PROBLEMS_MAX];
    size_t kept;
    size_t count;
    const char *files[FILES_MAX];
    size_t file_count;
    bool sorted;
};

struct problem_list *problem_list_new(void)
{
    struct problem_list *list = calloc(1, sizeof(*list));
    if (list == NULL) {
        return NULL;
    }
    list->memory = memory_new();
    if (list->memory == NULL) {
        free(list);
        return NULL;
    }
    return list;
}

void problem_list_free(struct problem_list *list)
{
    if (list == NULL) {
        return;
    }
    memory_free(list->memory);
    free(list);
}

/* The number of the file, which is remembered at its first mention. */
static size_t file_number(struct problem_list *list, const char *file)
{
    for (size_t i = 0; i < list->file_count; i++) {
        if (strcmp(list->files[i], file) == 0) {
            return i;
        }
    }
    const char *copy = list->file_count < FILES_MAX ? memory_copy_text(list->memory, file) : NULL;
    if (copy == NULL) {
        return FILES_MAX;
    }
    list->files[list->file_count] = copy;
    return list->file_count++;
}

/* An alias makes one value count several times: the same sentence about the same place is one. */
static bool is_known(const struct problem_list *list, const struct row *row)
{
    for (size_t i = 0; i < list->kept; i++) {
        const struct row *other = &list->rows[i];
        if (other->file == row->file && other->problem.place.line == row->problem.place.line &&
            other->problem.place.column == row->problem.place.column &&
            strcmp(other->problem.text, row->problem.text) == 0) {
            return true;
        }
    }
    return false;
}

void problem_add(struct problem_list *list, const struct place *place, const char *format, ...)
{
    list->count++;
    if (list->kept == PROBLEMS_MAX) {
        return;
    }
    struct row *row = &list->rows[list->kept];
    *row = (struct row){.order = list->kept};
    va_list arguments;
    va_start(arguments, format);
    row->problem.text = memory_format_list(list->memory, format, arguments);
    va_end(arguments);
    if (row->problem.text == NULL) {
        return;
    }
    row->file = FILES_MAX;
    if (place != NULL) {
        row->problem.place = *place;
    }
    if (place != NULL && place->file != NULL) {
        row->file = file_number(list, place->file);
        row->problem.place.file = row->file < FILES_MAX ? list->files[row->file] : NULL;
    }
    if (is_known(list, row)) {
        list->count--;
        return;
    }
    list->kept++;
    list->sorted = false;
}

size_t problem_count(const struct problem_list *list)
{
    return list->count;
}

static int compare_size(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare_rows(const void *left, const void *right)
{
    const struct row *a = left;
    const struct row *b = right;
    int order = compare_size(a->file, b->file);
    if (order == 0) {
        order = compare_size(a->problem.place.line, b->problem.place.line);
    }
    if (order == 0) {
        order = compare_size(a->problem.place.column, b->problem.place.column);
    }
    return order != 0 ? order : compare_size(a->order, b->order);
}

const struct problem *problem_at(struct problem_list *list, size_t i)
{
    if (i >= list->kept) {
        return NULL;
    }
    if (!list->sorted) {
        qsort(list->rows, list->kept, sizeof(list->rows[0]), compare_rows);
        list->sorted = true;
    }
    return &list->rows[i].problem;
}

void problem_relabel(struct problem_list *list, const char *file, unsigned line, const char *label)
{
    for (size_t i = 0; i < list->kept; i++) {
        struct place *place = &list->rows[i].problem.place;
        if (place->file != NULL && place->line == line && strcmp(place->file, file) == 0) {
            const char *copy = memory_copy_text(list->memory, label);
            *place = (struct place){.file = copy};
        }
    }
}

void problem_format(const struct problem *problem, char *buffer, size_t size)
{
    const struct place *place = &problem->place;
    if (place->file == NULL) {
        (void)snprintf(buffer, size, "%s", problem->text);
        return;
    }
    if (place->line == 0) {
        (void)snprintf(buffer, size, "%s: %s", place->file, problem->text);
        return;
    }
    (void)snprintf(buffer, size, "%s:%u:%u: %s", place->file, place->line, place->column,
                   problem->text);
}

void problem_list_print(struct problem_list *list, FILE *out)
{
    for (size_t i = 0; i < list->kept; i++) {
        char line[2048];
        problem_format(problem_at(list, i), line, sizeof(line));
        (void)fprintf(out, "%s\n", line);
    }
    if (list->count > list->kept) {
        (void)fprintf(out, "and %zu more problems\n", list->count - list->kept);
    }
}
