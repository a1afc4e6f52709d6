#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# platform_guest.sh CC SOURCE OUTPUT.c: the platform test's guest as a flat image at 0x400000, in a C array.
set -e
cc=$1 src=$2 out=$3
printf 'SECTIONS { . = 0x400000; .all : { *(.start) *(.text*) *(.rodata*) *(.data*) *(.bss*) *(COMMON) } /DISCARD/ : { *(.comment) *(.note*) *(.eh_frame*) } }' > "$out.lds"
$cc -O1 -w -ffreestanding -fno-stack-protector -mno-red-zone -fno-pic -fno-pie -fcf-protection=none -fno-asynchronous-unwind-tables -c "$src" -o "$out.o"
ld --no-warn-rwx-segments -T "$out.lds" "$out.o" -o "$out.elf"
objcopy -O binary --set-section-flags .all=alloc,load,contents "$out.elf" "$out.bin"
{
	echo '#include <stddef.h>'
	echo 'extern const unsigned char guest_image[]; extern const size_t guest_image_size;'
	echo 'const unsigned char guest_image[] = {'
	od -An -v -tu1 "$out.bin" | sed 's/[0-9][0-9]*/&,/g'
	echo '};'
	echo 'const size_t guest_image_size = sizeof(guest_image);'
} > "$out"
