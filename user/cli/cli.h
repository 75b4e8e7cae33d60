/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * kwitness's subcommands. Each is one file, takes its own argc and argv (argv[0] is the subcommand's
 * name) and returns an enum kw_exit. A new one is a line in main.c's table.
 */
#include <kwitness/names.h>

#include "user/base/bytes.h"
#include "user/base/cleanup.h"

int kw_cli_cells(int argc, char **argv);
int kw_cli_doctor(int argc, char **argv);
int kw_cli_incidents(int argc, char **argv);
int kw_cli_index(int argc, char **argv);
int kw_cli_keygen(int argc, char **argv);
int kw_cli_parity(int argc, char **argv);
int kw_cli_prove(int argc, char **argv);
int kw_cli_pubkey(int argc, char **argv);
int kw_cli_readers(int argc, char **argv);
int kw_cli_rotate(int argc, char **argv);
int kw_cli_sign(int argc, char **argv);
int kw_cli_status(int argc, char **argv);
int kw_cli_tail(int argc, char **argv);
int kw_cli_verify(int argc, char **argv);

/* "kwitness <command>: <message>" on stderr, one line; control characters in it are escaped.
 * Returns code, for `return kw_cli_fail(KW_EXIT_FAIL, …)`. */
int kw_cli_fail(int code, const char *command, const char *format, ...) kw_printf(3, 4);

/* Why a private key could not be loaded, and what to do about it. */
int kw_cli_fail_key(const char *command, const char *path, int error);

/* Writes to standard output; a full disk or a closed pipe is KW_EXIT_FAIL with a message. */
int kw_cli_output(const char *command, const void *data, size_t length);

/* ---- verify_proof.c ---- */

struct kw_keyring;

/* Loads a keyring for verify; says what is wrong with it. KW_EXIT_OK or KW_EXIT_FAIL. */
int kw_cli_load_keyring(const char *path, struct kw_keyring **ret_keyring);
/* Reads a whole file, up to the buffer's maximum. KW_EXIT_OK or KW_EXIT_FAIL, with a message. */
int kw_cli_load(const char *command, const char *path, struct kw_bytes *bytes);
/* The verdict over a proof; an enum kw_exit. */
int kw_cli_verify_proof(const char *keyring_path, const char *path);

/* ---- verify_keyring.c ---- */

struct kw_verifier;
/* Replaces the file by the keyring that a ledger, sound and read to its end, leads to. An enum kw_exit. */
int kw_cli_keyring_out(const char *path, const struct kw_verifier *verifier);
