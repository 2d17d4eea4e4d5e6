/* SPDX-License-Identifier: ISC */
#ifndef TITLE_H
#define TITLE_H

/* What ps(1) shows of the process in place of its command line. */

/*
 * In main(), before there are threads: takes the memory of the command line and of the environment,
 * which is copied, for titles. argv is not to be read behind title_set().
 */
void title_take(int argc, char **argv);

/* Shows the text, cut to the memory that there is; nothing without title_take(). */
__attribute__((format(printf, 1, 2))) void title_set(const char *format, ...);

#endif
