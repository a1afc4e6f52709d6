#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The vDSO's image as a C array: embed.py IMAGE OUT.h"""
import sys

data = open(sys.argv[1], 'rb').read()
assert data[:4] == b'\x7fELF'
with open(sys.argv[2], 'w') as f:
    f.write('/* Generated from the vDSO. */\nstatic const unsigned char vdso_image[] = {\n')
    for i in range(0, len(data), 16):
        f.write('\t' + ' '.join('0x%02x,' % b for b in data[i:i + 16]) + '\n')
    f.write('};\n')
