#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
"""bailey run as a job of an interactive shell: started in the background, stopped by Ctrl-Z, fg and bg, signals from the shell."""
import os, pexpect, re, sys
run = os.environ['BAILEY'] + ' run -- '
env = dict(os.environ, PS1='PROMPT> ', TERM='vt100', INPUTRC='/dev/null', HISTFILE='')
c = pexpect.spawn('/bin/bash', ['--norc', '--noprofile', '-i'], env=env, timeout=25, encoding='utf-8', dimensions=(33, 200), echo=False)
P = 'PROMPT> $'
def sh(line, want=''):
    c.sendline(line)
    c.expect(want)
    c.expect(P)
def until(line, want):
    """The shell says so sooner or later."""
    for i in range(60):
        c.sendline(line)
        c.expect(P)
        if re.search(want, c.before): return
        sh('sleep 0.2')
    raise SystemExit(f'no {want!r} from {line!r}: {c.before!r}')
def up():
    """What was started in the foreground says that it runs."""
    c.expect('u-p')
c.expect(P)
# in the background: it runs on, takes no input away, and its output comes
sh(run + 'sh -c "sleep 1; echo from-b\'\'g" &', r'\[1\]')
sh('echo typ""ed', 'typed')
until('wait; echo do""ne; jobs', 'done')
# who reads there stops, and reads when it is brought to the foreground
sh(run + 'cat &', r'\[1\]')
until('jobs', 'Stopped.*cat')
c.sendline('fg')
c.expect('cat')
c.sendline('li""ne')
c.expect('li""ne\r\n')
c.send('\x04')
c.expect(P)
# Ctrl-Z, bg, fg, Ctrl-C
c.sendline(run + 'sh -c "echo u\'\'-p; exec sleep 50"')
up()
c.send('\x1a')
c.expect('Stopped')
c.expect(P)
sh('stty -a', ' icanon')
sh('jobs', 'Stopped.*sleep 50')
sh('bg %1')
until('jobs', 'Running')
c.sendline('fg')
c.expect('sleep 50')
import time
time.sleep(1)
c.send('\x03')
c.expect(P)
sh('echo st=$?', 'st=130')
# the shell's signals; one that stops itself
sh(run + 'sleep 51 &', r'\[1\]')
sh('kill -TSTP %1')
until('jobs', 'Stopped')
sh('kill -CONT %1')
until('jobs', 'Running')
sh('kill %1')
until('wait; jobs | wc -l', r'\b0\b')
c.sendline(run + "sh -c 'kill -STOP $$; echo wo\"\"ken'")
c.expect('Stopped')
c.expect(P)
c.sendline('fg')
c.expect('woken')
c.expect(P)
c.sendline('exit')
c.expect(pexpect.EOF)
