/* proxy/commands/gossip.h
 *
 * What `sallyport gossip` can do, one file each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* `sallyport gossip probe`: tells what is between us and a peer. argv[0] is "probe". */
int gossip_probe(int argc, char **argv);

/* `sallyport gossip rules`: prints the rules of mode `transparent` as a script. argv[0] is "rules".
 */
int gossip_rules(int argc, char **argv);
