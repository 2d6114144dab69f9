/* config/place.h
 *
 * Where in the configuration something was written, so that whoever finds it wrong later (a
 * missing file, a key that does not fit, a forbidden hop) can say where to look.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* `file` is borrowed from the tree or the config that the place belongs to. Lines and columns count
 * from 1. Line 0: no line is known (a value from an option or from the environment; or a default).
 */
struct place {
    const char *file;
    unsigned line;
    unsigned column;
};
