/* config/address.h
 *
 * Questions about addresses and hosts of the model: is it inside the machine, do two clash.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"

/* 127.0.0.0/8, ::1, their IPv4-mapped form, or a unix socket: what is sent there stays inside the
 * machine. */
bool address_is_loopback(const struct config_address *address);

/* The same for a server. Of the names only `localhost` is (RFC 6761 §6.3). */
bool server_is_loopback(const struct config_server *server);

/* Whether two sockets cannot listen on both, wildcard addresses and dual stack included. */
bool address_clashes(const struct config_address *a, const struct config_address *b);

/* Whether both name the same place to listen at, however it is written. */
bool address_is_same(const struct config_address *a, const struct config_address *b);

/* Whether a listener has exactly this address. */
bool config_listens_at(const struct config *config, const struct config_address *address);

/* Whether an IP (16 bytes, IPv4 as IPv4-mapped) is in the network. */
bool network_contains(const struct config_network *network, const uint8_t ip[16]);
