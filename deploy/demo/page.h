/* deploy/demo/page.h
 *
 * The page of the demo app, written as an array by embed.cmake from page.html, so that the program
 * is one file. Owned by the program, never freed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

extern const unsigned char page_bytes[];
extern const size_t page_len;
