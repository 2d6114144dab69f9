/* proxy/commands/gossip.h
 *
 * What `sallyport gossip` is told to do, one file each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* argv[0] is the word behind `gossip`. */
int gossip_probe(int argc, char **argv);
int gossip_rules(int argc, char **argv);
