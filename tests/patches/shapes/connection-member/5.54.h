/* SPDX-License-Identifier: ISC */
/* The connection has a tag. */
typedef struct client_data_struct CLI;

struct client_data_struct {
	int number;
};
