/* proxy/process/link_trail.h
 *
 * The folders that the kernel passes when it looks a path up: what happens in one of them may make
 * the path lead to another file.
 *
 * Why it exists: certificates are often behind links that are swapped (`live/` of certbot, `..data`
 * of Kubernetes), and realpath(3) tells the end of the way only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

/* Calls on_folder for each, from the first to that of the file, some of them twice. `has_name`: in
 * this folder is a link of the way, the file itself, or what is missing of the way; the others are
 * only gone through. Ends early at what is missing, is no folder or turns in a circle. */
void link_trail(const char *path, void (*on_folder)(void *self, const char *folder, bool has_name),
                void *self);
