/* proxy/commands/stop.c
 *
 * sallyport stop: the instance ends at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/commands/command.h"
#include "proxy/commands/ending.h"

int command_stop(int argc, char **argv)
{
    return ending_ask(argc, argv, "Ends the instance at once, and waits for it.");
}
