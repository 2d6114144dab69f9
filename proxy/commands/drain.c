/* proxy/commands/drain.c
 *
 * sallyport drain: the instance accepts no more, ends its exchanges, and ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/commands/command.h"
#include "proxy/commands/ending.h"

int command_drain(int argc, char **argv)
{
    return ending_ask(argc, argv,
                      "Ends the instance after its exchanges (at the latest after the drain time "
                      "of its configuration), and waits for it.");
}
