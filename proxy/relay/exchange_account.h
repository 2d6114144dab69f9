/* proxy/relay/exchange_account.h
 *
 * The end of an exchange as the counters and the access log see it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

struct exchange_facts;
struct relay_exchange;
struct relay_shared;

/* What is known now. The texts are borrowed from exchange and conn. */
void exchange_facts_of(const struct relay_exchange *relayed, struct exchange_facts *facts);

/* Counts an exchange that has ended and writes its line. */
void exchange_account_facts(struct relay_shared *shared, const struct exchange_facts *facts);

/* Both. Once, at the exchange's end. */
void exchange_account(const struct relay_exchange *relayed);
