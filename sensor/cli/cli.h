// SPDX-License-Identifier: Apache-2.0
// What the verbs of `sealtap` share. Each verb is one file, verb_<name>.c, with one function.
#pragma once

#include <getopt.h>
#include <stdbool.h>

// Exit codes of all verbs (docs/operations.md).
enum cli_exit {
	CLI_OK = 0,         // done; for verify: valid, authenticated, closed
	CLI_INVALID = 1,    // for verify: invalid; elsewhere: the work failed
	CLI_USAGE = 2,      // the command line or configuration is wrong; nothing was done
	CLI_UNREADABLE = 3, // something could not be read or written; for verify: not verified
	CLI_INCOMPLETE = 4, // consistent, what is missing is named
};

// argv[0] is the verb's name. Returns an enum cli_exit.
int verb_capture(int argc, char **argv);
int verb_ingest(int argc, char **argv);
int verb_verify(int argc, char **argv);
int verb_flows(int argc, char **argv);
int verb_cat(int argc, char **argv);
int verb_extract(int argc, char **argv);
int verb_index(int argc, char **argv);
int verb_keygen(int argc, char **argv);
int verb_trust(int argc, char **argv);
int verb_recover(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_mark(int argc, char **argv);
int verb_metrics(int argc, char **argv);

// "sealtap VERB: text\n" on stderr; returns code, so that a verb can end with `return cli_fail(...)`.
int cli_fail(int code, const char *verb, const char *format, ...) __attribute__((format(printf, 3, 4)));

// getopt_long for tables in which options share a value: what an abbreviation could mean is refused unless it is one
// thing. ret_at: which option it was.
int cli_option(int argc, char **argv, const char *letters, const struct option *options, int *ret_at);

// Where this user's keys and trust store are: /var/lib/sealtap for root, else $XDG_DATA_HOME/sealtap or
// $HOME/.local/share/sealtap. $SEALTAP_HOME goes before both. 0 or -ENAMETOOLONG, -ENOENT when there is no home.
int cli_data_dir(char *out, unsigned long size);
// Where what can be made again is kept: /var/cache/sealtap for root, else $XDG_CACHE_HOME/sealtap or
// $HOME/.cache/sealtap. $SEALTAP_HOME/cache goes before both. As above.
int cli_cache_dir(char *out, unsigned long size);
// Creates dir and its parents, mode 0700 for the last. 0 or a negative errno.
int cli_make_dirs(const char *dir);
