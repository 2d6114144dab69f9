/* config/schema_print.h
 *
 * The schema table for people (a reference manual in Markdown) and for editors (a JSON Schema).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* Writes the manual. */
void schema_print_reference(FILE *out);

/* JSON Schema, draft 2020-12; the caller decrefs it. NULL when out of memory. */
json_t *schema_to_json(void);
