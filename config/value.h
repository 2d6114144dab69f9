/* config/value.h
 *
 * The scalar types of the configuration: text in, value out.
 *
 * Why it exists: each is a small strict parser with its own test; the loader, the options of `run`
 * and the reference share them.
 *
 * Each value_… function returns NULL when `text` is well formed and has been stored, otherwise a
 * predicate that completes "'TEXT' …", such as "has no unit". Strings that are kept come from
 * `memory`; when it runs out they are NULL and memory_failed tells.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"

/* yes, no, on, off, true, false */
const char *value_flag(const char *text, bool *flag);

/* Decimal digits only. */
const char *value_number(const char *text, uint64_t *number);

/* Decimal digits (a fraction of up to three digits is fine) and a unit: ms s m h d. */
const char *value_duration(const char *text, uint64_t *ms);

/* Decimal digits and a unit: B KiB MiB GiB. Powers of 1000 (KB, MB) are refused: which is meant is
 * never sure. */
const char *value_size(const char *text, uint64_t *bytes);

/* A size with /s after it. */
const char *value_rate(const char *text, uint64_t *bytes_per_second);

/* IP:PORT, [IP6]:PORT or unix:/PATH. */
const char *value_address(struct memory *memory, const char *text, struct config_address *address);

/* An IPv4 address of 127.0.0.0/8 that stands for another one, with or without :PORT (port 0 then).
 * 127.0.0.1 is what everybody listens on, so it stands for nobody. */
const char *value_stand_in(struct memory *memory, const char *text, struct config_address *address);

/* IP/BITS or a single IP; bits beyond the prefix must be zero. */
const char *value_network(struct memory *memory, const char *text, struct config_network *network);

/* YYYY-MM-DD, a day that exists. */
const char *value_day(const char *text, config_day *day);

/* sha256/BASE64 of 32 bytes, as RFC 7469 §2.4 writes it. */
const char *value_pin(const char *text, uint8_t sha256[32]);

/* http://HOST[:PORT], the same with https, h2 or h2c, or unix:/PATH. */
const char *value_server(struct memory *memory, const char *text, struct config_server *server);

/* The host of a route: a name, *.NAME, an IP literal, or *. */
const char *value_host(struct memory *memory, const char *text, enum config_host_kind *kind,
                       const char **host);

/* The path of a route: starts with a slash, no query, no fragment, no dot segments, no control
 * characters. */
const char *value_path(struct memory *memory, const char *text, const char **path);

/* A name that the operator gives to a thing: letters, digits, '-', '_' and '.', at most 64. */
const char *value_name(struct memory *memory, const char *text, const char **name);

/* A DNS name in letters, digits, hyphens and underscores (RFC 1035 §2.3.4 for lengths). */
bool value_is_host_name(const char *text);

/* The shortest exact spelling, for the reference: 5000 → "5s", 65536 → "64KiB". */
void value_print_duration(uint64_t ms, char *buffer, size_t size);
void value_print_size(uint64_t bytes, char *buffer, size_t size);
