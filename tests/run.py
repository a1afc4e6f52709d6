#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs Bailey's tests and closes with a line "N passed, N failed".

  tests/run.py [--build DIR] [--wrapper CMD] [--jobs N] [-v] [KIND[/PATTERN]...]

Kinds: check (the tree itself), unit, guest (natively and inside), apps (natively and inside, same output and status), cli (the command
line), evil (inside), api (programs that use libbailey).
A pattern is a shell pattern on the test's name: `tests/run.py guest/signal* apps`.
"""
import argparse, concurrent.futures, difflib, fnmatch, glob, os, re, shlex, shutil, signal, subprocess, sys, tempfile, time

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.dirname(here)
ap = argparse.ArgumentParser(usage=__doc__)
ap.add_argument('--build', default=os.path.join(top, 'build'))
ap.add_argument('--wrapper', help='what runs a command inside (default: BUILD/bailey run --)')
ap.add_argument('--jobs', type=int, default=2)
ap.add_argument('-v', action='store_true')
ap.add_argument('want', nargs='*')
opt = ap.parse_args()
build = os.path.abspath(opt.build)
bailey = os.path.join(build, 'bailey')
inside = shlex.split(opt.wrapper) if opt.wrapper else [bailey, 'run', '--']


def run(cmd, timeout, cwd=None, env=None):
    """(status, output, seconds): status is the exit status, negative for a signal, None for a time-out."""
    t0 = time.time()
    p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd,
                         env=env, start_new_session=True)
    try:
        out, _ = p.communicate(timeout=timeout)
        return p.returncode, out.decode(errors='replace'), time.time() - t0
    except subprocess.TimeoutExpired:
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            out, _ = p.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            out = b''
        return None, out.decode(errors='replace'), time.time() - t0


def tell(st):
    return 'timed out' if st is None else f'exit status {st}' if st >= 0 else f'killed by signal {-st}'


def header(path, key, default=None):
    """`# key: value` among a script's first lines."""
    with open(path, errors='replace') as f:
        for line in list(f)[:15]:
            m = re.match(r'\s*(?:#|//|\*)+\s*' + key + r':\s*(.*)', line)
            if m:
                return m.group(1).strip()
    return default


def t_check(name, path):
    st, out, _ = run([path], 120, cwd=top)
    return st == 0, out


def t_unit(name, path):
    st, out, _ = run([path], 300)
    return st == 0, out + tell(st)


def t_guest(name, path):
    st, out, _ = run([path], 300)
    if st != 0:
        return False, f'fails natively ({tell(st)}): the test is wrong\n' + out
    st, out, _ = run(inside + [path], 300)
    bad = [l for l in out.splitlines() if l.startswith('not ok')]
    plan = re.findall(r'^1\.\.(\d+)$', out, re.M)
    oks = len(re.findall(r'^ok ', out, re.M))
    ok = st == 0 and not bad and plan and int(plan[0]) == oks
    return ok, f'inside: {tell(st)}\n' + out


def t_apps(name, path):
    timeout = int(header(path, 'timeout', '60'))
    if path.endswith('.py'):  # drives a terminal itself; is given the wrapper's words
        for words in ([], inside):
            st, out, _ = run(['/usr/bin/python3', path] + words, timeout)
            if st != 0:
                return False, ('inside: ' if words else 'natively: ') + tell(st) + '\n' + out
        return True, ''
    res = []
    for words in ([], inside):
        tmp = tempfile.mkdtemp(prefix='apps.')
        os.chmod(tmp, 0o755)
        try:
            res.append(run(words + ['/bin/bash', '-c', f'cd {tmp}; . {path}'], timeout)[:2])
        finally:
            shutil.rmtree(tmp, ignore_errors=True)
        res[-1] = (res[-1][0], res[-1][1].replace(tmp, 'TMP'))
    if res[0][0] != int(header(path, 'status', '0')):
        return False, f'fails natively ({tell(res[0][0])}): the test is wrong\n' + res[0][1]
    diff = difflib.unified_diff(res[0][1].splitlines(), res[1][1].splitlines(), 'natively', 'inside', n=2, lineterm='')
    return res[0] == res[1], f'natively {tell(res[0][0])}, inside {tell(res[1][0])}\n' + '\n'.join(diff)


def t_cli(name, path):
    st, out, _ = run([path], int(header(path, 'timeout', '120')), env=dict(os.environ, BAILEY=bailey, BUILD=build))
    return st == 0, f'{tell(st)}\n' + out


