/* config/problem.h
 *
 * The list of everything wrong with a configuration: all of it, each with its place, in the order
 * in which it stands in the files.
 *
 * Why it exists: an operator fixes a file in one go instead of one error a run.
 *
 * Owner: the caller of the loader. The list copies what it is given.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "config/place.h"

struct problem {
    struct place place; /* `file` is the list's own copy */
    const char *text;   /* "what is wrong; expected …; did you mean …" */
};

struct problem_list;

/* NULL when out of memory. */
struct problem_list *problem_list_new(void);
void problem_list_free(struct problem_list *list);

/* Adds one line. After 200 of them the rest is only counted. `place` may be NULL. A list that
 * cannot grow for lack of memory still counts, so a failed load is never taken for a good one. */
void problem_add(struct problem_list *list, const struct place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Number of problems, those left out included. */
size_t problem_count(const struct problem_list *list);

/* The i-th problem in order of file (as first seen), line and column; NULL past the end. Valid
 * until the next problem_add. */
const struct problem *problem_at(struct problem_list *list, size_t i);

/* Gives each problem at that line of `file` the place `label` instead: what stands on a generated
 * line came from an option or a variable, whose name says more. */
void problem_relabel(struct problem_list *list, const char *file, unsigned line, const char *label);

/* Writes `FILE:LINE:COLUMN: text` to buffer, always terminated. */
void problem_format(const struct problem *problem, char *buffer, size_t size);

/* Prints each problem on a line of its own. */
void problem_list_print(struct problem_list *list, FILE *out);
