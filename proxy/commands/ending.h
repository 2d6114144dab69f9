/* proxy/commands/ending.h
 *
 * What `drain` and `stop` have in common: ask, then wait until the instance has ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* The exit status: 0 ended, 1 still there after --timeout, 2 bad input, 3 nobody answers. */
int ending_ask(int argc, char **argv, const char *what);
