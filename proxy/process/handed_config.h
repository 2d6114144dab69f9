/* proxy/process/handed_config.h
 *
 * The configuration as a child gets it from the master: a bundle of files in a sealed memory file,
 * loaded by the same loader that the master used.
 *
 * Owner: the child's main. Embedded; `= {0}` holds nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/bundle.h"
#include "config/model.h"
#include "proxy/base/slice.h"

enum { HANDED_CONFIG_SENTENCE_BYTES = 3 * 4096 + 1024 };

struct handed_config {
    struct bundle *bundle;
    struct config *config;
};

/* Reads the bundle, whose descriptor stays the caller's; `name` is the main file's. False, with a
 * sentence that says why. */
bool handed_config_take(struct handed_config *handed, int descriptor, slice name,
                        char sentence[HANDED_CONFIG_SENTENCE_BYTES])
    __attribute__((warn_unused_result));

void handed_config_fini(struct handed_config *handed);
