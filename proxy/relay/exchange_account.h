/* proxy/relay/exchange_account.h
 *
 * The end of an exchange as counters and the access log see it, and what a tunnel keeps for that
 * end: a tunnel may live for days, so the memory of its heads is given back when it begins.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

struct relay_exchange;

/* Counts the exchange and writes its line. Once, at its end. */
void exchange_account(struct relay_exchange *relayed);

/* Copies the few texts that the line will need and gives the arena back. The messages must not be
 * needed by anybody else any more. Without memory nothing changes. */
void exchange_keep_little(struct relay_exchange *relayed);

/* Gives back what the above kept. */
void exchange_forget(struct relay_exchange *relayed);
