#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh CC SOURCE-DIR OUTPUT.c: builds the stub's ELF image and turns it into a C array.
set -e
cc=$1 dir=$2 out=$3
elf=$out.elf
$cc -std=gnu17 -O2 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -mno-red-zone -mgeneral-regs-only -fpie -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -fno-strict-aliasing -static -nostdlib -no-pie \
	-Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,-T,"$dir/stub.lds" "$dir/entry.S" "$dir/stub.c" -o "$elf"
{
	echo '/* Made by stub/build.sh. */'
	echo '#include "platform/trap/trap.h"'
	echo 'const unsigned char stub_image[] = {'
	od -An -v -tu1 "$elf" | sed 's/[0-9][0-9]*/&,/g'
	echo '};'
	echo 'const size_t stub_image_size = sizeof(stub_image);'
} > "$out"
