// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * usage: setclock --step SECONDS | --synchronised | --unsynchronised
 * Sets the wall clock forwards or backwards in one call (ADJ_SETOFFSET), or tells the kernel what a time daemon
 * would: that it is synchronised, with an error of 1234 us at most, or not. Says {"role":"setclock",…} with what
 * the kernel says of its clock afterwards.
 */
#include "victim.h"

#include <getopt.h>
#include <string.h>
#include <sys/timex.h>

int main(int argc, char **argv)
{
	static const struct option options[] = { { "step", 1, NULL, 's' },
						 { "synchronised", 0, NULL, 'y' },
						 { "unsynchronised", 0, NULL, 'n' },
						 { 0 } };
	struct timex timex = { .modes = 0 };
	int option, state;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			timex.modes = ADJ_SETOFFSET;
			timex.time.tv_sec = atol(optarg);
			break;
		case 'y':
			timex.modes = ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR;
			timex.status = STA_PLL;
			timex.maxerror = 1234;
			timex.esterror = 100;
			break;
		case 'n':
			timex.modes = ADJ_STATUS;
			timex.status = STA_UNSYNC;
			break;
		default:
			return 2;
		}
	}
	if (adjtimex(&timex) < 0)
		die("the clock cannot be set");
	timex.modes = 0;
	state = adjtimex(&timex);
	introduce("setclock", "\"state\":%d,\"unsynchronised\":%s,\"maxErrorUsec\":%ld", state,
		  timex.status & STA_UNSYNC ? "true" : "false", timex.maxerror);
	return 0;
}
