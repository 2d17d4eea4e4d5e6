/* SPDX-License-Identifier: ISC */
#ifndef READER_H
#define READER_H

#include "config/config.h"

enum reader_use {
	READER_START, /* to serve with it */
	READER_TEST,  /* to be told what is wrong: what can never work is an error, too */
};

/*
 * Reads and checks the file at path, or fd if that is not negative, which is closed unless it is a
 * standard stream. The caller frees the configuration; NULL if it cannot be used. All that is wrong
 * is logged: file, line, its text and the reason where a line is at fault; then the verdict.
 */
struct config *reader_load(const char *path, int fd, enum reader_use use);

#endif
