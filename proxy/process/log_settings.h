/* proxy/process/log_settings.h
 *
 * The log section of the configuration in the terms of proxy/base/log.h, the same in every process,
 * and the opening of the destination.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "proxy/base/log.h"
#include "proxy/process/error.h"

enum log_level log_settings_level(const struct config_log *settings);

enum log_format log_settings_format(const struct config_log *settings);

/* Opens the destination, close-on-exec: a file to append to (made with mode 0640), or standard
 * output or error. These are opened anew where the system allows, so that they can be non-blocking
 * for us without being so for those who share them. -1 with a sentence. */
int log_settings_open(const struct config_log *settings, struct process_error *error);