def t_evil(name, path):
    words = inside
    opts = header(path, 'options') if path.endswith('.sh') else None
    if path.endswith('.sh') or path.endswith('.py'):
        st, out, _ = run([path], 180, env=dict(os.environ, BAILEY=bailey, BUILD=build))
        return st == 0, f'{tell(st)}\n' + out
    # Whatever the guest does, it may only end itself: the sandbox answers with a status, and the next one runs.
    st, out, _ = run(words + [path], 120)
    if st is None or (st < 0) or st == 125:
        return False, f'the sandbox itself ended: {tell(st)}\n' + out
    if 'EVIL: ' in out:
        return False, out
    st2, out2, _ = run(words + ['/bin/echo', 'alive'], 30)
    return st2 == 0 and out2 == 'alive\n', f'{tell(st)}\n{out}\nafterwards: {tell(st2)} {out2}'


def t_api(name, path):
    st, out, _ = run([path], int(header(path, 'timeout', '300')) if path.endswith('.sh') else 300,
                     env=dict(os.environ, BAILEY=bailey, BUILD=build, BAILEY_HELPER=bailey))
    return st == 0, f'{tell(st)}\n' + out


def programs(d):
    return sorted(p for p in glob.glob(os.path.join(build, 'tests', d, '*')) if os.access(p, os.X_OK) and os.path.isfile(p)
                  and not p.endswith(('.so', '.a', '.p')))


kinds = {
    'check': (t_check, sorted(glob.glob(os.path.join(here, 'check', '*')))),
    'unit': (t_unit, [p for p in programs('unit') if os.path.basename(p).startswith('test-')]),
    'guest': (t_guest, programs('guest')),
    'apps': (t_apps, sorted(glob.glob(os.path.join(here, 'apps', '*.sh')) + glob.glob(os.path.join(here, 'apps', '*.py')))),
    'cli': (t_cli, sorted(glob.glob(os.path.join(here, 'cli', '*.sh')) + glob.glob(os.path.join(here, 'cli', '*.py')))),
    'api': (t_api, programs('api') + sorted(glob.glob(os.path.join(here, 'api', '*.sh')))),
    'evil': (t_evil, programs('evil') + sorted(glob.glob(os.path.join(here, 'evil', '*.sh')))),
}
todo = []
for kind, (fn, paths) in kinds.items():
    for p in paths:
        name = kind + '/' + os.path.splitext(os.path.basename(p))[0]
        if not opt.want or any(fnmatch.fnmatch(name, w if '/' in w else w + '/*') for w in opt.want):
            todo.append((name, fn, p))

passed, failed, t0 = 0, [], time.time()
tty = sys.stdout.isatty()


def one(t):
    s = time.time()
    try:
        ok, out = t[1](t[0], t[2])
    except Exception as e:  # a broken test is a failed test
        ok, out = False, f'{type(e).__name__}: {e}'
    return t[0], ok, out, time.time() - s


with concurrent.futures.ThreadPoolExecutor(opt.jobs) as ex:
    for i, (name, ok, out, secs) in enumerate(ex.map(one, todo)):
        if tty:
            sys.stdout.write('\r\033[K')
        print(f'{"ok  " if ok else "FAIL"} {name} ({secs:.1f} s)')
        if not ok or opt.v:
            print('\n'.join('    ' + l for l in out.splitlines()[-60:]))
        passed += ok
        if not ok:
            failed.append(name)
        if tty:
            sys.stdout.write(f'[{i + 1}/{len(todo)}]')
        sys.stdout.flush()
# Tests with clocks and terminals in them can fail on a busy machine: what failed beside others runs once more, alone, and is named either way.
flaky = []
if opt.jobs > 1 and len(failed) <= 5:
    for t in [t for t in todo if t[0] in failed]:
        name, ok, out, secs = one(t)
        print(f'{"ok  " if ok else "FAIL"} {name} ({secs:.1f} s, alone)')
        if ok:
            failed.remove(name)
            flaky.append(name)
            passed += 1
        else:
            print('\n'.join('    ' + l for l in out.splitlines()[-60:]))
print()
for f in flaky:
    print('failed beside others, passed alone:', f)
for f in failed:
    print('failed:', f)
print(f'in {time.time() - t0:.0f} s')
print(f'{passed} passed, {len(failed)} failed')
sys.exit(1 if failed or not passed else 0)
