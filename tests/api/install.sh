#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `meson install` leaves is enough to build and run the README's example, against the shared and the static library.
set -eu
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d /tmp/bailey-install.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
meson install -C "$BUILD" --no-rebuild --quiet --destdir "$tmp/root" >/dev/null
header=$(find "$tmp/root" -name bailey.h) lib=$(dirname "$(find "$tmp/root" -name libbailey.so.0)")
[[ -s $(find "$tmp/root" -name bailey.pc) ]] || { echo "no bailey.pc"; exit 1; }
BAILEY_HELPER=$(find "$tmp/root" -name bailey -type f -perm -100)
export BAILEY_HELPER
sed -n '/^```c$/,/^```$/p' README.md | sed '/^```/d' >"$tmp/example.c"
# no rules about sanitizers: a library with them needs a program with them
flags=()
nm -D "$lib/libbailey.so" | grep -q __asan && flags=(-fsanitize=address,undefined)
cc -Wall -Wextra -Werror "${flags[@]}" -I"$(dirname "$header")" -o "$tmp/shared" "$tmp/example.c" -L"$lib" -lbailey
cc -Wall -Wextra -Werror "${flags[@]}" -I"$(dirname "$header")" -o "$tmp/static" "$tmp/example.c" "$lib/libbailey.a" -pthread
for p in shared static; do
	out=$(LD_LIBRARY_PATH=$lib "$tmp/$p")
	[[ $out == $'hello\nit ended with 3' ]] || { echo "$p: \"$out\""; exit 1; }
done
# The header in C++
printf '#include <bailey.h>\nint main() { struct bailey_kernel_options k = BAILEY_KERNEL_OPTIONS_INIT; struct bailey_process_options p = BAILEY_PROCESS_OPTIONS_INIT; return k.rootfs || p.argv; }\n' >"$tmp/x.cc"
! command -v g++ >/dev/null || g++ -std=c++11 -Wall -Werror -I"$(dirname "$header")" -c -o "$tmp/x.o" "$tmp/x.cc"
# Only what the header declares is visible.
nm -D --defined-only "$lib/libbailey.so" | awk '$2 == "T" { print $3 }' | grep -v '^bailey_' && { echo "these symbols are visible"; exit 1; }
diff <(nm -D --defined-only "$lib/libbailey.so" | awk '$2 == "T" { print $3 }' | sort) \
	<(grep '^BAILEY_API' "$header" | grep -o 'bailey_[a-z_]*(' | tr -d '(' | sort)
