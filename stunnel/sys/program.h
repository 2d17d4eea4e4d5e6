/* SPDX-License-Identifier: ISC */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

/* Programs that talk to a connection over their standard input and output. */

/* A variable that is set for the program, over one of the same name that it would inherit. */
struct program_variable {
	const char *name;
	const char *value; /* NULL: not set, and not inherited either */
};

struct program {
	const char *path;
	const char *const *argv; /* with the program's own name, NULL behind the last one */
	bool pty;		 /* they are a terminal of its own */
	bool keep_stderr;	 /* its standard error is ours, and else where its output goes */
};

/* What has getpeername() of a program say the client's address: a library for LD_PRELOAD. */
#define PROGRAM_PRELOAD PRELOADDIR "/libstunnel.so"

/*
 * Starts the program, and returns our end of what it reads and writes: non-blocking, and the
 * caller's to close; or a negative errno. In a process that has no use for its children's ends but
 * program_reap(). count: of variables.
 */
int program_start(const struct program *program, const struct program_variable *variables,
		  size_t count, pid_t *pid);

/* Tells in the log how each program ended that has done so since the last call. */
void program_reap(void);

#endif
