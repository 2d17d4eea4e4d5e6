# SPDX-License-Identifier: ISC
# nmake's inference rules, between folders.
SRC=..\src
OBJ=..\out

OBJS=$(OBJ)\main.obj $(OBJ)\client.obj \
	$(OBJ)\other.obj
CC=cl
CFLAGS=/nologo

{$(SRC)\}.c{$(OBJ)\}.obj:
	$(CC) $(CFLAGS) -Fo$@ -c $<

