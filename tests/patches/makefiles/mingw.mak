# SPDX-License-Identifier: ISC
# Objects of two folders, by a pattern rule.
SRC=../src
OBJ=../out

#OBJS=client.o other.o
OBJS=$(OBJ)/main.o $(OBJ)/client.o \
	$(OBJ)/other.o

CC=gcc
CFLAGS=-Wall

all: $(OBJS)

$(OBJ)/%.o: $(SRC)/%.c
	$(CC) $(CFLAGS) -o$@ -c $<

$(OBJS): *.h mingw.mak
