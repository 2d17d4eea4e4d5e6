# SPDX-License-Identifier: ISC
# Stems, for which a function makes objects; an older C.
objdir = ../out
win32_cc = gcc
win32_cflags = -Wall -Wextra -Wpedantic -ansi
common_headers = main.h
win32_common = main client other
win32_objs = $(addsuffix .o, $(addprefix $(objdir)/, $(win32_common)))

all: $(win32_objs)

$(objdir)/%.o: $(srcdir)/%.c
	$(win32_cc) -c $(win32_cflags) -o $@ $<

$(objdir)/%.o: $(common_headers)
