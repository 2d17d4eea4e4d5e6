# SPDX-License-Identifier: ISC
# A rule of suffixes: an object beside its source.
CC = gcc
OBJS = main.o client.o
CFLAGS = -Wall

all: $(OBJS)

.c.o:
	$(CC) $(CFLAGS) -o $@ -c $<

client.o: client.c main.h
